"""What editors and documentation tools show of the public names, for ``tools/package_checks.py``.

Runs in the environment that has jedi, griffe and pyright beside the installed package. Fails where
one of them shows a public function without its signature or its documentation, or a class without
its documentation. griffe shows a submodule in place of a function of the same name, so it reads the
functions of ``sessiontrace.api``.

    python tools/editor_views.py
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import griffe
import jedi

import sessiontrace
from sessiontrace import api

SITE = str(Path(sessiontrace.__file__).parents[1])
FUNCTIONS = list(api.__all__)
CLASSES = [name for name in sessiontrace.__all__ if inspect.isclass(getattr(sessiontrace, name))]


def documentation(name: str) -> str:
    return inspect.getdoc(getattr(sessiontrace, name)) or ""


def parameters(name: str) -> list[str]:
    return list(inspect.signature(getattr(sessiontrace, name)).parameters)


def letters(text: str) -> str:
    """What is left of a text in any markup."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def by_griffe() -> list[str]:
    """The names of which griffe shows too little."""
    package = griffe.load("sessiontrace", search_paths=[SITE], resolve_aliases=True)
    faults = []
    for name in [*FUNCTIONS, *CLASSES]:
        member = package["api"][name] if name in FUNCTIONS else package[name]
        text = member.docstring.value if member.docstring else ""
        complete = text.split() == documentation(name).split()
        if name in FUNCTIONS:
            seen = {parameter.name for parameter in member.parameters}
            complete = complete and member.is_function and seen >= {*parameters(name)} - {"options"}
        if not complete:
            faults.append(name)
    return faults


def by_jedi() -> list[str]:
    """The names of which jedi shows too little."""
    project = jedi.Project(SITE)
    faults = []
    for name in [*FUNCTIONS, *CLASSES]:
        code = f"import sessiontrace as st\nst.{name}("
        script = jedi.Script(code, project=project)
        signatures = script.get_signatures(2, len(f"st.{name}("))
        texts = [entry.docstring(raw=True) for entry in script.help(2, 4)]
        shown = any(text.split() == documentation(name).split() for text in texts)
        if not (signatures and shown):
            faults.append(name)
    return faults


class LanguageServer:
    """A language server that answers one request after the other."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._count = 0

    def send(self, method: str, parameters: object, **fields: object) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": parameters, **fields}
        body = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def ask(self, method: str, parameters: object) -> object:
        """The result of a request."""
        self._count += 1
        self.send(method, parameters, id=self._count)
        while True:
            message = self._read()
            if message.get("id") == self._count and "method" not in message:
                return message.get("result")

    def _read(self) -> dict[str, object]:
        assert self._process.stdout is not None
        size = 0
        while line := self._process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        message: dict[str, object] = json.loads(self._process.stdout.read(size))
        return message

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def by_pyright() -> list[str]:
    """The names of which pyright's hover shows too little."""
    code = "import sessiontrace as st\n" + "".join(f"st.{name}\n" for name in FUNCTIONS)
    place = tempfile.TemporaryDirectory()
    file = Path(place.name, "hovered.py")
    file.write_text(code)
    prefix = Path(sys.prefix)
    settings = {"venvPath": str(prefix.parent), "venv": prefix.name}
    file.with_name("pyrightconfig.json").write_text(json.dumps(settings))
    server = LanguageServer(str(Path(sys.executable).with_name("pyright-langserver")), "--stdio")
    faults = []
    try:
        folder = {"uri": file.parent.as_uri(), "name": "views"}
        server.ask(
            "initialize",
            {"processId": os.getpid(), "rootUri": folder["uri"], "workspaceFolders": [folder],
             "capabilities": {"textDocument": {"hover": {"contentFormat": ["markdown"]}}}},
        )  # fmt: skip
        server.send("initialized", {})
        document = {"uri": file.as_uri(), "languageId": "python", "version": 1, "text": code}
        server.send("textDocument/didOpen", {"textDocument": document})
        for number, name in enumerate(FUNCTIONS, 1):
            position = {"line": number, "character": 4}
            hover = server.ask(
                "textDocument/hover",
                {"textDocument": {"uri": file.as_uri()}, "position": position},
            )
            shown = letters(json.dumps(hover, ensure_ascii=False).replace("\\n", " "))
            if "function" not in shown or letters(documentation(name)) not in shown:
                faults.append(name)
    finally:
        server.close()
        place.cleanup()
    return faults


def main() -> None:
    views = {"griffe": by_griffe(), "jedi": by_jedi(), "pyright": by_pyright()}
    faults = [f"{tool}: {', '.join(names)}" for tool, names in views.items() if names]
    if faults:
        sys.exit("no signature or no documentation: " + "; ".join(faults))
    print(f"{', '.join(views)}: {len(FUNCTIONS)} functions, {len(CLASSES)} classes")


if __name__ == "__main__":
    main()
