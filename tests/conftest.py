"""What holds for all tests: signals as in a terminal, no network, calm logging and Hypothesis.

Where ``CI`` is "true", a skipped test fails the run unless its reason is in ``EXPECTED_SKIPS``.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import pytest_timeout
from support.file_system_rules import RULES
from support.own_environment import OWN_ENVIRONMENT
from support.patience import patience

# An example may take as long as a busy machine makes it take; a hang is pytest's to find.
hypothesis.settings.register_profile("calm", deadline=None)
hypothesis.settings.load_profile("calm")

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import fetches prices
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")  # else it calls home, and warns

# Else each of some hundred programs that tests start compiles the package for itself alone.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell starts what runs in the background with these ignored, and programs inherit that.
for _name in ("SIGINT", "SIGHUP"):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL)


EXPECTED_SKIPS = (
    OWN_ENVIRONMENT,
    "is not beside this checkout",  # the vendors' published documents, which are not ours to ship
    "genai-prices needs Python 3.11",
    "it needs an older openai",  # LlamaIndex's package for it, beside the newest openai
    "needed before 3.12 only",
    "no python3.14 here",  # Debian's stable release has none
    "under macos: ",  # make platforms
    "under ntfs: ",
    "not compiled",  # the run without the compiled forms has nothing to compare them with
    "Python 3.10 checks for signals",  # as any lock does there
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--file-system ntfs`` runs what uses a spool under the rules of another system's files."""
    parser.addoption("--file-system", choices=sorted(RULES), help="rules that the spool meets")


@pytest.fixture(autouse=True)
def _file_system(request: pytest.FixtureRequest) -> Iterator[None]:
    rules = request.config.getoption("--file-system")
    exempt = request.node.get_closest_marker("not_under")
    if exempt is not None and rules in exempt.args:
        pytest.skip(f"under {rules}: {exempt.kwargs['reason']}")
    with pytest.MonkeyPatch.context() as monkeypatch:
        if rules is not None:
            RULES[rules](monkeypatch)
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> object:
    """A test's limit is in seconds of a calm machine, too."""
    settings = settings._replace(timeout=patience(settings.timeout))
    return pytest_timeout.pytest_timeout_set_timer(item, settings)


def _unexpected_skips(config: pytest.Config) -> list[str]:
    """Where tests were skipped for a reason that CI does not expect, as ``path:line: reason``."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # one of several processes of pytest-xdist; the first of them reports
        return []
    places = (report.longrepr for report in reporter.stats.get("skipped", ()))
    return [
        f"{path}:{line}: {reason}"
        for path, line, reason in places
        if not any(text in reason for text in EXPECTED_SKIPS)
    ]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI an unexpected skip is a failure: a missing package must not look like a pass."""
    if os.environ.get("CI") == "true" and _unexpected_skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which skips failed the run."""
    skips = _unexpected_skips(config) if os.environ.get("CI") == "true" else []
    for skip in skips:
        terminalreporter.write_line(f"unexpected skip: {skip}", red=True)


@pytest.fixture(scope="module", autouse=True)
def _what_stays_is_no_garbage() -> None:
    """Many tests collect all garbage: that goes through their own objects, not all of Python's."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _logging_stays() -> Iterator[None]:
    """Celery's worker sets the level of the root logger, and leaves it there."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture(autouse=True)
def _no_pipeline_outlives_its_test() -> Iterator[None]:
    """A pipeline that a test retired would log and hold threads while another test counts them."""
    yield
    retirement = sys.modules.get("sessiontrace.retirement")
    if retirement is not None:
        retirement.close_all(1.0)
