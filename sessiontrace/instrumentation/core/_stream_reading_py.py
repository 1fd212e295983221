"""The Python form of the reading of a stream: the specification; see ``stream_reading``."""

from __future__ import annotations

from typing import Any

from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["AsyncReader", "LoopedReader", "Reader", "StreamReading"]


class StreamReading:
    """How far a stream is read; a subclass has ``chunk``, ``skip`` and ``end``.

    ``assembler``: takes each chunk after the first by its ``add``; None where ``chunk`` takes all.
    ``busy``: the library itself is at work. ``chunks``: the number that the reader got.
    """

    __slots__ = ("assembler", "busy", "chunks")

    def __init__(self) -> None:
        self.assembler: Any = None
        self.busy: bool = False
        self.chunks: int = 0


def _take(reading: Any, chunk: Any) -> None:
    """The chunk goes to the assembler; the first one, and all where there is none, to ``chunk``."""
    if reading.chunks and (assembler := reading.assembler) is not None:
        reading.chunks += 1
        try:
            assembler.add(chunk)
        except Exception as error:
            raise_if_from_signal(error)
            reading.skip()
    else:
        reading.chunk(chunk)


class Reader:
    """A plain iterator that reports what ``wrapped`` yields, and how it ends, to ``reading``."""

    __slots__ = ("__wrapped__", "_observed")

    def __init__(self, wrapped: Any, reading: Any) -> None:
        self.__wrapped__: Any = wrapped
        # In one attribute, because a class with ``__getattr__`` finds each three times as slowly.
        self._observed = (wrapped, reading)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        wrapped, reading = self._observed
        reading.busy = True
        try:
            chunk = wrapped.__next__()
        except StopIteration:
            reading.end("exhausted")
            raise
        except BaseException as error:
            reading.end("failed", error)
            raise
        finally:
            reading.busy = False
        _take(reading, chunk)
        return chunk


class LoopedReader(Reader):
    """The reader for a class that loops over its iterator, which a generator serves faster.

    To close that generator closes nothing: the stream has its inner iterator still, to go on with.
    """

    __slots__ = ()

    def __iter__(self) -> Any:
        wrapped, reading = self._observed
        reading.busy = True
        try:
            for chunk in wrapped:
                reading.busy = False
                _take(reading, chunk)
                yield chunk
                reading.busy = True
        except BaseException as error:
            if reading.busy:  # raised by the stream, not by its reader
                reading.end("failed", error)
            raise
        else:
            reading.end("exhausted")
        finally:
            reading.busy = False


class AsyncReader:
    """``Reader`` for an async iterator."""

    __slots__ = ("__wrapped__", "_observed")

    def __init__(self, wrapped: Any, reading: Any) -> None:
        self.__wrapped__: Any = wrapped
        self._observed = (wrapped, reading)

    def exchange(self, wrapped: Any) -> None:
        """Read from ``wrapped`` from now on."""
        self.__wrapped__ = wrapped
        self._observed = (wrapped, self._observed[1])

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        wrapped, reading = self._observed
        reading.busy = True
        try:
            chunk = await wrapped.__anext__()
        except StopAsyncIteration:
            reading.end("exhausted")
            raise
        except BaseException as error:
            reading.end("failed", error)
            raise
        finally:
            reading.busy = False
        _take(reading, chunk)
        return chunk
