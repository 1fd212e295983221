"""The parts of the golden record, each as a JSON value: exporters, wire, capture, spool, store.

Everything that differs from run to run is pinned by ``golden`` and in here, or left out with a word
about why.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
from golden import PID, bytes_of, text_of
from golden_program import MOMENT_NS, scenes
from golden_stories import (
    illegal_records,
    large_story,
    late_story,
    small_story,
    uid,
    whole_story,
)
from support.exporters import VENDORS, Delivery, VendorCase, deliver, mentions
from support.server_process import Served, serving
from support.spools import A, B, die, drain, make, recovered

from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.export.protocol import Batch, Reply, Request
from sessiontrace.model.destination import Destination
from sessiontrace.model.ids import pin
from sessiontrace.model.record import Record
from sessiontrace.spool.frame import head
from sessiontrace.store.loss_reports import report
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.vendors import registry
from sessiontrace.vendors.honeyhive.destination import HoneyHive
from sessiontrace.vendors.humanloop.destination import Humanloop
from sessiontrace.vendors.local.exporter import LocalExporter
from sessiontrace.vendors.local.transport import LocalTransport
from sessiontrace.vendors.otlp.destination import OTLP
from sessiontrace.vendors.posthog.destination import PostHog
from sessiontrace.vendors.vendor import PipelineServices


def every_part() -> dict[str, Any]:
    """File name and value of each part."""
    parts = {f"exporter-{vendor.name}": exporter(vendor) for vendor in VENDORS}
    with pinned():
        parts["wire"] = wire()
    return {**parts, **compiled_parts(), **store_parts()}


def compiled_parts() -> dict[str, Any]:
    """Those that the compiled functions have a hand in."""
    return {"capture": capture(), "spool": spool()}


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """Ids count up, and each look at the clock takes a millisecond."""
    looks, draws = itertools.count(), itertools.count(1)
    undo = pin(lambda: MOMENT_NS + next(looks) * 1_000_000, lambda: f"{next(draws):012x}")
    try:
        yield
    finally:
        undo()


# -- exporters ------------------------------------------------------------------------------


def exporter(vendor: VendorCase) -> dict[str, Any]:
    """What an exporter asks of its backend, live, adopted, in pieces, refused and too large."""
    story, session = whole_story(), small_story()
    lasting_exporter = vendor.make()
    divided_exporter = vendor.make()
    poisoned_story = small_story(poison=True)

    def refuse(request: Request) -> Reply | None:
        return Reply(vendor.refusal, body=b"no") if mentions(request, "poison-5") else None

    def too_large(request: Request) -> Reply | None:
        return Reply(413) if len(request.body) > 40_000 else None

    def partly(request: Request) -> Reply | None:
        return Reply(503, {"retry-after": "7"}) if request.records[-1:] != (0,) else None

    return {
        "live": outcome(deliver(vendor, story, exporter=lasting_exporter)),
        "late": outcome(deliver(vendor, late_story(), exporter=lasting_exporter)),
        "adopted": outcome(deliver(vendor, story, replay=True)),
        "late adopted": outcome(deliver(vendor, late_story(), replay=True)),
        "in pieces": [
            outcome(
                deliver(vendor, session[at : at + 2], exporter=divided_exporter, replay=at == 4)
            )
            for at in range(0, len(session), 2)
        ],
        "refused": outcome(deliver(vendor, poisoned_story, answer=refuse)),
        "refused adopted": outcome(deliver(vendor, poisoned_story, answer=refuse, replay=True)),
        "too large": outcome(deliver(vendor, large_story(), answer=too_large)),
        "busy": outcome(deliver(vendor, session, answer=partly)),
    }


def outcome(delivery: Delivery) -> dict[str, Any]:
    """The requests of a delivery, and what became of its records."""
    return {
        "requests": [request_text(request) for request in delivery.requests],
        "rejected": [[text_of(record.body[:101]), why] for record, why in delivery.rejected],
        "acked": delivery.acked,
        "setback": None if delivery.setback is None else delivery.setback.reason,
    }


def request_text(request: Request) -> dict[str, str]:
    carried = ",".join(map(str, request.records))
    return {"line": f"{request.method} {request.path} [{carried}]", "body": text_of(request.body)}


# -- the wire -------------------------------------------------------------------------------

KEY = "golden" + "-key"


def places(url: str) -> dict[str, Destination]:
    """A destination of every kind and form at this address."""
    keyed: dict[str, Any] = {"api_key": KEY, "base_url": url}
    otlp: dict[str, Any] = {"endpoint": url, "evaluations": False}  # they have tests of their own
    headers = {"x-team": "tea", "authorization": "Basic eDp5"}
    return {
        "honeyhive": HoneyHive(**keyed),
        "humanloop": Humanloop(**keyed, project="tea"),
        "humanloop-v5": Humanloop(**keyed, project="tea", version=5),
        "posthog": PostHog(**keyed),
        "posthog gzip": PostHog(**keyed, gzip=True),
        "otlp": OTLP(**otlp, headers=headers, protobuf=False),
        "otlp gzip": OTLP(**otlp, gzip=True, protobuf=False),
        "otlp-protobuf": OTLP(**otlp, headers=headers, protobuf=True),
    }


def wire() -> dict[str, Any]:
    """Requests as they leave the process, with their headers.

    Left out: the port in ``Host``, the version in ``User-Agent``, and ``Accept-Encoding``, which
    tells what aiohttp can unpack. Compressed bodies are recorded unpacked.
    """
    return asyncio.run(_wire())


async def _wire() -> dict[str, Any]:
    arrivals: list[dict[str, Any]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                arrivals.append(await _request(reader))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    vendors = {vendor.name: vendor for vendor in VENDORS}
    arrivals_by_place: dict[str, Any] = {}
    for name, place in places(url).items():
        vendor = vendors[name.removesuffix(" gzip")]
        arrivals.clear()
        both_ends = registry.connect(place.complete({}), PipelineServices())
        transport = both_ends.transport()
        for story in (small_story(), late_story()[:1], large_story()):
            for request in deliver(vendor, story, exporter=both_ends.exporter).requests:
                await transport.send(request, ())
        await transport.close()
        arrivals_by_place[name] = list(arrivals)
    server.close()
    await server.wait_closed()
    return arrivals_by_place


async def _request(reader: asyncio.StreamReader) -> dict[str, Any]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.get("Transfer-Encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
    if headers.get("Content-Encoding") == "gzip":
        body = zlib.decompress(body, 31)
        headers.pop("Content-Length", None)  # that of the packed body
    for ours in ("Host", "Accept-Encoding"):
        headers.pop(ours, None)
    headers["User-Agent"] = re.sub(r"/.*", "/VERSION", headers["User-Agent"])
    return {"request": first, "headers": dict(sorted(headers.items())), "body": text_of(body)}


# -- capture --------------------------------------------------------------------------------


def capture() -> dict[str, Any]:
    """The records of the tea shop; directories and line numbers are taken out of stacks."""
    tapes = scenes()
    for scene in (scene for style in tapes.values() for scene in style.values()):
        scene["records"] = [text_of(line.encode()) for line in scene["records"]]
    return tapes


# -- the spool ------------------------------------------------------------------------------


def spool() -> dict[str, Any]:
    """Files of a spool whose process was killed: three segments, a cursor, an open session.

    Its id, drawn from clock and random bits, is pinned; so is the process id in the headers. The
    zeros behind the last frame are cut.
    """
    return {io: _spool(io) for io in ("write", "map")}


def _spool(io: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "spool")
        with patch("os.urandom", lambda size: b"\xab" * size):
            spool = make(root, A, B, io=io)
        for number, record in enumerate(spooled_records()):
            assert spool.append(head(record.kind, record.route), record.body)
            if number == 4:
                drain(spool.reader("a"))
                spool.save_cursors()
        directory = die(spool)
        files = {path.name: path.read_bytes() for path in sorted(directory.iterdir())}
        recorded = {name: text_of(raw.rstrip(b"\0")) for name, raw in files.items()}
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in directory.iterdir()}
        return {
            "directory": directory.name,
            "files": recorded,
            "modes": dict(sorted(modes.items())),
            "read back": read_back(Path(place, "other"), directory.name, recorded),
        }


def spooled_records() -> list[Record]:
    """The whole story; then what fills segments while a session is open, for some or for all."""
    records = whole_story()
    open_start = records[0]._replace(body=records[0].body.replace(uid(1).encode(), uid(9).encode()))
    padded = [
        records[6]._replace(route=route, body=records[6].body[:-1] + b',"error":"%b"}' % pad)
        for route, pad in zip((b"*", b"a", b"b", b"a,b", b"*"), (b"p" * 150_000,) * 5, strict=True)
    ]
    return [*records, open_start, *padded, records[1]]


def read_back(root: Path, name: str, files: dict[str, str]) -> dict[str, Any]:
    """What an adopter reads from files as they were recorded, for each destination."""
    directory = root / name
    directory.mkdir(parents=True, mode=0o700)
    root.chmod(0o700)
    for file, text in files.items():
        (directory / file).touch(mode=0o600)
        (directory / file).write_bytes(bytes_of(text))
    with recovered(root, A, B) as orphan:
        return {
            owed.name: [
                [
                    f"{record.kind.decode()} {record.route.decode()} {len(record.body)} bytes",
                    text_of(record.body[:101]),
                    f"{zlib.crc32(record.body):08x}",
                ]
                for record in drain(orphan.readers[owed.name], settle=False)
            ]
            for owed in (A, B)
        }


# -- the store ------------------------------------------------------------------------------


def store_parts() -> dict[str, Any]:
    """The local destination's file, what the page asks of it, and dead letters."""
    with tempfile.TemporaryDirectory() as place, pinned():
        path = Path(place, "store.db")
        store = asyncio.run(_local(path))
        letters = dead_letters(Path(place, "dead"))
        page = _page(path)
    return {"store": {**store, "dead letters": letters}, "page": page}


async def _local(path: Path) -> dict[str, Any]:
    loss = report("spool id", "teapot", PID, {"full": 3, "a rejected": 1})

    def at_once(job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        done(job())

    transport = LocalTransport(path, at_once, lambda: loss)
    half = len(whole_story()) // 2
    batches = {
        "first half": whole_story()[:half],
        "second half": whole_story()[half:],
        "late": late_story(),
        "again, and illegal": [*whole_story(), *illegal_records()],
        "large": large_story()[-3:],
    }
    steps: dict[str, Any] = {}
    for name, records in batches.items():
        steps[name] = await _batch(transport, records)
        if name in ("first half", "large"):
            steps[name]["tables"] = dump(path)
    await transport.close()
    store = SqliteStore(path)
    while store.index():
        pass
    store.close()
    return {"schema": schema(path), **steps, "indexed": dump(path, ("search_documents",))}


async def _batch(transport: LocalTransport, records: Sequence[Record]) -> dict[str, Any]:
    vendor = LocalExporter()
    ((request,),) = vendor.encode(Batch(records))
    reply = await transport.send(request, records)
    answer = {"status": reply.status, "body": text_of(reply.body)}
    return {
        "request": request_text(request),
        "reply": answer,
    }


def schema(path: Path) -> dict[str, Any]:
    """The statements and settings of the file."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        pragmas = ("user_version", "application_id", "page_size", "auto_vacuum", "journal_mode")
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
        return {
            "pragmas": {
                name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas
            },
            "statements": [list(row) for row in rows if not _is_sqlites(row[1])],
        }


def dump(path: Path, tables: Sequence[str] = ()) -> dict[str, list[str]]:
    """All rows of all tables but those that SQLite itself fills."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = tables or sorted(name for (name,) in names if not _is_sqlites(name))
        return {table: _rows(connection, table) for table in tables if table != "search"}


def _rows(connection: sqlite3.Connection, table: str) -> list[str]:
    cursor = connection.execute(f"SELECT * FROM {table}")
    columns = [column[0] for column in cursor.description]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor]
    return sorted(text_of(orjson.dumps(row, default=repr)) for row in rows)


def _is_sqlites(name: str) -> bool:
    """Whether SQLite itself, or its full-text search, makes that table or index."""
    shadows = ("search_data", "search_idx", "search_docsize", "search_config", "search_content")
    return name.startswith("sqlite_") or name in shadows


def dead_letters(root: Path) -> dict[str, str]:
    """The file of records that a backend refused for good."""
    letters = DeadLetters(root)
    for record in (*whole_story()[3:6], *whole_story()[11:12]):
        assert letters.put("honeyhive", record, "HTTP 400: " + "no " * 200)
    return {path.name: text_of(path.read_bytes()) for path in root.iterdir()}


def _page(path: Path) -> dict[str, Any]:
    score = orjson.dumps({"event_id": uid(4), "name": "by hand", "value": "good"})
    with serving(path, "--keep-days", "0", "--keep-mib", "0") as server:
        answers = {place: _answer(server, place) for place in PLACES}
        answers["POST /api/score"] = _answer(server, "/api/score", "POST", score)
        answers["after the score"] = _answer(server, f"/api/events/{uid(4)}")
        return _with_shared_headers(answers)


def _with_shared_headers(answers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The answers, and once the headers that all of them have."""
    shared = set.intersection(*(set(answer["headers"].items()) for answer in answers.values()))
    for answer in answers.values():
        answer["headers"] = {
            name: value for name, value in answer["headers"].items() if (name, value) not in shared
        }
    return {"headers of all": dict(sorted(shared)), **answers}


PLACES = (
    "/api/sessions",
    "/api/sessions?limit=2",
    f"/api/sessions?limit=2&after=%5B{1_790_000_031_000}%2C%22{uid(30)}%22%5D",
    "/api/sessions?errors=1",
    "/api/sessions?q=sencha",
    "/api/sessions?q=nowhere",
    "/api/sessions?since=x",
    "/api/histogram",
    *(f"/api/sessions/{uid(number)}" for number in (1, 20, 30, 50, 77)),
    f"/api/sessions/{uid(1)}/steps?q=embed",
    *(f"/api/events/{uid(number)}" for number in (1, 3, 4, 5, 31, 42, 99)),
)


def _answer(
    server: Served, path: str, method: str = "GET", body: bytes | None = None
) -> dict[str, Any]:
    kind = {} if body is None else {"Content_Type": "application/json"}
    status, headers, answer = server.request(
        path, method, body, Host=f"127.0.0.1:{server.port}", **kind
    )
    ours = {name: headers[name] for name in sorted(headers) if name not in ("date", "server")}
    return {"status": status, "headers": ours, "body": text_of(answer)}
