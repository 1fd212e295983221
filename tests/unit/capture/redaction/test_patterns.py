"""Both forms of the scan know every token that is masked: one table, ``TOKENS``."""

from __future__ import annotations

from typing import Any

import pytest
from support.forms import FORMS, form_of

from sessiontrace.capture.redaction.text_masks import MASK, mask_secrets
from sessiontrace.capture.redaction.tokens import TOKENS

SUFFIXES = {"eyJ": ".c2lnbmVk", "SG.": ".c2lnbmVkc2lnbmVk"}
"""What follows the letters of a token."""


def shortest(token: Any) -> str:
    """The shortest token of this kind; names made of words only are not tokens."""
    letter = "A" if token.letters == "[A-Z0-9]" else "a"
    return token.prefix + letter * (token.least - 1) + "1" + SUFFIXES.get(token.prefix, "")


CASES = [(token, shortest(token)) for token in TOKENS]


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Any:
    return form_of("capture.redaction.patterns", request.param)


@pytest.mark.parametrize(("token", "text"), CASES, ids=[text[:12] for _, text in CASES])
def test_every_token_is_masked(token: Any, text: str) -> None:
    """At its shortest."""
    assert mask_secrets(text) == MASK
    assert mask_secrets(f"use {text}, please") == f"use {MASK}, please"


@pytest.mark.parametrize(("token", "text"), CASES, ids=[text[:12] for _, text in CASES])
@pytest.mark.parametrize("around", ["{}", "use {}, please", "é中 {}", "\n({})"])
def test_both_forms_find_every_token(form: Any, token: Any, text: str, around: str) -> None:
    """A token that a scan lets pass would reach the disk unmasked."""
    assert form.may_contain_secret(around.format(text))


@pytest.mark.parametrize(("token", "text"), CASES, ids=[text[:12] for _, text in CASES])
def test_a_token_inside_a_word_is_none(token: Any, text: str) -> None:
    """`task-force...` is not an OpenAI key."""
    assert mask_secrets(f"ta{text}") == f"ta{text}"


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2", 'passwd: "x1y"', "API-Key = abc1", "private_key: abc-12",
        "Set-Cookie: id=1", "authorization: Digest x=1", "Bearer abcdef12", "basic dXNlcjo=x",
        "https://me:secret@host/", "4111 1111 1111 1111", "-----BEGIN RSA PRIVATE KEY-----",
    ],
)  # fmt: skip
def test_both_forms_find_what_is_no_token(form: Any, text: str) -> None:
    """Assignments, headers, logins, card numbers and private keys."""
    assert mask_secrets(text) != text
    assert form.may_contain_secret(text)
    assert form.may_contain_secret(f"中 {text}")


@pytest.mark.parametrize(
    "text",
    [
        "Where is the old harbour, and what is there to see?",
        "Note: the meeting is on 2026-11-21 at 10:30, in room 12_b.",
        "see https://example.com/a/b?c=d and write to the office",
        "basic information about bearer bonds - as ever",
        "a test_function_with_a_long_name and an-other-word-with-many-joints",
        "Ärger über größere Öfen; 中文 ist schwer",
    ],
)
def test_prose_passes_the_scan(form: Any, text: str) -> None:
    """Otherwise every text would be scanned twice."""
    assert not form.may_contain_secret(text)
