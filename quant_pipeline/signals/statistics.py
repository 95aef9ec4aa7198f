"""How the signals of each strategy fared: bought at the next open, valued 1, 5 and 20 sessions after the signal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, INDEX_DAILY, PRICE_LIMITS, SIGNAL_STATISTICS
from quant_pipeline.signals.resolution import BUY
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

HORIZONS = (1, 5, 20)
WINDOW = 250
"""Sessions of which the signals count: the last year's."""
_SIGNALS = """
SELECT trade_date, strategy, ts_code, direction FROM signals WHERE trade_date BETWEEN %(start)s AND %(end)s
"""


def statistics(database: Database, calendar: Calendar, session: dt.date, benchmark: str) -> pl.DataFrame:
    """The rows of signal_statistics as of the session: nothing that is known only later counts.

    A sale's return counts the other way round: it is good when the price falls.
    """
    window = calendar.window(session, WINDOW + max(HORIZONS))
    signals = read_sql(database, _SIGNALS, {"start": window[0], "end": window[-1]})
    if signals.is_empty():
        return _schema()
    outcomes = _outcomes(database, signals, window, session, benchmark)
    if outcomes.is_empty():
        return _schema()
    traded = pl.col("return").is_not_null()
    return (
        outcomes.group_by("strategy", "direction", "horizon")
        .agg(
            signals=traded.sum().cast(pl.Int64),
            untradable=(~traded).sum().cast(pl.Int64),
            hit_rate=(pl.col("return") > 0).mean() * 100,
            mean_return=pl.col("return").mean() * 100,
            mean_excess=pl.col("excess").mean() * 100,
        )
        .with_columns(trade_date=pl.lit(session), benchmark=pl.lit(benchmark))
        .select(SIGNAL_STATISTICS.column_names)
        .sort(SIGNAL_STATISTICS.key)
    )


def _outcomes(
    database: Database, signals: pl.DataFrame, window: Sequence[dt.date], session: dt.date, benchmark: str
) -> pl.DataFrame:
    """Per signal and horizon that is over: strategy, direction, horizon, return, excess (fractions; null: not tradable, no
    index)."""
    place = {day: at for at, day in enumerate(window)}
    at = pl.col("trade_date").replace_strict(place, default=None, return_dtype=pl.Int64)
    days = pl.Series(window, dtype=pl.Date)
    placed = signals.with_columns(at=at).filter(pl.col("at").is_not_null())
    due = placed.join(pl.DataFrame({"horizon": HORIZONS}, schema={"horizon": pl.Int64}), how="cross").filter(
        (pl.col("at") + pl.col("horizon") < len(window)) & (pl.col("at") >= len(window) - WINDOW - pl.col("horizon"))
    )
    if due.is_empty():
        return due
    due = due.with_columns(
        entry=days.gather(due["at"] + 1),
        exit=days.gather(due["at"] + due["horizon"]),
    )
    codes, start = due["ts_code"].unique().to_list(), min(due["entry"].to_list())
    bars = _bars(database, codes, start, session)
    opens = bars.select("ts_code", entry="trade_date", opened="open", raw="raw_open")
    closes = bars.select("ts_code", exit="trade_date", closed="close").sort("exit")
    columns = ["ts_code", "trade_date", "up_limit", "down_limit"]
    limits = read(database, PRICE_LIMITS, start=start, end=session, codes=codes, columns=columns).rename(
        {"trade_date": "entry"}
    )
    index = read(database, INDEX_DAILY, start=start, end=session, codes=[benchmark])
    blocked = (
        pl.when(pl.col("direction") == BUY)
        .then(pl.col("raw") >= pl.col("up_limit"))
        .otherwise(pl.col("raw") <= pl.col("down_limit"))
        .fill_null(False)
    )
    sign = pl.when(pl.col("direction") == BUY).then(1).otherwise(-1)
    earned = pl.when(~blocked).then(sign * (pl.col("closed") / pl.col("opened") - 1))
    against = sign * (pl.col("index_close") / pl.col("index_open") - 1)
    return (
        due.join(opens, on=["ts_code", "entry"], how="left")
        .join(limits, on=["ts_code", "entry"], how="left")
        .join(index.select(entry="trade_date", index_open="open"), on="entry", how="left")
        .join(index.select(exit="trade_date", index_close="close"), on="exit", how="left")
        .sort("exit")
        .join_asof(closes, on="exit", by="ts_code", check_sortedness=False)  # one that is halted then has its last close
        .with_columns(**{"return": earned})
        .with_columns(excess=pl.col("return") - against)
        .select("strategy", "direction", "horizon", "return", "excess")
    )


def _bars(database: Database, codes: Sequence[str], start: dt.date, end: dt.date) -> pl.DataFrame:
    """Open and close of these codes, hfq, and the open as it was traded."""
    raw = read(database, DAILY_KLINE, start=start, end=end, codes=codes, columns=["ts_code", "trade_date", "open", "close"])
    factors = read(database, ADJ_FACTOR, start=start, end=end, codes=codes)
    return raw.join(factors, on=["ts_code", "trade_date"], how="left").select(
        "ts_code",
        "trade_date",
        raw_open="open",
        open=pl.col("open") * pl.col("adj_factor"),
        close=pl.col("close") * pl.col("adj_factor"),
    )


def _schema() -> pl.DataFrame:
    return pl.DataFrame(schema={column.name: column.type.polars for column in SIGNAL_STATISTICS.columns})
