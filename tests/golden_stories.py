"""The records of the golden test: a tea shop's sessions, fixed to the last digit.

Fields of records are written as texts here, never as names of arguments: a change of the package's
own words must not reach them.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.model.record import END, EVENT, OPEN, START, UPDATE, Record, abandoned_end

BEGIN = 1_790_000_000_000

Body = dict[str, Any]

UNICODE = 'שלום e\u0301 🧵 日本 \u2028 \x01 \\ " </script> \x7f'


def uid(number: int) -> str:
    """A UUIDv7 that tells its number."""
    return f"01a0c49e-{BEGIN & 0xFFFF:04x}-7000-8{number >> 8 & 0xFFF:03x}-{number:012x}"


def raw(kind: bytes, body: Body, *, tabs: bool = False, route: bytes = b"*") -> Record:
    """A body as a spool hands it out; ``tabs``: inputs and outputs marked, as capture does."""
    if tabs:
        marked = {
            name: orjson.Fragment(b"\t%b\t" % orjson.dumps(body[name]))
            for name in ("inputs", "outputs")
            if name in body
        }
        body = {**body, **marked}
    return Record(kind, route, orjson.dumps(body))


def session(number: int) -> Body:
    return {
        "event_id": uid(number),
        "session_id": uid(number),
        "event_type": "session",
        "source": "golden",
        "start_time": BEGIN + number * 1_000,
        "event_name": f"tea shop {number}",
        "metadata": {"service": "teapot", "tags": ["green", "x"]},
        "user_properties": {"user_id": "ada", "plan": "free"},
        "inputs": {"question": "which tea?"},
    }


def step(number: int, above: Body, kind: str, fields: Body | None = None) -> Body:
    begun = BEGIN + number * 1_000
    body = {
        "event_id": uid(number),
        "session_id": above["session_id"],
        "parent_id": above["event_id"],
        "event_type": kind,
        "event_name": f"{kind} {number}",
        "source": "golden",
        "start_time": begun,
        "end_time": begun + 125,
        "duration": 125.25,
        "inputs": {"leaf": number},
        "outputs": {"result": f"cup {number}"},
    }
    return {**body, **(fields or {})}


def ended(start: Body, fields: Body | None = None) -> Body:
    times = {"end_time": start["start_time"] + 90_000, "duration": 90_000.5}
    return {**start, **times, "outputs": {"result": "sencha"}, **(fields or {})}


def change(about: Body, fields: Body) -> Record:
    ids = {"event_id": about["event_id"], "session_id": about["session_id"]}
    return raw(UPDATE, {**ids, **fields})


CHAT: Body = {
    "event_name": "chat gpt-9",
    "inputs": {
        "chat_history": [
            {"role": "system", "content": "You sell tea."},
            {"role": "user", "content": [{"type": "text", "text": f"hot? {UNICODE}"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "boil", "arguments": '{"degrees": 80}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "boiled"},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": {"media_type": "image/png",
                     "bytes": 2048, "sha256": "ab" * 32}}},
                ],
            },
        ],
        "functions": [{"name": "boil", "parameters": {"type": "object", "properties": {}}}],
    },
    "outputs": {
        "role": "assistant",
        "content": "80 degrees",
        "tool_calls": [
            {"id": "call_2", "type": "function", "function": {"name": "pour", "arguments": "{}"}}
        ],
    },
    "config": {
        "model": "gpt-9",
        "provider": "openai",
        "hyperparameters": {"temperature": 0.5, "max_tokens": 64, "top_p": 1, "stop": ["\n"]},
        "tools": [{"type": "function", "function": {"name": "boil"}}],
        "is_streaming": True,
    },
    "metadata": {
        "prompt_tokens": 11,
        "completion_tokens": 5,
        "total_tokens": 16,
        "cached_tokens": 3,
        "cost": 0.00125,
        "finish_reason": "tool_calls",
        "response_id": "resp_1",
        "response_model": "gpt-9-2026",
        "kéy 🔑": UNICODE,
        "deep": {"list": [1, 2.5, None, True, {"x": []}]},
    },
    "metrics": {"time_to_first_chunk_ms": 12.5, "chunks": 7, "helpful": True},
    "feedback": {"rating": 5, "comment": "good"},
}  # fmt: skip

FAILURE: Body = {
    "error": "TeaError: no water",
    "metadata": {
        "error": {
            "type": "shop.TeaError",
            "message": "no water",
            "stack": "shop.py:1 in pour\nshop.py:2 in boil",
            "causes": [{"type": "OSError", "message": "dry"}],
        }
    },
}


def whole_story() -> list[Record]:
    """A session of every kind of step, one that died, a conversation of two turns, updates."""
    shop = session(1)
    plan = step(2, shop, "chain", {"children_ids": [uid(3), uid(4), uid(5)]})
    chat = step(3, plan, "model", CHAT)
    tool = step(4, plan, "tool", {"metadata": {"retries": 2}, "metrics": {"score": 0.5}})
    broken = step(5, plan, "tool", FAILURE)
    broken.pop("outputs")
    embedding = step(
        6,
        shop,
        "model",
        {
            "event_name": "embeddings",
            "config": {"model": "embed-2", "provider": "cohere", "operation": "embeddings"},
            "inputs": {"input": ["green", "black"]},
            "outputs": {"result": {"count": 2}},
            "metadata": {"prompt_tokens": 4, "total_tokens": 4},
        },
    )
    completion = step(
        7,
        shop,
        "model",
        {
            "config": {"model": "claude-9", "provider": "anthropic"},
            "inputs": {"prompt": "tea?"},
            "outputs": {"content": "yes"},
        },
    )
    failed_chat = step(8, shop, "model", {**CHAT, **FAILURE})
    cancelled = step(9, shop, "chain", {"metadata": {"cancelled": True}, "inputs": {}})
    odd = step(
        10,
        shop,
        "tool",
        {
            "event_name": "",
            "inputs": {"number": 2**53, "small": -1.5e-9, "empty": {}, "null": None},
            "outputs": ["a", 1],
            "config": {},
            "metadata": {"a.b": {"c": [1]}, "": 0},
            "user_properties": {"user_id": "bob"},
        },
    )
    orphan = step(11, {"event_id": uid(99), "session_id": uid(1)}, "tool")

    dead = session(20)
    dead_step = step(21, dead, "tool", {"inputs": {"question": UNICODE}})

    turns = [
        {**session(number), "session_id": uid(30), "metadata": {"session_id": "table 7"}}
        for number in (31, 32)
    ]
    turn_chats = [
        step(number, turn, "model", CHAT) for number, turn in zip((41, 42), turns, strict=True)
    ]
    turns[1] = {name: turns[1][name] for name in turns[1] if name != "user_properties"}

    empty = {name: value for name, value in session(50).items() if name != "user_properties"}
    empty = {**empty, "inputs": {}, "metadata": {}}
    return [
        raw(START, shop),
        raw(EVENT, chat, tabs=True),
        raw(EVENT, tool),
        raw(EVENT, broken, tabs=True),
        raw(EVENT, plan, tabs=True),
        raw(EVENT, embedding),
        raw(EVENT, completion, tabs=True),
        raw(EVENT, failed_chat),
        raw(EVENT, cancelled, tabs=True),
        raw(EVENT, odd),
        raw(EVENT, orphan),
        change(tool, {"outputs": {"result": "revised"}, "metrics": {"late": 1}}),
        change(shop, {"user_properties": {"plan": "paid"}, "feedback": {"comment": "tasty"}}),
        raw(
            END,
            ended(
                shop,
                {
                    "config": {"app": "shop"},
                    "metrics": {"score": 0.75, "passed": True},
                    "feedback": {"rating": "up"},
                    "children_ids": [uid(number) for number in (2, 6, 7, 8, 9, 10)],
                },
            ),
            tabs=True,
        ),
        change(chat, {"feedback": {"helpful": False}, "metrics": {"grade": 0.1}}),
        raw(OPEN, dead),
        raw(EVENT, dead_step),
        Record(END, b"*", abandoned_end(raw(START, dead, tabs=True).body, BEGIN + 30_000)),
        raw(START, turns[0]),
        raw(EVENT, turn_chats[0], tabs=True),
        raw(END, ended(turns[0]), tabs=True),
        raw(START, turns[1]),
        raw(EVENT, turn_chats[1]),
        raw(END, ended(turns[1], FAILURE)),
        raw(START, empty),
        raw(END, {**ended(empty), "outputs": {}}),
    ]


def late_story() -> list[Record]:
    """What is said after ``whole_story`` went out: scores, outputs, of session, turn and step."""
    shop, chat, tool = session(1), uid(3), uid(4)
    about_chat = {"event_id": chat, "session_id": uid(1)}
    about_tool = {"event_id": tool, "session_id": uid(1)}
    turn = {"event_id": uid(31), "session_id": uid(30)}
    return [
        change(about_chat, {"metrics": {"score": 0.75}, "feedback": {"helpful": True}}),
        change(about_chat, {"outputs": {"role": "assistant", "content": "at last"}}),
        change(about_tool, {"outputs": {"result": [1, 2]}, "metadata": {"late": UNICODE}}),
        change(shop, {"feedback": {"comment": "good"}, "metrics": {"stars": 5}}),
        change(turn, {"metrics": {"stars": 4}, "inputs": {"question": "again?"}}),
        change({"event_id": uid(77), "session_id": uid(76)}, {"feedback": {"unknown": "yes"}}),
    ]


def small_story(poison: bool = False) -> list[Record]:
    """One session of six steps under a chain, of which one may hold what a backend refuses."""
    shop = session(1)
    plan = step(2, shop, "chain")
    steps = [step(number, plan, ("tool", "model")[number % 2]) for number in range(3, 9)]
    if poison:
        steps[2]["event_name"] = "poison-5"
    ends = [raw(EVENT, plan), raw(END, ended(shop))]
    return [raw(START, shop), *(raw(EVENT, inner, tabs=True) for inner in steps), *ends]


def large_story() -> list[Record]:
    """A session whose steps fill a request together, and one that is too large alone."""
    shop = session(1)
    steps = [step(number, shop, "tool", {"inputs": {"pad": "y" * 9_000}}) for number in range(2, 8)]
    steps.append(step(8, shop, "model", {"inputs": {"pad": "z" * 300_000}}))
    records = [raw(EVENT, inner, tabs=True) for inner in steps]
    return [raw(START, shop), *records, raw(END, ended(shop))]


def illegal_records() -> list[Record]:
    """What no store takes."""
    return [
        Record(EVENT, b"*", b"no json"),
        Record(EVENT, b"*", b'{"event_id":"x","session_id":"y"}'),
        Record(EVENT, b"*", b"[]"),
    ]
