"""Write docs/configuration.md from the options and destinations of the package.

python tools/configuration_page.py            write the page
python tools/configuration_page.py --check    fail when the page differs
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import attrs

import sessiontrace
from sessiontrace.config import Options

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

_HEAD = """\
# Configuration

Arguments of `st.init` win over environment variables. Without `init`, the first session reads the
environment. All configuration errors are reported at once, each with a fix.

`init` also takes destinations, by name or as objects; see [Destinations](destinations.md). Without
them, `SESSIONTRACE_DESTINATIONS` names them, separated by commas.

This page is generated from the package by `tools/configuration_page.py`.

## Options

| `st.init(...)` | variable | default | meaning |
|---|---|---|---|
"""

_OTHER = """
## Variables without an argument

| variable | meaning |
|---|---|
| `SESSIONTRACE_DESTINATIONS` | names of destinations, separated by commas |
| `SESSIONTRACE_STORE` | path of the local store |
| `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | the proxy to a destination |
| `SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE` | authorities to trust |
| `SESSIONTRACE_AUTO` | `0` switches off the auto-instrumentation of `sessiontrace run` |
| `SESSIONTRACE_PLUGINS` | `0` ignores the instrumentors of other packages |
| `SESSIONTRACE_LOGPROBS` | `1` records the log probabilities of model answers that have them |
| `SESSIONTRACE_CLICKHOUSE_PASSWORD` | password for `--store clickhouse://...` |
| `SESSIONTRACE_PURE` | at installation: `1` leaves out the compiled forms, `0` requires them |

[Destinations](destinations.md#proxies-certificates-plain-http) has the rules of proxies.
"""


def page() -> str:
    """The page's text."""
    arguments = inspect.signature(sessiontrace.Tracer.init).parameters
    rows = []
    for field in attrs.fields(Options):
        variables = (f"SESSIONTRACE_{field.name.upper()}", *field.metadata["variables"])
        argument = f"`{field.name}=`" if field.name in arguments else ""
        names = ", ".join(f"`{variable}`" for variable in variables)
        text, default = field.metadata["text"], field.metadata["default"]
        rows.append(f"| {argument} | {names} | {default} | {text} |\n")
    return _HEAD + "".join(rows) + _OTHER


def main() -> None:
    if "--check" in sys.argv:
        if PAGE.read_text(encoding="utf-8") != page():
            sys.exit(f"{PAGE.name} is out of date: python tools/configuration_page.py")
    else:
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
