"""What the site of the documents needs besides docs/: pages from the repository's root, their links, Mermaid's JavaScript."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import mermaidx
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

_ROOT = Path(__file__).parents[1]
_ELSEWHERE = {"index.md": "README.md", "index.zh.md": "README.zh-CN.md", "changelog.md": "CHANGELOG.md"}
"""Page of the site, a line in docs/ -> the file in the repository's root whose text it shows."""
_ON_SITE = {source: page for page, source in _ELSEWHERE.items()}
_LINK = re.compile(r"\]\((?P<path>(?!https?:)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_FENCES = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_CHINESE = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
_CHINESE_LINE_END = re.compile(rf"(?<={_CHINESE})\n *(?={_CHINESE})")
_MERMAID = Path(mermaidx.__file__).parent / "assets" / "mermaid.js"
_MERMAID_ON_SITE = "assets/javascripts/mermaid.js"


def on_page_read_source(page: Page, config: MkDocsConfig) -> str | None:
    """The text of a page that stands in the root, where readers of the repository look for it; None for all others."""
    del config
    source = _ELSEWHERE.get(Path(page.file.abs_src_path or "").name)
    return None if source is None else (_ROOT / source).read_text(encoding="utf-8")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links as they are written in the repository, as they are on the site (twins there have one name); lines joined."""

    def on_site(link: re.Match[str]) -> str:
        path = link["path"].removeprefix("../").removeprefix("docs/")
        path = _ON_SITE.get(path, path)
        return f"]({path.replace('.zh.md', '.md')}{link['anchor'] or ''})"

    # A browser shows a line's end as a space, which Chinese has not.
    prose = [part if part.startswith("```") else _CHINESE_LINE_END.sub("", part) for part in _FENCES.split(markdown)]
    return _LINK.sub(on_site, "".join(prose))


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """A page with diagrams brings Mermaid with it: else the theme would load it from another host."""
    if 'class="mermaid"' not in html:
        return html
    return f'{html}\n<script src="{get_relative_url(_MERMAID_ON_SITE, page.url)}"></script>'


def on_post_build(config: MkDocsConfig) -> None:
    """The copy of Mermaid out of a package of Python's; called once per language."""
    there = Path(config.site_dir) / _MERMAID_ON_SITE
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_MERMAID, there)
