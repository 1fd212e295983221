"""The two backends as processes of their own, with empty stores, on free ports of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from environments import python_of

__all__ = ["mlflow_server", "phoenix_server"]

_STOP_S = 20
_START_S = 300  # both import for a minute on a busy machine, and make tables


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def phoenix_server(folder: Path) -> Iterator[str]:
    """Phoenix's address."""
    port = _free_port()
    variables = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(_free_port()),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    command = [str(python_of("phoenix").parent / "phoenix"), "serve"]
    with _running(command, variables, folder, f"http://127.0.0.1:{port}", "/healthz") as url:
        yield url


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """MLflow's address."""
    port = _free_port()
    store = f"sqlite:///{folder / 'mlflow.db'}"
    command = [
        str(python_of("mlflow").parent / "mlflow"), "server", "--port", str(port),
        "--workers", "1", "--backend-store-uri", store,
    ]  # fmt: skip
    variables = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with _running(command, variables, folder, f"http://127.0.0.1:{port}", "/health") as url:
        yield url


@contextlib.contextmanager
def _running(
    command: list[str], variables: dict[str, str], folder: Path, url: str, health: str
) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **variables}, cwd=folder, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            _wait(process, url + health, log)
            yield url
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server and its children to end, then end them."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(1)
    raise RuntimeError(f"{url} did not answer; see {log}")
