"""Catalogue D: names from the system that are not text, or too long, lose no record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.fake_backend import Backend
from support.subprocesses import environment
from support.tracers import hive, tracing

import sessiontrace as st
from sessiontrace.spool.status import inspect

PROGRAM = """
import sys
import sessiontrace as st

st.init(
    st.HoneyHive(api_key="k", base_url="http://127.0.0.1:9"), spool=sys.argv[1], exit_timeout=0.1
)
with st.session("s"):
    pass
assert not st.stats().dropped, st.stats().dropped
"""


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="file names there are Unicode")
def test_D19_a_program_whose_name_is_not_utf8_is_recorded(tmp_path: Path) -> None:
    """Its name is the service's, which the head of each segment holds; bytes that are not UTF-8
    would make it unreadable. The same holds for names in the environment.
    """
    script = os.fsencode(tmp_path) + b"/z\xfcrich.py"
    with open(script, "w") as file:
        file.write(PROGRAM)
    odd = environment(tmp_path, SESSIONTRACE_ENVIRONMENT=os.fsdecode(b"b\xfccher"))
    for env in (odd, odd | {"OTEL_SERVICE_NAME": os.fsdecode(b"b\xfccher")}):
        subprocess.run(
            [sys.executable.encode(), script, os.fsencode(tmp_path / "spool")], env=env, check=True
        )
    services = {spool.service for spool in inspect(tmp_path / "spool")}
    assert services == {"z?rich", "b?cher"}
    assert all(spool.lags[0].pending == 2 for spool in inspect(tmp_path / "spool"))


@pytest.mark.parametrize("service", ["x" * 400_000, "\U0001f600" * 100_000, "a\ud800b", "a\0\n{"])
def test_D19_any_service_leaves_a_readable_spool(tmp_path: Path, service: str) -> None:
    """A head longer than recovery reads would hide every record behind it."""
    with tracing(tmp_path, hive("http://127.0.0.1:9"), service=service) as tracer:
        with tracer.session("s"):
            pass
        assert not tracer.stats().dropped
    (spool,) = inspect(tmp_path)
    assert spool.lags[0].pending == 2
    assert len(spool.service) <= 1_000


@pytest.mark.parametrize("protobuf", [False, True])
def test_D19_a_resource_that_is_not_utf8_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protobuf: bool
) -> None:
    """Each request of OTLP holds these attributes: one that cannot be encoded blocked them all."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", os.fsdecode(b"host.name=b\xfccher,b=%FF,c=d"))
    with (
        Backend() as backend,
        tracing(tmp_path, st.OTLP(endpoint=backend.url, protobuf=protobuf)) as tracer,
    ):
        with tracer.session("s"):
            pass
        assert tracer.flush(10).complete
    assert any(b"b?cher" in request.body for request in backend.requests)
