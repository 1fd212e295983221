"""Compiles the ``_*_c.pyx`` files when the package is installed or a wheel is made.

Each of them is the compiled form of one concept: ``_frame_c.pyx`` of ``frame.py``, whose Python
form is ``_frame_py.py``. Where compiling fails, for want of a compiler say, the package is
installed without the compiled forms: slower at capture, the same in all else.
``SESSIONTRACE_PURE=1`` leaves them out. ``SESSIONTRACE_PURE=0`` fails the installation if they
cannot be compiled. A build for another machine sets ``SETUPTOOLS_EXT_SUFFIX``, as setuptools reads
it, beside ``CC`` and ``LDSHARED``. ``CFLAGS`` would replace the flags of the Python itself: its
optimization and its rules for overflow. No build of a wheel sets it.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = "sessiontrace/**/_*_c.pyx"
_COMPILERS_MAX = 4  # at a time; each takes up to 0.2 GB
_FLAGS = [] if os.name == "nt" else ["-g0"]  # four fifths of a module would be for debuggers


class CustomBuildHook(BuildHookInterface[Any]):
    """Hatchling finds it by this name."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """``version`` is "editable" when Python will import the source tree itself."""
        root = Path(self.root)
        sources = sorted(path.relative_to(root) for path in root.glob(_SOURCES))
        if version == "editable":
            for source in sources:  # an older build may have left one
                Path(root, _target(source)).unlink(missing_ok=True)
        pure = os.environ.get("SESSIONTRACE_PURE", "")
        if pure not in {"", "0"} or not _is_supported():
            return
        try:
            libraries = _compile(root, sources)
        except (Exception, SystemExit) as error:  # setuptools exits when the compiler fails
            if pure == "0":
                raise
            self.app.display_warning(
                f"{_SOURCES} could not be compiled, Python forms are used: {error}"
            )
            return
        for source, library in zip(sources, libraries, strict=True):
            if version == "editable":
                shutil.copy(library, root / _target(source))
            else:
                build_data["force_include"][str(library)] = _target(source).as_posix()
        if version != "editable":
            build_data["infer_tag"] = True
            build_data["pure_python"] = False


def _target(source: Path) -> Path:
    return source.with_name(f"{source.stem}{_suffix()}")


def _suffix() -> str:
    """The end of the name of a compiled module, which names Python, processor and C library."""
    own = str(sysconfig.get_config_var("EXT_SUFFIX"))
    return os.environ.get("SETUPTOOLS_EXT_SUFFIX", own)


def _is_supported() -> bool:
    """A free-threaded Python would turn its lock on again to import a compiled form."""
    free = sysconfig.get_config_var("Py_GIL_DISABLED")
    return sys.implementation.name == "cpython" and not free


def _compile(root: Path, sources: list[Path]) -> list[Path]:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    os.chdir(root)
    directory = root / "build" / _suffix().split(".")[1]
    sources_by_module = {".".join(source.with_suffix("").parts): str(source) for source in sources}
    extensions = cythonize(
        [
            Extension(name, [source], extra_compile_args=_FLAGS)
            for name, source in sources_by_module.items()
        ],
        build_dir=str(directory),
        quiet=True,
    )
    command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(directory / "lib"), str(directory)
    command.parallel = min(os.cpu_count() or 1, _COMPILERS_MAX)
    command.ensure_finalized()
    command.run()
    return [Path(command.get_ext_fullpath(name)).resolve() for name in sources_by_module]
