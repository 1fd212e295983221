"""Configuration: options and destinations, from arguments and environment.

Arguments win over ``SESSIONTRACE_*``, which win over the vendors' own variables. Called once, at
``init``, in the user's thread. Invariant: a wrong configuration is refused as a whole, with every
fault in it, and no fault contains a key.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import attrs

from sessiontrace.model.destination import Destination, Env
from sessiontrace.model.errors import ConfigError, VendorError
from sessiontrace.model.propagators import PROPAGATORS, parse_propagators, propagators_of_otel
from sessiontrace.model.sampling import Sample
from sessiontrace.pricing.prices import Prices, parse_prices
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.signals import raise_if_from_signal
from sessiontrace.vendors import registry

__all__ = ["Options", "Redaction", "default_spool", "resolve"]

_MEBI = 1 << 20
_REPR_MOST = 200
_LONGEST_NAME = 1_000  # characters of a service or an environment


class Redaction(NamedTuple):
    """What to mask besides the default: values under ``keys``, ``emails``; then ``functions``."""

    keys: tuple[str, ...] = ()
    emails: bool = False
    functions: tuple[Callable[[str, Any], Any], ...] = ()  # sync or async


def _row(text: str, default: str, *variables: str) -> dict[str, Any]:
    """The row of an option in the configuration reference.

    ``text``: what the option does. ``default``: in words. ``variables``: further environment
    variables that set it.
    """
    return {"text": text, "default": default, "variables": variables}


@attrs.frozen(kw_only=True)
class Options:
    """All options of ``init`` besides destinations, complete and checked.

    Each is also set by ``SESSIONTRACE_<NAME>``. The metadata of the fields is the source of
    docs/configuration.md.
    """

    service: str = attrs.field(
        metadata=_row("name of your program", "name of the script", "OTEL_SERVICE_NAME")
    )
    environment: str | None = attrs.field(
        metadata=_row("such as `prod`; becomes the source of sessions", "none")
    )
    capture: bool = attrs.field(metadata=_row("`False` records no inputs and outputs", "`True`"))
    enabled: bool = attrs.field(
        metadata=_row("`False` records nothing", "`True`", "OTEL_SDK_DISABLED")
    )
    exit_timeout: float = attrs.field(metadata=_row("seconds that exit may take, 0 to 3600", "2"))
    on_sigterm: str = attrs.field(
        metadata=_row(
            '`"flush"` delivers within `exit_timeout` when SIGTERM ends the program and '
            'nothing else handles it; with `"ignore"` the next run delivers',
            '`"ignore"`',
        )
    )
    durability: str = attrs.field(
        metadata=_row(
            '`"process"` survives the death of the process, `"sync"` also power loss, at '
            "some milliseconds per event",
            '`"process"`',
        )
    )
    spool: Path | None = attrs.field(
        metadata=_row(
            "directory for records that are not delivered yet; `False` keeps them in memory only",
            "`spool` in the user's state directory",
        )
    )
    spool_io: str | None = attrs.field(
        metadata=_row(
            '`"map"` or `"write"`: how segments are written',
            "mapped where the file system allows it",
        )
    )
    spool_quota: int = attrs.field(
        metadata=_row(
            "bytes that all spools may use; beyond it the oldest records are evicted", "536870912"
        )
    )
    redact: Redaction | None = attrs.field(
        metadata=_row(
            'names of further keys, `"email"`, functions; `False` masks nothing',
            "secrets are masked",
        )
    )
    sample: Sample = attrs.field(
        metadata=_row(
            "share of sessions to record, or an `st.Sample`; the variable takes "
            "`0.1,keep_errors,slower_than=2,score_below=0.5`",
            "1.0",
        )
    )
    prices: Prices = attrs.field(
        metadata=_row(
            "own prices by model, in US dollars for a million tokens, or the path of a JSON file; "
            "`False` computes no cost",
            "those of `genai-prices`, where installed",
        )
    )
    media: str = attrs.field(
        metadata=_row(
            '`"keep"` stores images, sounds and files beside a local store; with `"digest"` '
            "records say their type, size and SHA-256 only, as all other destinations get them",
            '`"keep"`',
        )
    )
    threads: bool = attrs.field(
        metadata=_row("`False` leaves threads and executors without the current span", "`True`")
    )
    trust: str = attrs.field(
        metadata=_row(
            'what `st.asgi` and `st.extract` take from headers: `"trace"` the ids of trace and '
            'span, `"none"` nothing, `"all"` also session, user, destinations and sampling',
            '`"trace"`',
        )
    )
    propagators: frozenset[str] = attrs.field(
        metadata=_row(
            "headers that `st.inject` writes and `st.extract` reads: names of `tracecontext` and "
            '`baggage`, or `"none"`',
            '`"tracecontext,baggage"`',
            "OTEL_PROPAGATORS",
        )
    )
    otel_context: bool = attrs.field(
        metadata=_row(
            "`False` keeps our current span from OpenTelemetry's context, and the other way round",
            "`True`",
        )
    )


def default_spool(env: Env | None = None) -> Path:
    """The default root of all spools: ``SESSIONTRACE_SPOOL``, else the user's state directory.

    In AWS Lambda, the folder for temporary files.
    """
    env = os.environ if env is None else env
    if path := env.get("SESSIONTRACE_SPOOL"):
        return Path(path)
    if env.get("AWS_LAMBDA_FUNCTION_NAME"):  # where only this folder can be written
        return Path(env.get("TMPDIR") or "/tmp") / "sessiontrace" / "spool"  # noqa: S108
    import platformdirs

    return Path(platformdirs.user_state_dir("sessiontrace")) / "spool"


def resolve(
    targets: tuple[object, ...],
    arguments: Mapping[str, Any],
    env: Env | None = None,
) -> tuple[tuple[Destination, ...], Options]:
    """Destinations and options from arguments and environment; ConfigError with every fault.

    ``arguments``: the keyword arguments of ``init``; None means "not passed".
    """
    env = os.environ if env is None else env
    faults: list[str] = []
    options = _options(arguments, env, faults)
    destinations = _destinations(targets, env, faults) if options.enabled else ()
    has_otlp = any(destination.kind == "otlp" for destination in destinations)
    if has_otlp and not _is_set("sample", arguments, env):
        options = _sampled_as_otel_says(options, env, faults)
    if not _is_set("propagators", arguments, env) and env.get("OTEL_PROPAGATORS"):
        is_strict = has_otlp and bool(targets or arguments)
        options = _propagated_as_otel_says(options, env, faults if is_strict else None)
    if faults:
        raise ConfigError(faults)
    return destinations, options


def _is_set(name: str, arguments: Mapping[str, Any], env: Env) -> bool:
    return arguments.get(name) is not None or bool(env.get(f"SESSIONTRACE_{name.upper()}"))


def _propagated_as_otel_says(options: Options, env: Env, faults: list[str] | None) -> Options:
    """With the propagators of the variable; those that we lack are a fault, else a warning."""
    propagators, fault = propagators_of_otel(env.get("OTEL_PROPAGATORS", ""))
    if fault and faults is not None:
        faults.append(fault)
    elif fault:
        log_once("config:propagators", "%s", fault)
    return attrs.evolve(options, propagators=propagators)


def _sampled_as_otel_says(options: Options, env: Env, faults: list[str]) -> Options:
    from sessiontrace.vendors.otlp.variables import sample_rate

    rate, sampler_faults = sample_rate(env)
    faults.extend(sampler_faults)
    return options if rate is None else attrs.evolve(options, sample=Sample(rate=rate))


def _destinations(
    targets: tuple[object, ...], env: Env, faults: list[str]
) -> tuple[Destination, ...]:
    where = "init()"
    if not targets and (text := env.get("SESSIONTRACE_DESTINATIONS")):
        targets = tuple(part.strip() for part in text.split(",") if part.strip())
        where = "SESSIONTRACE_DESTINATIONS"
    if not targets:
        targets = registry.names_from_keys(env)
    destinations: list[Destination] = []
    for target in targets:
        try:
            destinations.append(_completed(target, env, faults))
        except VendorError as error:
            faults.append(f"{where}: {error}")
    names = [destination.name for destination in destinations]
    faults.extend(
        f"{where}: two destinations are named {name!r}; give one another name="
        for name in sorted(set(names))
        if names.count(name) > 1
    )
    return tuple(destinations)


def _completed(target: object, env: Env, faults: list[str]) -> Destination:
    """The destination that a target means, with its faults noted."""
    if isinstance(target, str):
        make = registry.find(target).destination
    elif not isinstance(target, Destination):
        raise VendorError(
            f"{type(target).__name__} is not a destination; give a name such as 'local', or an "
            "object such as HoneyHive(api_key=...)"
        )
    try:
        incomplete: Destination = make() if isinstance(target, str) else target
        destination = incomplete.complete(env)
        destination_faults = destination.faults()
    except Exception as error:  # a plug-in's class; the error's text may hold a key
        raise_if_from_signal(error)
        name = target if isinstance(target, str) else type(target).__name__
        raise VendorError(
            f"destination {name!r} cannot be configured ({type(error).__name__}); check the types "
            "of its arguments, or report this to the authors of its package"
        ) from None
    if not destination_faults:
        registry.check(destination)
    faults.extend(destination_faults)
    return destination


def _options(arguments: Mapping[str, Any], env: Env, faults: list[str]) -> Options:
    def value(name: str, parse: Callable[[Any, str], Any], default: Any) -> Any:
        variable = f"SESSIONTRACE_{name.upper()}"
        raw: Any = arguments.get(name)
        if raw is None:
            raw = env.get(variable)
        if raw is None or raw == "":
            return default
        try:
            return parse(raw, name)
        except (TypeError, ValueError) as error:
            faults.append(f"{name}={_short(raw)}: {error} ({name}= or {variable})")
            return default

    spool = value("spool", _parse_spool, True)
    service = value("service", _parse_text, None)
    service = service or _readable(env.get("OTEL_SERVICE_NAME", "")) or _program()
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
        prices=value("prices", parse_prices, Prices()),
        media=value("media", _choice("keep", "digest"), "keep"),
        threads=value("threads", _parse_bool, True),
        trust=value("trust", _choice("trace", "none", "all"), "trace"),
        propagators=value("propagators", parse_propagators, PROPAGATORS),
        otel_context=value("otel_context", _parse_bool, True),
    )


def _short(raw: Any) -> str:
    text = repr(raw)
    return text if len(text) <= _REPR_MOST else f"{text[:_REPR_MOST]}…"


def _program() -> str:
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    return _readable(os.path.splitext(name)[0]) or "python"


def _parse_text(raw: Any, name: str) -> str:
    if not isinstance(raw, str):
        raise TypeError("must be text")
    return _readable(raw)


def _readable(text: str) -> str:
    """A name that JSON can hold: file names and variables may have bytes that are not UTF-8."""
    return text[:_LONGEST_NAME].encode(errors="replace").decode()


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
    try:
        seconds = float(raw)
    except (TypeError, ValueError):
        raise ValueError("must be a number of seconds") from None
    if not 0.0 <= seconds <= 3600.0:
        raise ValueError("must be between 0 and 3600 seconds")
    return seconds


def _parse_bytes(raw: Any, name: str) -> int:
    try:
        count = int(raw)
    except (TypeError, ValueError):
        raise ValueError("must be a whole number of bytes") from None
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
    fields: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name == "keep_errors" and not value:
            fields[name] = True
        elif name in {"rate", "slower_than", "score_below"}:
            fields[name] = float(value)
        else:
            fields["rate"] = float(part)
    return Sample(**fields)


def _parse_redact(raw: Any, name: str) -> Redaction | None:
    if isinstance(raw, str):
        text = raw.strip().lower()
        if text in {"0", "false", "no", "off"}:
            return None
        raw = (
            [] if text in {"1", "true", "yes", "on"} else [part.strip() for part in raw.split(",")]
        )
    if isinstance(raw, bool):
        return Redaction() if raw else None
    rules = [raw] if callable(raw) else list(raw)
    names = tuple(rule for rule in rules if isinstance(rule, str))
    functions = tuple(rule for rule in rules if callable(rule))
    if len(names) + len(functions) < len(rules):
        raise TypeError("must be true, false, names of keys, 'email', or functions")
    keys = tuple(name for name in names if name not in {"email", ""})
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
