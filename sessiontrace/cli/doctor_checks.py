"""What ``sessiontrace doctor`` looks at, one destination or spool at a time.

Runs in the command's own loop. Invariants: without a canary nothing is stored anywhere; every look
ends within 10 seconds; and no finding contains a key.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import platform
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from sessiontrace.capture.encoding import fast_path, record_body
from sessiontrace.capture.redaction import patterns
from sessiontrace.cli import other_keys
from sessiontrace.cli.other_keys import Waiting
from sessiontrace.export.protocol import Batch, Delivered, Exporter, Reply, Transport
from sessiontrace.model.destination import Destination
from sessiontrace.model.ids import new_id, now_ns
from sessiontrace.model.network import Network
from sessiontrace.model.record import END, START, Record
from sessiontrace.pricing.price_table import table_version
from sessiontrace.pricing.prices import Prices
from sessiontrace.runtime import compiled_forms
from sessiontrace.spool import frame
from sessiontrace.spool.filesystem import OS_FILES
from sessiontrace.spool.spool_directory import root_fault
from sessiontrace.spool.status import inspect
from sessiontrace.vendors import registry
from sessiontrace.vendors.probe import FAULT, OK, WARNING, Finding, HttpProbe, disk_space
from sessiontrace.vendors.vendor import PipelineServices

__all__ = [
    "FAULT",
    "OK",
    "WARNING",
    "Finding",
    "look_at",
    "look_at_capture",
    "look_at_platform",
    "look_at_prices",
    "look_at_spool",
]

_LOOK_S = 10.0
_CLOCK_S = 5.0
_CERTIFICATE_DAYS = 14


async def look_at(destination: Destination, canary: bool) -> list[Finding]:
    """All that can be found out about a (complete) destination from here."""
    try:
        return await _look_at(destination, canary)
    except Exception as error:  # a plug-in's; the error's text may hold a key
        advice = "report this to the authors of the vendor's package"
        return [Finding("plug-in", FAULT, f"its code failed ({type(error).__name__})", advice)]


async def _look_at(destination: Destination, canary: bool) -> list[Finding]:
    vendor = registry.vendor_of(destination)
    if vendor.check is not None:
        return vendor.check(destination, canary_records() if canary else ())
    findings: list[Finding] = []
    probe = None if vendor.probe is None else vendor.probe(destination)
    if probe is not None:
        network = getattr(destination, "network", None) or Network()
        findings += await _way_to(probe.url, network)
        if findings[-1].state == FAULT:
            return findings
    parts = registry.connect(destination, PipelineServices())
    transport = parts.transport()
    try:
        if probe is not None:
            findings += await _answers(probe, transport)
        if canary and all(finding.state != FAULT for finding in findings):
            findings.append(await _canary(parts.exporter, transport))
    finally:
        await transport.close()
    return findings or [Finding("answer", OK, "this vendor has no test but --canary")]


# -- the way there --------------------------------------------------------------------------


async def _way_to(url: str, network: Network) -> list[Finding]:
    findings = _authorities(url, network)
    if network.proxy is not None:  # it looks the host up, and the request tests certificates
        text = f"{network.proxy.url}, by {network.proxy.source}"
        return [*findings, Finding("proxy", OK, text), await _address(network.proxy.url)]
    findings.append(await _address(url))
    if findings[-1].state != FAULT and urlsplit(url).scheme == "https":
        findings.append(await _certificate(url, network))
    return findings


def _authorities(url: str, network: Network) -> list[Finding]:
    """Which certificates are trusted, and which the client shows, where they are configured."""
    if urlsplit(url).scheme != "https":
        return []
    files = [network.ca_file] if network.ca_file else network.extra_authorities
    text = ", ".join(f"{path}, by {source}" for path, source in files)
    findings = [Finding("authorities", OK, text)] if text else []
    if network.client_cert is not None:
        path, source = network.client_cert
        findings.append(Finding("client certificate", OK, f"{path}, by {source}"))
    return findings


async def _address(url: str) -> Finding:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    begun = time.perf_counter()
    try:
        resolution = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = await asyncio.wait_for(resolution, _LOOK_S)
    except (OSError, asyncio.TimeoutError) as error:
        advice = "check the host name in the URL, and this machine's DNS"
        return Finding("address", FAULT, f"{host} has no address ({type(error).__name__})", advice)
    took = (time.perf_counter() - begun) * 1000
    count = len({address[4][0] for address in addresses})
    plural = "" if count == 1 else "es"
    return Finding("address", OK, f"{host} resolves to {count} address{plural} ({took:.0f} ms)")


async def _certificate(url: str, network: Network) -> Finding:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        context = network.certificates().context() or ssl.create_default_context()
        opening = asyncio.open_connection(host, port, ssl=context)
        _, writer = await asyncio.wait_for(opening, _LOOK_S)
    except ssl.SSLCertVerificationError as error:
        return Finding(
            "certificate", FAULT, error.verify_message,
            "renew it on the server, or name its authority with ca_file= or SSL_CERT_FILE",
        )  # fmt: skip
    except (OSError, asyncio.TimeoutError) as error:
        return Finding(
            "certificate", FAULT, f"no TLS connection ({type(error).__name__})",
            "check port and firewall, and whether the server speaks https",
        )  # fmt: skip
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    ends_at = ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else 0
    days = int((ends_at - time.time()) / 86_400)
    if days < _CERTIFICATE_DAYS:
        return Finding(
            "certificate", WARNING, f"trusted, but only for {days} more days", "renew it"
        )
    return Finding("certificate", OK, f"trusted, for {days} more days")


# -- what answers there ---------------------------------------------------------------------


async def _answers(probe: HttpProbe, transport: Transport) -> list[Finding]:
    begun, now = time.perf_counter(), time.time()
    try:
        reply = await transport.send(probe.request, ())
    except (OSError, asyncio.TimeoutError) as error:
        advice = "check URL, port, firewall and proxy"
        return [Finding("answer", FAULT, str(error) or type(error).__name__, advice)]
    took = time.perf_counter() - begun
    answer = _answer(probe, reply, took)
    clock = _clock(reply, now + took / 2)
    return [answer] if clock is None else [answer, clock]


def _answer(probe: HttpProbe, reply: Reply, took: float) -> Finding:
    status = reply.status
    place = f"HTTP {status} in {took * 1000:.0f} ms"
    url_advice = f"check {probe.url_variable}"
    if "html" in reply.headers.get("content-type", "") and status < 400:
        return Finding("answer", FAULT, f"{place}: a web page, not the API", url_advice)
    if status in (401, 403):
        return Finding("key", FAULT, f"{place}: the key is refused", f"check {probe.key_variable}")
    if 200 <= status < 300:
        return Finding("key", OK, f"{place}: {probe.accepted_text}")
    if status in probe.accepted_statuses:
        return Finding("key", OK, f"{place}, as expected: {probe.accepted_text}")
    if status == 429 or status >= 500:
        advice = "wait; records are kept and sent again"
        return Finding("answer", WARNING, f"{place}: the server is overloaded or failing", advice)
    return Finding("answer", FAULT, f"{place}: that is not this API", url_advice)


def _clock(reply: Reply, here: float) -> Finding | None:
    """This machine's clock compared with the server's, whose ``Date`` has whole seconds."""
    try:
        there = email.utils.parsedate_to_datetime(reply.headers["date"]).timestamp() + 0.5
    except (KeyError, ValueError, TypeError):
        return None
    ahead = here - there
    if abs(ahead) <= _CLOCK_S:
        return Finding("clock", OK, "agrees with the server's to a few seconds")
    direction = "ahead of" if ahead > 0 else "behind"
    text = f"this machine's is {abs(ahead):.0f} s {direction} the server's"
    return Finding("clock", WARNING, text, "synchronise it (NTP): events show at wrong times")


# -- a canary -------------------------------------------------------------------------------


def canary_records() -> list[Record]:
    """A session whose name and metadata say that it is a canary."""
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


async def _canary(exporter: Exporter, transport: Transport) -> Finding:
    """Send one session as the lane would, but once."""
    records = canary_records()
    for stage in exporter.encode(Batch(records)):
        for request in stage:
            try:
                reply = await transport.send(request, [records[at] for at in request.records])
            except (OSError, asyncio.TimeoutError) as error:
                return Finding("canary", FAULT, f"not sent ({error})", "repeat the command")
            outcome = exporter.interpret(request, reply)
            if not isinstance(outcome, Delivered) or outcome.rejected:
                text = f"refused: {getattr(outcome, 'reason', 'rejected')}"
                return Finding("canary", FAULT, text, "check whether the key permits writing")
    session_id = orjson.loads(records[0].body)["session_id"]
    return Finding("canary", OK, f"sent: session {session_id}, named 'sessiontrace doctor'")


# -- what is on this machine ----------------------------------------------------------------


def look_at_spool(root: Path | None, destinations: Sequence[Destination]) -> list[Finding]:
    """The state of the spools on this machine."""
    if root is None:
        text = "switched off: records wait in memory only"
        return [Finding("spool", WARNING, text, "remove spool=False or SESSIONTRACE_SPOOL=0")]
    place = next((path for path in (root, *root.parents) if path.exists()), root)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        advice = "make it writable, or set SESSIONTRACE_SPOOL to another directory"
        return [Finding("spool", FAULT, f"{root} cannot be written", advice)]
    fault = root_fault(OS_FILES, root) if place == root else None
    if fault is not None:
        return [Finding("spool", FAULT, fault, "until then, records wait in memory only")]
    findings = [Finding("spool", OK, str(root)), *disk_space(place)]
    spools = inspect(root)
    others = other_keys.waiting(spools, destinations)
    pending = sum(lag.pending for spool in spools for lag in spool.lags)
    pending -= sum(other.records for other in others)
    findings.append(Finding("waiting", OK, f"{pending} records pending"))
    findings += [_elsewhere(root, other) for other in others]
    if damaged := sum(spool.damaged for spool in spools):
        text = f"{damaged} damaged records were skipped"
        findings.append(Finding("waiting", WARNING, text, "check the disk"))
    return findings


def _elsewhere(root: Path, other: Waiting) -> Finding:
    """Records for a destination that is not configured here, or not with their key and address."""
    if other.same_kind:
        return Finding("waiting", FAULT, other.text(), other.advice(root))
    return Finding(
        "waiting",
        WARNING,
        f"{other.records} records of ended programs for {other.consumer.name} "
        f"({other.consumer.kind}), which is not here",
        "run a program with that destination and key, and they are sent",
    )


def look_at_capture() -> Finding:
    """Whether the compiled part is in use."""
    if all(module.COMPILED for module in (fast_path, patterns, record_body, frame)):
        return Finding("compiled", OK, "yes")
    advice = (
        "install a C compiler, then: "
        "pip install --no-cache-dir --force-reinstall --no-deps sessiontrace"
    )
    if faults := compiled_forms.faults():
        module, fault = next(iter(faults.items()))
        text = f"{module} was built and cannot be imported: {fault}"
        return Finding("compiled", WARNING, text, advice)
    return Finding("compiled", OK, "no: an event costs its caller up to twice as much", advice)


def look_at_platform(root: Path | None) -> Finding:
    """The system, how records reach the disk there, and what they survive."""
    system = f"{platform.system()} {platform.machine()}, {platform.python_implementation()} "
    system += platform.python_version()
    if root is None:
        return Finding("platform", OK, f"{system}: records in memory end with the process")
    place = next((path for path in (root, *root.parents) if path.exists()), root)
    how = "mapped" if OS_FILES.mappable(place) else "written"
    promise = "they survive kill -9, and with durability='sync' a power cut"
    return Finding("platform", OK, f"{system}: records are {how} to the spool; {promise}")


def look_at_prices(prices: Prices) -> Finding:
    """Where the costs of model calls come from that report none."""
    if not prices.enabled:
        return Finding("prices", OK, "switched off: only reported costs are recorded")
    sources = [f"{len(prices.own)} own"] if prices.own else []
    table = table_version()
    if table is not None:
        return Finding("prices", OK, ", ".join([*sources, f"genai-prices {table}"]))
    text = ", ".join([*sources, "genai-prices is not installed: other calls are unpriced"])
    return Finding("prices", OK, text, "pip install 'sessiontrace[prices]'")
