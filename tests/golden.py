"""The golden record: bytes that the package wrote once, and must write for as long as it lives.

python tests/golden.py --record             write tests/golden_data anew
python tests/golden.py --into DIRECTORY     write what the package makes now somewhere else
                       --pure               ... without its compiled parts

A process of its own, because process id and wall clock are replaced before the package is imported.
What ``recorded`` gives and ``difference`` compares are JSON values whose leaves are texts of bytes.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import difflib
import json
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

REPO = Path(__file__).resolve().parent.parent
DATA = Path(__file__).resolve().parent / "golden_data"

PID = 4711
NOW_NS = 1_790_000_000_000_000_000
VERSION = "4.7.11"

TEXT_MOST = 600
"""Characters of a text that is recorded as it is; a longer one is compressed."""

_RUN = re.compile(r"(.)\1{199,}", re.DOTALL)
_SHORT_RUN = re.compile(r"⟦(.)\*([0-9]+)⟧", re.DOTALL)
_PACKED = "packed: "
_SAME = "as at "
_LONG = 200
_PLACES_MOST = 12


def text_of(raw: bytes) -> str:
    """Bytes as a text that ``bytes_of`` turns back: runs shortened, what is long compressed."""
    with contextlib.suppress(UnicodeDecodeError):
        text = raw.decode()
        assert "⟦" not in text
        text = _RUN.sub(lambda run: f"⟦{run[1]}*{len(run[0])}⟧", text)
        if len(text) <= TEXT_MOST and not text.startswith(_PACKED):
            return text
    return _PACKED + base64.b85encode(zlib.compress(raw, 9)).decode()


def bytes_of(text: str) -> bytes:
    """The bytes that ``text_of`` recorded."""
    if text.startswith(_PACKED):
        return zlib.decompress(base64.b85decode(text.removeprefix(_PACKED)))
    return _SHORT_RUN.sub(lambda run: run[1] * int(run[2]), text).encode()


def read(directory: Path, name: str) -> Any:
    """One recorded file, its texts unpacked."""
    value = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
    texts: dict[str, str] = {}

    def whole(text: str, place: str) -> str:
        text = texts[text.removeprefix(_SAME)] if text.startswith(_SAME) else text
        return texts.setdefault(place, text)

    return _changed(value, whole, "")


def write(directory: Path, parts: dict[str, Any]) -> None:
    """Write each part to its file; a long text that stands there already is referred to."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in parts.items():
        places: dict[str, str] = {}

        def short(text: str, place: str, places: dict[str, str] = places) -> str:
            before = places.setdefault(text, place)
            return text if before == place or len(text) < _LONG else _SAME + before

        text = json.dumps(_changed(value, short, ""), ensure_ascii=False, indent=1) + "\n"
        (directory / f"{name}.json").write_text(text, encoding="utf-8")


def _changed(value: Any, change: Callable[[str, str], str], place: str) -> Any:
    """The value with each of its texts changed; ``change`` gets its place, too."""
    if isinstance(value, dict):
        return {name: _changed(part, change, f"{place}/{name}") for name, part in value.items()}
    if isinstance(value, list):
        return [_changed(part, change, f"{place}[{at}]") for at, part in enumerate(value)]
    return change(value, place) if isinstance(value, str) else value


def difference(before: Any, now: Any) -> str:
    """Where two recordings differ, leaf by leaf, for people to read; empty when they are equal."""
    old, new = dict(_leaves(before, "")), dict(_leaves(now, ""))
    places = [place for place in {**old, **new} if old.get(place) != new.get(place)]
    lines = [line for place in places[:_PLACES_MOST] for line in _leaf(place, old, new)]
    if len(places) > _PLACES_MOST:
        lines.append(f"... and {len(places) - _PLACES_MOST} other places")
    if not places and list(old) != list(new):
        lines.append("the same values in another order")
    return "\n".join(lines)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}/{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{number}]")
    elif isinstance(value, str):
        # Packed bytes are compared unpacked: not every zlib packs alike.
        plain = bytes_of(value) if value.startswith(_PACKED) else value.encode()
        yield place, plain.decode(errors="backslashreplace")
    else:
        yield place, repr(value)


def _leaf(place: str, old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    yield f"== {place}"
    if place not in old or place not in new:
        side, text = ("recorded", old[place]) if place in old else ("now", new[place])
        yield f"only {side}: {text[:300]}"
        return
    before, now = old[place], new[place]
    pairs = zip(before, now, strict=False)
    at = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(before), len(now)))
    yield f"first difference at character {at}:"
    yield f"- {before[max(0, at - 60) : at + 60]!r}"
    yield f"+ {now[max(0, at - 60) : at + 60]!r}"
    unified = difflib.unified_diff(_spread(before), _spread(now), "recorded", "now", "", "", 1, "")
    yield from list(unified)[:40]


def _spread(text: str) -> list[str]:
    """A text in lines: JSON with one value a line."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1).splitlines()
    except ValueError:
        return text.splitlines()


class _NoExtensions(MetaPathFinder):
    """Refuses what was compiled within this repository, so that the uncompiled forms are used."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        compiled = spec is not None and isinstance(spec.loader, ExtensionFileLoader)
        if compiled and _is_ours(str(spec.origin)):
            raise ImportError(f"{fullname} is not to be used")
        return None


def _is_ours(file: str) -> bool:
    """Whether a module's file belongs to this repository, and to no environment in it."""
    return REPO in Path(file).parents and "site-packages" not in file


def _compiled_modules() -> list[str]:
    files = [str(getattr(module, "__file__", "")) for module in list(sys.modules.values())]
    return [file for file in files if file.endswith((".so", ".pyd")) and _is_ours(file)]


def main() -> None:
    """Record every part, or with ``--pure`` those that compiled code takes part in."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--record", action="store_true")
    place.add_argument("--into", type=Path)
    parser.add_argument("--pure", action="store_true")
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"}
        )
    os.getpid = lambda: PID
    time.time_ns = lambda: NOW_NS
    time.time = lambda: NOW_NS / 1e9
    sys.path.insert(0, str(REPO))  # this very package, installed or not
    if options.pure:
        sys.meta_path.insert(0, _NoExtensions())
    from sessiontrace.vendors.posthog import event_payload

    mock.patch.object(event_payload, "version", return_value=VERSION).start()
    from golden_parts import compiled_parts, every_part

    parts = compiled_parts() if options.pure else every_part()
    assert not (options.pure and _compiled_modules())
    write(DATA if options.record else options.into, parts)


if __name__ == "__main__":
    main()
