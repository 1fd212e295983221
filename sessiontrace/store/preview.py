"""The first message by a user in a record, as one line for the list of sessions.

Pure functions, no thread owns them. They look at the beginning of a record's JSON without decoding
it, since the list shows many sessions and a record may have megabytes. Invariant: for any text they
return at most ``CHARACTERS`` characters, or None, and never raise.
"""

from __future__ import annotations

import re

import orjson

__all__ = ["CHARACTERS", "FIRST_STEPS", "OPENING", "preview_of"]

OPENING = 16_384
"""How many characters of a record are looked at."""
CHARACTERS = 160
FIRST_STEPS = 8
"""In how many steps of a session the message is looked for."""

_TEXT = rf'"((?:[^"\\]|\\.){{1,{2 * CHARACTERS}}})'
_PART = r"(?:\[\{(?:\"type\":\"text\",)?\"text\":)?"
_NAME = r'(?:"name":(?:null|"(?:[^"\\]|\\.){0,64}"),)?'
_BEFORE = r'(?:\[(?:(?!"role":)[\s\S]){1,12000}?"type":"text","text":)?'
_MESSAGE = re.compile(
    rf'"role":"(?:user|human)",{_NAME}"content":(?:{_PART}|{_BEFORE}){_TEXT}'
    rf'|"content":{_PART}{_TEXT}"(?:\}}\])?,"role":"(?:user|human)"'
)
_INPUT = re.compile(rf'"inputs":\{{"(?!(?:(?:\w*_)?id|\w*I[dD]|method)")[^"\\]{{1,40}}":{_TEXT}')
"""The only input of a step that takes no chat, such as a decorated function's question.

An id is none, nor is the method of a request.
"""
_HEAD = 400  # characters before a record's name, which say its type
_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>")
"""What Python shows of an object without a text of its own."""


def preview_of(opening: str) -> str | None:
    """The first user's message in the beginning of a record; None without one."""
    match = _MESSAGE.search(opening)
    if match is None and '"event_type":"tool"' not in opening[:_HEAD]:
        match = _INPUT.search(opening)
    encoded = None if match is None else next(filter(None, match.groups()), None)
    if encoded is None:
        return None
    try:
        text = orjson.loads(f'"{encoded}"')
    except orjson.JSONDecodeError:  # half of a surrogate pair, where the text was cut
        return None
    line = " ".join(text.split())
    return None if _OBJECT.match(line) else line[:CHARACTERS] or None
