"""What Python runs first in a program started by ``sessiontrace run``, and in its children.

Runs in the main thread before the program, with the standard library only, because it runs in
every Python below. It imports the SDK when the program imports the first library that can be
instrumented. Invariant: the program starts and imports as it would without sessiontrace, with the
``sitecustomize`` that this one hides, if there is one.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_AUTO = "SESSIONTRACE_AUTO"  # the modules to wait for; empty or 0 disables all of this


class _ImportWaiter:
    """A finder on the meta path until one of the modules is imported; then the SDK takes over."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec that the other finders give for a module that is waited for; else None."""
        if name not in self._names:
            return None
        self._names = frozenset()
        try:
            sys.meta_path.remove(self)
            from sessiontrace import api
            from sessiontrace.instrumentation.launcher import process_session

            process_session.begin(api.default_tracer)
        except Exception as error:
            sys.stderr.write(f"sessiontrace run: nothing is traced ({error!r})\n")
            return None
        # The hooks are now in front of the finders, and this import has to go through them too.
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                return spec
        return None


def _run_hidden_sitecustomize() -> None:
    """Run the ``sitecustomize`` further down the path that this one hides."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if "sitecustomize" not in sys.modules and ours is not None:
            sys.modules["sitecustomize"] = ours


if __name__ == "sitecustomize":
    _targets = frozenset(os.environ.get(_AUTO, "").split(",")) - {"", "0"}
    if _targets:
        sys.meta_path.insert(0, _ImportWaiter(_targets))
    _run_hidden_sitecustomize()
