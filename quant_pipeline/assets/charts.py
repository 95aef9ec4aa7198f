"""Pictures for the UI's metadata, as PNG inside Markdown. Labels are Latin: servers seldom have Chinese fonts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RISE, FALL = "#d0312d", "#1a8f4c"
"""A-share colours: red rises, green falls."""


def candlesticks(bars: pl.DataFrame, codes: Sequence[str], *, lines: Sequence[str] = ()) -> dg.MarkdownMetadataValue:
    """Candlestick charts with volume, a panel per code, side by side.

    `bars`: ts_code, trade_date, open, high, low, close, vol[手]; `lines` names further columns to draw over the bars.
    Halted sessions leave no gap: the axis counts the code's own bars.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * max(len(codes), 1), 3.6), dpi=80, layout="constrained")
    if codes:
        panels = figure.subplots(2, len(codes), squeeze=False, sharex="col", height_ratios=[3, 1])
        for place, code in enumerate(codes):
            _draw(
                panels[0][place],
                panels[1][place],
                bars.filter(pl.col("ts_code") == code).sort("trade_date"),
                code,
                lines,
            )
    return picture(figure, "candlesticks")


def _draw(price: Axes, volume: Axes, bars: pl.DataFrame, code: str, lines: Sequence[str]) -> None:
    colours = [RISE if rose else FALL for rose in (bars["close"] >= bars["open"]).to_list()]
    places = range(bars.height)
    price.vlines(places, bars["low"], bars["high"], colors=colours, linewidth=0.8)
    body = (bars["close"] - bars["open"]).to_numpy()
    price.bar(places, body, 0.7, bottom=bars["open"].to_numpy(), color=colours, edgecolor=colours, linewidth=0.6)
    for name in lines:
        price.plot(places, bars[name].to_numpy(), linewidth=1, label=name)
    if lines:
        price.legend(fontsize=7, frameon=False)
    price.set_title(code, fontsize=9)
    volume.bar(places, bars["vol"].to_numpy(), 0.7, color=colours)
    days = bars["trade_date"].to_list()
    ticks = list(range(0, bars.height, max(1, bars.height // 4)))
    volume.set_xticks(ticks, [f"{days[tick]:%m-%d}" for tick in ticks])
    for axes in (price, volume):
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)


def picture(figure: Figure, alt: str) -> dg.MarkdownMetadataValue:
    """The figure as a picture in Markdown."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return dg.MarkdownMetadataValue(f"![{alt}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")
