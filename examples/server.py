"""A small chat server: each request is a session with its model call inside.

    python examples/server.py            then look at it with: sessiontrace serve

Needs: pip install openai fastapi uvicorn. The model is a local stand-in.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request

import openai
import uvicorn
from fastapi import Body, FastAPI
from model_server import model_server

import sessiontrace as st


def application(base_url: str) -> FastAPI:
    """``POST /chat`` with ``{"question": ...}``."""
    app = FastAPI()
    # A session around each request. Only the program below calls this server: trust its headers.
    app.add_middleware(st.asgi, trust="all")
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none")

    @app.post("/chat")
    async def chat(question: str = Body(embed=True)) -> dict[str, str | None]:
        answer = await client.chat.completions.create(
            model="stand-in", messages=[{"role": "user", "content": question}]
        )
        return {"answer": answer.choices[0].message.content}

    return app


def ask(port: int, question: str) -> str:
    """One request, as a client of the server makes it; the same id makes it one conversation."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/chat",
        data=json.dumps({"question": question}).encode(),
        headers={"content-type": "application/json", "x-session-id": "ada-1"},
    )
    with urllib.request.urlopen(request) as reply:
        return str(json.load(reply)["answer"])


async def main() -> None:
    """Serve, ask twice, and stop."""
    st.init("local")
    st.instrument("openai")
    async with model_server() as base_url:
        config = uvicorn.Config(application(base_url), port=0, log_level="warning")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        for question in ("Where should I go in May?", "And in December?"):
            print(await asyncio.to_thread(ask, port, question))
        server.should_exit = True
        await serving
    print(await st.ashutdown())


if __name__ == "__main__":
    asyncio.run(main())
