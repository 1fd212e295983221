# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of the reading of a stream; see ``stream_reading``.

Invariant: a reader gets what the form in ``_stream_reading_py`` gives it. A step of an async stream
is no coroutine here but forwards to the awaitable of the stream, and looks at what that returns.
"""

cimport cython
from cpython.object cimport PyObject

from sessiontrace.runtime.signals import raise_if_from_signal

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

    ctypedef PyObject* (*Unary "unaryfunc")(PyObject*) noexcept
    ctypedef PySendResult (*Send "sendfunc")(PyObject*, PyObject*, PyObject**) noexcept
    ctypedef struct AsyncSlots "PyAsyncMethods":
        Unary am_await
        Unary am_anext
        Send am_send
    ctypedef struct TypeSlots "PyTypeObject":
        AsyncSlots* tp_as_async
        Unary tp_iternext

    TypeSlots* Py_TYPE(PyObject*)
    PySendResult PyIter_Send(PyObject*, PyObject*, PyObject**) noexcept
    bint PyCoro_CheckExact(PyObject*)
    bint PyGen_CheckExact(PyObject*)
    object PyObject_CallOneArg(object, object)
    PyObject* PyErr_Occurred()
    bint PyErr_ExceptionMatches(PyObject*)
    bint PyTuple_Check(PyObject*)
    bint PyExceptionInstance_Check(PyObject*)
    void PyErr_Fetch(PyObject**, PyObject**, PyObject**)
    void PyErr_NormalizeException(PyObject**, PyObject**, PyObject**)
    void PyErr_Restore(PyObject*, PyObject*, PyObject*)
    void PyErr_SetObject(PyObject*, PyObject*)
    void Py_DECREF(PyObject*)
    void Py_XDECREF(PyObject*)
    PyObject* PyExc_StopIteration
    PyObject* PyExc_StopAsyncIteration


@cython.auto_pickle(False)
cdef class StreamReading:
    cdef public bint busy
    cdef public Py_ssize_t chunks
    cdef object _assembler, _add

    @property
    def assembler(self):
        return self._assembler

    @assembler.setter
    def assembler(self, assembler):
        self._assembler = assembler
        self._add = None if assembler is None else assembler.add

    cdef int take(self, chunk) except -1:
        if self.chunks == 0 or self._add is None:
            self.chunk(chunk)
            return 0
        self.chunks += 1
        try:
            PyObject_CallOneArg(self._add, chunk)
        except Exception as error:
            raise_if_from_signal(error)
            self.skip()
        return 0


@cython.auto_pickle(False)
cdef class Reader:
    cdef public object __wrapped__
    cdef StreamReading _reading

    def __init__(self, wrapped, StreamReading reading not None):
        self.__wrapped__ = wrapped
        self._reading = reading

    def __iter__(self):
        return self

    def __next__(self):
        cdef StreamReading reading = self._reading
        cdef PyObject* wrapped = <PyObject*>self.__wrapped__
        cdef Unary step = Py_TYPE(wrapped).tp_iternext
        cdef PyObject* raw
        if step is NULL:
            raise TypeError(f"{type(self.__wrapped__).__name__!r} object is not an iterator")
        reading.busy = True
        raw = step(wrapped)
        reading.busy = False
        if raw is NULL:
            _end_with_error(reading, PyExc_StopIteration)
            if PyErr_Occurred() is NULL:  # the iterator is at its end
                raise StopIteration
            _raise()
        chunk = <object>raw
        Py_DECREF(raw)
        reading.take(chunk)
        return chunk


@cython.auto_pickle(False)
cdef class AsyncReader:
    cdef public object __wrapped__
    cdef StreamReading _reading

    def __init__(self, wrapped, StreamReading reading not None):
        self.__wrapped__ = wrapped
        self._reading = reading

    def exchange(self, wrapped):
        self.__wrapped__ = wrapped

    def __aiter__(self):
        return self

    def __anext__(self):
        cdef Step step = Step.__new__(Step)
        cdef StreamReading reading = self._reading
        step._reading = reading
        reading.busy = True
        try:
            step._awaited = _awaited(self.__wrapped__)
        except BaseException as error:
            reading.end("failed", error)
            raise
        finally:
            reading.busy = False
        return step


LoopedReader = Reader


cdef object _awaited(wrapped):
    """What there is to send to for the next chunk of ``wrapped``."""
    cdef PyObject* stream = <PyObject*>wrapped
    cdef AsyncSlots* slots = Py_TYPE(stream).tp_as_async
    cdef PyObject* raw
    if slots is NULL or slots.am_anext is NULL:
        raise TypeError(f"{type(wrapped).__name__!r} object is not an async iterator")
    raw = slots.am_anext(stream)
    if raw is NULL:
        _raise()
    awaitable = <object>raw
    Py_DECREF(raw)
    if PyCoro_CheckExact(raw) or PyGen_CheckExact(raw):
        return awaitable
    slots = Py_TYPE(raw).tp_as_async
    if slots is NULL or slots.am_await is NULL:
        raise TypeError(f"object {type(awaitable).__name__} can't be used in 'await' expression")
    raw = slots.am_await(raw)
    if raw is NULL:
        _raise()
    result = <object>raw
    Py_DECREF(raw)
    return result


cdef extern from *:
    """
    /* Raises the error that is set, by the result that a failed call has. */
    static CYTHON_INLINE PyObject *sessiontrace_raise(void) { return NULL; }
    """
    object _raise "sessiontrace_raise"()


@cython.freelist(8)
@cython.auto_pickle(False)
cdef class Step:
    cdef object _awaited
    cdef StreamReading _reading

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        cdef PyObject* result = NULL
        cdef PySendResult status = _send(<PyObject*>self, <PyObject*>value, &result)
        if status == PYGEN_RETURN:
            _stop(result)
            _raise()
        if status == PYGEN_ERROR:
            _raise()
        sent = <object>result
        Py_DECREF(result)
        return sent

    def throw(self, *error):
        cdef StreamReading reading = self._reading
        reading.busy = True
        try:
            sent = self._awaited.throw(*error)
        except StopIteration as stop:
            reading.busy = False
            reading.take(stop.value)
            raise
        except StopAsyncIteration:
            reading.busy = False
            reading.end("exhausted")
            raise
        except BaseException as failure:
            reading.busy = False
            reading.end("failed", failure)
            raise
        return sent

    def close(self):
        close = getattr(self._awaited, "close", None)
        if close is not None:
            close()
        self._reading.busy = False
        self._reading.end("failed", GeneratorExit())


cdef PySendResult _send(PyObject* raw, PyObject* value, PyObject** result) noexcept:
    cdef Step step = <Step>raw
    cdef StreamReading reading = step._reading
    cdef PySendResult status
    reading.busy = True
    status = PyIter_Send(<PyObject*>step._awaited, value, result)
    if status == PYGEN_NEXT:
        return status
    reading.busy = False
    if status == PYGEN_ERROR:
        try:
            _end_with_error(reading, PyExc_StopAsyncIteration)
        except BaseException as error:
            _set(error)
        return status
    try:
        reading.take(<object>result[0])
    except BaseException as error:
        Py_DECREF(result[0])
        result[0] = NULL
        _set(error)
        return PYGEN_ERROR
    return status


cdef void _set(error) noexcept:
    kind = type(error)
    PyErr_SetObject(<PyObject*>kind, <PyObject*>error)


cdef PyObject* _next(PyObject* raw) noexcept:
    cdef PyObject* result = NULL
    if _send(raw, <PyObject*>None, &result) == PYGEN_RETURN:
        _stop(result)
        return NULL
    return result


cdef void _stop(PyObject* result) noexcept:
    """Set ``StopIteration(result)``, and drop the reference to ``result``."""
    if PyTuple_Check(result) or PyExceptionInstance_Check(result):
        try:
            _set(StopIteration(<object>result))
        except BaseException as error:
            _set(error)
    else:
        PyErr_SetObject(PyExc_StopIteration, result)
    Py_DECREF(result)


cdef int _end_with_error(StreamReading reading, PyObject* stop) except -1:
    """End the call for the error that is set, which stays set."""
    cdef PyObject* kind = NULL
    cdef PyObject* error = NULL
    cdef PyObject* traceback = NULL
    cdef bint exhausted = PyErr_Occurred() is NULL or PyErr_ExceptionMatches(stop)
    PyErr_Fetch(&kind, &error, &traceback)
    try:
        if exhausted:
            reading.end("exhausted")
        else:
            PyErr_NormalizeException(&kind, &error, &traceback)
            if traceback is not NULL:
                (<object>error).__traceback__ = <object>traceback
            reading.end("failed", <object>error)
    except BaseException:
        Py_XDECREF(kind)
        Py_XDECREF(error)
        Py_XDECREF(traceback)
        raise
    PyErr_Restore(kind, error, traceback)
    return 0


(<TypeSlots*>Step).tp_iternext = _next
(<TypeSlots*>Step).tp_as_async.am_send = _send
