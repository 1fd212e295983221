"""The decorator on every kind of callable: what a program can see stays what it was."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import typing
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from support.recording_tracer import Captured

captured = Captured()


@captured.trace
def module_level(a: int, *others: int, b: str = "b", **extra: Any) -> dict[str, Any]:
    """The docs."""
    return {"a": a, "others": others, "b": b, **extra}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    captured.off = False
    captured.records.clear()
    captured.bodies.clear()
    captured.drops.clear()
    yield
    assert captured.current.get() is None


def test_name_docs_signature_hints_and_pickle_stay() -> None:
    """Frameworks read all of these, and multiprocessing pickles by name."""
    bare = module_level.__wrapped__
    assert module_level.__name__ == "module_level"
    assert module_level.__doc__ == "The docs."
    assert module_level.__module__ == __name__
    assert inspect.signature(module_level) == inspect.signature(bare)
    assert typing.get_type_hints(module_level) == typing.get_type_hints(bare)
    assert inspect.getsource(module_level).startswith("@captured.trace")
    assert pickle.loads(pickle.dumps(module_level)) is module_level


def test_arguments_are_bound_to_names() -> None:
    """The event shows which argument was which, whatever way it was given."""
    module_level(1, 2, 3, b="x", c=4)
    module_level(a=1)
    first, second = captured.events
    assert first["inputs"] == {"a": 1, "others": [2, 3], "b": "x", "c": 4}
    assert first["outputs"] == {"a": 1, "others": [2, 3], "b": "x", "c": 4}
    assert second["inputs"] == {"a": 1}


def test_a_wrong_call_raises_the_functions_own_type_error() -> None:
    """And it is recorded: somebody called the function."""
    with pytest.raises(TypeError, match=r"module_level\(\) missing 1 required"):
        module_level()
    assert captured.event("module_level")["error"].startswith("TypeError")


async def coroutine(a: int, /, b: int, c: int = 3, *, d: int, e: int = 5) -> tuple[Any, ...]:
    return a, b, c, d, e


def generator(a: int, b: int = 2, *others: int, c: int = 3, **extra: int) -> Iterator[Any]:
    yield a, b, others, c, extra


async def async_generator(a: int = 1, b: int = 2, /, *, c: int) -> AsyncIterator[Any]:
    yield a, b, c


async def unnamed(*_: int, **__: int) -> tuple[Any, ...]:
    return _, __


class Owner:
    def generate(self, a: int, *, b: int = 2) -> Iterator[Any]:
        yield type(self).__name__, a, b

    async def work(self, a: int = 1) -> tuple[Any, ...]:
        return type(self).__name__, a


CALLS: list[tuple[tuple[int, ...], dict[str, int]]] = [
    ((), {}),
    ((1,), {}),
    ((1, 7), {}),
    ((1, 7, 8), {}),
    ((1, 7, 8, 9), {}),
    ((), {"a": 1}),
    ((1,), {"a": 2}),
    ((1,), {"b": 7}),
    ((), {"c": 9}),
    ((1, 7), {"d": 9}),
    ((1,), {"b": 7, "c": 8, "d": 9, "e": 0}),
    ((1, 7), {"c": 9, "z": 0}),
]


def called(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a call gives, or the words of the TypeError that it raises at once."""
    try:
        result = fn(*args, **kwargs)
    except TypeError as error:
        return str(error)
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    if inspect.isgenerator(result):
        return list(result)

    async def read() -> list[Any]:
        return [item async for item in result]

    return asyncio.run(read())


@pytest.mark.parametrize("off", [False, True], ids=["on", "off"])
@pytest.mark.parametrize(
    "fn",
    [coroutine, generator, async_generator, unnamed, Owner.generate, Owner.work],
    ids=lambda fn: str(fn.__qualname__),
)
def test_arguments_are_bound_at_the_call_as_the_bare_function_binds_them(
    fn: Any, off: bool
) -> None:
    """Calling an async or generator function runs nothing, but a wrong call fails at once."""
    captured.off = off
    traced = captured.trace(fn)
    owner = (Owner(),) if fn.__qualname__.startswith("Owner.") else ()
    accepted, sizes_passed = 0, []
    for args, kwargs in CALLS:
        expected = called(fn, (*owner, *args), kwargs)
        assert called(traced, (*owner, *args), kwargs) == expected, (args, kwargs)
        if not isinstance(expected, str):
            accepted += 1
            sizes_passed.append(len(args) + len(kwargs))
    assert accepted > 0
    if not off:
        assert len(captured.events) == accepted
        inputs_recorded = [event["inputs"] for event in captured.events]
        star = {"others", "_"}  # one input for all that it took
        sizes = [
            sum(len(value) if name in star else 1 for name, value in inputs.items())
            for inputs in inputs_recorded
        ]
        assert sizes == sizes_passed  # without the defaults


def test_a_default_that_changes_later_is_the_one_that_counts() -> None:
    """Nothing of the function is copied but the names of its parameters."""

    def numbers(count: int = 1) -> Iterator[int]:
        yield from range(count)

    traced = captured.trace(numbers)
    numbers.__defaults__ = (3,)
    assert list(traced()) == [0, 1, 2]


def test_bare_and_called_forms_are_equal() -> None:
    """@trace and @trace() do the same."""

    def work(x: int) -> int:
        return x

    for form in (captured.trace(work), captured.trace()(work), captured.trace(name="work")(work)):
        assert form(1) == 1
    assert {event["event_name"] for event in captured.events} == {"work"}
    assert len({str(event["inputs"]) + str(event["outputs"]) for event in captured.events}) == 1


def test_capture_and_ignore_choose_what_is_recorded() -> None:
    """Passwords stay out by name; capture= takes all, nothing, or one side."""

    def login(user: str, password: str, *, token: str) -> str:
        return "in"

    captured.trace(name="both", ignore=("password", "token"))(login)("u", "p", token="t")
    captured.trace(name="one", ignore="password")(login)("u", "p", token="t")
    captured.trace(name="none", capture=False)(login)("u", "p", token="t")
    captured.trace(name="in", capture="inputs")(login)("u", "p", token="t")
    captured.trace(name="out", capture="outputs")(login)("u", "p", token="t")
    assert captured.event("both")["inputs"] == {"user": "u"}
    assert captured.event("one")["inputs"] == {"user": "u", "token": "t"}
    assert captured.event("none")["inputs"] == captured.event("out")["inputs"] == {}
    assert "outputs" not in captured.event("none")
    assert "outputs" not in captured.event("in")
    assert captured.event("out")["outputs"] == {"result": "in"}


class Agent:
    label = "agent"

    @captured.trace
    def plan(self, goal: str) -> str:
        return f"{self.label}: {goal}"

    @captured.trace
    async def act(self, step: int) -> int:
        return step

    @captured.trace
    @classmethod
    def above_class(cls, x: int) -> Any:
        return cls, x

    @classmethod
    @captured.trace
    def below_class(cls, x: int) -> Any:
        return cls, x

    @captured.trace
    @staticmethod
    def above_static(x: int) -> int:
        return x

    @staticmethod
    @captured.trace
    def below_static(x: int) -> int:
        return x

    @captured.trace
    @property
    def size(self) -> int:
        return 3

    @captured.trace
    @functools.lru_cache  # noqa: B019
    def cached(self, x: int) -> int:
        return x


@pytest.mark.asyncio
async def test_methods_of_every_kind_leave_self_and_cls_out() -> None:
    """Above or below classmethod and staticmethod, and on properties."""
    agent = Agent()
    assert agent.plan("win") == "agent: win"
    assert await agent.act(1) == 1
    assert Agent.above_class(1) == agent.below_class(1) == (Agent, 1)
    assert Agent.above_static(2) == agent.below_static(2) == 2
    assert agent.size == 3
    assert agent.cached(5) == agent.cached(5) == 5
    assert Agent.cached.cache_info().hits == 1
    assert [event["inputs"] for event in captured.events] == [
        {"goal": "win"},
        {"step": 1},
        {"x": 1},
        {"x": 1},
        {"x": 2},
        {"x": 2},
        {},
        {"x": 5},
        {"x": 5},
    ]
    assert captured.events[0]["event_name"] == "Agent.plan"


def test_a_class_has_its_public_methods_traced() -> None:
    """One decorator on the class; private methods, attributes and nested classes are left."""

    @captured.trace(type="tool")
    class Tools:
        """Docs."""

        limit = 5

        class Inner:
            def method(self) -> int:
                return 0

        def __init__(self) -> None:
            self.ready = True

        def search(self, q: str) -> str:
            return q

        @staticmethod
        def ping() -> str:
            return "pong"

        @classmethod
        def make(cls) -> Any:
            return cls()

        @captured.trace(name="own")
        def named(self) -> int:
            return 1

        def _private(self) -> int:
            return 1

        def __call__(self, x: int) -> int:
            return x

    tools = Tools.make()
    assert isinstance(tools, Tools)
    assert (tools.search("a"), tools.ping(), tools.named(), tools(4)) == ("a", "pong", 1, 4)
    assert (tools._private(), Tools.Inner().method(), Tools.__doc__) == (1, 0, "Docs.")
    names = [event["event_name"] for event in captured.events]
    assert names == ["Tools.make", "Tools.search", "Tools.ping", "own", "Tools.__call__"]
    assert captured.events[1]["event_type"] == "tool"


@pytest.mark.asyncio
async def test_partials_and_callable_objects() -> None:
    """They have no name of their own, and may be async in disguise."""

    async def fetch(base: str, path: str) -> str:
        return base + path

    class Caller:
        async def __call__(self, x: int) -> int:
            return x + 1

    class Plain:
        def __call__(self, x: int) -> int:
            return x + 2

    get = captured.trace(functools.partial(fetch, "/api"))
    assert inspect.iscoroutinefunction(get)
    assert await get("/x") == "/api/x"
    assert inspect.iscoroutinefunction(captured.trace(Caller()))
    assert await captured.trace(Caller())(1) == 2
    assert captured.trace(Plain())(1) == 3
    assert captured.trace(len)([1, 2]) == 2
    bound = captured.trace("a,b".split)
    assert bound(",") == ["a", "b"]
    names = [event["event_name"] for event in captured.events]
    assert names[0] == "fetch"
    assert captured.events[0]["inputs"] == {"path": "/x"}
    assert all(isinstance(event["outputs"], dict) for event in captured.events)
    assert "Caller" in names[1]


@pytest.mark.asyncio
async def test_a_sync_function_that_returns_a_coroutine_lasts_until_it_is_done() -> None:
    """A decorator between ours and the async function often makes it look sync."""

    async def work() -> str:
        await asyncio.sleep(0.01)
        with captured.span("inside"):
            return "done"

    @captured.trace
    def start() -> Any:
        return work()

    with captured.session():
        coroutine = start()
        assert inspect.iscoroutine(coroutine)
        with captured.span("meanwhile"):
            pass
        assert await coroutine == "done"
    assert captured.event("start")["duration"] >= 9
    assert captured.event("start")["outputs"] == {"result": "done"}
    assert captured.parent_of("inside") == "start"
    assert captured.parent_of("meanwhile") == "session"


@pytest.mark.asyncio
async def test_a_coroutine_never_awaited_warns_once_like_the_bare_one() -> None:
    """Ours must not add a second "never awaited"; closing it is silent."""

    @captured.trace
    async def work() -> None: ...

    with pytest.warns(RuntimeWarning, match="was never awaited") as caught:
        work()
    assert len(caught) == 1
    work().close()
    assert captured.records == []


def test_switched_off_every_kind_still_works() -> None:
    """Off means bare behaviour, return values of generators included."""
    captured.off = True

    @captured.trace
    def numbers() -> Iterator[int]:
        got = yield 1
        return got

    running = numbers()
    assert next(running) == 1
    with pytest.raises(StopIteration) as stop:
        running.send("back")
    assert stop.value.value == "back"

    @captured.trace
    async def letters() -> AsyncIterator[str]:
        got = yield "a"
        yield f"got {got}"

    async def main() -> None:
        running = letters()
        assert await running.__anext__() == "a"
        assert await running.asend("x") == "got x"
        await running.aclose()

    asyncio.run(main())
    assert module_level(1)["a"] == 1
    assert captured.records == []


def test_a_result_that_equals_nothing_and_has_no_truth_is_only_encoded() -> None:
    """numpy arrays raise when asked for their truth; we must never ask."""
    import numpy as np

    assert captured.trace(lambda: np.zeros(3))().shape == (3,)
    assert captured.events[0]["outputs"] == {"result": [0.0, 0.0, 0.0]}


def test_an_exception_keeps_its_identity_and_its_traceback() -> None:
    """The same object, and the user's frame is still in it."""
    error = ValueError("x")

    @captured.trace
    def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="x") as caught:
        fail()
    assert caught.value is error
    assert caught.traceback[-1].name == "fail"


def test_names_of_local_functions_are_short() -> None:
    """`test_x.<locals>.work` helps nobody in a waterfall."""

    @captured.trace
    def work() -> None: ...

    work()
    assert captured.events[0]["event_name"] == "work"


def test_E13_descriptors_stay_what_they_are() -> None:
    """A cached property caches, a partial method binds, an overloaded method dispatches."""

    class Shop:
        opened = 0

        @captured.trace
        @functools.cached_property
        def stock(self) -> int:
            self.opened += 1
            return 7

        def order(self, item: str, count: int) -> str:
            return f"{count} {item}"

        order_tea = captured.trace(functools.partialmethod(order, "tea"))

        @captured.trace
        @functools.singledispatchmethod
        def show(self, value: Any) -> str:
            return "any"

        @show.register
        def _(self, value: int) -> str:
            return "int"

    shop = Shop()
    assert (shop.stock, shop.stock, shop.opened) == (7, 7, 1)
    assert shop.order_tea(2) == "2 tea"
    assert (shop.show(1), shop.show("a")) == ("int", "any")
    names = [event["event_name"].rpartition(".")[2] for event in captured.events]
    assert names == ["stock", "order", "_", "show"]


def test_what_is_not_a_function_is_returned_as_it_is() -> None:
    """A decorator on a constant is a mistake, and the program runs as it would without us."""
    value = [1, 2]
    assert captured.trace(value) is value


def test_the_class_of_a_property_stays() -> None:
    """Frameworks subclass property, and look for their class."""

    class OwnProperty(property):
        pass

    class Thing:
        @captured.trace
        @OwnProperty
        def size(self) -> int:
            """Docs."""
            return 3

    assert type(vars(Thing)["size"]) is OwnProperty
    assert vars(Thing)["size"].__doc__ == "Docs."
    assert Thing().size == 3
