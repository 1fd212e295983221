"""The decorators that are named after a type of step.

Called where a program defines its functions. Invariant: for each row of ``STEP_TYPES`` there is one
decorator with the row's name, which does what ``trace(type=...)`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sessiontrace.model.later_types import later

if TYPE_CHECKING:
    from sessiontrace.capture.streams.stream_span import Reduce
else:
    Reduce = later("sessiontrace.capture.streams.stream_span", "Reduce")

__all__ = ["TypedDecorators"]

F = TypeVar("F", bound=Callable[..., Any])


class TypedDecorators:
    """``@st.tool``, ``@st.agent`` and so on. A subclass has ``_of_type``."""

    def _of_type(self, type: str, fn: Callable[..., Any] | None, options: dict[str, Any]) -> Any:
        """``trace(type=type, **options)``, on ``fn`` where that is not None."""
        raise NotImplementedError

    @overload
    def chain(self, fn: F, /) -> F: ...
    @overload
    def chain(
        self,
        /,
        *,
        name: str | None = None,
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Callable[[F], F]: ...
    def chain(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``trace(type="chain")``, with or without its other arguments."""
        return self._of_type("chain", fn, options)

    @overload
    def model(self, fn: F, /) -> F: ...
    @overload
    def model(
        self,
        /,
        *,
        name: str | None = None,
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Callable[[F], F]: ...
    def model(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``trace(type="model")``: the function calls a model."""
        return self._of_type("model", fn, options)

    @overload
    def tool(self, fn: F, /) -> F: ...
    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Callable[[F], F]: ...
    def tool(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``trace(type="tool")``: the function is a tool, or calls something outside."""
        return self._of_type("tool", fn, options)

    @overload
    def agent(self, fn: F, /) -> F: ...
    @overload
    def agent(
        self,
        /,
        *,
        name: str | None = None,
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Callable[[F], F]: ...
    def agent(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``trace(type="agent")``: the function is an agent: it decides what to do."""
        return self._of_type("agent", fn, options)

    @overload
    def retriever(self, fn: F, /) -> F: ...
    @overload
    def retriever(
        self,
        /,
        *,
        name: str | None = None,
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Callable[[F], F]: ...
    def retriever(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``trace(type="retriever")``: the function looks for documents."""
        return self._of_type("retriever", fn, options)

    @overload
    def embedding(self, fn: F, /) -> F: ...
    @overload
    def embedding(
        self,
        /,
        *,
        name: str | None = None,
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Callable[[F], F]: ...
    def embedding(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``trace(type="embedding")``: the function calls a model for vectors."""
        return self._of_type("embedding", fn, options)

    @overload
    def guardrail(self, fn: F, /) -> F: ...
    @overload
    def guardrail(
        self,
        /,
        *,
        name: str | None = None,
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Callable[[F], F]: ...
    def guardrail(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``trace(type="guardrail")``: the function checks an input or an answer."""
        return self._of_type("guardrail", fn, options)

    @overload
    def evaluator(self, fn: F, /) -> F: ...
    @overload
    def evaluator(
        self,
        /,
        *,
        name: str | None = None,
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Callable[[F], F]: ...
    def evaluator(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``trace(type="evaluator")``: the function judges an answer."""
        return self._of_type("evaluator", fn, options)
