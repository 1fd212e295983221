"""Parses a query into terms; the grammar is in the package's docstring.

Pure, no thread owns it. Invariant: every text is parsed or refused with a ``QuerySyntaxError``;
nothing of a text is dropped.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo

import attrs

from sessiontrace.model.errors import SessionTraceError
from sessiontrace.store.query import fields, values
from sessiontrace.store.query.fields import STATUSES, QueryField
from sessiontrace.store.query.terms import Bound, Pattern, Term

__all__ = ["QUERY_CHARS", "QuerySyntaxError", "parse", "quoted", "term_of"]

QUERY_CHARS = 2_000
"""The most characters of a query."""

_MOST_TERMS = 50
_TOKEN = re.compile(
    r'(?P<minus>-)?'
    r'(?:(?P<key>[A-Za-z_]\w*)(?:\.(?P<name>"[^"]*"|[^\s:<>="]+))?(?P<op>:[<>]=?|:=|:|[<>]=?|=))?'
    r'(?P<value>(?:"(?:[^"\\]|\\.)*"|[^\s"])*)'
)  # fmt: skip
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|[^,"]+|,|"')
_ANSWERS = {"yes": "yes", "true": "yes", "*": "yes", "no": "no", "false": "no"}
_ESCAPE = re.compile(r"\\(.)")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_WORD = re.compile(r'[^\s",:*\\]+')


class QuerySyntaxError(SessionTraceError):
    """A query that cannot be understood.

    ``position`` and ``length`` (characters, from 0) mark the fault, and ``suggestion`` is a whole
    query that would work, or None.
    """

    def __init__(
        self, reason: str, position: int, length: int, suggestion: str | None = None
    ) -> None:
        super().__init__(f"{reason} (character {position + 1} of the query)")
        self.reason = reason
        self.position = position
        self.length = length
        self.suggestion = suggestion


@attrs.frozen
class _Token:
    """One piece of the query between spaces, and where it is."""

    text: str
    position: int
    negated: bool
    key: str | None
    name: str
    operator: str
    value: str

    def fault(self, reason: str, query: str, instead: str | None = None) -> QuerySyntaxError:
        """The error that marks this token; ``instead`` is what to write in its place."""
        end = self.position + len(self.text)
        suggestion = None if instead is None else query[: self.position] + instead + query[end:]
        return QuerySyntaxError(reason, self.position, len(self.text), suggestion)


def parse(query: str, now: int, zone: tzinfo | None = None) -> tuple[Term, ...]:
    """The terms of a query; raises ``QuerySyntaxError``.

    ``now`` (Unix ms) is the time from which ``since:2h`` counts back, and dates are in ``zone``,
    None for the zone of this machine.
    """
    if len(query) > QUERY_CHARS:
        raise QuerySyntaxError(
            f"a query has at most {QUERY_CHARS:,} characters", QUERY_CHARS, len(query) - QUERY_CHARS
        )
    if control := _CONTROL.search(query):
        raise QuerySyntaxError("a query holds no control characters", control.start(), 1)
    terms: list[Term] = []
    words: list[str] = []
    for token in _tokens(query):
        if _is_bare_word(token):
            if token.text != "AND":
                words.append(token.text)
            continue
        terms += _text_term(words)
        words = []
        terms.append(_term(token, query, now, zone))
    terms += _text_term(words)
    if len(terms) > _MOST_TERMS:
        raise QuerySyntaxError(f"a query has at most {_MOST_TERMS} terms", 0, len(query))
    return tuple(terms)


def term_of(field: str, value: str, now: int, zone: tzinfo | None = None) -> Term:
    """The term of a key and the whole value for it; raises ``ValueError``."""
    row = fields.field_of(field)
    assert row is not None
    if not value.strip():
        raise ValueError(f"the value is empty; an example is {row.example}")
    if row.kind == fields.TEXT:
        return Term(row.name, patterns=(Pattern(value, "*" in value),))
    return _READERS[row.kind](_Token(value, 0, False, field, "", ":", value), row, now, zone)


def quoted(value: str) -> str:
    """A value as a query writes it: in quotes where it is not a plain word."""
    if _WORD.fullmatch(value) and value[0] not in "-<>=" and ".." not in value:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _tokens(query: str) -> Iterator[_Token]:
    position = 0
    while position < len(query):
        if query[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(query, position)
        text = match[0] if match else ""
        end = position + len(text)
        if match is None or not text or (end < len(query) and query[end] == '"'):
            raise QuerySyntaxError(
                "a quotation mark without its pair", end, 1, query + '"' if match else None
            )
        if not match["value"] and match["minus"] and not match["key"]:
            raise QuerySyntaxError(
                "- excludes what follows it, as in -status:failed or -word", position, 1
            )
        name = (match["name"] or "").strip('"')
        yield _Token(
            text, position, bool(match["minus"]), match["key"], name, match["op"] or "",
            match["value"],
        )  # fmt: skip
        position = end


def _is_bare_word(token: _Token) -> bool:
    """Whether it is a word of a free text: words beside each other belong together."""
    if token.negated or '"' in token.text:
        return False
    if token.key is None:
        return token.text not in ("OR", "NOT")
    return fields.field_of(token.key) is None and _is_text(token)


def _is_text(token: _Token) -> bool:
    """Whether an unknown key is part of a text, as in ``https://...``, ``ValueError:`` or a=b."""
    has_value = bool(token.value) and not token.value.startswith("//")
    return not (token.operator.startswith(":") and has_value)


def _text_term(words: Sequence[str]) -> list[Term]:
    return [Term("text", patterns=(Pattern(" ".join(words)),))] if words else []


def _term(token: _Token, query: str, now: int, zone: tzinfo | None) -> Term:
    if token.key is None:
        return _free_text(token, query)
    field = fields.field_of(token.key)
    if field is None:
        return _unknown(token, query)
    if token.name and field.suffix == "no":
        raise token.fault(
            f"{field.name} takes no name: write {field.example}", query,
            token.text.replace(f".{token.name}", "", 1),
        )  # fmt: skip
    if not token.name and field.suffix == "must":
        raise token.fault(f"{field.name} needs a name: write {field.example}", query)
    if not token.value:
        raise token.fault(f"{field.name}: needs a value, as in {field.example}", query)
    reader = _READERS[field.kind]
    try:
        return reader(token, field, now, zone)
    except ValueError as error:
        raise token.fault(str(error), query) from None


def _free_text(token: _Token, query: str) -> Term:
    if token.value == "OR":
        raise token.fault("OR is not supported; values with a comma are: user:ada,grace", query)
    if token.value == "NOT":
        raise token.fault("NOT is not supported; - before a term is: -status:failed", query)
    text = "".join(pattern.text for pattern in _split(token.value, ""))
    if not text.strip():
        raise token.fault("the quotation marks hold no text", query)
    return Term("text", patterns=(Pattern(text),), negated=token.negated)


def _unknown(token: _Token, query: str) -> Term:
    """An unknown key: a text that is excluded or has quotes, or a mistake."""
    assert token.key is not None
    if _is_text(token):
        text = token.text[1:] if token.negated else token.text
        return Term("text", patterns=(Pattern(text.replace('"', "")),), negated=token.negated)
    sign = "-" if token.negated else ""
    text = quoted(token.text[len(sign) :].replace('"', ""))
    names = fields.close_names(token.key)
    if names:
        reason = f"there is no filter {token.key!r}; did you mean {names[0]!r}?"
        raise token.fault(reason, query, token.text.replace(token.key, names[0], 1))
    keys = ", ".join(field.name for field in fields.FIELDS)
    raise token.fault(
        f"there is no filter {token.key!r}; filters are {keys}. To search for the text, put it in "
        f"quotes: {sign}{text}", query, sign + text,
    )  # fmt: skip


# -- values, by the kind of a field ---------------------------------------------------------


def _patterns(token: _Token, field: QueryField, now: int, zone: tzinfo | None) -> Term:
    if token.operator not in (":", ":=", "="):
        raise ValueError(f"{field.name} compares texts, not sizes: write {field.example}")
    patterns = _split(token.value, field.name)
    return Term(field.name, token.name.casefold(), patterns, negated=token.negated)


def _statuses(token: _Token, field: QueryField, now: int, zone: tzinfo | None) -> Term:
    patterns = []
    for pattern in _split(token.value, field.name):
        status = STATUSES.get(pattern.text.lower())
        if status is None:
            words = ", ".join(dict.fromkeys(STATUSES.values()))
            close = difflib.get_close_matches(pattern.text.lower(), STATUSES, 1)
            meant = f"; did you mean {close[0]!r}?" if close else "."
            raise ValueError(f"there is no status {pattern.text!r}{meant} There are {words}")
        patterns.append(Pattern(status))
    return Term(field.name, "", patterns, negated=token.negated)


def _reviewed(token: _Token, field: QueryField, now: int, zone: tzinfo | None) -> Term:
    """``yes``, ``no``, or names of reviewers."""
    patterns = _split(token.value, field.name)
    answers = [_ANSWERS.get(pattern.text.lower()) for pattern in patterns]
    if all(answer is None for answer in answers):
        names = [Pattern(f"by {pattern.text}", pattern.wildcard) for pattern in patterns]
        return Term(field.name, "", names, negated=token.negated)
    if len(answers) > 1:
        raise ValueError("reviewed takes yes, no, or names of reviewers: reviewed:ada,grace")
    return Term(field.name, "", [Pattern("yes")], negated=token.negated != (answers[0] == "no"))


def _split(value: str, field: str) -> list[Pattern]:
    """The values between commas; in quotes, commas and stars are text."""
    patterns: list[Pattern] = []
    text, wildcard, begun = "", False, False
    for match in _PART.finditer(value):
        if match[0] == "," and field:
            patterns.append(Pattern(text, wildcard))
            text, wildcard, begun = "", False, False
        elif match[1] is not None:
            text, begun = text + _ESCAPE.sub(r"\1", match[1]), True
        else:
            text, begun = text + match[0], True
            wildcard = wildcard or "*" in match[0]
    if begun or not patterns:
        patterns.append(Pattern(text, wildcard))
    if field and not all(pattern.text.strip() for pattern in patterns):
        raise ValueError(f"{field}: has an empty value")
    return patterns


def _bounds(read: Callable[[str], float], token: _Token) -> tuple[Bound, ...]:
    """``>5``, ``5``, or ``1..5`` as comparisons."""
    value = token.value.strip('"')
    operator = token.operator.lstrip(":") or "="
    low, dots, high = value.partition("..")
    if dots and operator == "=":
        bounds = [Bound(">=", read(low))] if low else []
        bounds += [Bound("<=", read(high))] if high else []
        if len(bounds) == 2 and bounds[0].number > bounds[1].number:
            raise ValueError(f"the range {value} is empty: its first value is the greater one")
        if bounds:
            return tuple(bounds)
    return (Bound(operator, read(value)),)


def _comparison(read: Callable[[str], float]) -> Callable[..., Term]:
    def comparison(token: _Token, field: QueryField, now: int, zone: tzinfo | None) -> Term:
        name = token.name.casefold()
        if token.value == "*" and field.kind == fields.SCORE:
            return Term(field.name, name, negated=token.negated)
        try:
            return Term(field.name, name, bounds=_bounds(read, token), negated=token.negated)
        except ValueError as error:
            text = str(error)
            if not text.startswith("the range"):
                text = f"{field.name} takes {text}; got {token.value!r}"
            raise ValueError(text) from None

    return comparison


def _time(token: _Token, field: QueryField, now: int, zone: tzinfo | None) -> Term:
    value = token.value.strip('"')
    operator = token.operator.lstrip(":") or "="
    low, dots, high = value.partition("..")
    try:
        if dots and operator == "=":
            bounds = [Bound(">=", values.moment_ms(low, now, zone)[0])] if low else []
            bounds += [Bound("<=", values.moment_ms(high, now, zone)[1])] if high else []
            if field.name == "started" and bounds:
                return Term("started", bounds=bounds, negated=token.negated)
        first, last = values.moment_ms(value, now, zone)
    except ValueError as error:
        raise ValueError(f"{field.name} takes {error}; got {value!r}") from None
    if field.name != "started":
        if operator != "=":
            raise ValueError(f"{field.name} takes a time without {operator}: {field.example}")
        bound = {
            "since": Bound(">=", first), "until": Bound("<=", last), "before": Bound("<", first)
        }[field.name]  # fmt: skip
        return Term("active", bounds=(bound,), negated=token.negated)
    if operator == "=":
        return Term(
            "started", bounds=(Bound(">=", first), Bound("<=", last)), negated=token.negated
        )
    edge = last if operator in (">", "<=") else first
    return Term("started", bounds=(Bound(operator, edge),), negated=token.negated)


_READERS: dict[str, Callable[[_Token, QueryField, int, tzinfo | None], Term]] = {
    fields.TEXT: _patterns,
    fields.STATUS: _statuses,
    fields.NUMBER: _comparison(values.number),
    fields.DURATION: _comparison(values.duration_ms),
    fields.SCORE: _comparison(values.score),
    fields.TIME: _time,
    fields.REVIEWED: _reviewed,
}
