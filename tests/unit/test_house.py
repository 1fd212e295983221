"""The rules of the house: layers, circles, names, sizes, and what an import may do."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

import sessiontrace

ROOT = Path(sessiontrace.__file__).parent
HEAVY = ("aiohttp", "sqlite3", "anyio", "click", "platformdirs", "rich")

LAYERS = [
    {"model", "runtime", "text"},
    {"wire", "pricing"},
    {"capture", "spool", "store"},
    {"views"},
    {"instrumentation"},
    {"export.request_body", "export.protocol"},
    {"export", "vendors"},
    {"config", "config_memo"},
    {"report", "pipeline", "retirement"},
    {"generation"},
    {"tracer"},
    {"api", "api_signatures"},
    {"clients", "otel", "logging", "testing", "conformance", "pytest_plugin"},
    {"server"},
    {"cli"},
]
"""From the ground up; a module imports from its own layer and those below."""

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if "bootstrap" not in path.parts
)


def source_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(source_of(module).read_text())


@functools.cache
def imports(module: str, *, at_import: bool = False, everything: bool = False) -> frozenset[str]:
    """Full names that a module imports.

    ``at_import``: only those that importing it runs. ``everything``: also those that only type
    checkers see.
    """
    tree = tree_of(module)
    names: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        elif not everything and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            todo += node.orelse
        elif at_import and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        else:
            todo += ast.iter_child_nodes(node)
    return frozenset(names)


def own(names: Collection[str]) -> set[str]:
    """Those of the imports that are modules of the package, without its name."""
    cut = {name.removeprefix("sessiontrace.") for name in names if name.startswith("sessiontrace.")}
    return {name for name in cut if name in MODULES}


def layer_of(module: str) -> int:
    for number, names in enumerate(LAYERS):
        if module in names:
            return number
    top = module.split(".")[0]
    for number, names in enumerate(LAYERS):
        if top in names:
            return number
    raise AssertionError(f"{module} belongs to no layer; add it to LAYERS")


def within(module: str, *places: str) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)


@pytest.mark.parametrize(
    "module", [m for m in MODULES if m not in {"__init__", "__main__"} and m != ""]
)
def test_imports_run_downward(module: str) -> None:
    """The folders read as the way of an event; nothing reaches back up."""
    wrong = {
        name
        for name in own(imports(module, everything=True))
        if layer_of(name) > layer_of(module) and not within(name, module.split(".")[0])
    }
    assert not wrong


def forbidden(places: tuple[str, ...], banned: tuple[str, ...], but: tuple[str, ...] = ()) -> None:
    for module in MODULES:
        if within(module, *places) and not within(module, *but):
            found = imports(module)
            bad = {name for name in found if within(name, *banned)}
            assert not bad, f"{module} imports {sorted(bad)}"


def test_pure_modules_know_no_loop_and_no_thread() -> None:
    """What runs on the user's thread for every event must not even be able to wait."""
    pure = (
        "model",
        "config",
        "capture.encoding",
        "capture.redaction.redactor",
    )
    forbidden(pure, ("asyncio", "aiohttp", "threading"))


def test_capture_sees_only_an_offer() -> None:
    """Capture knows nothing of disks, senders or vendors."""
    banned = tuple(f"sessiontrace.{name}" for name in ("spool", "export", "vendors", "store"))
    forbidden(("capture",), (*banned, "sessiontrace.tracer", "sessiontrace.api"))


def test_the_spool_handles_bytes_only() -> None:
    """The spool could hold anything."""
    banned = tuple(f"sessiontrace.{name}" for name in ("capture", "export", "vendors", "store"))
    forbidden(("spool",), banned)


def test_exporters_are_pure() -> None:
    """encode and judge have no clock, no loop and no client: they are tables with a name."""
    for module in MODULES:
        if within(module, "vendors") and module.endswith(".exporter"):
            forbidden((module,), ("aiohttp", "asyncio", "anyio", "time", "threading"))


HTTP = ("export.http_transport", "export.http.small_exchange")  # the second for the first alone


def test_one_module_speaks_http_on_the_sdks_side() -> None:
    """aiohttp is behind one seam; the typed clients use it too, and no exporter comes near."""
    sdk = (
        "model",
        "config",
        "capture",
        "spool",
        "export",
        "store",
        "pipeline",
        "tracer",
    )
    forbidden((*sdk, "api", "instrumentation"), ("aiohttp",), HTTP)
    for module in MODULES:
        if within(module, "vendors") and module.endswith(".exporter"):
            reached, todo = set[str](), [module]
            while todo:
                found = imports(todo.pop(), at_import=True)
                assert not any(within(name, "aiohttp") for name in found), module
                todo += own(found) - reached
                reached |= own(found)


def test_nothing_imports_the_command_line() -> None:
    """The CLI is the roof."""
    for module in MODULES:
        if not within(module, "cli", "__main__"):
            assert not any(within(name, "cli") for name in own(imports(module)))


def needed(module: str) -> set[str]:
    """The modules that a module imports anywhere; of ``from package import module`` the module."""
    modules: set[str] = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                modules |= own({full}) or own({str(node.module)})
        elif isinstance(node, ast.Import):
            modules |= own({alias.name for alias in node.names})
    return modules


def test_there_are_no_circles() -> None:
    """Counted with ``TYPE_CHECKING`` and function-local imports: a circle that hides is one too."""
    graph = {module: needed(module) - {module} for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module in done:
            return
        for name in sorted(graph[module]):
            visit(name, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


BANNED = frozenset(
    "found one each made held told given shown known taken asked".split()  # noqa: SIM905
    + "kept listed named wanted rest more".split()  # noqa: SIM905
)


def bindings(tree: ast.AST) -> list[tuple[str, int]]:
    """Each name that the code binds, with its line: variables, arguments and attributes."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append((node.id, node.lineno))
        elif isinstance(node, ast.arg):
            names.append((node.arg, node.lineno))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.append((node.attr, node.lineno))
    return names


@pytest.mark.parametrize("module", MODULES)
def test_variables_are_nouns_that_say_what_they_hold(module: str) -> None:
    """`for destination in destinations`; a reader must not look back for what `one` is."""
    bare = [f"{name} (line {line})" for name, line in bindings(tree_of(module)) if name in BANNED]
    assert bare == []


def private_access(tree: ast.AST) -> list[tuple[str, int]]:
    """Each ``other._name``: an underscore attribute of anything but ``self`` and ``cls``."""
    return [
        (node.attr, node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    ]


def test_objects_keep_out_of_each_others_private_parts() -> None:
    """What remains are two halves of one class, and other libraries' privates with a reason."""
    places = [
        f"{module}:{line} {name}"
        for module in MODULES
        for name, line in private_access(tree_of(module))
    ]
    assert len(places) < 40, "\n".join(places)


@pytest.mark.parametrize(
    "folder",
    sorted({path.parent for suffix in ("py", "js") for path in ROOT.rglob(f"*.{suffix}")}),
    ids=lambda folder: folder.relative_to(ROOT.parent).as_posix(),
)
def test_no_folder_is_flat(folder: Path) -> None:
    """More than 20 modules in one folder are a drawer, not a package."""
    modules = [path.name for path in folder.iterdir() if path.suffix in {".py", ".js"}]
    assert len(modules) <= 20


def run(code: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_importing_starts_nothing_and_opens_nothing() -> None:
    """`import sessiontrace` in somebody's Lambda: no thread, no file, no heavy module."""
    found = run(
        "import sys, json, threading\n"
        "sys.dont_write_bytecode = True\n"  # else Python itself writes, the first time
        "opened = []\n"
        "def look(event, args):\n"
        "    if event == 'open' and not str(args[0]).endswith(('.py', '.pyc', '.so')):\n"
        "        if 'w' in str(args[1]) or 'a' in str(args[1]) or (args[2] or 0) & 3:\n"
        "            opened.append(str(args[0]))\n"
        "    if event.startswith(('socket.', 'subprocess.')) and event != 'socket.__new__':\n"
        "        opened.append(event)\n"
        "before = set(sys.modules)\n"
        "sys.addaudithook(look)\n"
        "import sessiontrace\n"
        "print(json.dumps({'threads': threading.active_count(), 'opened': opened,\n"
        "    'modules': sorted(set(sys.modules) - before)}))\n"
    )
    assert found["threads"] == 1
    assert found["opened"] == []
    loaded = {str(name).split(".")[0] for name in list(found["modules"])}  # type: ignore[call-overload]
    assert not loaded & {*HEAVY, "asyncio", "concurrent", "logging", "orjson", "inspect", "uuid"}
    assert "sessiontrace.capture.span" not in list(found["modules"])  # type: ignore[call-overload]


def test_every_submodule_imports_and_shadows_no_public_name() -> None:
    """A submodule named like a public function would replace it the moment it is imported."""
    found = run(
        "import json, importlib, sessiontrace as st\n"
        f"modules = {[m for m in MODULES if m and m not in {'__init__', '__main__'}]!r}\n"
        "for module in modules:\n"
        "    try:\n"
        "        importlib.import_module('sessiontrace.' + module)\n"
        "    except ModuleNotFoundError as error:\n"
        "        if error.name != 'mcp': raise  # of an extra that is not in every environment\n"
        "print(json.dumps({name: type(getattr(st, name)).__name__ for name in st.__all__}))\n"
    )
    modules = {name for name, kind in found.items() if kind == "module"}
    assert modules <= {"clients", "logging", "otel", "testing"}
    assert set(found) == set(sessiontrace.__all__)


@pytest.mark.parametrize("name", sorted(sessiontrace.__all__))
def test_every_public_name_is_callable_and_documented(name: str) -> None:
    """The help text is where most users meet the API."""
    value = getattr(sessiontrace, name)
    assert callable(value) or inspect.ismodule(value)
    assert (inspect.getdoc(value) or "").strip()
    if inspect.isclass(value) and value.__module__.startswith("sessiontrace"):
        for method, member in vars(value).items():
            if not method.startswith("_") and callable(member):
                assert inspect.getdoc(getattr(value, method)), f"{name}.{method}"


def test_names_that_do_not_exist_say_so() -> None:
    """The lazy attributes must not turn a typing error into an import error."""
    with pytest.raises(AttributeError, match="no attribute 'sesion'"):
        _ = sessiontrace.sesion
    assert set(sessiontrace.__all__) <= set(dir(sessiontrace))


def test_an_error_caught_at_import_is_no_public_name() -> None:
    """It would be one without a declared type, which `make package` counts."""
    public = [
        f"{module}: {handler.name}"
        for module in MODULES
        for node in tree_of(module).body
        if isinstance(node, ast.Try)
        for handler in node.handlers
        if handler.name and not handler.name.startswith("_")
    ]
    assert public == []


def test_every_module_says_what_lives_in_it() -> None:
    """Each opens with a docstring; one of them that has no words is no documentation."""
    silent = [m for m in MODULES if not ast.get_docstring(tree_of(m))]
    assert silent == []


def test_no_two_files_are_the_same() -> None:
    """A check of the wheel's contents calls such a file a mistake of packaging."""
    paths: dict[bytes, list[str]] = {}
    for path in ROOT.rglob("*.py"):
        paths.setdefault(path.read_bytes(), []).append(path.relative_to(ROOT).as_posix())
    assert [names for content, names in paths.items() if content and len(names) > 1] == []


def test_a_module_can_be_imported_alone() -> None:
    """Import order must not matter: each module of capture comes first in a process of its own."""
    modules = [f"sessiontrace.{module}" for module in MODULES if module.startswith("capture.")]
    program = (
        "import importlib, os, sys\n"
        "for name in sys.argv[1:]:\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        importlib.import_module(name)\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0, name\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *modules], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
