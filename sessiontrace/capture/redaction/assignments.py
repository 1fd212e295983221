"""Secrets that a text assigns to a name: ``password="..."``, headers, options, XML, pairs.

``key_names`` decides which names count; whether the value is a literal is decided here, so that
type annotations, calls and references stay. Pure, called from any thread. Invariant: linear, since
the search goes on behind each value and every repetition is bounded.
"""

from __future__ import annotations

import re

from sessiontrace.capture.redaction.bare_values import Place, end_of_bare_value
from sessiontrace.capture.redaction.credentials import is_reference, is_words, looks_generated
from sessiontrace.capture.redaction.key_names import Secrecy, secrecy_of
from sessiontrace.model.lazy_pattern import lazy_pattern

_NAME = lazy_pattern(
    r"(?<![\w.-])(?P<name>[\w.-]{2,80})"
    r"(?P<close>\\{0,3}[\"'])?\]?"
    r"(?P<sign>"
    r":\s?[A-Za-z_][\w.\[\], |]{0,60}?\s?=\s?(?=[rbuf]{0,2}[\"'])"  # an annotation and its default
    r"|,\s{0,3}\\{0,3}[\"'](?:[Vv]alue|val|v)\\{0,3}[\"']\s{0,3}:\s{0,3}"  # {"name": ..., "value":
    r"| value\s?=\s?(?=[\"'])"  # <add name="..." value="...">
    r"|,\s{0,3}(?=b?[\"'])"  # a pair of a name and its value
    r"|[ \t]{0,3}(?:=>|:=|={1,2}|:)[ \t]{0,3}"
    r"|>(?=[^<>\s])"  # an element of XML
    r"|[ \t]{1,3}(?=[^\s-]))"  # an option of a command line
    r"(?P<prefix>[rbuf]{0,2}(?=\\{0,3}[\"']))?",
    re.ASCII | re.IGNORECASE,
)
_BEFORE_PASSWORD = ("with ", "user ", "encrypted ")
_QUOTE = lazy_pattern(r"\\{0,3}[\"']")
_ENDS = {
    '"': lazy_pattern(r"[^\"\\\r\n]*(?:\\.[^\"\\\r\n]*)*", re.DOTALL),
    "'": lazy_pattern(r"[^'\\\r\n]*(?:\\.[^'\\\r\n]*)*", re.DOTALL),
}


def mask_assignments(text: str, mask: str) -> str:
    """The text with the values of its secret names masked."""
    pieces: list[str] = []
    done = at = 0
    while (match := _NAME.search(text, at)) is not None:
        at = max(match.end("name"), match.start() + 1)
        secrecy = _secrecy(text, match)
        if secrecy is Secrecy.NONE or not _is_assignment(text, match):
            continue
        start, end = _value_of(text, match, secrecy)
        if start < end:
            pieces += (text[done:start], mask)
            done = at = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _secrecy(text: str, match: re.Match[str]) -> Secrecy:
    """That of the name, or of two words of prose: ``API key: ...``, if the value fits."""
    name, start = match["name"], match.start()
    secrecy = secrecy_of(name)
    if (
        secrecy is Secrecy.NONE
        and name.lower() in {"key", "keys"}
        and text[start - 1 : start] == " "
    ):
        before = text[max(0, start - 16) : start - 1].rpartition(" ")[2]
        if secrecy_of(f"{before}_{name}") is not Secrecy.NONE:
            return Secrecy.PERHAPS
    return secrecy


def _is_assignment(text: str, match: re.Match[str]) -> bool:
    """Whether the sign assigns, given what is around the name."""
    sign, name, start = match["sign"], match["name"], match.start()
    before = text[start - 1 : start]
    if sign[0] == ",":
        opened = _character_before_quote(text, start) if match["close"] else ""
        return ":" in sign or (opened != "" and opened in "([")
    if sign[0] == ">":
        return before in {"<", ":"}
    if sign[:6].lower() == " value":
        return match["close"] is not None
    if sign.isspace():
        return name.startswith("--") or _is_statement(text, match)
    return True


def _is_statement(text: str, match: re.Match[str]) -> bool:
    """``WITH PASSWORD 'x'``, of SQL."""
    return (
        match["name"].lower() == "password"
        and text[match.end() : match.end() + 1] == "'"
        and text[max(0, match.start() - 12) : match.start()].lower().endswith(_BEFORE_PASSWORD)
    )


def _character_before_quote(text: str, start: int) -> str:
    """The character before the opening quote, and its ``b``, of a name that starts at ``start``."""
    before = text[max(0, start - 6) : start].rstrip("\"'\\")
    return before[-2:-1] if before[-1:] == "b" else before[-1:]


def _value_of(text: str, match: re.Match[str], secrecy: Secrecy) -> tuple[int, int]:
    """From where to where the value of a name is to be masked; an empty span to leave it."""
    at = match.end()
    quote = _QUOTE.match(text, at)
    if quote is None:
        place = Place(text, match["name"], match["sign"], match.start(), at)
        return at, end_of_bare_value(place, secrecy)
    if match["close"] is None and _closes(text, match.start(), quote[0][-1]):
        return at, at
    start, end = _quoted_value(text, quote)
    value = text[start:end]
    if is_reference(value.strip()) or (match["sign"][0] == "," and is_words(value)):
        return at, at
    if secrecy is Secrecy.PERHAPS and not (looks_generated(value) or "=" in value[:-1]):
        return at, at
    return start, end


def _closes(text: str, start: int, quote: str) -> bool:
    """Whether a quote behind a name closes a text: ``input("Password: ")``."""
    line = text[max(0, start - 200) : start].rpartition("\n")[2]
    count = 0
    for at, character in enumerate(line):
        if character == quote and not _is_apostrophe(line, at, is_open=count % 2 == 1):
            count += 1
    return count % 2 == 1


def _is_apostrophe(line: str, at: int, *, is_open: bool) -> bool:
    """Whether a quote is in or behind a word, and closes nothing."""
    if line[at] != "'" or not line[max(0, at - 1) : at].isalnum():
        return False
    return not is_open or line[at + 1 : at + 2].isalnum()


def _quoted_value(text: str, quote: re.Match[str]) -> tuple[int, int]:
    """What is between two quotes of the same kind; to the end of the line without the second."""
    opening, start = quote[0], quote.end()
    if len(opening) == 1 and text[start : start + 2] == opening * 2:  # three quotes
        end = text.find(opening * 3, start + 2)
        return start + 2, end if end >= 0 else len(text)
    if len(opening) == 1:
        end = _ENDS[opening].match(text, start).end()  # type: ignore[union-attr]
        return start, end
    line = text.find("\n", start)
    line = len(text) if line < 0 else line
    end = text.find(opening, start, line)
    return start, end if end >= 0 else line
