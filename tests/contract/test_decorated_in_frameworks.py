"""Decorated functions where frameworks look closely: at the signature, the kind and the hints."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from support.instrumented import instrumented

import sessiontrace as st
from sessiontrace.testing import Captured

for _library in ("fastapi", "typer", "openai", "httpx"):
    pytest.importorskip(_library, reason="the contract group is not installed")

import click  # noqa: E402
import fastapi  # noqa: E402
import httpx  # noqa: E402
import openai  # noqa: E402
import typer  # noqa: E402
from click.testing import CliRunner  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402
from typer.testing import CliRunner as TyperRunner  # noqa: E402

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


@pytest.fixture
def traces() -> Iterator[Captured]:
    with st.testing.capture() as traces:
        yield traces


@st.tool
def settings(page: int = 1) -> int:
    return page


@st.trace
async def user(name: str) -> str:
    return name


@st.trace
def connection() -> Iterator[str]:
    yield "connected"


@st.trace
async def transaction(base: Annotated[str, fastapi.Depends(connection)]) -> AsyncIterator[str]:
    try:
        yield f"{base} in a transaction"
    except KeyError:
        closed.append("rolled back")
        raise
    else:
        closed.append("committed")


@st.tool
class Pages:
    def __init__(self, limit: int = 10) -> None:
        self.limit = limit

    def __call__(self, size: int = 3) -> int:
        return min(size, self.limit)


closed: list[str] = []
app = fastapi.FastAPI()


@app.get("/answer")
@st.trace
async def answer(
    page: Annotated[int, fastapi.Depends(settings)],
    name: Annotated[str, fastapi.Depends(user)],
    base: Annotated[str, fastapi.Depends(transaction)],
    size: Annotated[int, fastapi.Depends(Pages(5))],
) -> dict[str, Any]:
    if name == "eve":
        raise KeyError(name)
    return {"page": page, "name": name, "base": base, "size": size}


def test_dependencies_of_every_kind_are_resolved(traces: Captured) -> None:
    """Plain, async, with ``yield``, async with ``yield``, and a callable object with parameters."""
    closed.clear()
    client = TestClient(app)
    reply = client.get("/answer", params={"name": "ada", "page": 2, "size": 9})
    assert reply.json() == {
        "page": 2,
        "name": "ada",
        "base": "connected in a transaction",
        "size": 5,
    }
    assert client.get("/answer").status_code == 422  # the parameter of a dependency is required
    with pytest.raises(KeyError):
        client.get("/answer", params={"name": "eve"})
    assert closed == ["committed", "rolled back"]
    names = {event["event_name"] for event in traces.events}
    assert {"settings", "user", "connection", "transaction", "answer", "Pages.__call__"} <= names


def test_commands_take_their_options(traces: Captured) -> None:
    """Click below and above the decorator, and Typer, which reads the hints."""

    @click.command()
    @click.option("--count", type=int, default=1)
    @st.tool
    def below(count: int) -> None:
        """Help."""
        click.echo(str(count))

    @click.command()
    @st.tool
    @click.option("--count", type=int, default=1)
    def above(count: int) -> None:
        click.echo(str(count))

    commands = typer.Typer()

    @commands.command()
    @st.tool
    def typed(name: str, count: int = 2) -> None:
        typer.echo(f"{name} {count + 1}")

    for command in (below, above):
        assert CliRunner().invoke(command, ["--count", "3"]).output == "3\n"
    assert TyperRunner().invoke(commands, ["ada", "--count", "3"]).output == "ada 4\n"
    assert len(traces.events) == 3


@pytest.fixture
@st.tool
def resource(traces: Captured) -> Iterator[str]:
    with contextlib.suppress(RuntimeError):
        yield "resource"


def test_a_decorated_fixture_is_a_fixture(resource: str) -> None:
    """pytest runs a generator fixture to its yield, and on after the test."""
    assert resource == "resource"


def test_instrumented_clients_and_replies_are_copied_as_without_us() -> None:
    """A client in a configuration that is deep-copied, a reply that goes into a cache."""
    with instrumented("openai"):
        client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
        assert copy.copy(client).base_url == client.base_url
        assert client.with_options(timeout=1).chat.completions is not None
        create = pickle.loads(pickle.dumps(openai.resources.chat.Completions.create))
        assert create is openai.resources.chat.Completions.create


def test_an_observed_reply_is_pickled_as_the_class_it_is() -> None:
    """While its stream is observed a reply has a class of ours, which no pickle names."""
    from sessiontrace.instrumentation.core.stream_proxy import watch_response

    reply = httpx.Response(200, content=b"hello")
    watch_response(reply, object())  # type: ignore[arg-type]
    assert type(reply) is not httpx.Response
    for there in (pickle.loads(pickle.dumps(reply)), copy.copy(reply), copy.deepcopy(reply)):
        assert type(there) is httpx.Response
        assert there.content == b"hello"
        assert "_sessiontrace_observer" not in vars(there)
