"""The measured process: one adapter, one figure; run by the Python of that peer's environment.

    python -m peers.worker ADAPTER JSON    what to do and with what; the figures are its last line

Nothing outside loopback can be reached: names are not looked up and addresses not connected to, and
the figures list them. Needs nothing but the standard library and the peer.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import socket
import statistics
import sys
import threading
import time
import urllib.request
from typing import Any

import machine_info
import payloads

from peers import heartbeat

A_SESSION = 100
WARM_UP = 500
PENDING = 1_000

outside: set[str] = set()


def stay_inside() -> None:
    """Refuse every name and address that is not this machine's; remember which."""
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def inside(host: Any) -> bool:
        text = host.decode() if isinstance(host, bytes) else host
        return text in (None, "", "localhost", "::1") or str(text).startswith("127.")

    def getaddrinfo(host: Any, *args: Any, **more: Any) -> Any:
        if not inside(host):
            outside.add(str(host))
            raise socket.gaierror(f"{host} is outside")
        return look_up(host, *args, **more)

    def connect_inside(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not inside(address[0]):
            outside.add(str(address[0]))
            raise ConnectionRefusedError(f"{address[0]} is outside")
        connect(self, address)

    socket.getaddrinfo = getaddrinfo
    socket.socket.connect = connect_inside  # type: ignore[method-assign]


def bare(messages: payloads.Messages) -> dict[str, str]:
    return payloads.ANSWER


def produce(
    adapter: Any, step: Any, chats: list[payloads.Messages], session: int = A_SESSION
) -> float:
    """The chats in sessions of so many; the seconds of this thread that it took."""
    begun = time.thread_time()
    for first in range(0, len(chats), session):
        with adapter.session():
            for chat in chats[first : first + session]:
                step(chat)
    return time.thread_time() - begun


def deliver(adapter: Any, url: str, count: int, session: int) -> dict[str, Any]:
    """So many events made and acknowledged; ``expected``: what the sink should have seen by now."""
    adapter.start(url)
    step = adapter.decorate(bare)
    produce(adapter, step, payloads.fresh(WARM_UP), session)
    adapter.flush()
    chats = payloads.fresh(count)
    gc.collect()
    gc.freeze()  # a program that makes its texts as it goes would not carry these
    machine_info.forget_peak()
    resident = machine_info.resident_mib()
    begun, cpu, threads = time.perf_counter(), time.process_time(), seconds_of_threads()
    capture = produce(adapter, step, chats, session)
    adapter.flush()
    taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
    used = {
        f"{name}_us": (seconds - threads.get(name, 0.0)) / count * 1e6
        for name, seconds in seconds_of_threads().items()
    }
    made = count + WARM_UP
    sessions = -(-count // session) + -(-WARM_UP // session)
    return {
        "capture_us": capture / count * 1e6,
        "cpu_us": cpu / count * 1e6,
        "events_per_second": count / taken,
        "grown_mib": machine_info.peak_mib() - resident,
        "expected": made + sessions * adapter.ROOTS,
        **used,
    }


def seconds_of_threads() -> dict[str, float]:
    """Of the processor, by the last word of the thread's name."""
    return {
        thread.name.rpartition("-")[2]: time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.ident is not None
    }


def resident(adapter: Any, url: str) -> dict[str, Any]:
    """Memory after one event that was delivered."""
    adapter.start(url)
    produce(adapter, adapter.decorate(bare), payloads.fresh(1))
    adapter.flush()
    return {"mib": machine_info.resident_mib()}


def disabled(adapter: Any, url: str, count: int) -> dict[str, Any]:
    """What the decorated function costs over the bare one when tracing is off."""
    adapter.start(url, enabled=False)
    step, chat = adapter.decorate(bare), payloads.messages()
    rounds: dict[Any, list[float]] = {bare: [], step: []}
    for _ in range(8):
        for function, taken in rounds.items():
            begun = time.thread_time()
            for _ in range(count):
                function(chat)
            taken.append((time.thread_time() - begun) / count * 1e6)
    plain, off = (statistics.median(taken[1:]) for taken in rounds.values())
    return {"disabled_us": off - plain}


def leave(adapter: Any, url: str) -> dict[str, Any]:
    """A thousand events for a backend that stops to answer, and the end of the program."""
    adapter.start(url)
    step = adapter.decorate(bare)
    urllib.request.urlopen(f"{url}/sink/mode/hang").close()
    produce(adapter, step, payloads.fresh(PENDING))
    return {"made": PENDING + PENDING // A_SESSION * adapter.ROOTS}


def come_back(adapter: Any, url: str) -> dict[str, Any]:
    """The next run of the program: one event, flushed; whatever was left may go as well."""
    adapter.start(url)
    produce(adapter, adapter.decorate(bare), payloads.fresh(1))
    adapter.flush()
    time.sleep(1.0)
    adapter.flush()
    return {"made": 1 + adapter.ROOTS}


def jitter(adapter: Any, url: str, rate: int, seconds: float, traced: bool) -> dict[str, Any]:
    """How late the beats of an event loop come."""
    if not traced:
        return heartbeat.percentiles(bare, rate, seconds)
    adapter.start(url)
    with adapter.session():
        return heartbeat.percentiles(adapter.decorate(bare), rate, seconds)


WORK = {
    "deliver": deliver,
    "disabled": disabled,
    "leave": leave,
    "come_back": come_back,
    "jitter": jitter,
    "resident": resident,
}


def main() -> None:
    name, asked = sys.argv[1], json.loads(sys.argv[2])
    stay_inside()
    if asked["what"] != "jitter":  # there the other threads may have a core of their own
        machine_info.pin(first=True)
    adapter = importlib.import_module(f"peers.{name}")
    own = next(place for place in sys.path if os.path.exists(f"{place}/peers/worker.py"))
    sys.path.append(sys.path.pop(sys.path.index(own)))  # what a peer imports comes first
    figures = WORK[asked.pop("what")](adapter, **asked)
    with contextlib.suppress(ValueError):
        sys.stdout.flush()
    os.write(1, (json.dumps(figures | {"outside": sorted(outside)}) + "\n").encode())


if __name__ == "__main__":
    main()
