"""One session, two destinations at once: each has its own cursor, retries and books.

Runs by itself against two local servers, which stand for HoneyHive and PostHog; with HH_API_KEY
and POSTHOG_API_KEY set, `st.init("honeyhive", "posthog")` is all that is needed instead.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from local_server import local_server

import sessiontrace as st


@st.tool
async def look_up(word: str) -> str:
    await asyncio.sleep(0.02)
    return f"{word}: a place where stories begin"


@st.model
async def answer(question: str) -> dict[str, str]:
    meaning = await look_up(question.split()[-1].strip("?"))
    st.update(
        config={"model": "example-1", "provider": "example"},
        metadata={"prompt_tokens": 12, "completion_tokens": 9},
    )
    return {"role": "assistant", "content": meaning}


async def main() -> None:
    with local_server() as one, local_server() as two, tempfile.TemporaryDirectory() as folder:
        st.init(
            st.HoneyHive(api_key="hh_example", base_url=one),
            st.PostHog(api_key="phc_example", base_url=two),
            spool=Path(folder) / "spool",
            service="fan-out",
        )
        async with st.session("support", user="ada", inputs={"question": "What is a harbour?"}):
            reply = await answer("What is a harbour?")
        print(f"{reply['content']}\n")
        print(f"delivery {await st.aflush()}\n")
        async with st.clients.HoneyHive("hh_example", one) as honeyhive:
            print("HoneyHive's own client finds there:")
            async for event in honeyhive.events.search():
                print(f"  {event.event_type:<8} {event.event_name:<8} {event.duration:.1f} ms")
        await st.ashutdown()


if __name__ == "__main__":
    asyncio.run(main())
