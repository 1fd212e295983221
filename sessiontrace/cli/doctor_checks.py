"""What ``sessiontrace doctor`` looks at, one destination or spool at a time.

Runs in the command's own loop. Invariants: without a canary nothing is stored anywhere; every look
ends within its time; and no finding shows a key.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import shutil
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import orjson

from sessiontrace.capture import hot as capture
from sessiontrace.export.protocol import Batch, Delivered, Reply, Request, Transport
from sessiontrace.model.destination import (
    OTLP,
    Destination,
    HoneyHive,
    HttpDestination,
    Humanloop,
    Local,
    PostHog,
)
from sessiontrace.model.errors import SessionTraceError
from sessiontrace.model.ids import new_id, now_ns
from sessiontrace.model.record import END, START, Record
from sessiontrace.spool import hot as spool
from sessiontrace.spool.status import inspect
from sessiontrace.vendors.registry import parts_of

__all__ = ["FAULT", "OK", "WARNING", "Finding", "look_at", "look_at_capture", "look_at_spool"]

OK, WARNING, FAULT = "ok", "warning", "fault"

_LOOK_S = 10.0
_CLOCK_S = 5.0
_CERTIFICATE_DAYS = 14
_ROOM = 1 << 30
_NOBODY = "00000000-0000-4000-8000-000000000000"


@attrs.frozen
class Finding:
    """``state``: "ok", "warning" or "fault". ``advice``: what to do, empty when all is well."""

    subject: str
    state: str
    text: str
    advice: str = ""


async def look_at(destination: Destination, canary: bool) -> list[Finding]:
    """Everything that can be told of a (completed) destination from here."""
    if isinstance(destination, Local):
        return _look_at_store(destination, canary)
    assert isinstance(destination, (HttpDestination, OTLP))
    url = destination.url if isinstance(destination, OTLP) else destination.base_url
    found = [await _address(url)]
    if found[-1].state != FAULT and urlsplit(url).scheme == "https":
        found.append(await _certificate(url))
    if found[-1].state == FAULT:
        return found
    end = parts_of(destination)
    transport = end.transport()
    try:
        found += await _answers(destination, transport)
        if canary and all(one.state != FAULT for one in found):
            found.append(await _canary(destination, transport))
    finally:
        await transport.close()
    return found


# -- the way there --------------------------------------------------------------------------


async def _address(url: str) -> Finding:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    begun = time.perf_counter()
    try:
        looking_up = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = await asyncio.wait_for(looking_up, _LOOK_S)
    except (OSError, asyncio.TimeoutError) as error:
        advice = "check the name in its URL, and this machine's DNS"
        return Finding("address", FAULT, f"{host} has none ({type(error).__name__})", advice)
    took = (time.perf_counter() - begun) * 1000
    places = {address[4][0] for address in addresses}
    return Finding("address", OK, f"{host}: {len(places)} found in {took:.0f} ms")


async def _certificate(url: str) -> Finding:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        opening = asyncio.open_connection(host, port, ssl=ssl.create_default_context())
        _, writer = await asyncio.wait_for(opening, _LOOK_S)
    except ssl.SSLCertVerificationError as error:
        return Finding(
            "certificate", FAULT, error.verify_message,
            "renew it there, or add its authority to this machine's trusted ones",
        )  # fmt: skip
    except (OSError, asyncio.TimeoutError) as error:
        return Finding(
            "certificate", FAULT, f"no TLS connection ({type(error).__name__})",
            "check port and firewall; is it https:// there?",
        )  # fmt: skip
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    ends_at = ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else 0
    days = int((ends_at - time.time()) / 86_400)
    if days < _CERTIFICATE_DAYS:
        text = f"trusted, but only for {days} more days"
        return Finding("certificate", WARNING, text, "have it renewed")
    return Finding("certificate", OK, f"trusted, for {days} more days")


# -- what answers there ---------------------------------------------------------------------


def _probe(destination: Destination) -> Request:
    """A call that needs the key and changes nothing."""
    if isinstance(destination, HoneyHive):
        return Request("GET", f"/v1/events/{_NOBODY}", b"", ())
    if isinstance(destination, PostHog):
        return Request("POST", "/batch/", b'{"batch":[]}', ())
    if isinstance(destination, Humanloop):
        return Request("GET", f"/{'projects' if destination.version == 4 else 'prompts'}", b"", ())
    assert isinstance(destination, OTLP)
    return Request("POST", "", b"" if destination.protobuf else b'{"resourceSpans":[]}', ())


_FINE = {"honeyhive": {400, 404}, "posthog": {400}}  # besides 2xx


async def _answers(destination: Destination, transport: Transport) -> list[Finding]:
    begun, now = time.perf_counter(), time.time()
    try:
        reply = await transport.send(_probe(destination), ())
    except (OSError, asyncio.TimeoutError) as error:
        advice = "check URL, port, firewall and proxy"
        return [Finding("answer", FAULT, str(error) or type(error).__name__, advice)]
    took = time.perf_counter() - begun
    found = [_about(destination, reply, took)]
    clock = _clock(reply, now + took / 2)
    return found if clock is None else [*found, clock]


def _about(destination: Destination, reply: Reply, took: float) -> Finding:
    status = reply.status
    place = f"HTTP {status} in {took * 1000:.0f} ms"
    if isinstance(destination, HttpDestination):
        key, url = destination.KEY_VARIABLE, destination.URL_VARIABLE
    else:
        key, url = "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_ENDPOINT"
    if "html" in reply.headers.get("content-type", "") and status < 400:
        return Finding("answer", FAULT, f"{place}: a web page, not the API", f"check {url}")
    if status in (401, 403):
        return Finding("key", FAULT, f"{place}: the key is refused", f"check {key}")
    if 200 <= status < 300 or status in _FINE.get(destination.kind, ()):
        if isinstance(destination, PostHog):
            text = f"{place}: it takes events; whose key this is only a canary shows"
            return Finding("key", OK, text)
        return Finding("key", OK, f"{place}: the key is accepted")
    if status == 429 or status >= 500:
        advice = "wait; records are kept and sent again"
        return Finding("answer", WARNING, f"{place}: it is not well now", advice)
    return Finding("answer", FAULT, f"{place}: that is not this API", f"check {url}")


def _clock(reply: Reply, here: float) -> Finding | None:
    """This machine's clock beside the server's, whose ``Date`` has whole seconds."""
    try:
        there = email.utils.parsedate_to_datetime(reply.headers["date"]).timestamp() + 0.5
    except (KeyError, ValueError, TypeError):
        return None
    ahead = here - there
    if abs(ahead) <= _CLOCK_S:
        return Finding("clock", OK, "agrees with the server's to a few seconds")
    which = "ahead of" if ahead > 0 else "behind"
    text = f"this machine's is {abs(ahead):.0f} s {which} the server's"
    return Finding("clock", WARNING, text, "synchronise it (NTP): events show at wrong times")


# -- a canary -------------------------------------------------------------------------------


def canary_records() -> list[Record]:
    """A session that says what it is."""
    now = now_ns()
    session_id = new_id(now)
    body = {
        "event_id": session_id,
        "session_id": session_id,
        "event_type": "session",
        "event_name": "sessiontrace doctor",
        "source": "sessiontrace-doctor",
        "start_time": now // 1_000_000,
        "inputs": {},
        "metadata": {"canary": True, "service": "sessiontrace-doctor"},
    }
    end = {**body, "end_time": now // 1_000_000 + 1, "duration": 1.0, "outputs": {"result": "ok"}}
    return [Record(START, b"*", orjson.dumps(body)), Record(END, b"*", orjson.dumps(end))]


async def _canary(destination: Destination, transport: Transport) -> Finding:
    """Send one session as the lane would, but once."""
    records = canary_records()
    exporter = parts_of(destination).exporter
    for stage in exporter.encode(Batch(records)):
        for request in stage:
            try:
                reply = await transport.send(request, [records[at] for at in request.records])
            except (OSError, asyncio.TimeoutError) as error:
                return Finding("canary", FAULT, f"not sent ({error})", "repeat the command")
            verdict = exporter.interpret(request, reply)
            if not isinstance(verdict, Delivered) or verdict.rejected:
                text = f"not taken: {getattr(verdict, 'reason', 'rejected')}"
                return Finding("canary", FAULT, text, "see what it says; is the key for writing?")
    name = orjson.loads(records[0].body)["session_id"]
    return Finding("canary", OK, f"sent: session {name}, named 'sessiontrace doctor'")


# -- what is on this machine ----------------------------------------------------------------


def _look_at_store(destination: Local, canary: bool) -> list[Finding]:
    from sessiontrace.store.sqlite.store import SqliteStore

    path = destination.path
    assert path is not None
    place = next((one for one in path.parents if one.exists()), path.parent)
    if not path.exists() and not os.access(place, os.W_OK | os.X_OK):
        advice = "make it writable, or name another file with SESSIONTRACE_STORE"
        return [Finding("store", FAULT, f"{path} cannot be made in {place}", advice)]
    found = [Finding("store", OK, f"{path}" if path.exists() else f"{path}, not made yet")]
    store = SqliteStore(path, read_only=not canary)
    try:
        if canary:
            store.write(canary_records())
            found.append(Finding("canary", OK, "written: a session 'sessiontrace doctor'"))
        elif path.exists():
            store.open()
    except (SessionTraceError, OSError) as error:
        found = [Finding("store", FAULT, str(error), "mend it, or see SESSIONTRACE_STORE")]
    finally:
        store.close()
    return [*found, *_room(place)]


def look_at_spool(root: Path | None, destinations: Sequence[Destination]) -> list[Finding]:
    """The state of the spools on this machine."""
    if root is None:
        text = "switched off: records wait in memory only"
        return [Finding("spool", WARNING, text, "take spool=False or SESSIONTRACE_SPOOL=0 away")]
    place = next((one for one in (root, *root.parents) if one.exists()), root)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        advice = "make it writable, or name another with SESSIONTRACE_SPOOL"
        return [Finding("spool", FAULT, f"{root} cannot be written", advice)]
    found = [Finding("spool", OK, str(root)), *_room(place)]
    ours = {one.fingerprint() for one in destinations}
    foreign: dict[str, int] = {}
    waiting = damaged = 0
    for status in inspect(root):
        damaged += status.damaged
        for debt in status.debts:
            if not debt.pending:
                continue
            if status.alive or debt.owed.fingerprint in ours:
                waiting += debt.pending
            else:
                name = f"{debt.owed.name} ({debt.owed.kind})"
                foreign[name] = foreign.get(name, 0) + debt.pending
    found.append(Finding("waiting", OK, f"{waiting} records on their way"))
    found += [
        Finding(
            "waiting", WARNING, f"{count} records of ended programs for {name}, which is not here",
            "run a program with that destination and key, and they are sent",
        )
        for name, count in sorted(foreign.items())
    ]  # fmt: skip
    if damaged:
        text = f"{damaged} damaged records were passed over"
        found.append(Finding("waiting", WARNING, text, "check the disk"))
    return found


def look_at_capture() -> Finding:
    """Whether the compiled part is in use."""
    if capture.COMPILED and spool.COMPILED:
        return Finding("compiled", OK, "yes")
    advice = "install a C compiler, then this package once more"
    return Finding("compiled", OK, "no: an event costs its caller up to twice as much", advice)


def _room(place: Path) -> list[Finding]:
    free = shutil.disk_usage(place).free
    if free >= _ROOM:
        return []
    text = f"{free >> 20} MiB are free on the disk of {place}"
    return [Finding("disk", WARNING, text, "make room: records that fit nowhere are lost")]
