"""The traced program of the golden test: what a tea shop does, and every odd thing it handles.

Names of functions and arguments are the shop's own: they are recorded, so no change of the
package's words may reach them. ``scenes()`` gives the records' bytes of each scene.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import itertools
import pathlib
import re
import types
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import attrs
import pydantic

from sessiontrace.capture.api_methods import Tracing
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.redaction.redactor import Redactor
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.capture.unrecorded_span import UnrecordedSpan
from sessiontrace.model.ids import new_id, now_ns, pin

MOMENT_NS = 1_790_000_000_000_000_000

_STACK = re.compile(r'"stack":"(?:[^"\\]|\\.)*"')
_OWN_FRAME = re.compile(r"/[^\\ ]*/(golden_program\.py):[0-9]+ in ")
_OTHER_FRAME = re.compile(r"/[^\\ ]*\.py:[0-9]+ in \w+(?:\\n|(?=\"))")


class Taped(Tracing):
    """A tracer whose records are kept as kind and bytes."""

    def __init__(self, **options: Any) -> None:
        self.off = False
        self.tape: list[str] = []
        self.dropped: list[str] = []
        self._current = ContextVar("taped", default=None)
        self.recorder = TracerState(
            offer=self._offer,
            drop=self.dropped.append,
            current=self._current,
            session_class=Session,
            span_class=Span,
            unrecorded_class=UnrecordedSpan,
            frame_headers=FrameHeaders(b"start", b"event", b"end", b"update"),
            source="golden",
            service="teapot",
            trust="all",
            **options,
        )

    def begin(self) -> TracerState | None:
        return self.recorder

    def _offer(self, head: bytes, body: bytes) -> bool:
        self.tape.append(f"{head.decode()} {plain_stacks(body.decode())}")
        return True


def plain_stacks(text: str) -> str:
    """A record without directories and line numbers in its stacks, and without asyncio's frames."""

    def shorter(stack: re.Match[str]) -> str:
        return _OTHER_FRAME.sub("", _OWN_FRAME.sub(r"\1 in ", stack[0]))

    return _STACK.sub(shorter, text)


class TeaError(Exception):
    """The shop's own."""


class TeaGroup(Exception):  # noqa: N818  told from others by its name
    """As ExceptionGroup, which the oldest Python has not."""

    def __init__(self, message: str, exceptions: tuple[Exception, ...]) -> None:
        super().__init__(message)
        self.exceptions = exceptions


# -- functions ------------------------------------------------------------------------------


def play_functions(tape: Taped) -> None:  # noqa: C901
    """PlainPot, asynchronous and generating functions, methods, a class, partial captures."""

    @tape.trace
    def brew_tea(leaf: str, /, kettle: int = 80, *cups: int, sugar: bool = False, **extras: Any):
        return {"leaf": leaf, "degrees": kettle, "cups": list(cups)}

    @tape.tool(name="weigh")
    def weigh_leaves(grams: float) -> str:
        return f"{grams} g"

    @tape.model(capture="inputs", ignore=("kettle",))
    def choose_tea(guest: str, kettle: str) -> str:
        return weigh_leaves(2.5)

    @tape.chain(capture=False)
    def hide_tea(leaf: str) -> str:
        return brew_tea(leaf)["leaf"]

    @tape.trace
    def pour_cups(cup_count: int) -> Iterator[str]:
        for number in range(cup_count):
            yield f"cup {number} "

    @tape.trace(reduce=lambda chunks: {"cups": len(chunks)})
    async def pour_slowly(cup_count: int) -> AsyncIterator[str]:
        for number in range(cup_count):
            await asyncio.sleep(0)
            yield f"cup {number} "

    @tape.trace
    async def serve_guest(guest: str) -> list[str]:
        return [cup async for cup in pour_slowly(2)]

    @tape.trace
    class Waiter:
        def greet_guest(self, guest: str) -> str:
            return f"hello {guest}"

        @staticmethod
        def bow_low(bow_depth: int) -> int:
            return bow_depth

        @classmethod
        def count_staff(cls, floor: int) -> int:
            return floor

    async def evening() -> None:
        await serve_guest("ada")
        await asyncio.gather(serve_guest("bob"), serve_guest("cy"))

    with tape.session("tea shop", inputs={"door": "open"}) as shop:
        brew_tea("oolong", 90, 1, 2, sugar=True, milk="no")
        brew_tea("green")
        choose_tea("ada", kettle="iron")
        hide_tea("secret leaf")
        list(pour_cups(3))
        next(pour_cups(3))
        waiter = Waiter()
        waiter.greet_guest("dee")
        waiter.bow_low(3)
        Waiter.count_staff(2)
        asyncio.run(evening())
        shop.set(outputs={"till": 12.5})
    brew_tea("outside of any session")
    list(pour_cups(1))
    asyncio.run(serve_guest("eve"))

    @tape.session("closing time", user="night")
    def close_shop(brass_key: str) -> str:
        weigh_leaves(1)
        return brass_key

    close_shop("brass")
    close_shop("iron")


def play_failures(tape: Taped) -> None:  # noqa: C901
    """Exceptions with causes and groups, from every kind of function, and a cancellation."""

    @tape.trace
    def spill_tea(cup: str) -> None:
        raise TeaError(f"spilled {cup}")

    @tape.trace
    def drop_tray(cup: str) -> None:
        try:
            spill_tea(cup)
        except TeaError as error:
            raise ValueError("the tray fell") from error

    @tape.trace
    def break_pots() -> None:
        raise TeaGroup("two pots", (TeaError("first"), KeyError("second")))

    @tape.trace
    async def scald_hand() -> None:
        await asyncio.sleep(0)
        raise RuntimeError

    @tape.trace
    def leak_cups() -> Iterator[str]:
        yield "cup 1"
        raise OSError(5, "leak")

    @tape.trace
    async def wait_forever() -> None:
        await asyncio.sleep(3_600)

    @tape.trace
    def fall_deep(fall_depth: int) -> None:
        if fall_depth == 0:
            raise TeaError("long " * 3_000)
        fall_deep.__wrapped__(fall_depth - 1)

    async def cancelled() -> None:
        task = asyncio.ensure_future(wait_forever())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for call in (
        lambda: drop_tray("blue cup"),
        break_pots,
        lambda: asyncio.run(scald_hand()),
        lambda: list(leak_cups()),
        lambda: fall_deep(80),
    ):
        try:
            with tape.session("bad day"):
                call()
        except Exception as error:
            tape.tape.append(f"raised {type(error).__name__}")
    asyncio.run(cancelled())
    try:
        brittle = tape.span("brittle", type="tool")
        with brittle:
            raise TeaError("\ud800 " + "x" * 10_000)
    except TeaError:
        pass


# -- values ---------------------------------------------------------------------------------


class Leaf(enum.Enum):
    GREEN = "green"
    BLACK = 2


class Cup(NamedTuple):
    cup_size: int
    lid: str


@dataclasses.dataclass
class Pot:
    liters: float
    cups: list[Cup]
    password: str = "hunter2"


@attrs.define
class Tray:
    pots: list[Pot]
    cold: bool = False


class Order(pydantic.BaseModel):
    table_number: int
    tea: str = "oolong"
    served_at: datetime.datetime


class PlainPot:
    """Says nothing of itself."""


class Grumpy:
    def __repr__(self) -> str:
        raise TeaError("do not look at me")


class TeaText(str):
    """A subclass that is a text all the same."""

    __slots__ = ()


def tea_values() -> dict[str, Callable[[], Any]]:
    """Makers of values that no JSON has, or that need care."""
    moment = datetime.datetime(2026, 9, 21, 12, 30, 15, 123456)
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))

    def cycle() -> Any:
        ring: dict[str, Any] = {"inside": []}
        ring["inside"].append(ring)
        return ring

    def deep() -> Any:
        value: Any = "bottom"
        for _ in range(60):
            value = {"down": [value]}
        return value

    return {
        "none": lambda: None,
        "true": lambda: True,
        "big int": lambda: 2**200,
        "64 bits": lambda: [2**63 - 1, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1],
        "floats": lambda: [float("nan"), float("inf"), -float("inf"), -0.0, 1e300, 5e-324, 0.1],
        "complex": lambda: 1 + 2j,
        "decimal": lambda: decimal.Decimal("1.10"),
        "fraction": lambda: fractions.Fraction(1, 3),
        "bytes": lambda: b"raw \xff",
        "long bytes": lambda: b"ab" * 600,
        "bytearray": lambda: bytearray(b"tea"),
        "memoryview": lambda: memoryview(b"tea"),
        "png": lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 2_000,
        "times": lambda: [
            moment,
            moment.replace(tzinfo=zone),
            moment.replace(microsecond=0, tzinfo=datetime.timezone.utc),
            moment.date(),
            moment.time(),
            datetime.timedelta(days=1, seconds=2),
        ],
        "uuid": lambda: uuid.UUID(int=7),
        "path": lambda: pathlib.PurePosixPath("/tea/pot"),
        "address": lambda: ipaddress.ip_address("10.0.0.1"),
        "pattern": lambda: re.compile("tea+"),
        "enum": lambda: [Leaf.GREEN, Leaf.BLACK],
        "sets": lambda: [{1}, frozenset({"a"}), set()],
        "tuples": lambda: (1, ("x",), Cup(2, "wood")),
        "dataclass": lambda: Pot(1.5, [Cup(1, "tin")]),
        "attrs": lambda: Tray([Pot(1, [])], cold=True),
        "pydantic": lambda: Order(table_number=4, served_at=moment),
        "namespace": lambda: types.SimpleNamespace(leaf="green", cups=2),
        "mapping proxy": lambda: types.MappingProxyType({"a": 1}),
        "deque": lambda: collections.deque([1, 2], maxlen=5),
        "ordered": lambda: collections.OrderedDict([("b", 1), ("a", 2)]),
        "counter": lambda: collections.Counter("aab"),
        "range": lambda: range(3),
        "iterators": lambda: [iter([1]), (x for x in [1]), itertools.count(5)],
        "plain object": lambda: PlainPot(),
        "grumpy": lambda: [Grumpy(), {"inside": Grumpy()}],
        "class": lambda: PlainPot,
        "function": lambda: tea_values,
        "builtin": lambda: len,
        "error": lambda: ValueError("as a value"),
        "text subclass": lambda: TeaText("tea"),
        "surrogates": lambda: ["\ud800 half", {"\udfff": 1}],
        "script": lambda: 'שלום e\u0301 🧵 日本 \u2028 \x01 \\ " </script> \x7f \t \n',
        "keys": lambda: {1: "a", None: "b", False: "c", (1, 2): "d", 1.5: "e", "k" * 300: "f"},
        "equal keys": lambda: {1: "a", "1": "b", Leaf.GREEN: "c", "é": "d"},
        "cycle": cycle,
        "deep": deep,
        "many items": lambda: list(range(1_200)),
        "many keys": lambda: {f"key {number}": number for number in range(1_100)},
        "wide": lambda: [[0] * 999] * 14,
        "long text": lambda: "t" * 200_000,
        "long texts": lambda: ["u" * 100_000, "v" * 300_000, "short"],
        "data uri": lambda: "data:image/png;base64," + base64.b64encode(b"x" * 1_500).decode(),
        "base64": lambda: base64.b64encode(
            b"\xff\xd8\xff" + bytes(number * 7 % 256 for number in range(4_000))
        ).decode(),
    }


def play_values(tape: Taped) -> None:
    """Odd values as inputs, as outputs, within metadata, and all too large together."""
    with tape.session("odd"):
        for name, maker in tea_values().items():
            with tape.span(name, inputs=maker()) as odd:
                odd.set(outputs=maker(), metadata={"value": maker()})
    with tape.session("too large") as shop:
        with tape.span("512 KiB", inputs={"a": "a" * 130_000, "b": ["b" * 130_000] * 3}) as large:
            large.set(outputs=["c" * 130_000] * 3, metadata={"d": "d" * 130_000})
        shop.set(metadata={f"m{number}": number for number in range(1_050)})
    for name in (b"bytes", TeaText("text"), "n" * 600, "\ud800", 7, None):
        with tape.span(name):  # type: ignore[arg-type]
            pass


def play_secrets(tape: Taped) -> None:
    """Secrets under keys, within texts, within JSON texts, in errors and in names."""
    tokens = {
        "openai": "sk-" + "proj-" + "Ab1" * 16,
        "anthropic": "sk-" + "ant-api03-" + "Cd2" * 20,
        "aws": "AKIA" + "QWERTYUIOPASDFGH",
        "github": "ghp_" + "Zx9" * 12,
        "slack": "xoxb-" + "123456789012-" * 2 + "abcdefABCDEF",
        "google": "AIza" + "Sy" + "Kl3" * 11,
        "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0In0" + "." + "Qw5" * 14,
        "card": "4111 1111 1111 1111",
        "no card": "4111 1111 1111 1112",
        "bearer": "Authorization: Bearer " + "abcdef0123456789" * 2,
        "url": "postgres://ada:" + "hunter2@db.example/tea",
        "pem": "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIE" + "Qq7" * 20
        + "\n-----END RSA PRIVATE " + "KEY-----",
        "mail": "ada@example.org",
        "harmless": "the password is a word, sk-not, 1234 5678",
    }  # fmt: skip
    with tape.session("secret " + tokens["openai"], metadata={"api_key": "k1"}, user="ada"):
        for name, token in tokens.items():
            with tape.span(f"pass {name}", inputs={"text": f"look: {token}."}) as passing:
                passing.set(outputs=token)
        with tape.span("keys", type="tool") as keys:
            keys.set(
                inputs={
                    "password": "p", "API_KEY": "k", "apiKey": ["a", "b"], "x-api-key": {"v": 1},
                    "Authorization": "Basic eDp5", "client_secret": None, "token": 12,
                    "max_tokens": 64, "total_tokens": 9, "cookie": "c=1", "teapot_pin": "1234",
                    "nested": [{"secret": "s", "passwd": ""}], "credentials": {"user": "u"},
                },
                outputs='{"password": "inside of a text", "leaf": "green"}',
                config={"headers": {"authorization": "x", "accept": "y"}},
                metadata={"note": tokens["github"], tokens["aws"]: "as a key"},
                feedback={"comment": tokens["jwt"]},
            )  # fmt: skip
        try:
            with tape.span("failing"):
                raise TeaError(f"refused for {tokens['anthropic']}")
        except TeaError:
            pass
        tape.score("leak", tokens["slack"], comment=tokens["google"])


# -- sessions -------------------------------------------------------------------------------


def play_sessions(tape: Taped) -> None:
    """Own ids, turns, tags, users, sources, samples; sessions within sessions; propagation."""
    options: dict[str, Any] = {
        "user": "ada",
        "inputs": "which tea?",
        "config": {"app": "shop"},
        "metadata": {"floor": 2},
        "user_properties": {"plan": "free"},
        "source": "counter",
        "tags": ("green", "x"),
        "sample": 1.0,
    }
    with tape.session("all options", **options) as shop:
        shop.set(outputs=["a"], metrics={"score": 1}, feedback={"good": True})
        with tape.span("inner", type="model", config={"model": "gpt-9"}) as inner:
            headers = tape.inject({"Accept": "x"})
            tape.tape.append(f"headers {sorted(headers.items())!r}")
            tape.update(metadata={"updated": True})
            inner.set(metrics={"m": 1.5}, user_properties={"plan": "paid"})
    for turn in range(2):
        with tape.session("table talk", session_id="table 7", user="bob"):
            with tape.span(f"turn {turn}"):
                pass
    with tape.session("uuid", session_id="01890000-0000-7000-8000-00000000ABCD"):
        with tape.session("within"):
            with tape.span("deepest"):
                pass
    with tape.session("left out", sample=0.0), tape.span("silent"):
        pass
    for _ in range(3):  # in the recording what is left out looks at the clock, and takes an id
        now_ns()
    new_id()
    with tape.suppress(), tape.session("suppressed"):
        pass
    with tape.extract(headers), tape.span("elsewhere"):
        pass
    foreign = {"traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", "baggage": "user.id=eve"}
    with tape.extract(foreign, name="from afar"), tape.span("guest"):
        pass
    with tape.session("tags", tags="single", metadata={"service": "own"}):
        pass
    with tape.session("strange", tags=[1, None], metadata=7, user_properties={1: {2}}):  # type: ignore[arg-type, list-item]
        pass


def play_later(tape: Taped) -> None:
    """Handles that end elsewhere, scores of all kinds, streams, outputs after the end."""
    with tape.session("shop") as shop:
        span = tape.start_span("by hand", type="tool", inputs={"a": 1})
        child = tape.start_span("child", parent=span)
        span.end(outputs={"done": True})
        child.end()
        span.set(outputs="too late")
        with tape.span("scored") as scored:
            tape.score("inside", 0.5)
        tape.score("helpful", True)
        tape.score("words", "fine", comment="really")
        tape.score("by id", 3, event_id=scored.event_id)
        for _ in tape.stream(iter(["a", "b", "c"]), name="own stream"):
            pass
        with tape.span("streaming", type="model"):
            deltas = [
                {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]},
                {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
                {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
            ]
            lasting = tape.stream(iter(deltas))
        list(lasting)
    tape.score("after", 1.5, session_id=shop.session_id, comment="late")
    tape.score("own id", "x", session_id="table 7")
    tape.score("event", False, session_id=shop.session_id, event_id=scored.event_id)
    with tape.session("crowd") as crowd:
        for number in range(6):
            with tape.span(f"guest {number % 7}", type=("chain", "model", "tool")[number % 3]):
                pass
        crowd.set(metadata={"guests": 6})


SCENES: dict[str, Callable[[Taped], None]] = {
    "functions": play_functions,
    "failures": play_failures,
    "values": play_values,
    "secrets": play_secrets,
    "sessions": play_sessions,
    "later": play_later,
}


def hide_inputs(field: str, value: Any) -> Any:
    """A user's own redaction."""
    return {"hidden": field} if field == "inputs" else value


STYLES: dict[str, Callable[[], dict[str, Any]]] = {
    "masked": lambda: {"redact": Redactor()},
    "closely masked": lambda: {"redact": Redactor(("teapot_pin",), emails=True)},
    "by a function": lambda: {"redact": Redactor(functions=[hide_inputs])},
    "open": dict,
    "silent": lambda: {"capture": False},
}
"""How each style records. None records secrets unmasked: no such file is to be kept."""


def scenes() -> dict[str, dict[str, Any]]:
    """The tape of each scene in each style."""
    names_by_style: dict[str, Sequence[str]] = dict.fromkeys(STYLES, ("later",))
    names_by_style |= {"masked": tuple(SCENES), "closely masked": ("secrets",)}
    tapes: dict[str, dict[str, Any]] = {}
    for style, names in names_by_style.items():
        for name in names:
            looks, draws = itertools.count(), itertools.count(1)
            undo = pin(
                lambda looks=looks: MOMENT_NS + next(looks) * 1_000_000,
                lambda draws=draws: f"{next(draws):012x}",
            )
            try:
                tape = Taped(**STYLES[style]())
                SCENES[name](tape)
            finally:
                undo()
            tapes.setdefault(style, {})[name] = {
                "records": tape.tape,
                "dropped": tape.dropped,
            }
    return tapes
