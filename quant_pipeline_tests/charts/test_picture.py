"""Pictures: lettered in Chinese by a font that is there on every machine, and never a box."""

from __future__ import annotations

import ast
import io
import warnings
from pathlib import Path

import polars as pl
import pytest
from matplotlib.ft2font import FT2Font
from PIL import Image

import quant_pipeline
from quant_pipeline.charts import typeface
from quant_pipeline.charts.picture import FALL, RISE, Named, _colours, picture, written
from quant_pipeline.sandbox.simulation import company_names
from quant_pipeline.strategies.registry import BUILT_IN
from quant_pipeline_tests.sync.stored import bars, sessions

PACKAGE = Path(quant_pipeline.__file__).parent
LETTERED = ("charts/picture.py", "charts/periods.py", "console/chart.py")
"""Where the texts of pictures stand."""
BESIDE_OTHERS = ("assets/metadata.py", "assets/screens.py")
"""Where they stand among texts of tables, which may have signs of their own."""
FIRST_WIDE = 0x2E80
UNKNOWN = "\ue123"
"""Of the private use area: no font has it."""


def _shipped() -> set[int]:
    return set(FT2Font(str(typeface.SHIPPED)).get_charmap())


def _texts(path: str) -> str:
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    return "".join(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_the_shipped_font_has_every_character_that_the_code_writes() -> None:
    strategies = [kind() for kind in BUILT_IN]
    words = "".join(each.zh + "".join(each.headings.values()) for each in strategies)
    lettered = {character for character in words + "".join(map(_texts, LETTERED)) if ord(character) > 126}
    lettered |= {character for character in "".join(map(_texts, BESIDE_OTHERS)) if ord(character) >= FIRST_WIDE}
    lacking = lettered - {chr(code) for code in _shipped()}
    assert not lacking
    assert "成交量 万手" in _texts("charts/picture.py")


def test_the_shipped_font_has_gb_2312_and_names_of_the_sandbox() -> None:
    shipped = _shipped()
    for character in "隆启集团贵州茅台鑫晟骅淇*STＡ":
        assert ord(character) in shipped, character
    names = "".join(text for text in _texts_of(company_names) if not text.isascii())
    assert not {character for character in names if ord(character) > 126} - {chr(code) for code in shipped}


def _texts_of(module: object) -> list[str]:
    return [_texts(str(Path(str(module.__file__)).relative_to(PACKAGE)))]  # type: ignore[attr-defined]


def test_a_picture_is_drawn_without_a_missing_glyph() -> None:
    rows = bars(["600519.SH"], sessions(30)).with_columns(ma5=pl.col("close").rolling_mean(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each glyph that it has not
        drawn = picture(
            rows,
            code="600519.SH",
            name=f"贵州{UNKNOWN}",
            caption="日线 前复权",
            lines={"ma5": "5日均线"},
            others=[Named("000001.SZ", "平安银行", -1.2, "得分 1.20"), Named("600000.SH", UNKNOWN, None, UNKNOWN)],
            others_are="其次 · 共命中 3 只",
            note="SANDBOX 沙盒：模拟行情",
        )
    shown = Image.open(io.BytesIO(drawn))
    assert (shown.format, shown.size) == ("PNG", (1100, 560))
    assert len(drawn) < 60_000, "it lies in Dagster's event log"


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_few_bars_are_drawn_too(rows: int) -> None:
    frame = bars(["600519.SH"], sessions(3)).head(rows).with_columns(ma5=pl.lit(None, pl.Float64))
    assert picture(frame, code="600519.SH", lines={"ma5": "MA5"}).startswith(b"\x89PNG")


def test_gaps_are_drawn_as_gaps() -> None:
    rows = bars(["600519.SH"], sessions(9))
    hole = pl.col("trade_date") == sessions(9)[4]
    gapped = rows.with_columns(
        pl.when(~hole).then(pl.col(name)).alias(name) for name in ("open", "high", "low", "close", "vol")
    )
    assert picture(gapped, code="600519.SH") != picture(rows, code="600519.SH")


def test_what_no_font_has_is_said_otherwise() -> None:
    assert written("贵州茅台", "600519.SH") == "贵州茅台"
    assert written(f"贵州{UNKNOWN}", "600519.SH") == "600519.SH"


def test_red_rises_and_green_falls() -> None:
    """A bar that closes where it opened is red when it rose since the day before (a limit-up opening), else green."""
    rows = pl.DataFrame(
        {"open": [1.0, 2, 2, 2], "close": [2.0, 1, 2, 2], "pct_chg": [1.0, -1, 10, -10]},
    )
    assert _colours(rows) == [RISE, FALL, RISE, FALL]


def test_the_font_s_licence_is_shipped_with_it() -> None:
    assert "SIL OPEN FONT LICENSE" in typeface.SHIPPED.with_name("OFL.txt").read_text(encoding="utf-8")
    assert typeface.SHIPPED.stat().st_size < 2_000_000
