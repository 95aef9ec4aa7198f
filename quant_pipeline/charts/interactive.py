"""The K-line as plotly draws it: a figure as plain data (plotly's own import takes a second, and its schema is JSON).

Colours are written as the stylesheet's variables ("var(--up)"): the page's script puts their values in, so that one figure
is right in light and in dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from quant_pipeline.charts.kline import AVERAGES, HANDS_IN_WAN, Indicator, KLine
from quant_pipeline.look import figures

Figure = dict[str, Any]
"""A plotly figure: {"data": [...], "layout": {...}}."""
_UP, _DOWN, _INK, _SOFT, _LINE = "var(--up)", "var(--down)", "var(--ink)", "var(--soft)", "var(--line)"
_PRICE, _VOLUME, _INDICATOR = "y", "y2", "y3"
_DOMAINS = {"yaxis": (0.42, 1.0), "yaxis2": (0.235, 0.395), "yaxis3": (0.0, 0.21)}
_LINES = {"dif": "DIF", "dea": "DEA", "k": "K", "d": "D", "j": "J"}
_HALT = "var(--halt)"
_ROOM, _LETTER = 12, 8
"""Pixels beside the price axis, and of a figure's letter."""
_WIDE = 4
"""Places over which a gap has room for its label."""


def line_colour(place: int) -> str:
    """The colour of the line at that place of a panel."""
    return f"var(--line-{place + 1})"


def figure(line: KLine, indicator: Indicator, names: Mapping[str, str], *, last: int | None = None) -> Figure:
    """Candles, volume and the indicator over one axis of days, the last `last` places of it (all: None).

    The axis has the sessions alone: no weekends; where there is no bar there is a gap. `names`: screen -> its name.
    """
    bars = line.bars if last is None else line.bars.tail(last)
    days = bars["trade_date"].cast(pl.String).to_list()
    shown = set(days)
    return {
        "data": [
            _candles(bars, days, indicator, line.digits),
            *_averages(bars, days),
            _halts(bars, days),
            _hits(line, names, bars, shown),
            _volume(bars, days),
            *_indicator(bars, days, indicator),
        ],
        "layout": _layout(line, indicator, bars, shown),
    }


def _candles(bars: pl.DataFrame, days: Sequence[str], indicator: Indicator, digits: int) -> Figure:
    return {
        "type": "candlestick",
        "name": "K",
        "x": days,
        **{name: bars[name].round(4).to_list() for name in ("open", "high", "low", "close")},
        "increasing": {"line": {"color": _UP, "width": 1}, "fillcolor": _UP},
        "decreasing": {"line": {"color": _DOWN, "width": 1}, "fillcolor": _DOWN},
        "hoverinfo": "text",
        "hovertext": [_told(bar, indicator, digits) for bar in bars.iter_rows(named=True)],
        "yaxis": _PRICE,
    }


def _told(bar: Mapping[str, Any], indicator: Indicator, digits: int) -> str:
    """What the hover says: every figure of the bar, with its unit."""
    if bar["gap"] is not None:
        return ""

    def price(name: str) -> str:
        return figures.number(bar[name], digits)

    averages = [f"MA{window} {price(f'ma{window}')}" for window in AVERAGES]
    lowest = [f"{_LINES[name]} {figures.number(bar[name], 3)}" for name in indicator.lines]
    if indicator is Indicator.MACD:
        lowest.append(f"MACD {figures.number(bar['macd'], 3)}")
    lines = [
        f"<b>{figures.day(bar['trade_date'])}</b>",
        f"开 {price('open')}　高 {price('high')}",
        f"低 {price('low')}　收 <b>{price('close')}</b>",
        f"涨跌额 {price('change')}　涨跌幅 <b>{figures.percent(bar['pct_chg'])}</b>",
        f"成交量 {figures.number(bar['vol'] / HANDS_IN_WAN)} 万手　成交额 {figures.yi(bar['amount'])} 亿元",
        "　".join(averages[:2]),
        "　".join(averages[2:]),
        "　".join(lowest),
    ]
    return "<br>".join(lines)


def _averages(bars: pl.DataFrame, days: Sequence[str]) -> list[Figure]:
    return [
        _line(f"MA{window}", days, bars[f"ma{window}"], line_colour(place), _PRICE) for place, window in enumerate(AVERAGES)
    ]


def _line(name: str, days: Sequence[str], values: pl.Series, colour: str, axis: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": days,
        "y": values.round(4).to_list(),
        "line": {"color": colour, "width": 1.3},
        "connectgaps": True,
        "hoverinfo": "skip",
        "yaxis": axis,
    }


def _halts(bars: pl.DataFrame, days: Sequence[str]) -> Figure:
    """Invisible marks in the gaps, at the close before, that say what the gap is."""
    before = bars.with_columns(
        at=pl.col("close").forward_fill().fill_null(strategy="backward"), day=pl.Series(days, dtype=pl.String)
    )
    gaps = before.filter(pl.col("gap").is_not_null())
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "halts",
        "x": gaps["day"].to_list(),
        "y": gaps["at"].to_list(),
        "marker": {"size": 9, "opacity": 0},
        "hoverinfo": "text",
        "hovertext": [
            f"<b>{day}</b><br>停牌"
            if gap == "halted"
            else f"<b>自 {day}</b><br>{sessions} 个交易日没有 K 线：未同步，或停牌而未登记"
            for day, gap, sessions in gaps.select("day", "gap", "sessions").iter_rows()
        ],
        "yaxis": _PRICE,
    }


def _hits(line: KLine, names: Mapping[str, str], bars: pl.DataFrame, shown: set[str]) -> Figure:
    """A mark below each bar that a screen hit."""
    lows = dict(bars.select(pl.col("trade_date").cast(pl.String), "low").iter_rows())
    found: dict[str, list[str]] = {}
    for screen, label in line.hits.select("screen", pl.col("label").cast(pl.String)).iter_rows():
        if label in shown and lows[label] is not None:
            found.setdefault(label, []).append(names.get(screen, screen))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "hits",
        "x": list(found),
        "y": [lows[label] * 0.985 for label in found],
        "marker": {"symbol": "triangle-up", "size": 10, "color": "var(--accent)"},
        "hoverinfo": "text",
        "hovertext": [f"选股命中<br>{'<br>'.join(dict.fromkeys(screens))}" for screens in found.values()],
        "yaxis": _PRICE,
    }


def _volume(bars: pl.DataFrame, days: Sequence[str]) -> Figure:
    return {
        "type": "bar",
        "name": "成交量",
        "x": days,
        "y": (bars["vol"] / HANDS_IN_WAN).round(4).to_list(),
        "marker": {"color": _by_close(bars), "line": {"width": 0}},
        "hoverinfo": "skip",
        "yaxis": _VOLUME,
    }


def _by_close(bars: pl.DataFrame) -> list[str]:
    rose = pl.col("close") >= pl.col("open")
    return bars.select(pl.when(rose).then(pl.lit(_UP)).otherwise(pl.lit(_DOWN)))["literal"].to_list()


def _indicator(bars: pl.DataFrame, days: Sequence[str], indicator: Indicator) -> list[Figure]:
    lines = [
        _line(_LINES[name], days, bars[name], line_colour(place), _INDICATOR) for place, name in enumerate(indicator.lines)
    ]
    if indicator is Indicator.KDJ:
        return lines
    colours = bars.select(pl.when(pl.col("macd") >= 0).then(pl.lit(_UP)).otherwise(pl.lit(_DOWN)))["literal"].to_list()
    histogram = {
        "type": "bar",
        "name": "MACD",
        "x": days,
        "y": bars["macd"].round(4).to_list(),
        "marker": {"color": colours, "line": {"width": 0}},
        "hoverinfo": "skip",
        "yaxis": _INDICATOR,
    }
    return [histogram, *lines]


def _layout(line: KLine, indicator: Indicator, bars: pl.DataFrame, shown: set[str]) -> Figure:
    axis = {"gridcolor": _LINE, "zeroline": False, "side": "right", "fixedrange": True, "tickfont": {"color": _SOFT}}
    panels = {name: {**axis, "domain": list(domain)} for name, domain in _DOMAINS.items()}
    panels["yaxis"] |= {"tickformat": f",.{line.digits}f"}
    panels["yaxis2"] |= {"nticks": 4, "rangemode": "tozero", "tickformat": ","}
    panels["yaxis3"] |= {"nticks": 5}
    return {
        "autosize": True,
        "margin": {"l": 8, "r": _beside(bars, line.digits), "t": 6, "b": 26},
        "paper_bgcolor": "var(--card)",  # not transparent: plotly edges the crosshair with it
        "plot_bgcolor": "var(--card)",
        "font": {"color": _INK, "size": 12, "family": "var(--sans)"},
        "showlegend": False,
        "dragmode": "pan",
        "hovermode": "x",
        "hoversubplots": "axis",
        "hoverlabel": {"align": "left", "bgcolor": "var(--card)", "bordercolor": _LINE, "font": {"color": _INK, "size": 12}},
        "bargap": 0.25,
        "xaxis": {
            "type": "category",
            "anchor": _INDICATOR,
            "showgrid": False,
            "rangeslider": {"visible": False},
            "tickangle": 0,
            "tickfont": {"color": _SOFT},
            "showspikes": True,
            "spikemode": "across",
            "spikethickness": 1,
            "spikedash": "dot",
            "spikecolor": _SOFT,
            "spikesnap": "data",
        },
        **panels,
        "shapes": _shades(bars),
        "annotations": [
            *_marks(line, shown),
            _heading("成交量 万手", _DOMAINS["yaxis2"][1]),
            _heading(_named(indicator), _DOMAINS["yaxis3"][1]),
        ],
    }


def _beside(bars: pl.DataFrame, digits: int) -> int:
    """Pixels for the figures of the price axis."""
    highest = bars.select(pl.max("high")).item()
    return _ROOM + _LETTER * len(figures.number(highest, digits))


def _named(indicator: Indicator) -> str:
    lines = (f'<span style="color:{line_colour(place)}">{_LINES[name]}</span>' for place, name in enumerate(indicator.lines))
    return "　".join(["MACD (12,26,9)" if indicator is Indicator.MACD else "KDJ (9,3,3)", *lines])


def _heading(text: str, top: float) -> Figure:
    return {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": top,
        "xanchor": "left",
        "yanchor": "top",
        "showarrow": False,
        "font": {"color": _SOFT, "size": 11},
    }


def _marks(line: KLine, shown: set[str]) -> list[Figure]:
    """除 at the foot of the price panel for each ex-date, with the step of the factor."""
    return [
        {
            "text": "除",
            "hovertext": f"除权除息 {day}<br>复权因子 ×{step:.4f}",
            "xref": "x",
            "yref": f"{_PRICE} domain",
            "x": label,
            "y": 0,
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"color": "var(--warn)", "size": 11},
            "bgcolor": "var(--warn-wash)",
            "borderpad": 1,
        }
        for day, step, label in line.ex_dates.select(
            pl.col("trade_date").cast(pl.String), "step", pl.col("label").cast(pl.String)
        ).iter_rows()
        if label in shown
    ]


def _shades(bars: pl.DataFrame) -> list[Figure]:
    """Every run of gaps as one shaded band over all panels; a wide one says what it is."""
    placed = bars.with_row_index("place").with_columns(run=pl.col("gap").fill_null("").rle_id())
    runs = placed.filter(pl.col("gap").is_not_null()).group_by("run", maintain_order=True)
    found = runs.agg(pl.min("place").alias("first"), pl.max("place").alias("last"), pl.sum("sessions"), pl.first("gap"))
    return [
        {
            "type": "rect",
            "layer": "below",
            "xref": "x",
            "yref": "paper",
            "x0": first - 0.5,
            "x1": last + 0.5,
            "y0": 0,
            "y1": 1,
            "line": {"width": 0},
            "fillcolor": _HALT,
            **({"label": _label(gap, sessions)} if last - first >= _WIDE else {}),
        }
        for _, first, last, sessions, gap in found.iter_rows()
    ]


def _label(gap: str, sessions: int) -> Figure:
    text = f"{'停牌' if gap == 'halted' else '缺'} {sessions} 日"
    return {"text": text, "textposition": "top center", "font": {"color": _SOFT, "size": 11}}
