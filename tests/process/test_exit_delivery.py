"""DeliveryStats while the interpreter exits: executors are dead, threads may be refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_backend import Backend
from support.subprocesses import REPO, run

PROGRAM = """
import atexit, socket, sys
url, moment, threads = sys.argv[1:]

from support.lane_harness import MemorySource, PlainExporter, event
from sessiontrace.runtime.counters import Counters
from sessiontrace.export.sender import LaneSpec, Sender

look_up = socket.getaddrinfo
def getaddrinfo(host, *args, **options):
    return look_up("127.0.0.1" if host == "api.test" else host, *args, **options)
socket.getaddrinfo = getaddrinfo

def transport():
    from sessiontrace.export.http_transport import HttpTransport
    return HttpTransport(url)

source = MemorySource()
spec = LaneSpec("there", PlainExporter(max_age_s=30.0), transport, source)
sender = Sender(lanes=[spec], counters=Counters())

def at_exit():
    if threads == "refused":
        import threading
        def refuse(self):
            raise RuntimeError("can't create new thread at interpreter shutdown")
        threading.Thread.start = refuse
    source.records += [event(1), event(2)]
    if moment == "exit":
        print("started", sender.start())
    print("stopped", sender.stop(5.0))

atexit.register(at_exit)
if moment == "main":
    assert sender.start()
"""


@pytest.mark.parametrize("host", ["localhost", "api.test"])
@pytest.mark.parametrize("threads", ["allowed", "refused"])
def test_B04_the_last_records_leave_from_an_atexit_hook(
    host: str, threads: str, tmp_path: Path
) -> None:
    """The thread runs since the first record, but no name was looked up yet: the default resolver
    would say `cannot schedule new futures after shutdown` and everything would stay behind."""
    with Backend() as backend:
        url = f"http://{host}:{backend.port}"
        path = f"{REPO}:{REPO / 'tests'}"
        done = run(PROGRAM, tmp_path, url, "main", threads, PYTHONPATH=path)
        assert done.stdout == "stopped True\n"
        assert done.stderr == ""
        assert [len(request.json) for request in backend.requests] == [2]


def test_B05_a_first_record_inside_an_atexit_hook_does_no_harm(tmp_path: Path) -> None:
    """Python 3.12 refuses the thread, others start it: either way no traceback, and no hang."""
    with Backend() as backend:
        path = f"{REPO}:{REPO / 'tests'}"
        done = run(PROGRAM, tmp_path, backend.url, "exit", "allowed", PYTHONPATH=path)
        assert done.stdout in {
            "started True\nstopped True\n",
            "started False\nstopped False\n",
        }
        assert done.stderr == ""


def test_C01_a_name_server_that_hangs_does_not_hold_up_the_exit(tmp_path: Path) -> None:
    """Executor threads are waited for at exit, however long a lookup takes. Ours is not."""
    program = PROGRAM.replace(
        'return look_up("127', 'import time; time.sleep(60); return look_up("127'
    ).replace("sender.stop(5.0)", "sender.stop(0.3)")
    path = f"{REPO}:{REPO / 'tests'}"
    done = run(program, tmp_path, "http://api.test:9", "main", "allowed", limit=10, PYTHONPATH=path)
    assert done.stdout == "stopped False\n"
    assert done.stderr == ""
