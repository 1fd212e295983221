"""The environments that the comparison needs, one for each backend and SDK, made with uv.

They are below ``.venv/otel`` and stay while what is to be installed stays the same; about 1.4 GB
together. Two backends and three SDKs cannot share one: each wants other versions.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from floors import uv

__all__ = ["REPO", "python_of", "version_of"]

REPO = Path(__file__).resolve().parents[2]
PLACE = REPO / ".venv" / "otel"

_EXPORTER = "opentelemetry-exporter-otlp-proto-http"
REQUIREMENTS = {
    "phoenix": ("arize-phoenix",),
    "mlflow": ("mlflow",),
    "sessiontrace": ("openai", "genai-prices", "-r", "pyproject.toml"),
    "openinference": ("openai", "openinference-instrumentation-openai", _EXPORTER),
    "openllmetry": ("openai", "traceloop-sdk", "httpx"),  # it imports httpx, openai 3 brings none
    "pictures": ("selenium", "pillow"),
}


def python_of(name: str, *, upgrade: bool = False) -> Path:
    """The interpreter of an environment, which is made where it is missing."""
    place = PLACE / name
    python, stamp = place / "bin" / "python", place / "requirements.txt"
    text = " ".join(REQUIREMENTS[name])
    if not python.exists():
        subprocess.run([uv(), "venv", "-q", "--python", sys.executable, str(place)], check=True)
    if upgrade or not stamp.exists() or stamp.read_text() != text:
        command = [uv(), "pip", "install", "-q", "--python", str(python), *REQUIREMENTS[name]]
        subprocess.run([*command, *(["--upgrade"] if upgrade else [])], cwd=REPO, check=True)
        stamp.write_text(text)
    return python


def version_of(name: str, package: str) -> str:
    """The version of a package in an environment."""
    program = f"import importlib.metadata as m; print(m.version({package!r}))"
    command = [str(python_of(name)), "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
