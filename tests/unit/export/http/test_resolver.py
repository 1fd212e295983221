"""Looking names up: remembered, forgiving, and possible until the very end."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from sessiontrace.export.http.resolver import Addresses

pytestmark = pytest.mark.asyncio

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]


class Names:
    """A name server: ``answer`` is returned, or raised."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: Any = FOUND
        self.asked: list[str] = []
        self.threads: set[str] = set()
        monkeypatch.setattr(socket, "getaddrinfo", self.look_up)

    def look_up(self, host: str, port: int, **options: Any) -> Any:
        self.asked.append(host)
        self.threads.add(threading.current_thread().name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


async def test_a_name_is_looked_up_once_in_thirty_seconds(names: Names) -> None:
    """In a thread of its own, which a hanging name server may keep."""
    now = 0.0
    addresses = Addresses(lambda: now)
    expected = [(socket.AF_INET, 6, "192.0.2.1", 443)]
    assert await addresses.resolve("api.test", 443) == expected
    assert await addresses.resolve("api.test", 443) == expected
    assert names.asked == ["api.test"]
    assert names.threads == {"sessiontrace-dns"}
    now = 31.0
    await addresses.resolve("api.test", 443)
    assert len(names.asked) == 2


async def test_a_name_server_that_fails_leaves_us_the_last_addresses(names: Names) -> None:
    """An outage of DNS alone is no outage of the backend."""
    now = 0.0
    addresses = Addresses(lambda: now)
    known = await addresses.resolve("api.test", 443)
    names.answer, now = socket.gaierror("try again"), 60.0
    assert await addresses.resolve("api.test", 443) == known
    with pytest.raises(OSError, match="try again"):
        await addresses.resolve("other.test", 443)


async def test_a_name_that_is_none_is_an_ordinary_failure(names: Names) -> None:
    """Some names cannot even be encoded."""
    names.answer = UnicodeError("label too long")
    with pytest.raises(OSError, match="is not a host name"):
        await Addresses().resolve("x" * 70, 443)


async def test_without_threads_the_lookup_happens_right_here(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the exit of the interpreter no thread can be started any more."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert await Addresses().resolve("api.test", 443)
    assert names.threads == {threading.current_thread().name}
