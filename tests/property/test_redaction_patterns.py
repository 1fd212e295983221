"""The scan of every new text never passes one that ``mask_secrets`` would change."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessiontrace.capture.redaction import _patterns_py, patterns
from sessiontrace.capture.redaction.text_masks import mask_secrets
from sessiontrace.capture.redaction.tokens import SHORTEST_SECRET

word = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0189_-", min_size=3, max_size=40)
secrets = st.one_of(
    st.builds(
        lambda head, tail: head + tail,
        st.sampled_from(
            [
                "sk-",
                "sk_live_",
                "ghp_",
                "github_pat_",
                "xoxb-",
                "AKIA",
                "AIza",
                "ya29.",
                "hf_",
                "glpat-",
                "npm_",
                "eyJ",
            ]
        ),
        word,
    ),
    st.builds(lambda head, body: f"eyJ{head}.{body}", word, word),
    st.builds(
        lambda name, sign, value: name + sign + value,
        st.sampled_from(
            ["PassWord", "api_key_of_mine", "X-Secret", "Set-Cookie", "AUTHORIZATION", "token"]
        ),
        st.sampled_from(["=", ": ", '"  : ', "'\"= "]),
        word,
    ),
    st.builds(
        lambda scheme, value: f"{scheme} {value}", st.sampled_from(["Bearer", "BASIC"]), word
    ),
    st.sampled_from(
        [
            "https://me:secret@host/",
            "4111 1111 1111 1111",
            "3782-822463-10005",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            "-----BEGIN PRIVATE KEY-----",
            '{"password": "x"}',
        ]
    ),
)
texts = st.lists(secrets | word | st.text(max_size=12), max_size=14).map(" ".join)


@given(texts)
@example("\u00e9\u4e2d " * 30 + "the key: ghp_" + "a1" * 20)  # places count in characters, or bytes
@example("pa\u017f\u017fword=hunter2")  # a long s is not an s, for either of the two
@settings(max_examples=500, deadline=None)
def test_what_would_be_masked_may_contain_a_secret(text: str) -> None:
    """Tokens, assignments, headers, logins, cards and keys, in any surroundings and spelling."""
    if len(text) >= SHORTEST_SECRET and mask_secrets(text) != text:
        assert _patterns_py.may_contain_secret(text)
        assert patterns.may_contain_secret(text)  # the same one where nothing is compiled


@given(st.uuids())
def test_an_id_is_no_card_number(id: object) -> None:
    """One in some ten thousand ids has the digits of a valid card; masked, it would be lost."""
    text = f"order {id} was paid"
    assert mask_secrets(text) == text


def test_the_digits_of_a_card_in_an_id_stay() -> None:
    """The same digits are masked where no id is around them."""
    assert mask_secrets("see 41111111-1111-1111-abcd-111111111111") == (
        "see 41111111-1111-1111-abcd-111111111111"
    )
    assert mask_secrets("pay 4111-1111-1111-1111 now") == "pay *** now"
