"""The style of an exported page, and the policy under which a browser shows it.

Pure values. Invariant: the policy allows this one style, and media that the page itself holds; it
allows no script, no request and no style of a recorded text.
"""

from __future__ import annotations

import base64
import hashlib

__all__ = ["DEPTH_MAX", "POLICY", "STYLE"]

DEPTH_MAX = 24
"""The most levels of steps that are indented."""

_LEVELS = range(DEPTH_MAX + 1)
_INDENTS = "\n".join(f".d{depth} {{ padding-left: {depth * 14}px; }}" for depth in _LEVELS)
_ON_PHONES = "\n".join(f".d{depth} {{ padding-left: {depth * 5}px; }}" for depth in _LEVELS)

STYLE = f"""
:root {{ color-scheme: light; --back: #fff; --text: #1c1f26; --soft: #565d6b; --line: #d9dde4;
  --card: #f4f5f8; --user: #e8effc; --bad: #b3261e; --code: #eceef2; --link: #1d4fb8; }}
@media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; --back: #14161a;
  --text: #e6e8ec; --soft: #a4abb8; --line: #343943; --card: #1d2026; --user: #1b2a44;
  --bad: #ff8a80; --code: #2a2e36; --link: #9dbcff; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }}
main {{ max-width: 1000px; margin: 24px auto; padding: 0 16px; }}
h1 {{ font-size: 22px; line-height: 1.3; margin: 0 0 6px; }}
h2 {{ font-size: 17px; margin: 28px 0 8px; }}
h3 {{ font-size: 13px; color: var(--soft); margin: 12px 0 4px; }}
a {{ color: var(--link); }}
.facts {{ color: var(--soft); margin: 0 0 4px; }} .bad {{ color: var(--bad); }}
.turn {{ border-top: 1px solid var(--line); padding: 4px 0 12px; }}
.message {{ background: var(--card); border-radius: 8px; padding: 6px 12px; margin: 8px 0; }}
.message.user {{ background: var(--user); margin-left: 12%; }}
.role {{ color: var(--soft); font-size: 12px; margin: 0; }}
.text > :first-child {{ margin-top: 2px; }} .text > :last-child {{ margin-bottom: 2px; }}
.text h1, .text h2, .text h3, .text h4, .text h5, .text h6 {{ font-size: 16px;
  color: inherit; margin: 10px 0 4px; }}
.plain {{ white-space: pre-wrap; margin: 2px 0; }}
pre, code {{ font: 13px/1.45 ui-monospace, monospace; }}
pre {{ background: var(--code); border-radius: 6px; padding: 8px 10px; margin: 6px 0;
  white-space: pre-wrap; }}
:not(pre) > code {{ background: var(--code); border-radius: 4px; padding: 0 4px; }}
table {{ border-collapse: collapse; }} th, td {{ border: 1px solid var(--line); padding: 3px 8px;
  text-align: left; }}
blockquote {{ border-left: 3px solid var(--line); margin: 6px 0; padding-left: 12px; }}
img, video {{ max-width: 100%; }}
summary {{ cursor: pointer; }}
.fold > summary {{ color: var(--soft); font-size: 13px; }}
.step {{ border-top: 1px solid var(--line); }}
.step > summary {{ display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr);
  gap: 12px; padding: 6px 0; align-items: center; }}
.name {{ font-weight: 600; }} .name::before {{ content: "▸ "; color: var(--soft); }}
[open] > summary .name::before {{ content: "▾ "; }}
.kind {{ color: var(--soft); font-size: 13px; margin-left: 8px; }}
.lane svg {{ width: 100%; height: 16px; display: block; }}
.in {{ padding: 0 0 12px 14px; }}
.model {{ fill: #8a5fe0; }} .tool {{ fill: #12968a; }} .chain {{ fill: #4f7ac8; }}
rect.turn {{ fill: #b07a10; }} rect.bad {{ fill: #d33; }}
@media (max-width: 640px) {{ main {{ margin: 12px auto; padding: 0 12px; }}
  .step > summary {{ grid-template-columns: minmax(0, 1fr); gap: 2px; }}
  .message.user {{ margin-left: 4%; }} }}
@media print {{ .step, .turn {{ break-inside: avoid-page; }} }}
{_INDENTS}
@media (max-width: 640px) {{
{_ON_PHONES}
}}
"""

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; media-src data:; "
    "base-uri 'none'; form-action 'none'"
)
