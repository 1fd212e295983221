"""The query language: what a text means, and what an error says about a text that means nothing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sessiontrace.store.query.fields import FIELDS
from sessiontrace.store.query.parser import QuerySyntaxError, parse, quoted
from sessiontrace.store.query.terms import Bound, Pattern, Term

NOW = int(datetime(2026, 3, 10, 12, tzinfo=timezone.utc).timestamp() * 1000)
HOUR = 3_600_000
BERLIN = timezone(timedelta(hours=1))


def parsed(query: str, zone: timezone = timezone.utc) -> list[Term]:
    return list(parse(query, NOW, zone))


def fault(query: str) -> QuerySyntaxError:
    with pytest.raises(QuerySyntaxError) as caught:
        parsed(query)
    return caught.value


def ms(*parts: int, zone: timezone = timezone.utc) -> int:
    return int(datetime(*parts, tzinfo=zone).timestamp() * 1000)  # type: ignore[arg-type,misc]


def text(words: str, **how: bool) -> Term:
    return Term("text", patterns=(Pattern(words),), **how)


def test_the_query_of_the_documentation_is_read_term_by_term():
    """One line with a key of every kind, an exclusion and a free text."""
    query = 'user:ada model:gpt-5* cost:>0.1 tag:vip -status:failed "free text" late'
    assert parsed(query) == [
        Term("user", patterns=[Pattern("ada")]),
        Term("model", patterns=[Pattern("gpt-5*", wildcard=True)]),
        Term("cost", bounds=(Bound(">", 0.1),)),
        Term("tag", patterns=[Pattern("vip")]),
        Term("status", patterns=[Pattern("failed")], negated=True),
        text("free text"),
        text("late"),
    ]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_the_example_of_every_key_is_a_query(field):
    """The help and the error messages show it."""
    (term,) = parsed(field.example)
    assert term.field in (field.name, "active")


@pytest.mark.parametrize(
    "query",
    ["https://example.org/a?b=1", "12:30", "ValueError: no", "c++", "a=b", "(x)", "*", "gpt-5",
     "don't", "AND"],
)  # fmt: skip
def test_what_people_paste_is_a_text(query: str):
    """An address, a time, a line of a log: not each colon is a filter."""
    assert all(term.field == "text" for term in parsed(query))


def test_words_beside_each_other_are_one_text():
    """They are looked for together, in one record."""
    assert parsed("  TimeoutError: no  answer tag:a late AND lost ") == [
        text("TimeoutError: no answer"), Term("tag", patterns=[Pattern("a")]), text("late lost"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "bounds"),
    [
        ("duration:>10s", [(">", 10_000)]),
        ("duration:250ms..1.5min", [(">=", 250), ("<=", 90_000)]),
        ("latency:<=2", [("<=", 2_000)]),
        ("tokens:10k..", [(">=", 10_000)]),
        ("tokens:>=1.5M", [(">=", 1_500_000)]),
        ("cost>$0.1", [(">", 0.1)]),
        ("steps:5", [("=", 5)]),
        ("score:-1..1", [(">=", -1), ("<=", 1)]),
        ("score.helpful:false", [("=", 0)]),
        ("since:90min", [(">=", NOW - 90 * 60_000)]),
        ("after:1d", [(">=", NOW - 24 * HOUR)]),
        ("since:today", [(">=", ms(2026, 3, 10))]),
        ("before:yesterday", [("<", ms(2026, 3, 9))]),
        ("before:2026-01-01", [("<", ms(2026, 1, 1))]),
        ("until:2026-01-31", [("<=", ms(2026, 2, 1) - 1)]),
        ("until:2026-02", [("<=", ms(2026, 3, 1) - 1)]),
        ("since:2026-01-31T12:30", [(">=", ms(2026, 1, 31, 12, 30))]),
        ("since:2026-01-31T12:30+01:00", [(">=", ms(2026, 1, 31, 11, 30))]),
        ("since:1767225600", [(">=", ms(2026, 1, 1))]),
        ("started:2026-01-01", [(">=", ms(2026, 1, 1)), ("<=", ms(2026, 1, 2) - 1)]),
        ("started:>2026-01-01", [(">", ms(2026, 1, 2) - 1)]),
        ("started:2026-01-01..2026-01-02", [(">=", ms(2026, 1, 1)), ("<=", ms(2026, 1, 3) - 1)]),
    ],
)
def test_sizes_and_times_have_units(query: str, bounds: list[tuple[str, float]]):
    """A bare duration is in seconds; a day is from its first to its last moment."""
    (term,) = parsed(query)
    assert [(bound.operator, bound.number) for bound in term.bounds] == bounds


def test_dates_are_those_of_the_reader():
    """The server runs in UTC, and who reads the page sits in Berlin."""
    (term,) = parsed("since:2026-01-01", BERLIN)
    assert term.bounds == (Bound(">=", ms(2026, 1, 1, zone=BERLIN)),)
    (term,) = parsed("since:today", BERLIN)
    assert term.bounds == (Bound(">=", ms(2026, 3, 10, zone=BERLIN)),)


@pytest.mark.parametrize(
    ("query", "reason", "marked", "suggestion"),
    [
        ("usr:ada", "did you mean 'user'", "usr:ada", "user:ada"),
        ("tag:vip -stauts:failed", "did you mean 'status'", "-stauts:failed",
         "tag:vip -status:failed"),
        ("colour:red", 'in quotes: "colour:red"', "colour:red", '"colour:red"'),
        ("status:failedd", "did you mean 'failed'", "status:failedd", None),
        ("a user:", "needs a value, as in user:ada", "user:", None),
        ("metadata:x", "needs a name: write metadata.plan:enterprise", "metadata:x", None),
        ("name.x:1", "takes no name", "name.x:1", "name:1"),
        ("user:>5", "compares texts", "user:>5", None),
        ("cost:much", "takes a number, as in", "cost:much", None),
        ("duration:10x", "takes a duration, as in 250ms", "duration:10x", None),
        ("duration:10..1", "the range 10..1 is empty", "duration:10..1", None),
        ("score:quality", "as in score.quality:>0.5", "score:quality", None),
        ("since:tomorrow", "takes a time, as in 2h", "since:tomorrow", None),
        ("since:2026-02-30", "takes a time", "since:2026-02-30", None),
        ("since:>2h", "without >", "since:>2h", None),
        ("a OR b", "user:ada,grace", "OR", None),
        ("NOT a", "- before a term is", "NOT", None),
        ("tag:a,,b", "has an empty value", "tag:a,,b", None),
        ('tag:"open', "without its pair", '"', 'tag:"open"'),
        ("a - b", "excludes what follows", "-", None),
        ('""', "hold no text", '""', None),
        ("a\x00b", "control characters", "\x00", None),
        ("x" * 2001, "at most 2,000", "x", None),
        ("tag:a -tag:b " * 26, "at most 50", "tag:a -tag:b " * 26, None),
    ],
)  # fmt: skip
def test_an_error_marks_its_place_and_says_what_to_write(
    query: str, reason: str, marked: str, suggestion: str | None
):
    """A list that is empty without a word leaves the reader to guess."""
    error = fault(query)
    assert reason in str(error)
    assert query[error.position : error.position + error.length] == marked
    assert error.suggestion == suggestion
    if suggestion is not None:
        parsed(suggestion)


@given(some.text(max_size=60))
def test_every_text_is_parsed_or_refused_with_a_place(query: str):
    """Whatever is typed, half of a term among it, the answer is terms or one kind of error."""
    error = None
    try:
        terms = parse(query, NOW)
    except QuerySyntaxError as caught:
        error = caught
    if error is not None:
        assert 0 <= error.position <= len(query)
        assert error.length > 0
    else:
        assert bool(terms) == any(word != "AND" for word in query.split())


_PRINTED = some.characters(exclude_categories=("C",))


@given(some.text(_PRINTED, min_size=1, max_size=20).filter(lambda text: text.strip()))
def test_a_value_in_quotes_means_itself(value: str):
    """A click on a value writes it into the query."""
    assert parse(f"tag:{quoted(value)}", NOW) == (Term("tag", patterns=[Pattern(value)]),)
