"""Vendors' replies as attrs classes, which keep unknown fields and report missing ones.

Pure values, no thread owns them. Invariant: reading a reply never fails for an additional field.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from sessiontrace.clients.errors import UnexpectedAnswerError
from sessiontrace.model.later_types import SELF, name_types

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = SELF

__all__ = ["Listing", "Model", "Page", "list_of", "number"]

M = TypeVar("M", bound="Model")


def list_of(model: type[Model]) -> Any:
    """A field with a list of models; empty when the reply has none."""
    return attrs.field(
        factory=tuple,
        metadata={"read": lambda value: tuple(model.read(item) for item in value or ())},
    )


@attrs.frozen(kw_only=True)
class Model:
    """Base of all replies. ``extra``: the fields that this version does not know."""

    extra: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    @classmethod
    def read(cls, value: Any) -> Self:
        """The model of a decoded JSON object; ``UnexpectedAnswerError`` names missing fields."""
        if not isinstance(value, Mapping):
            raise UnexpectedAnswerError(
                f"{cls.__name__}: the answer is {type(value).__name__}, not a JSON object"
            )
        fields = {field.name: field for field in attrs.fields(cls) if field.name != "extra"}
        missing = [
            name
            for name, field in fields.items()
            if field.default is attrs.NOTHING and name not in value
        ]
        if missing:
            raise UnexpectedAnswerError(
                f"{cls.__name__}: the answer lacks {', '.join(missing)}", missing
            )
        values: dict[str, Any] = {}
        for name, field in fields.items():
            if name in value:
                read = field.metadata.get("read")
                values[name] = value[name] if read is None else read(value[name])
        extra = {name: item for name, item in value.items() if name not in fields}
        return cls(**values, extra=extra)

    @classmethod
    def read_or_none(cls, value: Any) -> Self | None:
        """The model of a decoded JSON object, None for null."""
        return None if value is None else cls.read(value)


@attrs.frozen(kw_only=True)
class Page(Generic[M]):
    """One page of a listing.

    ``data``: its items. ``page``: its number, ``first`` for the first one. ``size``: most items of
    a page. ``total``: items of all pages.
    """

    data: tuple[M, ...]
    page: int
    size: int
    total: int
    first: int
    _turn: Callable[[int], Awaitable[Page[M]]] = attrs.field(repr=False, eq=False)

    @property
    def has_next(self) -> bool:
        """Whether a page follows."""
        return (self.page - self.first + 1) * self.size < self.total

    @property
    def has_previous(self) -> bool:
        """Whether a page comes before."""
        return self.page > self.first

    async def next(self) -> Page[M]:
        """The page that follows; ``LookupError`` when there is none."""
        if not self.has_next:
            raise LookupError("this is the last page")
        return await self._turn(self.page + 1)

    async def previous(self) -> Page[M]:
        """The page before; ``LookupError`` when there is none."""
        if not self.has_previous:
            raise LookupError("this is the first page")
        return await self._turn(self.page - 1)


name_types(Page)


class Listing(Generic[M]):
    """A listing: ``await`` returns its first page, ``async for`` yields all its items."""

    def __init__(self, turn: Callable[[int], Awaitable[Page[M]]], page: int) -> None:
        self._turn = turn
        self._page = page

    def __await__(self) -> Generator[Any, None, Page[M]]:
        return self._turn(self._page).__await__()

    async def __aiter__(self) -> AsyncIterator[M]:
        page = await self._turn(self._page)
        while True:
            for item in page.data:
                yield item
            # A page without items ends it too: totals can be wrong while logs come and go.
            if not page.data or not page.has_next:
                return
            page = await page.next()


def number(name: str, value: Any, unit: str, why: str = "") -> None:
    """Raise a ``TypeError`` that names the unit where the value is not a finite number."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value - value != 0:
        raise TypeError(
            f"{name} must be a finite number ({unit}), not {type(value).__name__} {value!r}"
            + (f"; {why}" if why else "")
        )
