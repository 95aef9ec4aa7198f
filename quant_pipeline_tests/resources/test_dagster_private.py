"""What is private to Dagster is used in one file only, and says there what breaks when it changes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / "quant_pipeline" / "resources" / "dagster_private.py"
PRIVATE = re.compile(r"\bdagster(_\w+)?\.(\w+\.)*_\w|\bdagster_shared\b|__ASSET_JOB|__source_asset")


def test_private_parts_of_dagster_are_used_in_one_file() -> None:
    """dagster.yaml included: what it names of ours stands there too."""
    files = [*(ROOT / "quant_pipeline").rglob("*.py"), ROOT / "dagster.yaml", ROOT / "workspace.yaml"]
    using = {str(path.relative_to(ROOT)) for path in files if PRIVATE.search(path.read_text(encoding="utf-8"))}
    assert using == {str(HOME.relative_to(ROOT))}


def test_each_use_says_what_breaks_when_it_changes() -> None:
    tree = ast.parse(HOME.read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    texts = [ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.ClassDef)]
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            after = tree.body[place + 1]
            said = after.value if isinstance(after, ast.Expr) else None
            names.append(node.target.id)
            texts.append(str(said.value) if isinstance(said, ast.Constant) else "")
    assert {"QuantStorage", "ADHOC_JOB"} <= set(names)
    assert [name for name, text in zip(names, texts, strict=True) if "Changed" not in text] == []
