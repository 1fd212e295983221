"""A program that type checkers must accept, with the types they must see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from typing_extensions import assert_type

import sessiontrace as st


@st.trace
def plain(a: int, *, b: str = "") -> list[str]:
    return [b] * a


@st.tool(name="search", ignore=("key",))
async def search(query: str, key: str) -> dict[str, int]:
    return {query: len(key)}


@st.model(reduce=lambda chunks: "".join(chunks))
async def words() -> AsyncIterator[str]:
    yield "a"


@st.chain
def numbers() -> Iterator[int]:
    yield 1


@st.trace(type="tool")
class Tools:
    def look(self, where: str) -> int:
        return len(where)


@st.session("job")
async def job(x: int) -> str:
    return str(x)


async def main() -> None:
    st.init("local", st.HoneyHive(api_key="k"), redact=["customer"], sample=0.5, threads=False)
    assert_type(plain(1, b="x"), list[str])
    assert_type(await search("q", key="k"), dict[str, int])
    assert_type(await job(1), str)
    assert_type(Tools().look("x"), int)
    assert_type(list(numbers()), list[int])
    async for word in words():
        assert_type(word, str)
    async with st.session("chat", user="ann", to=["local"]) as session:
        assert_type(session.session_id, str)
        with st.span("step", type="tool", inputs={"a": 1}) as span:
            span.set(outputs=1, metrics={"m": 1.0}).set(feedback={"f": True})
        async for chunk in st.stream(words()):
            assert_type(chunk, str)
        for number in st.stream([1, 2]):
            assert_type(number, int)
        handle = st.start_span("manual", parent=session)
        handle.end(outputs=None)
        headers: dict[str, str] = {}
        assert_type(st.inject(headers), dict[str, str])
        with st.extract(headers), st.suppress():
            st.score("helpful", 1, session_id="x", comment="c")
    assert_type((await st.aflush()).stats, st.Stats)
