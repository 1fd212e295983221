"""One session, two destinations at once: each has its own cursor, retries and counters.

Runs by itself against two local servers in the place of HoneyHive and PostHog. With HH_API_KEY and
POSTHOG_API_KEY set, `st.init("honeyhive", "posthog")` is all that a program needs.
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
    with (
        local_server() as honeyhive_url,
        local_server() as posthog_url,
        tempfile.TemporaryDirectory() as folder,
    ):
        st.init(
            st.HoneyHive(api_key="hh_example", base_url=honeyhive_url),
            st.PostHog(api_key="phc_example", base_url=posthog_url),
            spool=Path(folder) / "spool",
            service="fan-out",
        )
        async with st.session("support", user="ada", inputs={"question": "What is a harbour?"}):
            reply = await answer("What is a harbour?")
        print(f"{reply['content']}\n")
        print(f"delivery {await st.aflush()}\n")
        async with st.clients.HoneyHive("hh_example", honeyhive_url) as honeyhive:
            print("Read back with the client of HoneyHive's API:")
            async for event in honeyhive.events.search():
                print(f"  {event.event_type:<8} {event.event_name:<8} {event.duration:.1f} ms")
        await st.ashutdown()


if __name__ == "__main__":
    asyncio.run(main())
