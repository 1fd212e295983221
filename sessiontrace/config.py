"""Configuration: options and destinations, and where each value comes from.

Arguments win, then ``SESSIONTRACE_*``, then the vendors' own variables. Read once, at ``init``, in
the user's thread. Invariant: a wrong configuration is refused whole, with every fault named, and a
key is never shown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import attrs

from sessiontrace.model.destination import DESTINATIONS, Destination, Env
from sessiontrace.model.errors import ConfigError
from sessiontrace.model.sampling import Sample

__all__ = ["Options", "Redaction", "default_spool", "resolve"]

_MEBI = 1 << 20


class Redaction(NamedTuple):
    """What to mask beside the default: values under ``keys``, ``emails``; then ``functions``."""

    keys: tuple[str, ...] = ()
    emails: bool = False
    functions: tuple[Callable[[str, Any], Any], ...] = ()  # sync or async


@attrs.frozen(kw_only=True)
class Options:
    """Everything ``init`` takes beside destinations, complete and checked."""

    service: str
    environment: str | None
    capture: bool
    enabled: bool
    exit_timeout: float
    on_sigterm: str
    durability: str
    spool: Path | None
    spool_io: str | None
    spool_quota: int
    redact: Redaction | None
    sample: Sample
    threads: bool


def default_spool(env: Env | None = None) -> Path:
    """The root of all spools when nothing says otherwise."""
    env = os.environ if env is None else env
    if named := env.get("SESSIONTRACE_SPOOL"):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_state_dir("sessiontrace")) / "spool"


def resolve(
    targets: tuple[object, ...],
    given: Mapping[str, Any],
    env: Env | None = None,
) -> tuple[tuple[Destination, ...], Options]:
    """Destinations and options from arguments and environment; ConfigError with every fault.

    ``given`` holds the keyword arguments of ``init``; None means "not given".
    """
    env = os.environ if env is None else env
    faults: list[str] = []
    options = _options(given, env, faults)
    destinations = _destinations(targets, env, faults) if options.enabled else ()
    if faults:
        raise ConfigError(faults)
    return destinations, options


def _destinations(
    targets: tuple[object, ...], env: Env, faults: list[str]
) -> tuple[Destination, ...]:
    named = targets
    where = "init()"
    if not named and (listed := env.get("SESSIONTRACE_DESTINATIONS")):
        named = tuple(part.strip() for part in listed.split(",") if part.strip())
        where = "SESSIONTRACE_DESTINATIONS"
    if not named:
        named = _named_by_keys(env)
    found: list[Destination] = []
    for target in named:
        if isinstance(target, str):
            if target not in DESTINATIONS:
                known = ", ".join(DESTINATIONS)
                faults.append(f"{where}: unknown destination {target!r}; known are {known}")
                continue
            target = DESTINATIONS[target]()
        elif not isinstance(target, Destination):
            faults.append(
                f"{where}: {type(target).__name__} is no destination; give a name such as "
                "'local', or an object such as HoneyHive(api_key=...)"
            )
            continue
        complete = target.complete(env)
        faults.extend(complete.faults())
        found.append(complete)
    names = [destination.name for destination in found]
    faults.extend(
        f"{where}: two destinations are named {name!r}; give one another name="
        for name in sorted(set(names))
        if names.count(name) > 1
    )
    return tuple(found)


def _named_by_keys(env: Env) -> tuple[str, ...]:
    """The destinations that the environment has what they need for; else the local store."""
    needs = {
        "honeyhive": ("HH_API_KEY",),
        "humanloop": ("HUMANLOOP_API_KEY", "HUMANLOOP_BASE_URL"),
        "posthog": ("POSTHOG_API_KEY",),
        "otlp": ("OTEL_EXPORTER_OTLP_ENDPOINT",),
    }
    found = [name for name, names in needs.items() if all(env.get(one) for one in names)]
    return tuple(found) or ("local",)


def _options(given: Mapping[str, Any], env: Env, faults: list[str]) -> Options:
    def value(name: str, parse: Callable[[Any, str], Any], default: Any) -> Any:
        variable = f"SESSIONTRACE_{name.upper()}"
        raw: Any = given.get(name)
        if raw is None:
            raw = env.get(variable)
        if raw is None or raw == "":
            return default
        try:
            return parse(raw, name)
        except (TypeError, ValueError) as error:
            faults.append(f"{name}={raw!r}: {error} ({name}= or {variable})")
            return default

    spool = value("spool", _parse_spool, True)
    service = value("service", _parse_text, None) or env.get("OTEL_SERVICE_NAME") or _program()
    off = env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return Options(
        service=service,
        environment=value("environment", _parse_text, None),
        capture=value("capture", _parse_bool, True),
        enabled=value("enabled", _parse_bool, not off),
        exit_timeout=value("exit_timeout", _parse_seconds, 2.0),
        on_sigterm=value("on_sigterm", _choice("ignore", "flush"), "ignore"),
        durability=value("durability", _choice("process", "sync"), "process"),
        spool=None if spool is False else default_spool(env) if spool is True else spool,
        spool_io=value("spool_io", _choice("map", "write"), None),
        spool_quota=value("spool_quota", _parse_bytes, 512 * _MEBI),
        redact=value("redact", _parse_redact, Redaction()),
        sample=value("sample", _parse_sample, Sample()),
        threads=value("threads", _parse_bool, True),
    )


def _program() -> str:
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    return os.path.splitext(name)[0] or "python"


def _parse_text(raw: Any, name: str) -> str:
    if not isinstance(raw, str):
        raise TypeError("must be text")
    return raw


def _parse_bool(raw: Any, name: str) -> bool:
    if isinstance(raw, bool):
        return raw
    text = str(raw).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ValueError("must be true or false")


def _parse_seconds(raw: Any, name: str) -> float:
    seconds = float(raw)
    if not 0.0 <= seconds <= 3600.0:
        raise ValueError("must be between 0 and 3600 seconds")
    return seconds


def _parse_bytes(raw: Any, name: str) -> int:
    count = int(raw)
    if count < _MEBI:
        raise ValueError("must be at least 1048576 (bytes)")
    return count


def _parse_sample(raw: Any, name: str) -> Sample:
    if isinstance(raw, str):
        raw = _sample_of(raw)
    sample = raw if isinstance(raw, Sample) else Sample(rate=raw)
    if faults := sample.faults():
        raise ValueError("; ".join(faults))
    return sample


def _sample_of(text: str) -> Sample:
    """From the variable: ``0.1``, or ``0.1,keep_errors,slower_than=2,score_below=0.5``."""
    given: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name == "keep_errors" and not value:
            given[name] = True
        elif name in {"rate", "slower_than", "score_below"}:
            given[name] = float(value)
        else:
            given["rate"] = float(part)
    return Sample(**given)


def _parse_redact(raw: Any, name: str) -> Redaction | None:
    if isinstance(raw, str):
        text = raw.strip().lower()
        if text in {"0", "false", "no", "off"}:
            return None
        raw = [] if text in {"1", "true", "yes", "on"} else [one.strip() for one in raw.split(",")]
    if isinstance(raw, bool):
        return Redaction() if raw else None
    wanted = [raw] if callable(raw) else list(raw)
    names = tuple(one for one in wanted if isinstance(one, str))
    functions = tuple(one for one in wanted if callable(one))
    if len(names) + len(functions) < len(wanted):
        raise TypeError("must be true, false, names of keys, 'email', or functions")
    keys = tuple(one for one in names if one not in {"email", ""})
    return Redaction(keys, "email" in names, functions)


def _parse_spool(raw: Any, name: str) -> Path | bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in {"0", "false", "off", "no"}:
        return False
    return Path(raw).expanduser().absolute()


def _choice(*allowed: str) -> Callable[[Any, str], str]:
    def parse(raw: Any, name: str) -> str:
        if raw not in allowed:
            raise ValueError("must be " + " or ".join(repr(choice) for choice in allowed))
        return str(raw)

    return parse
