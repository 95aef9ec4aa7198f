"""The template environment: templates of the rooms' own folders, escaped, with the figures' formats as filters."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import jinja2

from quant_pipeline.language import chinese, speaking
from quant_pipeline.look import figures
from quant_pipeline.retelling import retold

STATIC = Path(__file__).with_name("static")
_FILTERS = ("number", "count", "percent", "yi", "day", "moment", "duration", "size", "tone")


def environment(*folders: Path) -> jinja2.Environment:
    """Templates out of these folders: of the first one that has it."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(list(folders)),
        autoescape=True,
        auto_reload=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {name: getattr(figures, name) for name in _FILTERS} | {"zh": chinese, "retold": _in_chinese}
    return made


def _in_chinese(text: str | None) -> str:
    """A text that was kept: our pages are Chinese."""
    with speaking("zh"):
        return retold(text or "")


@cache
def style() -> str:
    """The stylesheet's text, to be inlined into a page that stands alone."""
    return (STATIC / "style.css").read_text(encoding="utf-8")


@cache
def script(name: str) -> str:
    """A script's text, to be inlined likewise."""
    return (STATIC / name).read_text(encoding="utf-8")


@cache
def style_version() -> str:
    """Changes with the stylesheet and the scripts beside it, so that browsers may keep them for long."""
    files = sorted(each for each in STATIC.iterdir() if each.suffix in (".css", ".js"))
    return hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:12]
