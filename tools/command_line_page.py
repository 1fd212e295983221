"""Writes the commands into docs/command-line.md, below its mark; ``--check`` compares instead.

python tools/command_line_page.py [--check]
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))  # the commands of this checkout, whatever is installed

from sessiontrace.cli.app import root  # noqa: E402

PAGE = REPO / "docs" / "command-line.md"

MARK = "<!-- below: written by tools/command_line_page.py -->\n"


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """The command and those below it, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, f"{path} {name}")


def section(path: str, command: click.Command) -> Iterator[str]:
    """What the page says of one command."""
    level = "###" if path.count(" ") > 1 else "##"
    pieces = command.collect_usage_pieces(click.Context(command))
    yield f"{level} {path.removeprefix('sessiontrace ')}\n"
    yield f"```console\n$ {' '.join([path, *pieces])}\n```\n"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        lines = paragraph.splitlines()
        if lines[0] == "\b":
            forms = [line.strip().split("     ")[0] for line in lines[1:]]
            yield "```text\n" + "\n".join(forms) + "\n```\n"
        else:
            yield " ".join(lines) + "\n"
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    if options:
        yield "| option | |\n|---|---|"
        yield from map(row, options)
        yield ""


def row(option: click.Option) -> str:
    """A line of the table of options."""
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, reverse=True))
    value = "" if option.is_flag else f" `{placeholder(option)}`"
    default = f" Default: `{option.default}`." if option.show_default else ""
    required = " Required." if option.required else ""
    text = f"{option.help}{default}{required}".replace("|", "\\|")
    return f"| {names}{value} | {text} |".replace("` `", " ")


def placeholder(option: click.Option) -> str:
    """What a value is called in the usage of its option."""
    if isinstance(option.type, click.Choice):
        return "\\|".join(option.type.choices)
    assert option.metavar, f"{option.name} has no metavar"
    return option.metavar


def page() -> str:
    """The whole page: what is above the mark stays as it is."""
    sections = [
        "\n".join(section(path, command))
        for path, command in commands(root, "sessiontrace")
        if command is not root
    ]
    introduction = PAGE.read_text().partition(MARK)[0]
    return introduction + MARK + "\n" + "\n".join(sections).rstrip() + "\n"


def main() -> int:
    if "--check" in sys.argv[1:]:
        if PAGE.read_text() == page():
            return 0
        print(f"{PAGE} is out of date: run `python tools/command_line_page.py`", file=sys.stderr)
        return 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
