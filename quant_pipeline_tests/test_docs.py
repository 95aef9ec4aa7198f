"""The documents: the site builds without a warning and loads nothing from elsewhere, twins have the same chapters."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from quant_pipeline.sources.failures import FailureClass

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TWINS = [("README.md", "README.zh-CN.md")] + [
    (f"docs/{page.name}", f"docs/{page.name.removesuffix('.md')}.zh.md")
    for page in sorted(DOCS.glob("*.md"))
    if not page.name.endswith(".zh.md") and page.name not in {"architecture.md", "datasets.md", "changelog.md", "index.md"}
]
"""Pages of the user and their Chinese twins; the two for developers are English, the catalogue has both in one."""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mermaidx", reason="the extra `docs` is not installed: make docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=120
    )
    told = built.stdout + built.stderr
    assert built.returncode == 0, told
    assert "WARNING" not in told
    return folder


def test_the_site_has_every_page_in_both_languages(site: Path) -> None:
    pages = {page.name.replace(".md", ".html") for page in DOCS.glob("*.md") if not page.name.endswith(".zh.md")}
    assert pages <= {page.name for page in site.glob("*.html")}
    assert pages <= {page.name for page in (site / "zh").glob("*.html")}


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|link|img|iframe)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]*)"', html)
        assert [each for each in loaded if "canonical" not in each] == [], page
        if 'class="mermaid"' in html:  # else the theme would fetch Mermaid
            (script,) = re.findall(r'src="([^"]*mermaid\.js)"', html)
            assert (page.parent / script).resolve().is_file()


@pytest.mark.parametrize(("english", "chinese"), TWINS, ids=[english for english, _ in TWINS])
def test_twins_have_the_same_chapters_and_the_same_commands(english: str, chinese: str) -> None:
    one, other = ((ROOT / name).read_text(encoding="utf-8") for name in (english, chinese))
    assert _levels(one) == _levels(other)
    assert _commands(one) == _commands(other)


def _levels(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", _BLOCK.sub("", text), re.MULTILINE)]


def _commands(text: str) -> list[tuple[str, list[str]]]:
    """The blocks without their comments, which are in the reader's language."""
    return [
        (language, [line for raw in block.splitlines() if (line := re.sub(r"(^|\s+)#.*", "", raw).rstrip())])
        for language, block in _BLOCK.findall(text)
        if language in {"bash", "sql", "python", "toml"}
    ]


def _said() -> str:
    """All that the product can say: its texts and what the catalogue makes of them, with … for what is filled in."""
    texts = []
    for file in (ROOT / "quant_pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    with (ROOT / "quant_pipeline/locale/zh/LC_MESSAGES/quant_pipeline.po").open("rb") as catalogue:
        for message in read_po(catalogue):
            texts += [message.string] if isinstance(message.string, str) else list(message.string)
    texts += [f"[{failure}]" for failure in FailureClass]
    return re.sub(r"\{[^{}]*\}", "…", "\0".join(texts))


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md", "docs/troubleshooting.md", "docs/troubleshooting.zh.md"])
def test_a_message_that_is_explained_is_one_of_the_product(document: str) -> None:
    said = _said()
    chapter = re.split(r"^\| (?:it says|提示) \|", (ROOT / document).read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    table = chapter.split("\n\n", 1)[0]
    messages = [each for row in table.splitlines()[2:] for each in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(messages) >= 10
    for message in messages:
        for fragment in re.split(r"\s*…\s*", message):
            assert fragment.strip(" ,：:（）()") in said, message
