"""Ids and clocks."""

from __future__ import annotations

import os
import threading
import time
import uuid

import pytest

from sessiontrace.model import ids


def test_ids_are_version_7_uuids_of_their_moment() -> None:
    """Strict validators (HoneyHive, PostHog's $session_id) take them, and they tell the time."""
    at = 1_795_225_328_084_123_456
    parsed = uuid.UUID(ids.new_id(at))
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == at // 1_000_000
    assert abs((uuid.UUID(ids.new_id()).int >> 80) - time.time() * 1000) < 5_000


def test_ids_made_in_order_sort_in_order() -> None:
    """Within a millisecond a counter keeps them sortable, up to its 256 steps."""
    at = ids.now_ns() // 1_000_000 * 1_000_000 + 1_000_000_000
    made = [ids.new_id(at) for _ in range(200)]
    assert made == sorted(made)
    assert ids.new_id(at + 1_000_000) > made[-1]


def test_ids_of_many_threads_are_all_different() -> None:
    """No lock is taken; the random bits alone keep ids apart."""
    made: list[list[str]] = [[] for _ in range(8)]

    def work(own: list[str]) -> None:
        own.extend(ids.new_id() for _ in range(5_000))

    threads = [threading.Thread(target=work, args=(own,)) for own in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [one for own in made for one in own]
    assert len(set(everything)) == len(everything) == 40_000
    assert all(uuid.UUID(one).version == 7 for one in everything[::97])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork beside threads
def test_a_forked_child_draws_other_random_bits() -> None:
    """Without reseeding parent and child would go on with the same sequence."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, "".join(ids.new_id(0)[19:] for _ in range(3)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        childs = pipe.read()
    own = [ids.new_id(0)[19:] for _ in range(3)]
    assert len(childs) == 51
    assert not any(one in childs for one in own)


def test_the_clock_never_runs_backwards() -> None:
    """Durations come from the monotonic clock behind one anchor."""
    times = [ids.now_ns() for _ in range(1_000)]
    assert times == sorted(times)
    assert abs(times[-1] - time.time_ns()) < 5_000_000_000


def test_a_callers_id_becomes_a_stable_uuid() -> None:
    """The same text gives the same session in every process and version."""
    assert ids.session_uuid("chat-7") == ids.session_uuid("chat-7")
    assert uuid.UUID(ids.session_uuid("chat-7")).version == 5
    assert ids.session_uuid("chat-7") == "74699339-219f-5c00-9db2-16f92359270b"
    given = uuid.uuid4()
    assert ids.session_uuid(str(given)) == ids.session_uuid(str(given).upper()) == str(given)


@pytest.mark.parametrize("text", ["", "x" * 36, "{" + "0" * 34 + "}", "0f" * 16, "1-2"])
def test_what_is_no_uuid_is_told_apart(text: str) -> None:
    """Other spellings of a UUID are texts: only the usual one is taken as it is."""
    assert not ids.is_uuid(text)
