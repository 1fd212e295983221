"""Every marked line is a mistake that a type checker must find, and no other line is one."""

from __future__ import annotations

import sessiontrace as st


@st.trace
def plain(a: int) -> str:
    return str(a)


@st.tool(name="x")
async def later(a: int) -> str:
    return str(a)


@st.trace(nam="x")  # error
def misspelt() -> None: ...


plain("text")  # error
number: int = plain(1)  # error
text: str = later(1)  # error
st.span(type="tool")  # error
st.session("chat", session=1)  # error
st.init(exit_timeout="soon")  # error
st.score("helpful")  # error
for _ in st.stream(5):  # error
    pass
