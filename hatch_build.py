"""Compiles ``sessiontrace/*/_hot.pyx`` when the package is installed or a wheel is made.

Where that cannot be done, for want of a compiler say, the package is installed without them: slower
at capture, the same in all else. ``SESSIONTRACE_PURE=1`` leaves them out, ``SESSIONTRACE_PURE=0``
makes it a fault of the installation when they cannot be compiled.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = "sessiontrace/*/_hot.pyx"


class CustomBuildHook(BuildHookInterface[Any]):
    """Hatchling finds it by this name."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """``version`` is "editable" when the source tree itself is what will be imported."""
        root = Path(self.root)
        sources = sorted(path.relative_to(root) for path in root.glob(_SOURCES))
        if version == "editable":
            for source in sources:  # what is there may be of an older source
                Path(root, _target(source)).unlink(missing_ok=True)
        pure = os.environ.get("SESSIONTRACE_PURE", "")
        if pure not in {"", "0"} or not _suits():
            return
        try:
            compiled = _compiled(root, sources)
        except (Exception, SystemExit) as error:  # setuptools ends the program
            if pure == "0":
                raise
            self.app.display_warning(f"{_SOURCES} are left uncompiled: {error}")
            return
        for source, made in zip(sources, compiled, strict=True):
            if version == "editable":
                shutil.copy(made, root / _target(source))
            else:
                build_data["force_include"][str(made)] = _target(source).as_posix()
        if version != "editable":
            build_data["infer_tag"] = True
            build_data["pure_python"] = False


def _target(source: Path) -> Path:
    return source.with_name(f"{source.stem}{sysconfig.get_config_var('EXT_SUFFIX')}")


def _suits() -> bool:
    """Free-threaded Pythons would get their lock back with it."""
    free = sysconfig.get_config_var("Py_GIL_DISABLED")
    return sys.implementation.name == "cpython" and not free


def _compiled(root: Path, sources: list[Path]) -> list[Path]:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    os.chdir(root)
    place = root / "build" / str(sys.implementation.cache_tag)
    named = {".".join(source.with_suffix("").parts): str(source) for source in sources}
    extensions = cythonize(
        [Extension(name, [source]) for name, source in named.items()],
        build_dir=str(place),
        quiet=True,
    )
    command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(place / "lib"), str(place)
    command.ensure_finalized()
    command.run()
    return [Path(command.get_ext_fullpath(name)).resolve() for name in named]
