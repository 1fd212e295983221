"""Configuration: refused whole, with every fault named, and never a key shown."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import attrs
import pytest

from sessiontrace.config import resolve
from sessiontrace.model.errors import ConfigError
from sessiontrace.model.secret import Secret
from sessiontrace.runtime import log
from sessiontrace.vendors.honeyhive.destination import HoneyHive
from sessiontrace.vendors.local.destination import Local

KEY = "hh_do_not_show_me"


def faults_of(*targets: object, env: dict[str, str] | None = None, **given: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve(targets, given, env or {})
    return list(caught.value.faults)


def test_E12_one_error_names_every_fault_and_the_variable_that_mends_it() -> None:
    """Whoever starts the program for the first time should need one attempt, not five."""
    found = faults_of(
        "honeyhive",
        "nowhere",
        5,
        HoneyHive(name="bad name", api_key="a b", base_url="http://example.com/?x=1"),
        exit_timeout="soon",
        durability="maybe",
        enabled="perhaps",
        spool_quota=5,
        env={"HH_API_URL": "ftp://x"},
    )
    text = "\n".join(found)
    for wanted in ("HH_API_KEY", "HH_API_URL", "nowhere", "int is not a destination", "bad name"):
        assert wanted in text
    for variable in ("EXIT_TIMEOUT", "DURABILITY", "ENABLED", "SPOOL_QUOTA"):
        assert f"SESSIONTRACE_{variable}" in text
    assert len(found) >= 9
    message = str(ConfigError(found))
    assert all(fault in message for fault in found)


def test_the_environment_alone_is_enough() -> None:
    """Twelve-factor programs pass nothing to init."""
    (destination,), options = resolve(
        (),
        {},
        {
            "HH_API_KEY": KEY,
            "HH_API_URL": "https://hh.example/",
            "OTEL_SERVICE_NAME": "shop",
            "SESSIONTRACE_EXIT_TIMEOUT": "0.5",
            "SESSIONTRACE_SPOOL": "/var/spool/st",
            "SESSIONTRACE_CAPTURE": "off",
        },
    )
    assert isinstance(destination, HoneyHive)
    assert destination.base_url == "https://hh.example"
    assert destination.api_key is not None
    assert destination.api_key.reveal() == KEY
    assert (options.service, options.exit_timeout) == ("shop", 0.5)
    assert (options.capture, options.spool) == (False, Path("/var/spool/st"))


def test_arguments_win_over_the_environment() -> None:
    """A value in the code is more particular than one of the machine."""
    _, options = resolve(("local",), {"service": "mine"}, {"SESSIONTRACE_SERVICE": "theirs"})
    assert options.service == "mine"


def test_nothing_at_all_means_the_local_store() -> None:
    """Without an account the SDK still does something useful."""
    (destination,), _ = resolve((), {}, {"SESSIONTRACE_STORE": "/tmp/x.db"})
    assert isinstance(destination, Local)
    assert destination.path == Path("/tmp/x.db")


def test_switched_off_no_destination_is_asked_for() -> None:
    """OTEL_SDK_DISABLED=true must not fail for want of a key."""
    destinations, options = resolve(("honeyhive",), {}, {"OTEL_SDK_DISABLED": "true"})
    assert destinations == ()
    assert not options.enabled


def test_a_key_shows_itself_nowhere() -> None:
    """repr, str, format, logs, exceptions, tracebacks, attrs.asdict, copies, pickles."""
    destination = HoneyHive(api_key=KEY, base_url="https://x.example")
    secret = Secret(KEY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>10}", f"{secret!r:5}"]
    shown += [repr(destination), str(attrs.asdict(destination)), repr(copy.copy(destination))]
    shown += [destination.fingerprint(), f"{destination}"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    log.logger().addHandler(handler)
    try:
        log.logger().warning("configured %s %r", destination, secret)
    finally:
        log.logger().removeHandler(handler)
    shown.append(stream.getvalue())
    try:
        raise ValueError(destination, secret)
    except ValueError as error:
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        shown.append("".join(lines))
    assert not any(KEY in text for text in shown)
    for thing in (secret, destination):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(thing)


@pytest.mark.parametrize("bad", ["key with space", "key\n", "\ud83d", "ключ"])
def test_a_key_no_header_can_carry_is_refused_without_being_shown(bad: str) -> None:
    """A line break copied along with the key would fail at every request."""
    (fault,) = faults_of(HoneyHive(api_key=bad, base_url="https://x.example"))
    assert "HH_API_KEY" in fault
    assert bad not in fault


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://",
        "x.example",
        "https://user:pass@x.example",
        "https://x.example?key=1",
        "https://x.example:99999",
        "https://[::1",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str) -> None:
    """Keys in the clear, passwords in URLs and misspelt addresses are found at init."""
    (fault,) = faults_of(HoneyHive(api_key=KEY, base_url=url))
    assert "HH_API_URL" in fault
    assert "pass@" not in fault


def test_plain_http_is_allowed_to_this_machine_only() -> None:
    """The local server has no certificate, and needs none."""
    for host in ("127.0.0.1:8000", "localhost", "[::1]:9"):
        resolve((HoneyHive(api_key=KEY, base_url=f"http://{host}"),), {}, {})


def test_two_destinations_need_two_names() -> None:
    """Each has its own cursor in the spool, under its name."""
    one = HoneyHive(api_key=KEY, base_url="https://a.example")
    (fault,) = faults_of(one, one)
    assert "name=" in fault
    resolve((one, HoneyHive(name="other", api_key=KEY, base_url="https://a.example")), {}, {})


def test_the_fingerprint_tells_places_apart_and_hides_the_key() -> None:
    """Records go only to the place they were written for; names do not matter."""
    base = HoneyHive(api_key=KEY, base_url="https://a.example")
    same = HoneyHive(name="other", api_key=KEY, base_url="https://a.example")
    assert base.fingerprint() == same.fingerprint()
    others = {
        HoneyHive(api_key=KEY + "2", base_url="https://a.example").fingerprint(),
        HoneyHive(api_key=KEY, base_url="https://b.example").fingerprint(),
        base.fingerprint(),
    }
    assert len(others) == 3


def test_the_error_survives_a_process_boundary() -> None:
    """A worker's ConfigError must arrive whole in the parent."""
    error = ConfigError(["a", "b"])
    assert pickle.loads(pickle.dumps(error)).faults == ("a", "b")
    assert "2 configuration errors" in str(error)


@pytest.mark.parametrize(
    ("text", "propagators"),
    [
        ("tracecontext,baggage", {"tracecontext", "baggage"}),
        (" TraceContext ", {"tracecontext"}),
        ("baggage", {"baggage"}),
        ("none", set()),
        ("", {"tracecontext", "baggage"}),
    ],
)
@pytest.mark.parametrize("variable", ["OTEL_PROPAGATORS", "SESSIONTRACE_PROPAGATORS"])
def test_propagators_come_from_either_variable(
    text: str, propagators: set[str], variable: str
) -> None:
    """OpenTelemetry's names for the headers, and our own variable wins."""
    _, options = resolve(("local",), {}, {variable: text})
    assert options.propagators == propagators
    _, options = resolve(("local",), {"propagators": ["baggage"]}, {variable: text})
    assert options.propagators == {"baggage"}
    both = {"OTEL_PROPAGATORS": "b3", "SESSIONTRACE_PROPAGATORS": "none"}
    assert resolve(("otlp",), {}, both)[1].propagators == set()


def test_propagators_that_we_lack_are_refused_or_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An explicit OTLP destination follows OpenTelemetry's variables or fails; others warn."""
    env = {"OTEL_PROPAGATORS": "b3,tracecontext"}
    with pytest.raises(ConfigError, match="OTEL_PROPAGATORS names b3"):
        resolve(("otlp",), {}, env)
    assert not caplog.messages
    for targets, more in (
        ((), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"}),
        (("local",), {}),
    ):
        log.reset()
        _, options = resolve(targets, {}, {**env, **more})
        assert options.propagators == {"tracecontext"}
        assert "OTEL_PROPAGATORS names b3" in caplog.messages.pop()
    with pytest.raises(ConfigError, match="propagators"):
        resolve(("local",), {"propagators": "b3"}, {})
    with pytest.raises(ConfigError, match="propagators"):
        resolve(("local",), {"propagators": "none,baggage"}, {})
