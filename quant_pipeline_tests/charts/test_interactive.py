"""The figure that the browser draws: valid by plotly's own schema, gaps left open, units and Chinese hover."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from quant_pipeline.charts.interactive import figure
from quant_pipeline.charts.kline import Indicator, kline
from quant_pipeline.charts.sparkline import points
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, SCREEN_RESULTS, SUSPENSIONS
from quant_pipeline.market.listings import Kind, Listing
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import CALENDAR, bars, sessions, store

CODE = "600519.SH"
DAYS = sessions(40)
HALTED = DAYS[20:26]
EX_DATE = DAYS[30]


@pytest.fixture
def drawn(warehouse: Database) -> dict[str, Any]:
    store(warehouse, DAILY_KLINE, bars([CODE], [day for day in DAYS if day not in HALTED]))
    store(warehouse, ADJ_FACTOR, [{"ts_code": CODE, "trade_date": day, "adj_factor": 1 + (day >= EX_DATE)} for day in DAYS])
    store(warehouse, SUSPENSIONS, [{"ts_code": CODE, "trade_date": day, "suspend_type": "S"} for day in HALTED])
    store(warehouse, SCREEN_RESULTS, [{"screen": "dual_ma", "trade_date": DAYS[-1], "ts_code": CODE, "score": 1.5}])
    line = kline(warehouse, CALENDAR, Listing(CODE, "贵州茅台", Kind.STOCK), adjustment="raw")
    return figure(line, Indicator.MACD, {"dual_ma": "双均线金叉"})


def _trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (trace for trace in figure["data"] if trace["name"] == name)
    return found


def test_plotly_knows_every_property(drawn: dict[str, Any]) -> None:
    """With the colours that the page's script puts in."""
    from plotly import graph_objects

    graph_objects.Figure(json.loads(re.sub(r"var\(--[\w-]+\)", "#123456", json.dumps(drawn))))


def test_the_axis_has_the_sessions_alone_and_halts_are_gaps(drawn: dict[str, Any]) -> None:
    candles = _trace(drawn, "K")
    assert candles["x"] == [day.isoformat() for day in DAYS]
    assert drawn["layout"]["xaxis"]["type"] == "category"
    holes = [at for at, close in enumerate(candles["close"]) if close is None]
    assert holes == list(range(20, 26))
    (band,) = drawn["layout"]["shapes"]
    assert (band["x0"], band["x1"], band["label"]["text"]) == (19.5, 25.5, "停牌 6 日")
    assert _trace(drawn, "halts")["x"] == [day.isoformat() for day in HALTED]


def test_candles_are_red_up_and_green_down(drawn: dict[str, Any]) -> None:
    candles = _trace(drawn, "K")
    assert candles["increasing"]["fillcolor"] == "var(--up)"
    assert candles["decreasing"]["fillcolor"] == "var(--down)"
    assert set(_trace(drawn, "成交量")["marker"]["color"]) <= {"var(--up)", "var(--down)"}


def test_volume_is_in_wan_shou(drawn: dict[str, Any]) -> None:
    """The last bar's volume is 1,000 + 100 x 33 手."""
    assert _trace(drawn, "成交量")["y"][-1] == pytest.approx(0.43)


def test_the_hover_says_every_figure_in_chinese(drawn: dict[str, Any]) -> None:
    text = _trace(drawn, "K")["hovertext"][-1]
    for part in (
        f"<b>{DAYS[-1]} 周五</b>",
        "开 13.20",
        "高 13.35",
        "低 13.15",
        "收 <b>13.30</b>",
        "涨跌额 0.10",
        "涨跌幅 <b>+0.76%</b>",
        "成交量 0.43 万手",
        "成交额 0.06 亿元",
        "MA5 13.10",
        "MA20 ",
        "MA60 –",
        "DIF ",
        "DEA ",
        "MACD ",
    ):
        assert part in text, text


def test_ex_dates_and_hits_are_marked(drawn: dict[str, Any]) -> None:
    (mark,) = (each for each in drawn["layout"]["annotations"] if each["text"] == "除")
    assert (mark["x"], mark["hovertext"]) == (EX_DATE.isoformat(), f"除权除息 {EX_DATE}<br>复权因子 ×2.0000")
    hits = _trace(drawn, "hits")
    assert (hits["x"], hits["hovertext"]) == ([DAYS[-1].isoformat()], ["选股命中<br>双均线金叉"])


def test_the_last_places_alone(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, bars([CODE], DAYS))
    line = kline(warehouse, CALENDAR, Listing(CODE, "", Kind.STOCK))
    drawn = figure(line, Indicator.KDJ, {}, last=7)
    assert {len(trace["x"]) for trace in drawn["data"] if trace["name"] in ("K", "MA5", "成交量", "J")} == {7}
    assert _trace(drawn, "MA5")["y"][0] is not None, "computed over all bars, not over those shown"
    assert "KDJ (9,3,3)" in str(drawn["layout"]["annotations"])


def test_a_sparkline_goes_through_its_box() -> None:
    assert points([1, 3, 2]) == "0.0,28.0 55.0,2.0 110.0,15.0"
    assert points([5, 5]) == "0.0,28.0 110.0,28.0"
    assert points([5]) == points([]) == ""
