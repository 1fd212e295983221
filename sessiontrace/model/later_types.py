"""Names in annotations whose modules load only when something resolves the annotation; pure.

``import sessiontrace`` stays light because types in signatures are imported under ``TYPE_CHECKING``
alone. With a name of this module in the ``else`` branch ``typing.get_type_hints`` resolves them all
the same, as frameworks do that read signatures. Invariant: such a name costs some 10 us and no
import.
"""

from __future__ import annotations

import re
import sys
from types import FunctionType
from typing import Any, ForwardRef, Union

__all__ = ["SELF", "later", "name_types"]


def later(module: str, name: str) -> Any:
    """What ``typing`` resolves to ``name`` of ``module``, which it then imports."""
    return _Reference(f"__import__({module!r}, None, None, ['']).{name}")


def name_types(cls: type) -> None:
    """Let ``typing`` resolve the ``__init__`` that attrs wrote for a class.

    It has globals of its own, without what is imported where the class and its bases are defined.
    """
    init = vars(cls).get("__init__")
    if not isinstance(init, FunctionType) or init.__globals__ is vars(sys.modules[cls.__module__]):
        return
    words = set(re.findall(r"[A-Za-z]\w*", " ".join(map(str, init.__annotations__.values()))))
    for base in reversed(cls.__mro__):
        names = vars(sys.modules[base.__module__])
        init.__globals__.update({word: names[word] for word in words & names.keys()})


if sys.version_info >= (3, 11):
    _Reference: Any = ForwardRef
else:

    class _Reference(ForwardRef, _root=True):  # type: ignore[misc, call-arg]
        """A reference that unions accept, as ``typing``'s own do from 3.11 on."""

        __slots__ = ()

        def __or__(self, other: object) -> Any:
            return Union[self, other]  # noqa: UP007  the operator is this method

        def __ror__(self, other: object) -> Any:
            return Union[other, self]  # noqa: UP007


SELF: Any = later("typing" if sys.version_info >= (3, 11) else "typing_extensions", "Self")
