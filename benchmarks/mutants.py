"""Whether the tests notice a slip: one is put into a copy of the module at a time, and its mirrored test file is run.

`python -m benchmarks.mutants sync/gaps sync/plan`; `--every 5` tries each fifth slip only. Comparisons are moved or turned
round, `and` and `or` (`&` and `|`) exchanged, numbers moved by one, defaults turned, `not` left out, sides of an `if` swapped,
and the like inside SQL texts. All runs share one embedded PostgreSQL.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.util
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_DECISIONS = "roster acceptance plausibility gaps plan references repair ledger"
DEFAULT = tuple(f"sync/{name}" for name in _DECISIONS.split())
_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_SQL = re.compile(r"\b(SELECT|WHERE|UPDATE|INSERT INTO|CASE WHEN)\b|(?i:\bcoalesce\()")
"""A text with one of these is SQL."""
_IN_SQL = re.compile(r"<=|>=|<>|(?<![-=<>])>|<(?!>)|(?<![<>!])=(?!>)|\b(AND|OR|NOT|DESC|min|max)\b| [+-] |(?<= )[0-9]+\b")
_SQL_SLIPS = {
    "<=": "<",
    "<": "<=",
    ">=": ">",
    ">": ">=",
    "=": "<>",
    "<>": "=",
    "AND": "OR",
    "OR": "AND",
    "NOT": "",
    "DESC": "ASC",
    "min": "max",
    "max": "min",
    " + ": " - ",
    " - ": " + ",
}
_NEXT_ASSIGNED = re.compile(r",\s*\w+ $")
_CLAUSE = re.compile(r"\b(SET|VALUES|SELECT|FROM|WHERE|WHEN|AND|OR|ON|BETWEEN)\b")
_SHARED_SERVER = """

_numbers = itertools.count(os.getpid() * 1000)


@pytest.fixture(scope="session")
def home() -> Path:
    return Path({home!r})
"""
"""Put at the end of the copied conftest.py: the server of this script, and names that no other child has."""
_LOADED = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"
_START = """
import sys
from pathlib import Path
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
database = Database.from_settings(Settings(QUANT_HOME=Path(sys.argv[1])))
database.upgrade()
"""
_STOP = "import sys; from pathlib import Path; from quant_pipeline.warehouse import server; server.stop(Path(sys.argv[1]))"
_OPTIONS = ("-p", "no:cacheprovider", "-p", "no:xdist")
_OWN = ("quant_pipeline", "quant_pipeline_tests")
_HANGS = 60
"""Seconds of computing after which a run counts as noticed: a slip may make a loop that does not end. One that only waits has
ten times what the tests take without a slip."""


def slips(node: ast.AST) -> Iterator[ast.AST]:
    """The node with one slip in it, for each that it may have: itself, or what stands in its place."""
    changed = copy.deepcopy(node)
    match changed:
        case ast.Compare(ops=[operator, *others]) if type(operator) in _OPERATORS:
            changed.ops = [_OPERATORS[type(operator)](), *others]  # type: ignore[list-item]
        case ast.BoolOp() | ast.BinOp() if type(changed.op) in _OPERATORS:
            changed.op = _OPERATORS[type(changed.op)]()  # type: ignore[assignment]
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            changed = changed.operand
        case ast.Constant(value=bool() as value):
            changed.value = not value
        case ast.Constant(value=str() as value):
            for text in sql_slips(value):
                yield ast.copy_location(ast.Constant(text), node)
            return
        case ast.Constant(value=int() as value):
            changed.value = value + 1
        case ast.Constant(value=float() as value):
            changed.value = value * 2 or 1.0
        case ast.Name(id=name) if name in _NAMES:
            changed.id = _NAMES[name]
        case ast.IfExp(body=body, orelse=orelse):
            changed.body, changed.orelse = orelse, body
        case _:
            return
    yield changed


def sql_slips(text: str) -> Iterator[str]:
    """The SQL text with one slip in it; none for another text. What a statement assigns is left as it is."""
    if not _SQL.search(text):
        return
    for found in _IN_SQL.finditer(text):
        before = text[: found.start()]
        clauses = ["", *_CLAUSE.findall(before)]
        assigned = found[0] == "=" and (clauses[-1] == "SET" or ("SET" in clauses and _NEXT_ASSIGNED.search(before)))
        ends_range = found[0] == "AND" and clauses[-1] == "BETWEEN"
        if not assigned and not ends_range:
            slip = _SQL_SLIPS.get(found[0]) if not found[0].isdigit() else str(int(found[0]) + 1)
            yield f"{before}{slip}{text[found.end() :]}"


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, what it says now, and the whole module, for each slip; annotations and decorators are left as they are."""
    tree = ast.parse(source)
    quiet = {id(part) for node in ast.walk(tree) for part in _words(node)}
    for node in [node for node in ast.walk(tree) if id(node) not in quiet]:
        for slip in slips(node):
            holder, name, place = _place(tree, node)
            _put(holder, name, place, slip)
            yield getattr(node, "lineno", 0), _says(node, slip), ast.unparse(tree)
            _put(holder, name, place, node)


def _says(node: ast.AST, slip: ast.AST) -> str:
    """What the slip says; of a long text only what is about the slip."""
    was, now = (" ".join(ast.unparse(each).split()) for each in (node, slip))
    same = next((place for place, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), 0)
    return now if len(now) <= 100 else f"…{now[max(same - 50, 0) : same + 50]}…"


def _words(node: ast.AST) -> Iterator[ast.AST]:
    """What tells nothing to do: annotations, decorators, docstrings."""
    docstring = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else None
    kept = [docstring, getattr(node, "annotation", None), getattr(node, "returns", None), *getattr(node, "decorator_list", [])]
    for part in kept:
        if part is not None:
            yield from ast.walk(part)


def _place(tree: ast.Module, wanted: ast.AST) -> tuple[ast.AST, str, int | None]:
    for holder in ast.walk(tree):
        for name, value in ast.iter_fields(holder):
            if value is wanted:
                return holder, name, None
            if isinstance(value, list):
                for place, each in enumerate(value):
                    if each is wanted:
                        return holder, name, place
    raise LookupError("the node stands nowhere")


def _put(holder: ast.AST, name: str, place: int | None, node: ast.AST) -> None:
    if place is None:
        setattr(holder, name, node)
    else:
        getattr(holder, name)[place] = node


def _preload(tests: Path) -> None:
    """Imports the libraries that the tests need: a fork then starts in a moment.

    Not the project's own part of it, which computes with polars here and there: a fork has none of its threads, and hangs.
    """
    name = ".".join(tests.with_suffix("").parts)
    loaded = subprocess.run([sys.executable, "-c", _LOADED, name], check=True, cwd=ROOT, capture_output=True, text=True)
    for library in loaded.stdout.split():
        if library.split(".")[0] not in (*_OWN, "__main__"):
            with suppress(ImportError):
                importlib.import_module(library)


def _noticed(copied: Path, tests: Path, patience: float = 0) -> bool:
    """Whether the tests fail on the copy as it stands, run in a child process. `patience`: seconds; 0: as long as it takes."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (_HANGS, _HANGS))
        signal.alarm(math.ceil(patience))
        os.chdir(copied)
        sys.path.insert(0, str(copied))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os._exit(pytest.main(["-x", "-q", *_OPTIONS, str(tests)]))
    return os.waitpid(child, 0)[1] != 0


@contextmanager
def _server() -> Iterator[Path]:
    """The home of an embedded PostgreSQL with an upgraded database, in memory where there is room for one."""
    memory = Path("/dev/shm")
    home = Path(tempfile.mkdtemp(prefix="qp", dir=memory if memory.is_dir() else None))
    subprocess.run([sys.executable, "-c", _START, home], check=True, cwd=ROOT)
    try:
        yield home
    finally:
        subprocess.run([sys.executable, "-c", _STOP, home], check=True, cwd=ROOT)
        shutil.rmtree(home)


def _try(copied: Path, module: str, lines: Sequence[int], every: int) -> None:
    """Prints each slip in the module that nobody noticed, and the share that was."""
    path = copied / "quant_pipeline" / f"{module}.py"
    tests = Path("quant_pipeline_tests") / Path(module).parent / f"test_{Path(module).name}.py"
    source = path.read_text()
    compiled = Path(importlib.util.cache_from_source(str(path)))
    _preload(tests)
    started = time.monotonic()
    if _noticed(copied, tests):
        print(f"{module}: {tests} fails without any slip: not measured", flush=True)
        return
    patience = max(_HANGS, 10 * (time.monotonic() - started))
    noticed = tried = 0
    for line, says, text in [each for each in mutants(source) if not lines or each[0] in lines][::every]:
        path.write_text(text)
        # Two slips within one second may be of one length: what was compiled of the last would pass for this.
        compiled.unlink(missing_ok=True)
        tried += 1
        if _noticed(copied, tests, patience):
            noticed += 1
        else:
            print(f"{module}.py:{line}: not noticed: {says}", flush=True)
    path.write_text(source)
    compiled.unlink(missing_ok=True)
    print(f"{module}: {noticed} of {tried} slips noticed ({noticed / max(tried, 1):.0%})", flush=True)


def main(arguments: list[str]) -> None:
    """Tries the modules one after the other, in a copy of the tree."""
    sys.dont_write_bytecode = False
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", default=DEFAULT, help="room/module, such as sync/gaps")
    parser.add_argument("--every", type=int, default=1, help="try only each so-manieth slip")
    parser.add_argument("--lines", type=int, nargs="+", default=(), help="try only the slips that begin on these lines")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory, _server() as home:
        copied = Path(directory)
        for name in _OWN:
            shutil.copytree(ROOT / name, copied / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copied)
        with (copied / "quant_pipeline_tests" / "conftest.py").open("a") as conftest:
            conftest.write(_SHARED_SERVER.format(home=str(home)))
        for module in options.modules:
            _try(copied, module, options.lines, options.every)


if __name__ == "__main__":
    main(sys.argv[1:])
