"""A compiled form that was built for something else must not look like one that was never built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.patience import patience

import sessiontrace
from sessiontrace.capture.encoding import record_body
from sessiontrace.runtime import compiled_forms

SYMBOL = "undefined symbol: PyList_GET_SIZE"


def test_a_form_that_was_built_and_does_not_load_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that is absent is not: then the package was installed without a compiler."""
    monkeypatch.setattr(compiled_forms, "_faults", {})
    compiled_forms.note(ModuleNotFoundError("no module", name="sessiontrace.spool._frame_c"))
    assert compiled_forms.faults() == {}
    compiled_forms.note(ImportError(SYMBOL, name="sessiontrace.spool._frame_c"))
    assert compiled_forms.faults() == {"sessiontrace.spool._frame_c": SYMBOL}
    compiled_forms.log_faults()
    assert f"sessiontrace.spool._frame_c was built and cannot be imported ({SYMBOL})" in caplog.text


def test_the_package_says_whether_it_is_compiled() -> None:
    """The attribute is not among the names that an editor offers for use."""
    assert sessiontrace.__compiled__ is record_body.COMPILED
    assert "__compiled__" not in sessiontrace.__all__


def test_a_program_with_a_broken_form_records_all_the_same(tmp_path: Path) -> None:
    """The extension's file holds no extension; the first line of the log names it."""
    program = f"""
import importlib.machinery, logging, sys
logging.basicConfig()
suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
broken = {str(tmp_path)!r} + "/_frame_c" + suffix
open(broken, "wb").write(b"not an extension")
import sessiontrace.spool
sessiontrace.spool.__path__.insert(0, {str(tmp_path)!r})
import sessiontrace as st
st.init(st.Local(path={str(tmp_path / "store.db")!r}), spool={str(tmp_path / "spool")!r})
with st.session("s"), st.span("step"):
    pass
assert st.flush(10)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=patience(50),
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "_frame_c was built and cannot be imported" in result.stderr


def test_each_face_of_a_compiled_form_notes_why_it_does_not_load() -> None:
    """Else a wheel whose extension is broken would look like one without."""
    package = Path(sessiontrace.__file__).parent
    texts = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    faces = [
        path.name
        for path, text in texts.items()
        if "\n    from sessiontrace" in text and "_c import" in text
    ]
    silent = [path.name for path, text in texts.items() if "\nexcept ImportError:\n" in text]
    assert len(faces) >= 8
    assert not silent
