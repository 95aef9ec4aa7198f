"""A backtest's curves as plotly draws them: plain data, with the stylesheet's variables for colours (see interactive.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from quant_pipeline.charts.interactive import Figure

_AXIS = {
    "gridcolor": "var(--line)",
    "zeroline": False,
    "side": "right",
    "fixedrange": True,
    "tickfont": {"color": "var(--soft)"},
}

_COLOURS = ("var(--accent)", "#d97f00", "#b03ab5", "#0f8f8f", "#cf2b36", "#7a5c3e", "#14804a", "#5d616b")


def equity_figure(equity: pl.DataFrame, capital: float, benchmark: str) -> Figure:
    """The total return [%] with that of the benchmark, and below it the drawdown [%].

    `equity`: trade_date, equity, drawdown, benchmark (its close; null where there is none).
    """
    days = equity["trade_date"].cast(pl.String).to_list()
    mine = (equity["equity"] / capital - 1) * 100
    lines = [_line("策略 Strategy", days, mine, "var(--accent)", 1.8)]
    if (theirs := rebased(equity["benchmark"])) is not None:
        lines.append(_line(f"基准 {benchmark}", days, theirs, "var(--pale)", 1.3))
    drawdown = _line("回撤 Drawdown", days, equity["drawdown"] * 100, "var(--down)", 1)
    return {
        "data": [*lines, {**drawdown, "fill": "tozeroy", "fillcolor": "var(--down-wash)", "yaxis": "y2"}],
        "layout": _layout(
            yaxis={**_AXIS, "domain": [0.33, 1], "ticksuffix": "%", "zeroline": True, "zerolinecolor": "var(--line)"},
            yaxis2={**_AXIS, "domain": [0, 0.27], "ticksuffix": "%", "nticks": 4},
            xaxis={"type": "date", "hoverformat": "%Y-%m-%d", "tickformat": "%Y-%m-%d", "nticks": 7, "anchor": "y2"},
            hovermode="x unified",
        ),
    }


def compared_figure(returns: Mapping[str, pl.DataFrame]) -> Figure:
    """The total returns [%] of several backtests by day. `returns`: label -> trade_date, result."""
    lines = [
        _line(label, rows["trade_date"].cast(pl.String).to_list(), rows["result"] * 100, _COLOURS[place % len(_COLOURS)], 1.6)
        for place, (label, rows) in enumerate(returns.items())
    ]
    layout = _layout(
        yaxis={**_AXIS, "ticksuffix": "%", "zeroline": True, "zerolinecolor": "var(--line)"},
        xaxis={"type": "date", "hoverformat": "%Y-%m-%d", "tickformat": "%Y-%m-%d", "nticks": 7},
        hovermode="x unified",
    )
    return {"data": lines, "layout": layout | {"showlegend": True, "legend": {"orientation": "h", "y": 1.12, "x": 0}}}


def rebased(closes: pl.Series) -> pl.Series | None:
    """An index's return [%] since its first close; None where there are no two closes."""
    known = closes.drop_nulls()
    return None if known.len() < 2 else (closes / known[0] - 1) * 100


def trade_figure(bars: pl.DataFrame, marks: Sequence[Mapping[str, Any]]) -> Figure:
    """Candles of one code with what was traded. `bars`: trade_date, open, high, low, close · `marks`: trade_date, kind (buy, or
    another), price, told (what the hover says)."""
    days = bars["trade_date"].cast(pl.String).to_list()
    candles = {
        "type": "candlestick",
        "x": days,
        **{name: bars[name].to_list() for name in ("open", "high", "low", "close")},
        "increasing": {"line": {"color": "var(--up)", "width": 1}, "fillcolor": "var(--up)"},
        "decreasing": {"line": {"color": "var(--down)", "width": 1}, "fillcolor": "var(--down)"},
        "hoverinfo": "x+y",
    }
    signs = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [str(mark["trade_date"]) for mark in marks],
        "y": [mark["price"] for mark in marks],
        "text": ["买" if mark["kind"] == "buy" else "卖" for mark in marks],
        "textposition": ["bottom center" if mark["kind"] == "buy" else "top center" for mark in marks],
        "textfont": {"color": "var(--accent)", "size": 13},
        "marker": {
            "symbol": ["triangle-up" if mark["kind"] == "buy" else "triangle-down" for mark in marks],
            "size": 11,
            "color": "var(--accent)",
            "line": {"color": "var(--card)", "width": 1},
        },
        "hoverinfo": "text",
        "hovertext": [mark["told"] for mark in marks],
    }
    return {
        "data": [candles, signs],
        "layout": _layout(
            yaxis={**_AXIS, "nticks": 5},
            xaxis={
                "type": "category",
                "rangeslider": {"visible": False},
                "tickvals": [days[len(days) * sixth // 6] for sixth in (1, 3, 5)],
            },
            hovermode="closest",
        ),
    }


def _line(name: str, days: Sequence[str], values: pl.Series, colour: str, width: float) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": days,
        "y": values.round(3).to_list(),
        "line": {"color": colour, "width": width},
        "connectgaps": True,
        "hovertemplate": "%{y:.2f}%",
    }


def _layout(*, xaxis: Figure, **rest: Any) -> Figure:
    return {
        "autosize": True,
        "margin": {"l": 8, "r": 52, "t": 8, "b": 28},
        "paper_bgcolor": "var(--card)",
        "plot_bgcolor": "var(--card)",
        "font": {"color": "var(--ink)", "size": 12, "family": "var(--sans)"},
        "showlegend": False,
        "dragmode": False,
        "hoverlabel": {
            "align": "left",
            "bgcolor": "var(--card)",
            "bordercolor": "var(--line)",
            "font": {"color": "var(--ink)"},
        },
        "xaxis": {"showgrid": False, "fixedrange": True, "tickangle": 0, "tickfont": {"color": "var(--soft)"}, **xaxis},
        **rest,
    }
