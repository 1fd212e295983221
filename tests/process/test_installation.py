"""What is installed where: a wheel with its compiled part, and one without where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
NEEDED = ("sessiontrace", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython compiles"),
]
compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
compiles = pytest.mark.skipif(shutil.which(compiler) is None, reason=f"{compiler} is not there")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source of the package, with nothing in it that was compiled before."""
    place = tmp_path / "source"
    place.mkdir()
    for name in NEEDED:
        if (REPO / name).is_dir():
            ignored = shutil.ignore_patterns("*.so", "__pycache__")
            shutil.copytree(REPO / name, place / name, ignore=ignored)
        else:
            shutil.copy(REPO / name, place / name)
    return place


def build(source: Path, **env: str) -> tuple[Path | None, str]:
    """The wheel, and what was printed; None when none was made."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=source,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list((source / "dist").glob("*.whl")) if done.returncode == 0 else []
    return (wheels[0] if wheels else None), done.stdout + done.stderr


def compiled_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as packed:
        return sorted(
            name.split(".")[0] for name in packed.namelist() if name.endswith((".so", ".pyd"))
        )


def forms(wheel: Path, tmp_path: Path) -> str:
    """Which forms a program uses that finds the package in this wheel and nowhere else."""
    place = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(place)
    code = (
        "import sessiontrace; from sessiontrace.capture.encoding import fast_path, record_body;"
        "from sessiontrace.capture.redaction import patterns; from sessiontrace.spool import frame;"
        "concepts = (fast_path, record_body, patterns, frame);"
        "print(sessiontrace.__file__, *(concept.COMPILED for concept in concepts))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, *answers = done.stdout.split()
    assert Path(where).is_relative_to(place)
    return " ".join(answers)


@compiles
def test_a_wheel_has_the_compiled_part_and_uses_it(source: Path, tmp_path: Path) -> None:
    """It is then a wheel for this Python and this system."""
    wheel, printed = build(source, SESSIONTRACE_PURE="0")
    assert wheel is not None, printed
    assert compiled_in(wheel) == [
        "sessiontrace/capture/encoding/_fast_path_c",
        "sessiontrace/capture/encoding/_record_body_c",
        "sessiontrace/capture/redaction/_patterns_c",
        "sessiontrace/instrumentation/core/_stream_reading_c",
        "sessiontrace/instrumentation/openai_family/_text_piece_c",
        "sessiontrace/server/apis/otlp/_event_layout_c",
        "sessiontrace/server/apis/otlp/_plain_call_c",
        "sessiontrace/server/media_check/_media_check_c",
        "sessiontrace/spool/_frame_c",
        "sessiontrace/store/_facet_lines_c",
        "sessiontrace/store/columns/_event_columns_c",
        "sessiontrace/store/media/_describing_c",
        "sessiontrace/store/sqlite/fresh/_fresh_event_c",
        "sessiontrace/store/sqlite/fresh/_outline_c",
        "sessiontrace/wire/decoded/_field_reader_c",
        "sessiontrace/wire/decoded/_plain_span_c",
        "sessiontrace/wire/encoded/_event_span_c",
        "sessiontrace/wire/encoded/_filling_c",
        "sessiontrace/wire/encoded/_flat_metadata_c",
        "sessiontrace/wire/encoded/_key_values_c",
        "sessiontrace/wire/encoded/_members_c",
        "sessiontrace/wire/encoded/_plain_chat_c",
        "sessiontrace/wire/encoded/_record_layout_c",
    ]
    assert f"cp{sys.version_info.major}{sys.version_info.minor}" in wheel.name
    with zipfile.ZipFile(wheel) as packed:
        modules = [packed.read(name) for name in packed.namelist() if name.endswith(".so")]
    assert not any(b".debug_info" in module for module in modules)
    assert forms(wheel, tmp_path) == "True True True True"


def test_a_release_compiles_with_the_flags_of_each_python() -> None:
    """``CFLAGS`` would replace them, and a wheel would be slower than what a user compiles."""
    for file in ("pyproject.toml", "tools/wheels.py", ".github/workflows/release.yml"):
        assert "CFLAGS" not in (REPO / file).read_text()


def test_without_a_compiler_the_package_is_installed_all_the_same(
    source: Path, tmp_path: Path
) -> None:
    """A machine with nothing but Python: a warning, and everything works."""
    wheel, printed = build(source, CC="/bin/false", SESSIONTRACE_PURE="")
    assert wheel is not None, printed
    assert "could not be compiled" in printed
    assert compiled_in(wheel) == []
    assert wheel.name.endswith("-py3-none-any.whl")
    assert forms(wheel, tmp_path) == "False False False False"


def test_it_can_be_asked_for_or_left_out(source: Path) -> None:
    """For those who make wheels for others, and for those who want no compiled code."""
    wheel, printed = build(source, SESSIONTRACE_PURE="1")
    assert wheel is not None
    assert compiled_in(wheel) == []
    assert "could not be compiled" not in printed
    shutil.rmtree(source / "dist")
    wheel, printed = build(source, CC="/bin/false", SESSIONTRACE_PURE="0")
    assert wheel is None
    assert "/bin/false" in printed
