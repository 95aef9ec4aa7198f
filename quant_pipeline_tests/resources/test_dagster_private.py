"""What is private to Dagster is used in one folder only, and says there what breaks when it changes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / "quant_pipeline" / "resources" / "dagster_private"
PRIVATE = re.compile(r"\bdagster(_\w+)?\.(\w+\.)*_\w|\bdagster_shared\b|__ASSET_JOB|__source_asset")


def test_private_parts_of_dagster_are_used_in_one_folder() -> None:
    """dagster.yaml included: what it names of ours stands there too."""
    files = [*(ROOT / "quant_pipeline").rglob("*.py"), ROOT / "dagster.yaml", ROOT / "workspace.yaml"]
    using = {path.parent for path in files if PRIVATE.search(path.read_text(encoding="utf-8"))}
    assert using == {HOME}


def test_each_use_says_what_breaks_when_it_changes() -> None:
    said = {name: text for path in HOME.glob("*.py") for name, text in _said(path)}
    assert {"QuantStorage", "ADHOC_JOB"} <= said.keys()
    assert [name for name, text in said.items() if "Changed" not in text] == []


def _said(path: Path) -> Iterator[tuple[str, str]]:
    """The classes and constants of a file, each with what it says of itself."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for place, node in enumerate(body):
        if isinstance(node, ast.ClassDef):
            yield node.name, ast.get_docstring(node) or ""
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            after = body[place + 1]
            said = after.value if isinstance(after, ast.Expr) else None
            yield node.target.id, str(said.value) if isinstance(said, ast.Constant) else ""
