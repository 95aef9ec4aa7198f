"""Which fonts the pictures are lettered in, and what they cannot write: a box is never drawn.

A font of 1.5 MB with the Chinese characters of GB 2312 is shipped (fonts/README.md), so that pictures are the same on a
server without Chinese fonts. What it lacks is looked for in the fonts of the system.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

SHIPPED = Path(__file__).with_name("fonts") / "QuantSansSC-Regular.otf"
_SYSTEM = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Noto Sans CJK JP", "Source Han Sans SC", "Source Han Sans CN"),
    *("PingFang SC", "Hiragino Sans GB", "Heiti SC", "Arial Unicode MS", "Microsoft YaHei", "SimHei", "SimSun"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
)


@cache
def families() -> Sequence[str]:
    """The families to letter in, by preference, as matplotlib takes them: ours, those of the system, matplotlib's own."""
    return tuple(_files())


def can_write(text: str) -> bool:
    """Whether every character of the text has its glyph in one of the families."""
    return all(character.isspace() or any(ord(character) in each for each in _characters()) for character in text)


@cache
def _files() -> dict[str, Path]:
    from matplotlib import font_manager

    manager = font_manager.fontManager
    manager.addfont(SHIPPED)
    found = {entry.name: Path(entry.fname) for entry in reversed(manager.ttflist)}
    shipped = next(entry.name for entry in manager.ttflist if Path(entry.fname) == SHIPPED)
    return {name: found[name] for name in (shipped, *_SYSTEM, "DejaVu Sans") if name in found}


@cache
def _characters() -> Sequence[frozenset[int]]:
    from matplotlib.ft2font import FT2Font

    return [frozenset(FT2Font(str(path)).get_charmap()) for path in _files().values()]
