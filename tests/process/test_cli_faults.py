"""The command line with hostile input: one line says what is wrong, and the status is not 0."""

from __future__ import annotations

import os
import resource
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.records import event, session_end, write
from support.subprocesses import environment

from sessiontrace.model.ids import new_id

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and paths of POSIX")

REPO = Path(__file__).resolve().parents[2]
BAD = os.fsdecode(b"\xff")
LONG = "n" * 300


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with a store of one session, a file, and a file that is not a store."""
    sid = new_id()
    write(
        tmp_path / "store.db",
        session_end(sid),
        *(event(sid, inputs={"x": "é" * 300}) for _ in range(300)),
    )
    (tmp_path / "file").write_text("x")
    (tmp_path / "bad.db").write_text("not a store")
    (tmp_path / "folder").mkdir()
    return tmp_path


def run(home: Path, *words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """The command in ``home``, with the store there."""
    variables = environment(home, SESSIONTRACE_STORE=str(home / "store.db"))
    variables |= options.pop("variables", {})  # type: ignore[arg-type]
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [sys.executable, "-m", "sessiontrace", *words],
        cwd=home, env=variables, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60,
        check=False, **options,
    )  # type: ignore[call-overload,no-any-return]  # fmt: skip


def says(done: subprocess.CompletedProcess[bytes], *texts: str) -> None:
    """No traceback, a message of ours at the end, and the texts in it."""
    message = done.stderr.decode(errors="surrogateescape")
    assert "Traceback" not in message
    assert "internal error" not in message
    last = message.strip().splitlines()[-1]
    assert last.startswith(("Error: ", "  - ")), message
    for text in texts:
        assert text in message


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ("export last -o no/such/x.json", 1, "no/such/x.json cannot be written: No such file"),
        ("export last -o file/x.json", 1, "file/x.json cannot be written: Not a directory"),
        ("export last -o folder", 2, "is a directory"),
        (f"export last -o {LONG}", 1, "File name too long"),
        ("export last -o /proc/x.json", 1, "/proc/x.json cannot be written"),
        (f"export {BAD}", 2, "not valid UTF-8"),
        (f"export {'9' * 100_000}", 1, "no session starts with"),
        ("export last --db none.db", 1, "does not exist"),
        ("export last --db bad.db", 1, "is not a SQLite database"),
        (f"export last --db {BAD}.db", 2, "is not valid UTF-8"),
        ("sessions list --limit -1", 2, "--limit"),
        ("sessions list --limit 99999999999999999999999", 2, "--limit"),
        (f"sessions list --text {BAD}", 2, "not valid UTF-8"),
        (f"sessions show {BAD}", 2, "not valid UTF-8"),
        (f"sessions list --db {BAD}", 2, "is not valid UTF-8"),
        (f"tail --session {BAD}", 2, "not valid UTF-8"),
        ("tail --db none.db", 1, "does not exist"),
        ("tail --store clickhouse://u:hidden@h/d", 2, "serve --store URL"),
        ("tail --db clickhouse://u:hidden@h/d", 2, "is a URL and not a file's"),
        ("tail --db bad.db", 1, "is not a SQLite database"),
        ("serve --port 99999", 2, "--port"),
        ("serve --port -1", 2, "--port"),
        ("serve --port x", 2, "--port"),
        (f"serve --port 0 --keys --host {'é' * 80}", 1, "cannot listen"),
        (f"serve --port 0 --keys --host {BAD}", 1, "cannot listen"),
        ("serve --port 0 --keys --host a..b", 1, "cannot listen"),
        ("serve --port 0 --db file/x.db", 1, "file/x.db cannot be used"),
        ("serve --port 0 --db bad.db", 1, "is not a SQLite database"),
        (f"serve --port 0 --db {BAD}", 2, "is not valid UTF-8"),
        ("serve --port 0 --token-file no/token", 2, "cannot be created"),
        ("serve --keep-days -1", 2, "--keep-days"),
        ("serve --keep-mib nan", 2, "--keep-mib"),
        ("serve --port 0 --store clickhouse://x:99999/d", 1, "port"),
        (f"keys add {BAD}", 1, "printable"),
        (f"keys add x --project {BAD}", 1, "project name"),
        (f"keys add {'x' * 1000}", 1, "100 printable"),
        (f"keys revoke {BAD}", 1, "no key"),
        ("keys list --db bad.db", 1, "is not a SQLite database"),
        ("spool status file", 2, "is a file"),
        ("spool flush folder --timeout nan", 2, "nan is not a number of seconds"),
        ("spool flush folder --timeout -5", 2, "--timeout"),
        ("spool flush folder --timeout 1e400", 2, "--timeout"),
        ("spool retry local folder --timeout nan", 2, "nan is not a number of seconds"),
        (f"spool retry {BAD} folder", 2, "is not configured"),
        (f"spool drop folder --id {BAD} --yes", 2, "no spool"),
        (f"doctor {BAD}", 1, "unknown destination"),
        ("import humanloop none", 2, "does not exist"),
        ("import humanloop folder", 1, "no logs/*.jsonl"),
        (f"import humanloop file --to {BAD}", 1, "unknown destination"),
        (f"run {BAD}", 2, "no file and no command"),
        ("run nosuch.py", 2, "no file and no command"),
        ("store migrate --store x", 1, "clickhouse://"),
        ("store migrate --store clickhouse://127.0.0.1:1/d --keep-days -4", 2, "--keep-days"),
        ("nosuch", 2, "No such command"),
        (BAD, 2, "No such command"),
    ],
    ids=lambda value: ascii(value)[:60] if isinstance(value, str) else None,
)
def test_E20_bad_input_is_one_error(home: Path, words: str, status: int, text: str):
    """Every command, with what it cannot use."""
    done = run(home, *words.split(" "))
    says(done, text)
    assert done.returncode == status
    assert b"hidden" not in done.stderr


@pytest.mark.parametrize("words", ["doctor", "import humanloop file", "spool retry local"])
def test_a_store_path_that_is_not_utf8_is_a_fault_of_the_configuration(home: Path, words: str):
    """SQLite cannot open it; a program's init() says the same, as ConfigError."""
    path = str(home / BAD)
    done = run(home, *words.split(" "), variables={"SESSIONTRACE_STORE": path})
    says(done, "is not valid UTF-8; name another file (path= or SESSIONTRACE_STORE)")
    assert done.returncode == 1
    code = (
        "import sessiontrace as st\ntry:\n    st.init('local')\n"
        "except st.ConfigError as e:\n    print(e)"
    )
    program = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
        env=environment(home, SESSIONTRACE_STORE=path),
    )  # fmt: skip
    assert "is not valid UTF-8" in program.stdout + program.stderr
    assert "Traceback" not in program.stderr


PRINTING = ["export last", "export last --format otlp", "export last --format html",
            "sessions list", "sessions list --json", "sessions show last",
            "sessions show last --json", "--help", "sessions --help", "keys list", "doctor",
            "doctor --json", "spool status --json", "--version"]  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", PRINTING)
def test_A29_a_full_disk_under_the_output_is_an_error(home: Path, words: str):
    """What did not arrive is not a success."""
    with open("/dev/full", "wb") as full:
        done = run(home, *words.split(" "), stdout=full)
    says(done, "No space left on device")
    assert done.returncode == 1


@pytest.mark.parametrize("words", PRINTING)
def test_a_reader_that_has_enough_is_no_error(home: Path, words: str):
    """``sessiontrace ... | head``: silent, status 0."""
    reader, writer = socket.socketpair()
    reader.close()
    with writer:
        done = run(home, *words.split(" "), stdout=writer.fileno())
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("words", PRINTING)
def test_an_output_that_is_closed_or_ascii_is_no_error(home: Path, words: str):
    """``>&-``, and a terminal that cannot show what the store holds."""
    done = run(home, *words.split(" "), preexec_fn=lambda: os.close(1), stdout=None)
    assert (done.returncode, done.stderr) == (0, b"")
    done = run(home, *words.split(" "), variables={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert (done.returncode, done.stderr) == (0, b"")


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.parametrize(
    "words",
    ["export last -o new.json", "export last -o file", "serve --port 0 --db new.db",
     "keys add x --db new.db"],
)  # fmt: skip
def test_A29_a_disk_that_fills_up_leaves_no_half(home: Path, words: str):
    """The exported file is whole or as it was before."""
    done = run(home, *words.split(" "), preexec_fn=limited)
    says(done)
    assert done.returncode == 1
    assert (home / "file").read_text() == "x"
    left = {path.name for path in home.iterdir()}
    assert not any(name.startswith((".new", ".file", "new.json")) for name in left)


def test_an_exported_file_is_its_owners_alone(home: Path):
    """Also where it replaces one that others could read; a pipe is written as it is."""
    (home / "file").chmod(0o644)
    assert run(home, "export", "last", "-o", "file").returncode == 0
    assert stat.S_IMODE((home / "file").stat().st_mode) == 0o600
    (home / "link").symlink_to("file")
    assert run(home, "export", "last", "-o", "link").returncode == 0
    assert (home / "link").is_symlink()
    assert run(home, "export", "last", "-o", "/dev/stdout").stdout.startswith(b"{")


def test_an_empty_entry_of_the_path_stays_the_current_directory(home: Path):
    """``PYTHONPATH=:lib`` and ``lib:`` mean it, ``lib`` does not."""
    (home / "beside.py").write_text("print('imported')")
    (home / "elsewhere").mkdir()
    (home / "elsewhere" / "main.py").write_text("import beside")
    for path, status in ((f":{REPO}", 0), (f"{REPO}:", 0), (f"{REPO}", 1)):
        done = run(home, "run", "elsewhere/main.py", variables={"PYTHONPATH": path})
        bare = subprocess.run(
            [sys.executable, "elsewhere/main.py"], cwd=home, capture_output=True, check=False,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        assert (done.returncode, bare.returncode) == (status, status), path


def test_a_name_of_two_projects_is_not_revoked_in_both(home: Path):
    """The command asks which one."""
    for project in ("one", "two"):
        assert run(home, "keys", "add", "shop", "--project", project).returncode == 0
    done = run(home, "keys", "revoke", "shop")
    says(done, "several projects have this name (one, two)", "--project")
    assert done.returncode == 1
    done = run(home, "keys", "revoke", "shop", "--project", "two")
    assert (done.returncode, b"project two" in done.stdout) == (0, True)
    assert b"one" in run(home, "keys", "list").stdout
    says(run(home, "keys", "revoke", "shop", "--project", "two"), "no key in project 'two'")
    assert run(home, "keys", "revoke", "shop").returncode == 0
