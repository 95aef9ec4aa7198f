"""A K-line as a picture (PNG): for Dagster's metadata, messages and files. Lettered by fonts that have every character."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from quant_pipeline.charts.kline import HANDS_IN_WAN
from quant_pipeline.charts.typeface import can_write, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RISE, FALL, FLAT = "#cf2b36", "#14804a", "#7b7f88"
"""A-share colours: red rises, green falls. The pages' stylesheet has the same."""
PALETTE = ("#e08a00", "#2f5bd0", "#b03ab5", "#0f8f8f", "#7a5c3e", "#5d616b")
"""Of the lines over the bars, in their order."""
_INK, _SOFT, _LINE, _GROUND = "#1c1d20", "#6b6f79", "#e4e1da", "#ffffff"
_BARS = ("trade_date", "open", "high", "low", "close", "pct_chg", "vol")
_SIZE = (11.0, 5.6)
_DOTS = 100
_TICKS = 7
_FEWEST = 30
"""Places on the axis at least: three bars are no three towers."""
_COLOURS = 128
"""A third of the size, with no difference to the eye: pictures lie in Dagster's event log."""


@dataclass(frozen=True)
class Named:
    """A line of the list beside the panel: a code, its name, its change [%], and a figure in words."""

    code: str
    name: str
    pct_chg: float | None
    figure: str = ""


def picture(
    bars: pl.DataFrame,
    *,
    code: str,
    name: str = "",
    caption: str = "",
    lines: Mapping[str, str] | None = None,
    others: Sequence[Named] = (),
    others_are: str = "",
    note: str = "",
) -> bytes:
    """One code's candles in one large panel, volume below, and beside it a list of `others` under the heading `others_are`.

    `bars`, oldest first: trade_date, open, high, low, close, pct_chg [%], vol [手]; rows without prices are gaps ·
    `lines`: column of `bars` -> its label, drawn over the candles · `caption` says what bars they are, `note` stands small
    below. A name with a character that no font has is left out: the code says it.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from PIL import Image

    shown = dict(lines or {})
    bars = bars.select(*_BARS, *shown)
    with rc_context({"font.family": list(families()), "axes.unicode_minus": True, "text.color": _INK}):
        figure = Figure(figsize=_SIZE, dpi=_DOTS, facecolor=_GROUND)
        right = 0.755 if others else 0.985
        grid = figure.add_gridspec(2, 1, height_ratios=[3.4, 1], hspace=0.06, left=0.055, right=right, top=0.87, bottom=0.085)
        price = figure.add_subplot(grid[0])
        volume = figure.add_subplot(grid[1], sharex=price)
        _headline(figure, bars, code, name, caption)
        _candles(price, bars)
        _lines(figure, price, bars, shown)
        _volume(volume, bars)
        _days(price, volume, bars)
        if others:
            _beside(figure, others, others_are)
        if note:
            figure.text(0.055, 0.012, written(note, ""), fontsize=8, color=_SOFT)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png")
    small = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(_COLOURS).save(small, format="png", optimize=True)
    return small.getvalue()


def written(text: str, instead: str) -> str:
    """The text where the fonts have all of its characters, else what stands in its place."""
    return text if can_write(text) else instead


def _headline(figure: Figure, bars: pl.DataFrame, code: str, name: str, caption: str) -> None:
    shown = written(name, "")
    title = figure.text(0.055, 0.945, f"{shown}  {code}" if shown else code, fontsize=15, va="center")
    _after(figure, title, written(caption, ""), size=10, color=_SOFT)
    last = bars.filter(pl.col("close").is_not_null()).tail(1)
    if last.height:
        day, close, change = last["trade_date"][0], last["close"][0], last["pct_chg"][0]
        right = figure.text(0.985, 0.945, _signed(change), fontsize=13, va="center", ha="right", color=_tone(change))
        before = f"{day:%Y-%m-%d}   收 {close:,.2f}  "
        _before(figure, right, before, size=11)


def _after(figure: Figure, text: object, then: str, *, size: float, color: str) -> None:
    box = text.get_window_extent()  # type: ignore[attr-defined]
    right = figure.transFigure.inverted().transform((box.x1, box.y0))[0]
    figure.text(right + 0.012, 0.943, then, fontsize=size, va="center", color=color)


def _before(figure: Figure, text: object, earlier: str, *, size: float) -> None:
    box = text.get_window_extent()  # type: ignore[attr-defined]
    left = figure.transFigure.inverted().transform((box.x0, box.y0))[0]
    figure.text(left - 0.004, 0.945, earlier, fontsize=size, va="center", ha="right")


def _candles(axes: Axes, bars: pl.DataFrame) -> None:
    traded = bars.with_row_index("place").filter(pl.col("close").is_not_null())
    places, colours = traded["place"].to_list(), _colours(traded)
    axes.vlines(places, traded["low"].to_numpy(), traded["high"].to_numpy(), colors=colours, linewidth=0.9, zorder=2)
    body = (traded["close"] - traded["open"]).to_numpy()
    axes.bar(places, body, 0.72, bottom=traded["open"].to_numpy(), color=colours, edgecolor=colours, linewidth=0.5, zorder=3)
    _plain(axes)


def _lines(figure: Figure, axes: Axes, bars: pl.DataFrame, lines: Mapping[str, str]) -> None:
    left = 0.055
    for colour, (column, label) in zip(PALETTE * len(lines), lines.items(), strict=False):
        values = bars[column].cast(pl.Float64)
        last = values.drop_nulls().tail(1)
        if last.is_empty():  # fewer bars than its window
            continue
        axes.plot(range(bars.height), values.to_numpy(), color=colour, linewidth=1.15, zorder=4)
        text = f"{written(label, column)} {last[0]:,.2f}"
        legend = figure.text(left, 0.892, text, fontsize=9, color=colour, va="center")
        left = figure.transFigure.inverted().transform((legend.get_window_extent().x1, 0))[0] + 0.015


def _volume(axes: Axes, bars: pl.DataFrame) -> None:
    traded = bars.with_row_index("place").filter(pl.col("close").is_not_null())
    hands = traded["vol"] / HANDS_IN_WAN
    axes.bar(traded["place"].to_list(), hands.to_numpy(), 0.72, color=_colours(traded), zorder=2)
    axes.text(0.006, 0.93, "成交量 万手", transform=axes.transAxes, fontsize=9, color=_SOFT, va="top")
    axes.set_ylim(0, max(float(hands.max() or 0) * 1.3, 1e-9))  # type: ignore[arg-type]
    _plain(axes)


def _days(price: Axes, volume: Axes, bars: pl.DataFrame) -> None:
    days = bars["trade_date"].to_list()
    step = max(1, -(-len(days) // _TICKS))
    ticks = list(range(0, len(days), step))
    volume.set_xticks(ticks, [f"{days[tick]:%Y-%m-%d}" for tick in ticks])
    price.tick_params(labelbottom=False)
    volume.set_xlim(-1, max(len(days), _FEWEST))


def _beside(figure: Figure, others: Sequence[Named], heading: str) -> None:
    top, left, right = 0.87, 0.785, 0.985
    figure.text(left, top - 0.012, written(heading, ""), fontsize=10, color=_SOFT, va="center")
    step = min(0.066, 0.76 / max(len(others), 1))
    for place, each in enumerate(others):
        line = top - 0.075 - step * place
        figure.text(left, line, written(each.name, each.code) or each.code, fontsize=10.5, va="center")
        figure.text(right, line, _signed(each.pct_chg), fontsize=10.5, va="center", ha="right", color=_tone(each.pct_chg))
        figure.text(left, line - 0.026, each.code, fontsize=7.5, va="center", color=_SOFT)
        figure.text(right, line - 0.026, written(each.figure, ""), fontsize=7.5, va="center", ha="right", color=_SOFT)


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8.5, colors=_SOFT, length=0)
    axes.grid(color=_LINE, linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_color(_LINE)


def _colours(bars: pl.DataFrame) -> list[str]:
    """A bar that closes where it opened is of the colour of its change."""
    rose = (pl.col("close") > pl.col("open")) | ((pl.col("close") == pl.col("open")) & (pl.col("pct_chg").fill_null(0) >= 0))
    return bars.select(pl.when(rose).then(pl.lit(RISE)).otherwise(pl.lit(FALL)))["literal"].to_list()


def _signed(change: float | None) -> str:
    return "–" if change is None else f"{change:+.2f}%".replace("-", "−")


def _tone(change: float | None) -> str:
    return FLAT if not change else RISE if change > 0 else FALL
