"""The golden spans: six usual cases as OTLP has them, every attribute, for people to read.

python tests/golden_spans.py --record       write tests/golden_span_data anew

Names of functions and arguments are the shop's own: they are recorded, so no change of the
package's words may reach them.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from golden import text_of
from golden_program import MOMENT_NS, Taped
from support.otlp_round_trip import bodies

from sessiontrace.capture.redaction.redactor import Redactor
from sessiontrace.model.ids import pin
from sessiontrace.model.record import Record

__all__ = ["SCENES", "recorded", "records_of", "spans_of"]

DATA = Path(__file__).resolve().parent / "golden_span_data"

_PLACE = re.compile(r'File "[^"]*/(\w+\.py)", line [0-9]+')


class Shop(Taped):
    """A tracer that keeps stacks as they are."""

    def _offer(self, head: bytes, body: bytes) -> bool:
        self.tape.append(f"{head.decode()} {body.decode()}")
        return True


TOOL = {
    "type": "function",
    "function": {
        "name": "boil",
        "description": "Boil water.",
        "parameters": {"type": "object", "properties": {"degrees": {"type": "integer"}}},
    },
}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "boil", "arguments": '{"degrees": 80}'},
}


def conversation(shop: Taped) -> None:
    """Two turns of one conversation, each with a call of a model."""
    for question, answer in (("Which tea?", "Sencha."), ("How hot?", "80 degrees.")):
        with shop.session(
            "tea", session_id="table 7", user="ada", tags=["green"], inputs={"question": question}
        ) as turn:
            with shop.span(
                "ask",
                type="model",
                inputs={
                    "chat_history": [
                        {"role": "system", "content": "You sell tea."},
                        {"role": "user", "content": question},
                    ]
                },
                config={"model": "gpt-9", "provider": "openai",
                        "hyperparameters": {"temperature": 0, "max_completion_tokens": 64}},
            ) as call:  # fmt: skip
                call.set(
                    outputs={"role": "assistant", "content": answer},
                    metadata={"prompt_tokens": 11, "completion_tokens": 3, "cost": 0.0002,
                              "finish_reason": "stop", "response_id": "resp_1"},
                )  # fmt: skip
            turn.set(outputs={"answer": answer}, user_properties={"plan": "free"})


def agent_run(shop: Taped) -> None:
    """An agent that retrieves, thinks, calls a tool and answers with a picture."""
    with (
        shop.session("tea", user="ada"),
        shop.span(
            "waiter", metadata={"agent_name": "waiter", "operation": "invoke_agent"}
        ) as agent,
    ):
        with shop.span(
            "menu", type="tool", inputs={"query": "green"}, metadata={"operation": "retrieval"}
        ) as menu:
            menu.set(outputs={"documents": [{"id": "d1", "score": 0.5, "text": "sencha"}]})
        history: list[Any] = [
            {"role": "user", "content": [
                {"type": "text", "text": "Like this?"},
                {"type": "image_url", "image_url": {"url": "https://tea.example/cup.png"}},
            ]},
        ]  # fmt: skip
        config = {"model": "claude-9", "provider": "anthropic", "tools": [TOOL]}
        with shop.span("ask", type="model", config=config) as call:
            call.set(
                inputs={"messages": history, "system": "You sell tea."},
                outputs={"role": "assistant", "content": None, "reasoning": "Water first.",
                         "tool_calls": [CALL]},
                metadata={"finish_reason": "tool_calls", "tags": ["a"]},
                metrics={"time_to_first_chunk_ms": 12.345678, "chunks": 3},
            )  # fmt: skip
        with shop.span(
            "boil", type="tool", inputs={"degrees": 80}, metadata={"tool_call_id": "call_1"}
        ) as boil:
            boil.set(outputs="boiled")
        agent.set(outputs={"result": "a cup"})


def failure(shop: Taped) -> None:
    """A tool that fails for a reason of its own, and a model that its provider refuses."""
    with shop.session("tea"):
        try:
            with shop.span("boil", type="tool", inputs={"degrees": 800}):
                try:
                    {}["kettle"]
                except KeyError as missing:
                    raise ValueError("no kettle\nat hand") from missing
        except ValueError:
            pass
        call = shop.span("ask", type="model", inputs="tea?", config={"model": "gpt-9"})
        try:
            with call:
                raise RuntimeError("429: slow down")
        except RuntimeError:
            pass


def score(shop: Taped) -> None:
    """Feedback while the session is open, and scores when it has ended."""
    with shop.session("tea", session_id="table 7") as session, shop.span("pour") as pour:
        pour.set(feedback={"rating": 5, "note": "[warm]"}, metrics={"warmth": 0.5})
    shop.score("taste", 0.75, comment="fine", session_id="table 7", event_id=pour.event_id)
    shop.score("verdict", "good", session_id=session.session_id)


def redacted(shop: Taped) -> None:
    """Secrets among the inputs, in a message and in a header."""
    key = "sk-proj-" + "a1B2c3D4" * 5
    with (
        shop.session("tea"),
        shop.span(
            "ask",
            type="model",
            inputs={"messages": [{"role": "user", "content": f"my key is {key}"}]},
            config={"model": "gpt-9", "headers": {"authorization": f"Bearer {key}"}},
            metadata={"api_key": key},
        ) as call,
    ):
        call.set(outputs={"role": "assistant", "content": f"Not {key}!"})


def truncated(shop: Taped) -> None:
    """A text beyond the limits of capture, and more entries than a span has attributes."""
    with (
        shop.session("tea"),
        shop.span(
            "ask",
            type="model",
            inputs={"chat_history": [{"role": "user", "content": "x" * 600_000}]},
            metadata={f"leaf {number:03d}": number for number in range(300)},
        ) as call,
    ):
        call.set(outputs={"role": "assistant", "content": "y" * 600_000})


SCENES: tuple[Callable[[Taped], None], ...] = (
    conversation, agent_run, failure, score, redacted, truncated,
)  # fmt: skip


def records_of(scene: Callable[[Taped], None], step_ns: int = 1_000_321) -> list[Record]:
    """The records of a scene; ids count up, and each look at the clock takes ``step_ns``."""
    with _pinned(step_ns):
        shop = Shop(redact=Redactor())
        scene(shop)
    return [Record(kind.encode(), b"*", body.encode())
            for kind, _, body in (line.partition(" ") for line in shop.tape)]  # fmt: skip


@contextmanager
def _pinned(step_ns: int) -> Iterator[None]:
    looks, draws = itertools.count(), itertools.count(1)
    undo = pin(lambda: MOMENT_NS + next(looks) * step_ns, lambda: f"{next(draws):012x}")
    try:
        yield
    finally:
        undo()


def spans_of(scene: Callable[[Taped], None]) -> list[dict[str, Any]]:
    """The spans of a scene, as their request in JSON has them, attributes by name."""
    return [
        _plain(span)
        for body in bodies(records_of(scene), protobuf=False)
        for group in orjson.loads(body)["resourceSpans"]
        for scoped in group["scopeSpans"]
        for span in scoped["spans"]
    ]


def _plain(span: dict[str, Any]) -> dict[str, Any]:
    events = [{**event, "attributes": _named(event)} for event in span.get("events", ())]
    return {**span, "attributes": _named(span), **({"events": events} if events else {})}


def _named(place: dict[str, Any]) -> dict[str, Any]:
    """Attributes with their values; of the many leaves the first."""
    return {
        pair["key"]: text_of(_plain_stacks(value).encode()) if isinstance(value, str) else value
        for pair in place["attributes"]
        if not re.search(r" [0-9]{2}[1-9]$", pair["key"])
        for value in [pair["value"].get("stringValue", pair["value"])]
    }


def _plain_stacks(text: str) -> str:
    """A traceback without directories and line numbers."""
    return _PLACE.sub(r'File "\1", line 1', text)


def recorded(scene: Callable[[Taped], None]) -> Any:
    """What was recorded of a scene."""
    return json.loads((DATA / f"{scene.__name__}.json").read_text(encoding="utf-8"))


def main() -> None:
    """Record every scene."""
    assert sys.argv[1:] == ["--record"], __doc__
    for scene in SCENES:
        text = json.dumps(spans_of(scene), ensure_ascii=False, indent=1) + "\n"
        (DATA / f"{scene.__name__}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
