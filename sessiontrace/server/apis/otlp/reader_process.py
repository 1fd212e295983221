"""A process that reads large requests of spans, so that the writer thread has less to do.

Python runs one thread at a time, and the writer thread needs nearly all of it where senders never
pause; another process uses another processor. It starts with the first large request; until it is
ready, and once it has ended for any reason, the server reads everything itself. ``read`` is for the
server's loop; threads of its own exchange bytes with the process, which read and write without
Python's lock. Invariant: requests and answers go through in one order, and a request that the
process does not answer is read by the caller.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from sessiontrace.runtime.log import logger

__all__ = ["LARGE", "ReaderProcess", "receive", "send"]

LARGE = 64 << 10
"""The bytes of a request from which on another process reads it."""

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from sessiontrace.server.apis.otlp.reader_main import main; main(int(sys.argv[1]))"
)
_SIZE_BYTES = 8  # of the number before each body and answer
_BUFFER_BYTES = 1 << 20
_IN_FLIGHT = 3  # one that is read, one before and one behind it
_START_S, _ANSWER_S, _STOP_S = 30.0, 60.0, 5.0


class ReaderProcess:
    """The process, of one server. Nothing starts where there is one processor, or on Windows."""

    def __init__(self) -> None:
        self._is_off = not _has_processors()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starting: threading.Thread | None = None
        self._is_ready = False
        self._sending, self._receiving = threading.Lock(), threading.Lock()
        self._ending = threading.Lock()
        self._threads = ThreadPoolExecutor(_IN_FLIGHT, "sessiontrace-exchange")

    @property
    def pid(self) -> int | None:
        """The process that reads; None where there is none."""
        return self._process.pid if self._is_ready and self._process is not None else None

    async def read(self, body: bytes) -> bytearray | None:
        """The body, read and ``packed``; None: the caller reads it itself."""
        if self._is_off or len(body) < LARGE:
            return None
        if not self._is_ready:
            if self._starting is None:
                self._starting = threading.Thread(target=self._start, daemon=True)
                self._starting.start()
            return None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._exchange, body)

    def close(self) -> None:
        """End the process. What it reads at this time is None."""
        self._is_off = True
        self._end()
        if self._starting is not None:
            self._starting.join()
            self._end()
        self._threads.shutdown()
        if self._socket is not None:
            self._socket.close()

    def _start(self) -> None:
        ours, its = socket.socketpair()
        self._socket = ours
        try:
            for end in (ours, its):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            command = [sys.executable, "-c", _PROGRAM, str(its.fileno()), *sys.path]
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL
            )
            its.close()
            _bound(ours, _START_S)
            if ours.recv(1):
                _bound(ours, _ANSWER_S)
                self._is_ready = True
                return
        except OSError:
            its.close()
        self._give_up()

    def _exchange(self, body: bytes) -> bytearray | None:
        connection = self._socket
        if connection is None:
            return None
        try:
            with self._sending:
                send(connection, body)
                self._receiving.acquire()  # before the next one sends: answers come in this order
            try:
                return receive(connection)
            finally:
                self._receiving.release()
        except OSError:
            self._give_up()
            return None

    def _give_up(self) -> None:
        with self._ending:
            is_news, self._is_off = not self._is_off, True
        if is_news:
            logger().warning(
                "the process that reads large OTLP requests has ended or cannot start; "
                "this one reads them, more slowly"
            )
        self._end()

    def _end(self) -> None:
        connection, process = self._socket, self._process
        self._is_ready = False
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is gone already
        if process is not None:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _has_processors() -> bool:
    if os.name != "posix" or not hasattr(socket, "MSG_WAITALL") or not sys.executable:
        return False
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) > 1
    return (os.cpu_count() or 1) > 1


def _bound(connection: socket.socket, seconds: float) -> None:
    """Let the system end a call that takes longer; a timeout of Python's would split each call."""
    value = struct.pack("@ll", int(seconds), 0)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, value)


def send(connection: socket.socket, message: bytes) -> None:
    """Send a body or an answer; ``OSError`` where the other end is gone."""
    connection.sendall(len(message).to_bytes(_SIZE_BYTES, "big"))
    connection.sendall(message)


def receive(connection: socket.socket) -> bytearray:
    """The next body or answer; ``OSError`` where the other end is gone."""
    return _read(connection, int.from_bytes(_read(connection, _SIZE_BYTES), "big"))


def _read(connection: socket.socket, size: int) -> bytearray:
    message = bytearray(size)
    view = memoryview(message)
    while view:  # once, unless a signal arrives
        count = connection.recv_into(view, len(view), socket.MSG_WAITALL)
        if not count:
            raise ConnectionResetError
        view = view[count:]
    return message
