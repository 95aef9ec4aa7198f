"""What is to be traded, as the kernel takes it: from a strategy's signals, from target weights, or from a list of orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from quant_pipeline.backtest.layout import I_AMOUNT, I_CODE, I_SIDE, ORDERS, SIGNALS, WEIGHTS, Array, Decisions
from quant_pipeline.backtest.market_data import Market
from quant_pipeline.backtest.passes import dealt
from quant_pipeline.backtest.reasons import Side
from quant_pipeline.backtest.settings import BacktestError
from quant_pipeline.backtest.units import parts
from quant_pipeline.language import say

_KEY = ("ts_code", "trade_date")


@dataclass(frozen=True)
class Plan:
    """Decisions, and the kernel's mode that follows them. `delay`: sessions between a decision and its trade that the kernel is
    to count; tables bear the session of the trade already."""

    mode: int
    decisions: Decisions
    delay: int


def from_signals(market: Market, signals: pl.DataFrame, delay: int) -> Plan:
    """`signals`: ts_code, trade_date, signal (1 buy, -1 sell, 0 neither), score (higher goes first; null: last), a row per bar
    or some of them."""
    signal, score = _beside(market, signals)
    offsets, rows, sell = dealt(signal, market.session, len(market.sessions))
    return Plan(
        SIGNALS,
        Decisions(
            buy_offsets=offsets,
            buy_rows=rows,
            buy_codes=market.code[rows].astype(np.int64),
            score=score.gather(rows).fill_null(float("-inf")).fill_nan(float("-inf")).to_numpy(),
            sell=sell,
            offsets=np.zeros(len(market.sessions) + 1, dtype=np.int64),
            intents=np.zeros((0, 3), dtype=np.int64),
        ),
        delay,
    )


def from_weights(market: Market, weights: pl.DataFrame, delay: int) -> Plan:
    """`weights`: date, code, weight (part of the equity, 0 to 1): decided at the close of that session. Each date is a whole
    portfolio: what it does not name is sold.

    BacktestError for a negative weight, a sum above 1, or a code that stands twice on a date.
    """
    table = _table(weights, ("date", "code", "weight"))
    wrong = table.filter(~pl.col("weight").is_between(0, 1))
    if not wrong.is_empty():
        raise BacktestError(say("a weight is from 0 to 1, not {weight} ({code}, {date})", **wrong.row(0, named=True)))
    sums = table.group_by("date").agg(pl.col("weight").sum()).filter(pl.col("weight") > 1 + 1e-6).sort("date")
    if not sums.is_empty():
        raise BacktestError(say("the weights of {date} add up to {weight:.4f}: at most 1", **sums.row(0, named=True)))
    twice = table.filter(pl.struct("date", "code").is_duplicated())
    if not twice.is_empty():
        raise BacktestError(say("{code} stands twice among the weights of {date}", **twice.row(0, named=True)))
    ordered = table.sort("date", "weight", "code", descending=[False, True, False])
    return _dated(market, ordered, WEIGHTS, delay, parts(ordered["weight"].to_numpy()), None)


def from_orders(market: Market, orders: pl.DataFrame) -> Plan:
    """`orders`: date (the session in which it trades), code, side (buy or sell), shares; in the table's order within a date,
    sells first. BacktestError for a side or a number of shares that is none."""
    table = _table(orders, ("date", "code", "side", "shares"))
    words = {"buy": Side.BUY, "sell": Side.SELL, "b": Side.BUY, "s": Side.SELL, "买入": Side.BUY, "卖出": Side.SELL}
    sides = [words.get(str(side).strip().lower()) for side in table["side"]]
    if None in sides:
        raise BacktestError(say("the side of an order is buy or sell, not {side}", side=table["side"][sides.index(None)]))
    wrong = table.filter(~(pl.col("shares") > 0).fill_null(False))
    if not wrong.is_empty():
        raise BacktestError(say("an order is of 1 share or more, not {shares} ({code}, {date})", **wrong.row(0, named=True)))
    numbered = table.with_columns(side=pl.Series([int(side or 0) for side in sides], dtype=pl.Int64))
    ordered = numbered.sort("date", maintain_order=True)
    amount = ordered["shares"].cast(pl.Int64).to_numpy()
    return _dated(market, ordered, ORDERS, 0, amount, ordered["side"].to_numpy())


def _beside(market: Market, signals: pl.DataFrame) -> tuple[Array, pl.Series]:
    """Signal and score beside the market's bars; 0 and null where there is none."""
    if signals.height != len(market.session) or not _same_rows(market, signals):
        bars = pl.DataFrame({"_code": market.code, "_session": market.session})
        known = signals.join(_numbered(market), on="ts_code").join(_dates(market), on="trade_date")
        signals = bars.join(known, on=["_code", "_session"], how="left", maintain_order="left")
    return signals["signal"].fill_null(0).cast(pl.Int8).to_numpy(), signals["score"].cast(pl.Float64)


def _same_rows(market: Market, signals: pl.DataFrame) -> bool:
    """Whether the rows are the market's bars, in their order."""
    codes = signals["ts_code"]
    starts = market.offsets[:-1]
    ends = market.offsets[1:] - 1
    if codes.gather(starts).to_list() != list(market.codes) or codes.gather(ends).to_list() != list(market.codes):
        return False
    return np.array_equal(signals["trade_date"].to_physical().to_numpy(), market.day)


def _numbered(market: Market) -> pl.DataFrame:
    return pl.DataFrame({"ts_code": market.codes, "_code": np.arange(len(market.codes), dtype=np.int32)})


def _dates(market: Market) -> pl.DataFrame:
    numbers = np.arange(len(market.sessions), dtype=np.int32)
    return pl.DataFrame({"trade_date": list(market.sessions), "_session": numbers}, schema_overrides={"trade_date": pl.Date})


def _table(frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    """The frame with these columns. BacktestError where it lacks one, is empty, or has no dates."""
    frame = frame.rename({ours: theirs for ours, theirs in _SPELLED.items() if ours in frame.columns and theirs in columns})
    if missing := [name for name in columns if name not in frame.columns]:
        raise BacktestError(
            say("the table lacks {missing}: its columns are {columns}", missing=", ".join(missing), columns=", ".join(columns))
        )
    if frame.is_empty():
        raise BacktestError(say("the table is empty: there is nothing to trade"))
    try:
        return frame.select(columns).with_columns(pl.col("date").cast(pl.Date))
    except pl.exceptions.PolarsError:
        raise BacktestError(say("the column date holds something that is no date")) from None


_SPELLED = {"ts_code": "code", "trade_date": "date"}


def _dated(market: Market, table: pl.DataFrame, mode: int, delay: int, amount: Array, side: Any) -> Plan:
    """BacktestError for a day that is no session of the market, or a code without bars."""
    if unknown := sorted(set(table["code"]) - set(market.codes)):
        raise BacktestError(say("no bars of {codes} are stored in this range", codes=", ".join(map(str, unknown[:10]))))
    day = {session: place for place, session in enumerate(market.sessions)}
    if strange := sorted(set(table["date"]) - set(day)):
        raise BacktestError(say("{day} is no session of the range", day=strange[0]))
    session = np.array([day[each] for each in table["date"]], dtype=np.int64) + delay
    inside = session < len(market.sessions)
    session, code = session[inside], np.array([market.number[each] for each in table["code"]], dtype=np.int64)[inside]
    intents = np.zeros((len(code), 3), dtype=np.int64)
    intents[:, I_CODE], intents[:, I_AMOUNT] = code, np.asarray(amount)[inside]
    if side is not None:
        intents[:, I_SIDE] = side[inside]
    none = np.zeros(0, dtype=np.int64)
    count = len(market.sessions) + 1
    return Plan(
        mode,
        Decisions(
            buy_offsets=np.zeros(count, dtype=np.int64),
            buy_rows=none,
            buy_codes=none,
            score=np.zeros(0),
            sell=np.zeros(0, dtype=np.uint8),
            offsets=np.searchsorted(session, np.arange(count)).astype(np.int64),
            intents=intents,
        ),
        0,
    )
