"""What Python runs first in a program started by ``sessiontrace run``, and in its children.

Runs in the main thread before the program; standard library only, because it runs in every Python
below. The SDK is imported when the first library that can be instrumented is. Invariant: a program
starts and imports as without us, a ``sitecustomize`` hidden behind ours included.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_AUTO = "SESSIONTRACE_AUTO"  # the modules to wait for; empty or 0 switches all of this off


class _Waiting:
    """On the meta path until one of the modules is imported; then the SDK takes over."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """None, save for a module that is waited for: then what the others find for it."""
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
        # The import in hand goes through the finders as they were; the hooks came in front now.
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                return spec
        return None


def _run_the_hidden_one() -> None:
    """Another ``sitecustomize`` further down the path, which ours hides."""
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
    _wanted = frozenset(os.environ.get(_AUTO, "").split(",")) - {"", "0"}
    if _wanted:
        sys.meta_path.insert(0, _Waiting(_wanted))
    _run_the_hidden_one()
