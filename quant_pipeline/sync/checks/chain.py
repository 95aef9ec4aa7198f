"""Prices and factors: pre_close, the close before and the adjustment factor must tell the same story.

Two bars are linked where nothing is missing between them: they are of sessions that follow one another, or the code is
known to have been halted in all that lie between. Over sessions that were never synced nothing can be said.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, ETF_ADJ, ETF_DAILY, SUSPENSIONS
from quant_pipeline.market.trading_rules import session_number
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.warehouse.reads import read

_LONGEST_HALT = dt.timedelta(days=120)
"""A bar's last one is looked for as far back as this: over longer halts nothing is judged."""
_SAME_FACTOR = 1e-6
_KEY = ["ts_code", "trade_date"]


@dataclass(frozen=True)
class _Chain:
    """Bars with their factors. `tick` is the smallest step of their prices [元]; `halts`: whose sessions without a bar are
    told, if anybody's."""

    bars: Dataset
    factors: Dataset
    tick: float
    halts: Dataset | None = None

    def links(self, scope: Scope, start: dt.date, end: dt.date) -> pl.DataFrame:
        """Each bar from `start` on that has one before it, with nothing lacking in between.

        Columns: pre_close, adj_factor, last_close, last_factor, the pre_close that these let expect, and by how much it
        may be off.
        """
        since = start - _LONGEST_HALT
        bars = read(scope.database, self.bars, start=since, end=end, columns=[*_KEY, "pre_close", "close"])
        factors = read(scope.database, self.factors, start=since, end=end, columns=[*_KEY, "adj_factor"])
        same_code = pl.col("ts_code") == pl.col("ts_code").shift()
        return (
            bars.join(factors.filter(pl.col("adj_factor") > 0), on=_KEY)
            .sort(_KEY)
            .with_columns(
                last_close=pl.when(same_code).then(pl.col("close").shift()),
                last_factor=pl.when(same_code).then(pl.col("adj_factor").shift()),
                last_date=pl.when(same_code).then(pl.col("trade_date").shift()),
            )
            .filter((pl.col("trade_date") >= start) & pl.col("last_date").is_not_null())
            .pipe(self._unbroken, scope, since, end)
            .with_columns(
                expected=pl.col("last_close") * pl.col("last_factor") / pl.col("adj_factor"),
                tolerance=pl.max_horizontal(1.1 * self.tick, 0.002 * pl.col("pre_close")),
            )
            .drop_nulls(["pre_close", "expected"])
        )

    def _unbroken(self, pairs: pl.DataFrame, scope: Scope, since: dt.date, end: dt.date) -> pl.DataFrame:
        """The pairs of bars between which the code was halted in every session, or there is none."""
        halted = pl.DataFrame(schema={"ts_code": pl.String, "trade_date": pl.Date})
        if self.halts is not None:
            told = read(scope.database, self.halts, start=since, end=end, columns=[*_KEY, "suspend_timing", "suspend_type"])
            whole_day = (pl.col("suspend_type") == "S") & pl.col("suspend_timing").is_null()
            halted = told.filter(whole_day).select(_KEY)
        halted = halted.sort(_KEY).with_columns(halts=pl.int_range(1, pl.len() + 1).over("ts_code"))
        counted = pairs.with_columns(between=session_number(pl.col("last_date"), pl.col("trade_date"), scope.calendar) - 2)
        for day, name in (("last_date", "halts_before"), ("trade_date", "halts_after")):
            counted = counted.sort(day).join_asof(
                halted.sort("trade_date").rename({"trade_date": "halt", "halts": name}),
                left_on=day,
                right_on="halt",
                by="ts_code",
                check_sortedness=False,
            )
            counted = counted.drop("halt").with_columns(pl.col(name).fill_null(0))
        return counted.filter(pl.col("halts_after") - pl.col("halts_before") >= pl.col("between")).sort(_KEY)

    def broken(self, links: pl.DataFrame) -> pl.DataFrame:
        """The links whose pre_close is not what the close before and the factors let expect."""
        off = links.filter((pl.col("pre_close") - pl.col("expected")).abs() > pl.col("tolerance"))
        return off.select(*_KEY, "pre_close", pl.col("expected").round(3))

    def jumps(self, links: pl.DataFrame) -> pl.DataFrame:
        """The links at which either the factor or the price changes alone."""
        moved = (pl.col("pre_close") - pl.col("last_close")).abs()
        jumped = (pl.col("last_close") - pl.col("expected")).abs() > pl.col("tolerance")
        kept = (pl.col("adj_factor") / pl.col("last_factor") - 1).abs() < _SAME_FACTOR
        # A jump that is worth more than the tolerance moves pre_close by a tick at least.
        found = (
            pl.when(jumped & (moved < 0.5 * self.tick))
            .then(pl.lit(marked("a new factor without an ex-date")))
            .when(kept & (moved > pl.col("tolerance")))
            .then(pl.lit(marked("an ex-date without a new factor")))
        )
        return links.select(*_KEY, "last_factor", "adj_factor", "last_close", "pre_close", found=found).drop_nulls("found")


def _judge(chain: _Chain, offending: Callable[[pl.DataFrame], pl.DataFrame], what: str) -> Callable[[Scope], Verdict]:
    def verdict(scope: Scope) -> Verdict:
        seen, found = 0, []
        for chunk in scope.chunks():
            links = scope.only(chain.links(scope, chunk[0], chunk[-1]))
            seen += links.height
            found.append(offending(links).sort("trade_date", "ts_code"))
        rows = pl.concat(found) if found else pl.DataFrame()
        return Verdict(rows.is_empty(), told(what, count=rows.height, total=seen), seen, rows.head(PAGE))

    return verdict


_SHARES = _Chain(DAILY_KLINE, ADJ_FACTOR, tick=0.01, halts=SUSPENSIONS)
_FUNDS = _Chain(ETF_DAILY, ETF_ADJ, tick=0.001)
_BREAK = marked("{count} of {total} pre_close break the chain of close and adj_factor")

PRE_CLOSE_CHAIN = Check(
    "pre_close_chain",
    "昨收与复权因子一致",
    "pre_close = last close x last factor / factor: no gap, no spliced adjustment, no missed ex-date.",
    _judge(_SHARES, _SHARES.broken, _BREAK),
    of_codes=True,
)
ETF_CHAIN = Check(
    "pre_close_chain",
    "昨收与复权因子一致",
    "pre_close = last close x last factor / factor, for funds that pay out or split.",
    _judge(_FUNDS, _FUNDS.broken, _BREAK),
    warns=True,
    of_codes=True,
)
FACTOR_JUMPS = Check(
    "factor_jumps_on_ex_dates",
    "因子仅在除权日变动",
    "The factor changes between two bars if, and only if, the second one's pre_close is not the first one's close.",
    _judge(_SHARES, _SHARES.jumps, marked("{count} of {total} bars and factors do not agree on an ex-date")),
    of_codes=True,
)
