"""Writes ``sessiontrace/api_signatures.py``: the functions of the API, as static tools see them.

At run time each is a bound method, which costs no further call. Editors, type checkers and
documentation tools see functions, with the signatures and the documentation of these methods.

    python tools/api_signatures.py
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / "sessiontrace" / "api_signatures.py"
SOURCES = [
    REPO / "sessiontrace" / path
    for path in (
        "capture/decorators/typed.py",
        "capture/api_methods.py",
        "tracer.py",
    )
]
HEAD = '''"""What static tools see of the functions of ``sessiontrace.api``; no program imports it.

``tools/api_signatures.py`` writes it from the methods of ``Tracer``.
"""

from __future__ import annotations
'''
BODY = ast.parse("raise NotImplementedError").body
OVERLOADED = ast.parse("...").body

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_names() -> list[str]:
    """The names in ``__all__`` of the module itself."""
    for node in ast.parse(PLACE.with_name("api.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise LookupError("api.py has no __all__")


def methods(trees: list[ast.Module]) -> dict[str, list[Function]]:
    """The definitions of each method, in order: overloads, then what they are overloads of."""
    definitions: dict[str, list[Function]] = {}
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in (node for scope in classes for node in scope.body):
        if isinstance(node, Function):
            definitions.setdefault(node.name, []).append(node)
    return definitions


def as_functions(definitions: list[Function]) -> Iterator[Function]:
    """Without ``self`` and code; a definition with overloads has the documentation."""
    for definition in definitions:
        (definition.args.posonlyargs or definition.args.args).pop(0)
        is_last = definition is definitions[-1]
        definition.body = [definition.body[0], *BODY] if is_last else OVERLOADED
        if is_last and definition.args.kwarg:  # it hands on what its last overload names
            definition.args.kwonlyargs = definitions[-2].args.kwonlyargs
            definition.args.kw_defaults = definitions[-2].args.kw_defaults
            definition.args.kwarg = None
        yield definition


def origins(trees: list[ast.Module], names: set[str]) -> tuple[set[str], list[str]]:
    """The imports and the type variables that ``names`` refer to."""
    imports: set[str] = set()
    variables: list[str] = []
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom):
            imports |= {
                f"from {node.module} import {alias.name}"
                for alias in node.names
                if alias.name in names and node.module != "__future__"
            }
        elif isinstance(node, ast.Import):
            imports |= {f"import {alias.name}" for alias in node.names if alias.name in names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names:
            variables += [text for text in [ast.unparse(node)] if "TypeVar(" in text]
    return imports, variables


def signatures() -> str:
    """The text of the module."""
    trees = [ast.parse(source.read_text()) for source in SOURCES]
    names = public_names()
    definitions = methods(trees)
    functions = [function for name in names for function in as_functions(definitions[name])]
    nodes = [node for function in functions for node in ast.walk(function)]
    words = {node.id for node in nodes if isinstance(node, ast.Name)}
    imports, variables = origins(trees, words | {"TypeVar", "MutableMapping"})
    return tidy(
        "\n".join(
            [
                HEAD,
                *sorted(imports),
                f"__all__ = {names!r}",
                *dict.fromkeys(variables),
                *map(ast.unparse, functions),
            ]
        )
    )


def tidy(text: str) -> str:
    """The text as ruff sorts and formats it."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        text = subprocess.run(
            [*ruff, *command, "--stdin-filename", str(PLACE), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=REPO,
        ).stdout
    return text


if __name__ == "__main__":
    PLACE.write_text(signatures())
