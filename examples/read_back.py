"""Sessions read back with the typed clients: HoneyHive's, Humanloop's and PostHog's APIs.

Runs by itself against the local server. For the real services leave the URLs out and set
HH_API_KEY and POSTHOG_PERSONAL_API_KEY; Humanloop's own service closed in September 2025.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from local_server import local_server

import sessiontrace as st


async def record(url: str, spool: Path) -> str:
    """One short session, sent by Humanloop's API; its id."""
    tracer = st.Tracer(st.Humanloop(api_key="hl_example", base_url=url), spool=spool)
    async with tracer.session("travel", user="ada", inputs={"question": "Where to?"}) as session:
        async with tracer.span("plan", type="model", config={"model": "example-1"}) as span:
            span.set(outputs={"role": "assistant", "content": "To Genoa."})
        session.set(outputs="To Genoa.")
    await tracer.ashutdown(10)
    return session.session_id


async def from_honeyhive(url: str, session_id: str) -> None:
    async with st.clients.HoneyHive("hh_example", url) as client:
        is_ours = st.clients.Filter("session_id", "is", session_id)
        async for event in client.events.search([is_ours]):
            print(f"  {event.event_type:<8} {event.event_name:<8} outputs {event.outputs}")


async def from_humanloop(url: str) -> None:
    async with st.clients.Humanloop("hl_example", url) as client:
        async for project in client.projects.list():
            async for session in client.sessions.list(project.id):
                count = session.datapoints_count
                print(f"  {project.name}: {session.id} with {count} logs, {session.last_output!r}")


async def from_posthog(url: str) -> None:
    async with st.clients.PostHog("phx_example", url) as client:
        for definition in await client.sessions.property_definitions():
            values: list[str] = []
            if definition.property_type == "String":
                values = await client.sessions.values(definition.name)
            print(f"  {definition.name:<18} {definition.property_type:<9} {', '.join(values)}")


async def main() -> None:
    with local_server() as url, tempfile.TemporaryDirectory() as folder:
        session_id = await record(url, Path(folder) / "spool")
        print("HoneyHive, events of the session:")
        await from_honeyhive(url, session_id)
        print("Humanloop, sessions of each project:")
        await from_humanloop(url)
        print("PostHog, session properties:")
        await from_posthog(url)


if __name__ == "__main__":
    asyncio.run(main())
