"""What a look found harmless is not looked at again; what is doubtful is, whenever it comes."""

from __future__ import annotations

from sessiontrace.capture.encoding.encoder import encode_and_check, examine_object
from sessiontrace.capture.redaction.clean_text_cache import NO_REDACTION, CleanTextCache

CHAT = [
    {"role": "user", "content": "where is the harbour?"},
    {"role": "assistant", "content": ["to the", {"type": "text", "text": "west of the town"}]},
]


def looking() -> tuple[CleanTextCache, list[str]]:
    seen: list[str] = []

    def look(text: str) -> bool:
        seen.append(text)
        return "secret" not in text

    return CleanTextCache(look), seen


def test_a_chat_that_grows_is_looked_at_once() -> None:
    """Each step of an agent sends the whole history again: only what is new costs a look."""
    harmless, seen = looking()
    assert encode_and_check({"messages": CHAT}, harmless)[1] is False
    first = len(seen)
    assert (
        encode_and_check({"messages": [*CHAT, {"role": "user", "content": "thanks"}]}, harmless)[1]
        is False
    )
    assert seen[first:] == ["thanks"]
    assert {"where is the harbour?", "to the", "west of the town"} <= set(seen)


def test_a_doubtful_text_is_doubtful_every_time() -> None:
    """It is never remembered, wherever it stands: bare, in a list, or as a message's content."""
    harmless, _ = looking()
    for value in ("my secret", ["my secret"], {"role": "user", "content": "my secret"}):
        for _ in range(2):
            assert examine_object(value, "input", harmless)[1] is True


def test_what_the_walk_made_is_looked_at_too() -> None:
    """Objects that are not JSON's own take the slow road; their texts are texts all the same."""
    harmless, seen = looking()

    class Own:
        def __repr__(self) -> str:
            return "<Own secret>"

    assert encode_and_check({"a": Own()}, harmless)[1] is True
    assert "<Own secret>" in seen


def test_what_is_remembered_is_bounded() -> None:
    """Texts that are new for ever must not fill the memory; hashes are kept, never texts."""
    harmless, _ = looking()
    for number in range(20_000):
        harmless.needs_masking((f"text {number}",))
    assert 0 < len(harmless.known) <= 8_192
    assert all(type(one) is int for one in harmless.known)


def test_without_redaction_nothing_is_doubtful() -> None:
    """``redact=False`` records what it is given."""
    assert (
        encode_and_check({"password": "my secret"}, NO_REDACTION)[1] is True
    )  # its key: nobody masks it
    assert encode_and_check({"a": "sk-AbCdEf0123456789AbCdEf"}, NO_REDACTION)[1] is False
