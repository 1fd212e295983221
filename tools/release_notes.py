"""The version to release and its notes: the version of the package, the notes of the changelog.

Prints ``version=1.2.3``. Fails where the tag is not ``v`` and that version, or where the changelog
has no section of it. Without a tag the notes are those under "Unreleased".

    python tools/release_notes.py [--tag v1.2.3] [--notes FILE]
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


def version() -> str:
    """``__version__`` of the package, the one place that has it."""
    text = REPO.joinpath("sessiontrace", "__init__.py").read_text()
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if match is None:
        sys.exit("sessiontrace/__init__.py has no __version__")
    return match[1]


def notes(changelog: str, title: str) -> str:
    """The section of that title; empty where there is none."""
    pattern = rf"^## \[?{re.escape(title)}\]?(?: [^\n]*)?\n(.*?)(?=^## |\Z)"
    match = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    return match[1].strip() if match else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tag", default="", help="the tag that is released")
    parser.add_argument("--notes", type=Path, help="file for the notes")
    options = parser.parse_args()
    if options.tag not in {"", f"v{version()}"}:
        sys.exit(f"the tag is {options.tag}, the package's version {version()}")
    title = version() if options.tag else "Unreleased"
    text = notes(REPO.joinpath("CHANGELOG.md").read_text(), title)
    if not text:
        sys.exit(f"CHANGELOG.md has no section {title}")
    if options.notes:
        options.notes.write_text(text + "\n")
    print(f"version={version()}")


if __name__ == "__main__":
    main()
