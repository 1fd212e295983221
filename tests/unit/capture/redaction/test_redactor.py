"""Redaction by default: what is masked, what is not, and that a failure drops the field."""

from __future__ import annotations

import time
from base64 import b64encode
from typing import Any

import orjson
import pytest
from support.recording_tracer import Captured

from sessiontrace.capture.encoding.encoder import encode
from sessiontrace.capture.redaction import clean_text_cache
from sessiontrace.capture.redaction.redactor import MASK, Redactor

SECRETS = {
    "openai": "sk-proj-AbCdEf0123456789AbCdEf",
    "anthropic": "sk-ant-api03-AbCdEf0123456789",
    "stripe": "sk_live_4eC39HqLyjWDarjtT1",
    "github": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "github fine": "github_pat_11ABCDEFG0123456789_abcdefghij",
    "gitlab": "glpat-AbCdEf01234567890123",
    "slack": "xoxb-123456789012-abcdefghij",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "google": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "hugging face": "hf_abcdefghijklmnopqrstuvwx",
    "honeyhive": "hh_1234567890abcdefghij",
    "card": "4111 1111 1111 1111",
    "card bare": "5500005555555559",
    "amex": "3782-822463-10005",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----",
}


def redacted(value: Any, **options: Any) -> Any:
    return orjson.loads(Redactor(**options)(orjson.dumps({"inputs": value})))["inputs"]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_D12_texts_shaped_like_secrets_are_masked_wherever_they_stand(secret: str) -> None:
    """Alone, in a sentence, in a list, as a key, in JSON inside a string."""
    value = {
        "alone": secret,
        "said": f"my key is {secret}, keep it",
        "list": [1, [secret]],
        secret: "as a key",
        "json": orjson.dumps({"deep": [secret], "n": 1}).decode(),
    }
    masked = redacted(value)
    text = orjson.dumps(masked).decode()
    assert secret not in text
    assert orjson.dumps(secret).decode()[1:-1] not in text
    assert masked["said"] == f"my key is {MASK}, keep it"
    assert orjson.loads(masked["json"]) == {"deep": [MASK], "n": 1}


@pytest.mark.parametrize(
    "key",
    ["password", "PASSWORD", "db_password", "passwd", "api_key", "apiKey", "X-API-Key", "secret",
     "client_secret", "Authorization", "cookie", "Set-Cookie", "access_token", "refreshToken",
     "token", "private_key", "aws_secret_access_key", "credentials", "csrf", "cvv", "ssn",
     "card_number", "passphrase", "pwd", "auth", "jwt"],
)  # fmt: skip
def test_values_under_secret_keys_are_masked_whatever_they_are(key: str) -> None:
    """Texts, lists and objects; also when the object is JSON inside a string."""
    for value in ("hunter2", ["hunter2"], {"a": "hunter2"}):
        assert redacted({"deep": [{key: value}]}) == {"deep": [{key: MASK}]}
    inner = orjson.dumps({key: "hunter2", "n": 1}).decode()
    assert orjson.loads(redacted({"body": inner})["body"]) == {key: MASK, "n": 1}


@pytest.mark.parametrize("key", ["private_key", "password", "api_key"])
@pytest.mark.parametrize("content", [bytes(range(256)) * 40, b64encode(bytes(range(256)) * 40)])
def test_binary_under_a_secret_key_is_masked_like_a_text(key: str, content: bytes) -> None:
    """A local store keeps the bytes of what a record describes: a key must not be among them."""
    value = {key: content if content[:1] == b"\0" else content.decode(), "image": b"\x89PNG" * 400}
    masked = redacted(orjson.loads(encode(value)))
    assert masked[key] == MASK
    assert masked["image"]["bytes"] == 1_600


@pytest.mark.parametrize("key", ["password", "pwd", "secret", "otp", "cvv", "ssn", "card_number"])
def test_numbers_under_exact_names_are_masked(key: str) -> None:
    """A PIN is a number; a count under a key that only ends in the word is not a secret."""
    assert redacted({key: 1234, "flag": True}) == {key: MASK, "flag": True}
    assert redacted({f"tries_of_{key}": 1234}) == {f"tries_of_{key}": 1234}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc123def456ghi789", "Authorization: ***"),
        ("curl -H 'authorization: Basic dXNlcjpwYXNz'", "curl -H 'authorization: ***'"),
        ("sent bearer abc123def456ghi789 along", "sent bearer *** along"),
        ("Cookie: sid=1; theme=dark\nHost: x", "Cookie: ***\nHost: x"),
        ("password=hunter2&x=1", "password=***&x=1"),
        ('{"password": "hunter2", "cut', '{"password": "***", "cut'),
        ("KeyError: api_key: 'abcdef'", "KeyError: api_key: '***'"),
        ("postgres://bob:hunter2@db/x", "postgres://***@db/x"),
        ("OPENAI_API_KEY=abcdef next", "OPENAI_API_KEY=*** next"),
    ],
)
def test_secrets_in_running_text_are_masked(text: str, expected: str) -> None:
    """Error messages and logs hold them as text, not as fields."""
    assert redacted({"text": text})["text"] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"password": "correct horse X"} cut', '{"password": "***"} cut'),
        ("{'password': 'correct horse X'}", "{'password': '***'}"),
        ("postgres://bob:p@ss:w/rd@db/x", "postgres://***@db/x"),
        (("x-api-key", "abc-def-1"), ["x-api-key", MASK]),
        ([("host", "x"), ("authorization", "swordfish")], [["host", "x"], ["authorization", MASK]]),
        ({"name": "API_KEY", "value": "v"}, {"name": "API_KEY", "value": MASK}),
        (["login", "--password", "swordfish"], ["login", "--password", MASK]),
        ("curl -u bob:hunter2 https://x.io", "curl -u *** https://x.io"),
        ("<password>correct horse</password>", "<password>***</password>"),
        ("password: str = 'hunter2'", "password: str = '***'"),
        ({"pass": "hunter2", "db_pwd": "x", "signing_key": "y"},
         {"pass": MASK, "db_pwd": MASK, "signing_key": MASK}),
    ],
    ids=str,
)  # fmt: skip
def test_names_beside_their_values_are_seen(value: Any, expected: Any) -> None:
    """A header is a pair, a variable an object, an option the item before its value."""
    assert redacted(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"logprobs": {"content": [{"token": "Hello", "logprob": -0.1}]}},
        {"code": "def f(user: str, password: str) -> Token:\n    token = bpe.encode(user)"},
        {"metrics": {"time_to_first_token": 0.35, "time_per_output_token": 0.02}},
        {"text": "max_tokens=500"},
        {
            "secretary": "Ann",
            "passwordless": True,
            "cookie_policy": "strict",
            "password_hint": "cat",
        },
        {
            "properties": {"password": {"type": "string", "description": "of the user"}},
            "required": ["password", "email"],
        },
        {"max_tokens": 5, "total_tokens": 9, "prompt_tokens": 1},
        {"eos_token": "</s>", "next_page_token": "abc"},
        {"text": "the secret of good bread is time"},
        {"text": "a basic understanding of tasks"},
        {"text": "I forgot my password"},
        {"created": 1795225328084, "at": "1795225328084123"},
        {"id": "4111 1111 1111 1112"},
        {"url": "https://example.com/a:b?x=1"},
        {"number": 0.4111111111111111},
        {"session_id": "chat-7", "id": "01a1fbc4-99d4-7001-8504-20c235de8c6e"},
        {"authenticated": True, "password": None, "has_token": False},
        {"text": "task-1234567890123456789"},
        {"author": "Ann", "keyboard": "x", "tokenizer": "bpe"},
        {"mail": "ann@example.com"},
    ],
    ids=str,
)
def test_what_only_sounds_like_a_secret_stays(value: Any) -> None:
    """A trace full of stars is of no use: counts, prose, times and ids must survive."""
    assert redacted(value) == value


def test_more_keys_and_emails_on_request() -> None:
    """The application knows its own secrets."""
    value = {"customerRef": "x", "customer_ref": "y", "mail": "to ann@example.com now"}
    assert redacted(value, keys=["customer-ref"], emails=True) == {
        "customerRef": MASK,
        "customer_ref": MASK,
        "mail": f"to {MASK} now",
    }


def test_inputs_outputs_errors_stacks_names_and_metadata_are_all_covered() -> None:
    """An error message or a span's name leaks as well as an input does."""
    secret = SECRETS["openai"]
    captured = Captured(redact=Redactor())
    with pytest.raises(ValueError, match="sk-"), captured.session(inputs=secret, tags=[secret]):
        with captured.span(f"use {secret}", inputs={"q": secret}, config={"api_key": "x"}) as span:
            span.set(outputs=[secret], metadata={"note": secret}, feedback={"text": secret})
            raise ValueError(f"bad key {secret}")
    assert len(captured.bodies) == 3
    for body in captured.bodies:
        assert secret.encode() not in body
    event = captured.events[0]
    assert event["event_name"] == f"use {MASK}"
    assert event["error"] == f"ValueError: bad key {MASK}"
    assert event["metadata"]["error"]["message"] == f"bad key {MASK}"
    assert event["config"] == {"api_key": MASK}


def test_ids_and_times_are_never_touched() -> None:
    """An id that happens to look like a card number must stay the id."""
    captured = Captured(redact=Redactor(functions=[lambda field, value: value]))
    with captured.session(session_id="41111111-1111-4111-8111-111111111111") as session:
        with captured.span():
            pass
    assert captured.events[0]["session_id"] == session.session_id
    assert captured.events[0]["start_time"] > 1_700_000_000_000


def test_a_users_function_sees_every_field_after_the_default_masking() -> None:
    """fn(field, value) -> value."""
    seen = {}

    def shout(field: str, value: Any) -> Any:
        seen[field] = value
        return {"all": "GONE"} if field == "inputs" else value

    captured = Captured(redact=Redactor(functions=[shout]))
    with captured.session(), captured.span("s", inputs={"password": "x"}) as span:
        span.set(outputs=1)
    assert captured.event("s")["inputs"] == {"all": "GONE"}
    assert captured.event("s")["outputs"] == {"result": 1}
    assert seen["inputs"] == {}  # of the session, which came last


@pytest.mark.parametrize(
    "answer", [None, [1], "text", object()], ids=["none", "list", "text", "object"]
)
def test_E06_a_users_function_that_fails_or_answers_nonsense_loses_the_field(answer: Any) -> None:
    """Fail closed: better a hole than a leak."""

    def broken(field: str, value: Any) -> Any:
        if field in {"inputs", "event_name"}:
            if answer is None:
                raise RuntimeError
            return 5 if field == "event_name" else answer
        return value

    captured = Captured(redact=Redactor(functions=[broken]))
    with captured.session(), captured.span("hunter2", inputs={"q": "hunter2"}) as span:
        span.set(outputs={"kept": 1})
    event = captured.events[0]
    assert b"hunter2" not in b"".join(captured.bodies)
    assert event["event_name"] == "redacted"
    assert event["inputs"] == {}
    assert event["outputs"] == {"kept": 1}
    assert set(event["metadata"]["redaction_failed"]) == {"inputs", "event_name"}


def test_parts_that_cannot_be_decoded_are_dropped_whole() -> None:
    """Should the parts ever not be JSON, none of them passes."""
    record = orjson.loads(Redactor()(b'{"inputs": {"password": '))
    assert record["metadata"] == {"redaction_failed": ["*"]}


def test_long_hostile_texts_cost_no_quadratic_time() -> None:
    """Every pattern is linear on the texts that would trip it."""
    for text in ("sk-" * 40_000, "a" * 120_000 + "password", "eyJ" * 40_000, "4 " * 60_000,
                 "://" * 40_000, "bearer " * 17_000, "-----BEGIN PRIVATE KEY-----" * 4_000,
                 "password" * 15_000 + "=", "authorization:" * 9_000, "token:" * 20_000,
                 'token="' * 17_000, "token=\\'" * 15_000, "<token>" * 17_000, "a:b@" * 30_000,
                 "." * 120_000 + "@"):  # fmt: skip
        started = time.thread_time()  # of the processor: others use it too
        redacted({"text": text}, emails=True)
        assert time.thread_time() - started < 3.0, text[:20]


@pytest.mark.parametrize("key", ["content", "role"])
def test_a_chats_own_keys_are_masked_where_that_is_asked(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fast path has a shortcut for messages; the shortcut must not skip the keys."""
    monkeypatch.setattr(clean_text_cache, "_secret_keys", set())  # of the whole process
    captured = Captured(redact=Redactor([key]))
    with captured.session(), captured.span("s", inputs={"m": [{"role": "user", "content": "hi"}]}):
        pass
    assert captured.event("s")["inputs"]["m"][0][key] == MASK
