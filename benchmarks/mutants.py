"""Whether the tests notice a slip: one is put into a copy of the module at a time, and its mirrored test file is run.

`python -m benchmarks.mutants sync/gaps sync/plan`; `--every 5` tries each fifth slip only. Comparisons are moved or turned
round, `and` and `or` (`&` and `|`) exchanged, numbers moved by one, defaults turned, `not` left out, sides of an `if` swapped.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DEFAULT = ("sync/roster", "sync/acceptance", "sync/gaps", "sync/plan", "sync/references", "sync/repair", "sync/ledger")
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
_OWN = ("quant_pipeline", "quant_pipeline_tests")
_HANGS = 60
"""Seconds after which a run counts as noticed: a slip may make a loop that does not end."""


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


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, what it says now, and the whole module, for each slip; annotations and decorators are left as they are."""
    tree = ast.parse(source)
    quiet = {id(part) for node in ast.walk(tree) for part in _words(node)}
    for node in [node for node in ast.walk(tree) if id(node) not in quiet]:
        for slip in slips(node):
            holder, name, place = _place(tree, node)
            _put(holder, name, place, slip)
            yield getattr(node, "lineno", 0), ast.unparse(slip), ast.unparse(tree)
            _put(holder, name, place, node)


def _words(node: ast.AST) -> Iterator[ast.AST]:
    """What tells nothing to do: annotations, decorators."""
    kept = [getattr(node, "annotation", None), getattr(node, "returns", None), *getattr(node, "decorator_list", [])]
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
    """Imports what the tests need, and forgets the project's own part of it: a fork then starts in a moment."""
    for name in (".".join((*tests.parent.parts, "conftest")), ".".join(tests.with_suffix("").parts)):
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] in _OWN]:
        del sys.modules[name]


def _noticed(copied: Path, tests: Path) -> bool:
    """Whether the tests fail on the copy as it stands, run in a child process."""
    child = os.fork()
    if child == 0:
        signal.alarm(_HANGS)
        os.chdir(copied)
        sys.path.insert(0, str(copied))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tests)]))
    return os.waitpid(child, 0)[1] != 0


def main(arguments: list[str]) -> None:
    """Prints each slip that nobody noticed, and the share that was."""
    sys.dont_write_bytecode = False
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", default=DEFAULT, help="room/module, such as sync/gaps")
    parser.add_argument("--every", type=int, default=1, help="try only each so-manieth slip")
    parser.add_argument("--skip", type=int, default=0, help="leave out the first ones")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        copied = Path(directory)
        for name in _OWN:
            shutil.copytree(ROOT / name, copied / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copied)
        for module in options.modules:
            path = copied / "quant_pipeline" / f"{module}.py"
            tests = Path("quant_pipeline_tests") / Path(module).parent / f"test_{Path(module).name}.py"
            source = path.read_text()
            _preload(tests)
            if _noticed(copied, tests):
                sys.exit(f"{tests} fails, or is not there, without any slip")
            noticed = tried = 0
            for line, says, text in list(mutants(source))[options.skip :: options.every]:
                path.write_text(text)
                # Two slips within one second may be of one length: what was compiled of the last would pass for this.
                Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
                tried += 1
                if _noticed(copied, tests):
                    noticed += 1
                else:
                    print(f"{module}.py:{line}: not noticed: {' '.join(says.split())[:100]}", flush=True)
            path.write_text(source)
            Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
            print(f"{module}: {noticed} of {tried} slips noticed ({noticed / max(tried, 1):.0%})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
