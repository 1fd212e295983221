"""The registry: built-in vendors without a search, plug-ins by entry point, faults by name."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from support import subprocesses
from support.fake_backend import Backend, answer
from support.plugins import SMALL_VENDOR, install

import sessiontrace as st
from sessiontrace.config import resolve
from sessiontrace.model.destination import Destination
from sessiontrace.model.errors import ConfigError, VendorError
from sessiontrace.vendors import registry
from sessiontrace.vendors.vendor import PipelineServices, Vendor

Install = Callable[..., None]

KEYS = {"ACME_API_KEY": "acme_key"}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a plug-in for this test."""

    def installed(source: str = SMALL_VENDOR, name: str = "acme_tracing", **points: str) -> None:
        site = install(
            tmp_path / f"site of {name}", name, source, points or {"acme": f"{name}:VENDOR"}
        )
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()

    return installed


def fault_of(target: object) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve((target,), {"spool": False}, KEYS)
    (fault,) = caught.value.faults
    assert "acme_key" not in fault
    return fault


# -- built in -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["honeyhive", "humanloop", "posthog", "otlp", "local"])
def test_every_built_in_vendor_is_found_by_its_name(name: str) -> None:
    """Its package is named like its kind and exports one VENDOR."""
    vendor = registry.find(name)
    assert isinstance(vendor, Vendor)
    assert vendor.kind == name
    assert issubclass(vendor.destination, Destination)
    assert vendor.probe is not None or vendor.check is not None


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("honeyhive", {"HH_API_KEY": "k"}),
        ("humanloop", {"HUMANLOOP_API_KEY": "k", "HUMANLOOP_BASE_URL": "http://localhost:1"}),
        ("posthog", {"POSTHOG_API_KEY": "k"}),
        ("otlp", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"}),
        ("otlp", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:1/traces"}),
    ],
)
def test_the_variables_that_select_a_vendor_are_all_it_needs(
    name: str, keys: dict[str, str]
) -> None:
    """The registry's row names the variables that its destination reads."""
    assert registry.names_from_keys(keys) == (name,)
    for missing in keys:
        fewer = {variable: value for variable, value in keys.items() if variable != missing}
        assert registry.names_from_keys(fewer) == ("local",)
    assert registry.find(name).destination().complete(keys).faults() == []


def test_otels_variable_turns_its_exporter_off() -> None:
    """An endpoint for logs and metrics says nothing about traces."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_TRACES_EXPORTER": "none"}
    assert registry.names_from_keys(env) == ("local",)


def test_a_vendor_that_is_not_used_is_not_imported(tmp_path: Path) -> None:
    """Nor are the installed distributions searched for one that is built in."""
    program = (
        "import json, sys\n"
        "import sessiontrace as st\n"
        "before = sorted(name for name in sys.modules if name.startswith('sessiontrace.vendors'))\n"
        "st.init('posthog', spool=False)\n"
        "with st.span('step'): pass\n"
        "vendors = [name.split('.')[2] for name in sys.modules\n"
        "           if name.startswith('sessiontrace.vendors.')]\n"
        "print(json.dumps({'before': before, 'vendors': sorted(set(vendors)),\n"
        "    'metadata': 'importlib.metadata' in sys.modules}))\n"
        "st.shutdown(0)\n"
    )
    environment = subprocesses.environment(
        tmp_path, POSTHOG_API_KEY="k", POSTHOG_HOST="http://127.0.0.1:9"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    modules = json.loads(done.stdout)
    assert modules["before"] == []
    assert not {"honeyhive", "humanloop", "otlp", "local"} & set(modules["vendors"])
    assert "posthog" in modules["vendors"]
    assert not modules["metadata"]


# -- plug-ins -------------------------------------------------------------------------------


def test_a_plug_in_is_a_destination_like_any_other(plugin: Install) -> None:
    """Found by its entry point, it takes address and key from its own variables."""
    plugin()
    (destination,), _ = resolve(("acme",), {"spool": False}, KEYS)
    assert destination.kind == destination.name == "acme"
    assert destination.base_url == "https://api.acme.example"  # type: ignore[attr-defined]
    (by_variable,), _ = resolve((), {}, {**KEYS, "SESSIONTRACE_DESTINATIONS": "acme"})
    assert by_variable == destination
    parts = registry.connect(destination, PipelineServices())
    assert type(parts.exporter).__name__ == "AcmeExporter"
    assert registry.names()[-1] == "acme"


def test_a_plug_ins_key_alone_sends_nothing(plugin: Install) -> None:
    """A package that is merely installed must not receive anybody's sessions."""
    plugin()
    (destination,), _ = resolve((), {}, {**KEYS, "SESSIONTRACE_STORE": "s.db"})
    assert destination.kind == "local"


def test_records_arrive_at_a_plug_ins_backend(
    plugin: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """init by name, and a span goes through spool, lane and the plug-in's exporter."""
    plugin()
    with Backend() as backend:
        monkeypatch.setenv("ACME_URL", backend.url)
        monkeypatch.setenv("ACME_API_KEY", "acme_key")
        tracer = st.Tracer("acme", spool=False)
        with tracer.session("chat"), tracer.span("step"):
            pass
        assert tracer.flush(10)
        tracer.shutdown(5)
        names = [body["event_name"] for request in backend.requests for body in request.json]
    assert {"chat", "step"} <= set(names)
    assert backend.requests[0].headers["authorization"] == "Bearer acme_key"


@pytest.mark.parametrize("where", ["argument", "variable"])
def test_the_doctor_and_a_whole_program_use_a_plug_in(tmp_path: Path, where: str) -> None:
    """In processes of their own, where nothing but the installed distribution says what acme is."""
    site = install(tmp_path / "site", "acme_tracing", SMALL_VENDOR, {"acme": "acme_tracing:VENDOR"})
    program = (
        f"import sessiontrace as st\n"
        f"st.init({'*' + repr(('acme',)) if where == 'argument' else ''})\n"
        "with st.session('chat'): pass\n"
    )
    with Backend() as backend:
        backend.responder = lambda seen: answer(200, b"{}")
        path = f"{site}:{subprocesses.REPO}"
        env = subprocesses.environment(
            tmp_path, PYTHONPATH=path, ACME_API_KEY="acme_key", ACME_URL=backend.url,
            SESSIONTRACE_DESTINATIONS="acme" if where == "variable" else "",
        )  # fmt: skip
        run = [sys.executable, "-c", program]
        done = subprocess.run(run, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        (batch,) = [request for request in backend.requests if request.path == "/records"]
        assert [body["event_name"] for body in batch.json] == ["chat", "chat"]
        doctor = [sys.executable, "-m", "sessiontrace", "doctor", "acme", "--json", "--canary"]
        done = subprocess.run(doctor, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        findings = {finding["subject"]: finding for finding in json.loads(done.stdout)["acme"]}
        assert findings["key"]["state"] == findings["canary"]["state"] == "ok"


# -- plug-ins that fail ---------------------------------------------------------------------


def test_an_unknown_name_lists_the_known_ones(plugin: Install) -> None:
    """Plug-ins too."""
    plugin()
    fault = fault_of("acmee")
    assert "unknown destination 'acmee'" in fault
    assert "known are honeyhive, humanloop, posthog, otlp, local, langfuse" in fault
    assert fault.endswith("honeycomb, acme")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import not_there_at_all", "No module named 'not_there_at_all'"),
        ("raise RuntimeError('half installed')", "RuntimeError: half installed"),
        ("VENDOR = 1", "is not a sessiontrace.vendors.vendor.Vendor"),
        ("", "AttributeError"),
        (SMALL_VENDOR.replace('"acme"', '"other"'), "must be 'acme'"),
    ],
)
def test_a_broken_plug_in_is_a_fault_of_the_configuration(
    plugin: Install, source: str, words: str
) -> None:
    """The message names package and entry point, and nothing else is affected."""
    plugin(source)
    fault = fault_of("acme")
    assert words in fault
    assert "'acme_tracing'" in fault
    (destination,), _ = resolve(("local",), {}, {"SESSIONTRACE_STORE": "s.db"})
    assert destination.kind == "local"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("complete(self, env)", "cannot be configured"),
        ("faults(self)", "cannot be configured"),
        ("identity(self)", "cannot connect"),
    ],
)
def test_a_plug_ins_destination_that_raises_is_a_fault(
    plugin: Install, method: str, words: str
) -> None:
    """The error's own text stays hidden: it may hold the key."""
    raising = f"    def {method}:\n        raise ValueError('acme_key')\n"
    plugin(SMALL_VENDOR.replace("(HttpDestination):\n", f"(HttpDestination):\n{raising}"))
    fault = fault_of("acme")
    assert words in fault
    assert "ValueError" in fault


@pytest.mark.parametrize(
    ("line", "words"),
    [("    raise OSError('acme_key')", "(OSError)"), ("    return 5", "returned int")],
)
def test_a_plug_in_that_cannot_connect_is_a_fault(plugin: Install, line: str, words: str) -> None:
    """It is tried while the configuration is read, not when the first session opens."""
    start = "def connect(destination, services):\n"
    plugin(SMALL_VENDOR.replace(start, f"{start}{line}\n"))
    assert words in fault_of("acme")


def test_a_program_with_a_broken_plug_in_goes_on_untraced(
    plugin: Install, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Configured by the environment alone, nothing raises into the program."""
    plugin("raise RuntimeError('half installed')")
    monkeypatch.setenv("SESSIONTRACE_DESTINATIONS", "acme")
    tracer = st.Tracer.unconfigured()
    with tracer.session("chat"), tracer.span("step"):
        pass
    assert "half installed" in caplog.text


def test_two_packages_of_one_name_are_refused(plugin: Install) -> None:
    """Which of them were to have the sessions?"""
    plugin()
    plugin(name="acme_other")
    fault = fault_of("acme")
    assert "'acme_tracing'" in fault
    assert "'acme_other'" in fault


def test_a_built_in_name_cannot_be_taken_over(plugin: Install) -> None:
    """A package cannot have what is meant for HoneyHive."""
    plugin(SMALL_VENDOR.replace('"acme"', '"honeyhive"'), honeyhive="acme_tracing:VENDOR")
    assert registry.find("honeyhive").destination is st.HoneyHive


def test_a_destination_without_a_vendor_is_a_fault() -> None:
    """A class of one's own needs a registered vendor."""

    @attrs.frozen(kw_only=True)
    class Lost(Destination):
        kind = "lost"

    assert "unknown destination 'lost'" in fault_of(Lost())
    with pytest.raises(VendorError, match="has no kind"):
        registry.vendor_of(object.__new__(Destination))
