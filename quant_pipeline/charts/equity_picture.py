"""A backtest's curves as a picture (PNG), in the style of the K-line's: for Dagster's metadata."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl

from quant_pipeline.charts.equity import rebased
from quant_pipeline.charts.picture import written
from quant_pipeline.charts.typeface import families

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _SOFT, _LINE, _MINE, _DOWN = "#1c1d20", "#6b6f79", "#e4e1da", "#2f5bd0", "#14804a"
_SIZE, _DOTS, _COLOURS = (11.0, 5.0), 100, 64


def equity_picture(equity: pl.DataFrame, *, capital: float, title: str, caption: str, benchmark: str, note: str = "") -> bytes:
    """The total return [%] beside the benchmark's, and the drawdown below.

    `equity`: trade_date, equity [元], drawdown (0 or less), benchmark (its close) · `note` stands small below.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from PIL import Image

    days = equity["trade_date"].to_list()
    with rc_context({"font.family": list(families()), "axes.unicode_minus": True, "text.color": _INK}):
        figure = Figure(figsize=_SIZE, dpi=_DOTS, facecolor="#ffffff")
        grid = figure.add_gridspec(2, 1, height_ratios=[3, 1], hspace=0.08, left=0.06, right=0.985, top=0.86, bottom=0.09)
        above = figure.add_subplot(grid[0])
        below = figure.add_subplot(grid[1], sharex=above)
        figure.text(0.06, 0.94, written(title, "Backtest"), fontsize=15, va="center")
        figure.text(0.985, 0.94, written(caption, ""), fontsize=10.5, va="center", ha="right", color=_SOFT)
        above.axhline(0, color=_SOFT, linewidth=0.7)
        above.plot(days, ((equity["equity"] / capital - 1) * 100).to_numpy(), color=_MINE, linewidth=1.5, label="策略 Strategy")
        if (theirs := rebased(equity["benchmark"])) is not None:
            above.plot(days, theirs.to_numpy(), color=_SOFT, linewidth=1.1, label=f"基准 {benchmark}")
        above.legend(loc="upper left", frameon=False, fontsize=9)
        below.fill_between(days, (equity["drawdown"] * 100).to_numpy(), color=_DOWN, alpha=0.35, linewidth=0)
        below.text(0.006, 0.1, "回撤 Drawdown %", transform=below.transAxes, fontsize=9, color=_SOFT)
        for axes in (above, below):
            _plain(axes)
        above.tick_params(labelbottom=False)
        above.set_ylabel("%", color=_SOFT, fontsize=9)
        if note:
            figure.text(0.06, 0.012, written(note, ""), fontsize=8, color=_SOFT)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png")
    small = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(_COLOURS).save(small, format="png", optimize=True)
    return small.getvalue()


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8.5, colors=_SOFT, length=0)
    axes.grid(color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_color(_LINE)
