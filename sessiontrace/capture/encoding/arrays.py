"""Arrays and data frames of numpy, pandas, polars and torch: small ones whole, large ones in part.

Runs in the user's thread. The content of an array is in memory already; what would compute or read
it (a lazy frame, an array in a mapped file, a tensor on a device) is described, not read. Only the
libraries' own classes are read: a subclass may override any method. Invariant: at most ``ITEMS``
values and ``_BYTES`` bytes of an array become Python objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessiontrace.capture.encoding.safe_text import kind_name
from sessiontrace.capture.encoding.short_repr import short_text
from sessiontrace.capture.encoding.static_access import (
    MISSING,
    bases_of,
    module_of,
    qualified_name,
)

__all__ = ["ITEMS", "array_form"]

ITEMS = 1_000
"""Most values of an array or cells of a frame that are recorded whole."""

_BYTES = 256 * 1024
_HEAD_ROWS = 5
_HEAD_COLUMNS = 50
_HEAD_EDGES = (1, 10, 5, 3, 2, 2, 2)  # of the corner recorded, by the number of dimensions


def array_form(value: Any, kind: type) -> Any:
    """A simpler value for an array or frame; ``MISSING`` for a value of any other class."""
    for base in bases_of(kind)[:-1]:
        package = module_of(base).partition(".")[0]
        if package in _PACKAGES:
            form = _FORMS.get((package, kind_name(base)))
            if form is not None:
                return form(value, base, base is kind)
    return MISSING


def _described(kind: type, shape: Any, **details: Any) -> dict[str, Any]:
    return {"type": qualified_name(kind), "shape": list(shape), **details}


# -- numpy -------------------------------------------------------------------------------------


def _ndarray(value: Any, base: type, is_own: bool) -> Any:
    kind = type(value)
    plain: Any = base.__dict__["view"](value, base)  # of numpy's class: a subclass runs its code
    details = {"dtype": str(plain.dtype)}
    if _is_mapped(value, base) or _is_of(kind, "MaskedArray"):  # in a file; partly invalid
        return _described(kind, plain.shape, **details)
    if plain.size <= ITEMS and plain.nbytes <= _BYTES:
        return plain.tolist()
    edge = _HEAD_EDGES[plain.ndim] if plain.ndim < len(_HEAD_EDGES) else 1
    head = plain[(slice(edge),) * plain.ndim]
    if head.nbytes <= _BYTES:
        details["head"] = head.tolist()
    return _described(kind, plain.shape, **details)


def _numpy_scalar(value: Any, base: type, is_own: bool) -> Any:
    item = base.__dict__["item"](value)
    return str(item) if type(item) is type(value) else item


def _is_mapped(value: Any, base: type) -> bool:
    """Whether the content is that of a file: to read it would read the disk."""
    owner = value
    for _ in range(8):
        if kind_name(type(owner)) == "mmap":
            return True
        if not issubclass(type(owner), base):
            return False
        owner = base.__dict__["base"].__get__(owner)
    return True


def _is_of(kind: type, name: str) -> bool:
    return any(kind_name(base) == name for base in bases_of(kind))


# -- torch, jax, tensorflow --------------------------------------------------------------------


def _tensor(value: Any, base: type, is_own: bool) -> Any:
    if not is_own:
        return MISSING
    count = 1
    for size in value.shape:
        count *= size
    if count <= ITEMS and value.device.type == "cpu" and not value.is_sparse:
        return value.tolist()
    return _described(base, value.shape, dtype=str(value.dtype), device=str(value.device))


# -- pandas ------------------------------------------------------------------------------------


def _pandas_frame(value: Any, base: type, is_own: bool) -> Any:
    if not is_own:
        return MISSING
    rows, width = value.shape
    if rows * max(1, width) <= ITEMS and width <= ITEMS:
        if not all(map(_is_known_dtype, value.dtypes)):
            return _described(base, (rows, width), columns=list(value.columns))
        return _pandas_rows(value)
    head = value.iloc[:_HEAD_ROWS, :_HEAD_COLUMNS]
    details = {"columns": list(value.columns[:ITEMS])}
    if all(map(_is_known_dtype, head.dtypes)):
        details["head"] = _pandas_rows(head)
    return _described(base, (rows, width), **details)


def _pandas_rows(frame: Any) -> list[dict[str, Any]]:
    """A dict for each row; the label of the row first, if rows have labels of their own."""
    names = list(frame.columns)
    rows = frame.itertuples(index=False, name=None)
    if _has_labels(frame.index):
        names.insert(0, "index" if frame.index.name is None else frame.index.name)
        rows = ((label, *row) for label, row in zip(frame.index, rows, strict=False))
    names = _distinct(names)
    return [dict(zip(names, row, strict=False)) for row in rows]


def _distinct(labels: list[Any]) -> list[str]:
    """The labels as texts, with a number where another label has the same text."""
    names: dict[str, None] = {}
    for label in labels:
        text = name = short_text(label)
        while name in names:
            name = f"{text}~{len(names)}"
        names[name] = None
    return list(names)


def _has_labels(index: Any) -> bool:
    return kind_name(type(index)) != "RangeIndex"


def _is_known_dtype(dtype: Any) -> bool:
    """Whether reading a column runs no code but numpy's and pandas' own."""
    return module_of(type(dtype)).partition(".")[0] in _PACKAGES


def _series(value: Any, base: type, is_own: bool) -> Any:
    if not (is_own and _is_known_dtype(value.dtype)):
        return MISSING
    if len(value) > ITEMS:
        head = list(value.iloc[:_HEAD_ROWS])
        return _described(base, value.shape, dtype=str(value.dtype), head=head)
    if not _has_labels(value.index):
        return list(value)
    return dict(zip(_distinct(list(value.index)), value, strict=False))


def _index(value: Any, base: type, is_own: bool) -> Any:
    if not (is_own and _is_known_dtype(value.dtype)):
        return MISSING
    if len(value) > ITEMS:
        return _described(base, value.shape, dtype=str(value.dtype))
    return list(value)


# -- polars ------------------------------------------------------------------------------------


def _polars_frame(value: Any, base: type, is_own: bool) -> Any:
    if not is_own:
        return MISSING
    rows, width = value.shape
    if rows * max(1, width) <= ITEMS and width <= ITEMS and value.estimated_size() <= _BYTES:
        return value.to_dicts()
    details: dict[str, Any] = {"columns": value.columns[:ITEMS]}
    head = value[:_HEAD_ROWS, :_HEAD_COLUMNS]
    if head.estimated_size() <= _BYTES:
        details["head"] = head.to_dicts()
    return _described(base, (rows, width), **details)


def _polars_series(value: Any, base: type, is_own: bool) -> Any:
    if not is_own:
        return MISSING
    if len(value) <= ITEMS and value.estimated_size() <= _BYTES:
        return value.to_list()
    details: dict[str, Any] = {"dtype": str(value.dtype)}
    head = value.head(_HEAD_ROWS)
    if head.estimated_size() <= _BYTES:
        details["head"] = head.to_list()
    return _described(base, value.shape, **details)


Form = Callable[[Any, type, bool], Any]
"""From a value, the library's class, and whether the value is exactly of it, to a simpler value."""

_PACKAGES = frozenset({"numpy", "torch", "pandas", "polars"})
_FORMS: dict[tuple[str, str], Form] = {
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "generic"): _numpy_scalar,
    ("torch", "Tensor"): _tensor,
    ("pandas", "DataFrame"): _pandas_frame,
    ("pandas", "Series"): _series,
    ("pandas", "Index"): _index,
    ("pandas", "RangeIndex"): _index,
    ("pandas", "DatetimeIndex"): _index,
    ("polars", "DataFrame"): _polars_frame,
    ("polars", "Series"): _polars_series,
}
