"""weekly and monthly: the stocks' bars of finished weeks and months, made of the daily ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from quant_pipeline.sandbox.simulation import parameters
from quant_pipeline.sandbox.simulation.session_grid import Ints, SessionGrid
from quant_pipeline.sandbox.simulation.stock_days import CLOSED, StockDays

_EVERY_ROW = 10**9


@dataclass(frozen=True)
class _Length:
    """A week's or a month's bars: where the periods end, and how their pct_chg is written."""

    last: Ints
    """Ordinals of the periods' last sessions, ascending."""
    pct_chg: pl.Expr


class Periods:
    """weekly and monthly. A bar is labelled with its period's last session, and appears when that session is over."""

    apis = frozenset({"weekly", "monthly"})
    hours = frozenset({CLOSED})

    def __init__(self, grid: SessionGrid, days: StockDays) -> None:
        self._grid, self._days = grid, days
        day = grid.exchange.sessions.days
        weeks = (day.astype(np.int64) + 3) // 7  # 1970-01-01 was a Thursday
        months = day.astype("datetime64[M]").astype(np.int64)
        growth = pl.col("close") / pl.col("pre_close") - 1
        self._lengths = {
            "weekly": _Length(_ends(weeks), growth.round(6)),
            "monthly": _Length(_ends(months), (growth * 100).round(4)),
        }

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        length = self._lengths[api]
        places = self._grid.places(params)
        codes = len(self._grid.exchange.register) if places is None else len(places)
        first, stop = parameters.span(params, self._grid.exchange.sessions, *self._grid.simulated(CLOSED))
        low, high = np.searchsorted(length.last, (first, stop)).tolist()
        at_once = rows // max(codes, 1) + 1
        frames: list[pl.DataFrame] = []
        while high > low and sum(map(len, frames)) < rows:
            begin = max(low, high - at_once)
            frames.append(self._bars(length, begin, high, params.get("ts_code", "")))
            high = begin
        return pl.concat(frames) if frames else self._days.frame("daily", {}, 0)

    def _bars(self, length: _Length, begin: int, end: int, ts_code: str) -> pl.DataFrame:
        """The bars of the periods `begin` to `end` (places in `length.last`), newest first."""
        last = length.last[begin:end]
        first = int(length.last[begin - 1]) + 1 if begin else 0
        ordinals = np.arange(first, last[-1] + 1)
        dates = self._grid.dates.gather(ordinals)
        label = self._grid.dates.gather(last[np.searchsorted(last, ordinals)])
        span = {"ts_code": ts_code, "start_date": dates[0], "end_date": dates[-1]}
        daily = self._days.frame("daily", span, _EVERY_ROW)
        price = pl.col("close")
        return (
            daily.join(pl.DataFrame({"trade_date": dates, "label": label}), on="trade_date")
            .sort("trade_date")
            .group_by("label", "ts_code", maintain_order=True)
            .agg(
                pl.col("open").first(),
                pl.col("high").max(),
                pl.col("low").min(),
                price.last(),
                # the close before the period, adjusted for the ex-dates in it
                pre_close=(price.last() / (price / pl.col("pre_close")).product()).round(2),
                vol=pl.col("vol").sum(),
                amount=pl.col("amount").sum().round(3),
            )
            .sort("label", "ts_code", descending=[True, False])
            .select(
                "ts_code",
                pl.col("label").alias("trade_date"),
                *("open", "high", "low", "close", "pre_close"),
                (price - pl.col("pre_close")).round(2).alias("change"),
                length.pct_chg.alias("pct_chg"),
                *("vol", "amount"),
            )
        )


def _ends(periods: Ints) -> Ints:
    """The places at which one period ends and the next begins (the last of all is left open)."""
    ends: Ints = np.flatnonzero(np.diff(periods))
    return ends
