"""Limits: who closed at the upper or lower one, and for how many sessions in a row (连板)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.trading_rules import (
    NO_LIMIT,
    STORED_NO_LIMIT,
    delisting_period,
    price_limits,
    session_number,
    special_treatment,
)
from quant_pipeline.overview.parts import Limits, Quote, Rung

_TICK = 1000
"""The finest tick of a price: 0.001 元."""


def with_limits(bars: pl.DataFrame, stored: pl.DataFrame, lives: pl.DataFrame, names: pl.DataFrame, calendar: Calendar) -> (
    pl.DataFrame
):  # fmt: skip
    """The bars with their limits: `up_limit`, `down_limit` [元] (null: none), `limit_from` (stored, rules; null: not known).

    `bars`: ts_code, trade_date, pre_close, … · `stored`: price_limits · `lives`: ts_code, list_date · `names`: ts_code, name,
    start_date of name_history. The stored limits are the exchange's own; where a bar has none, the rules' stand in for them.
    """
    key = ["ts_code", "trade_date"]
    known = stored.select(*key, "up_limit", "down_limit").with_columns(limit_from=pl.lit("stored"))
    joined = bars.join(known, on=key, how="left")
    without = joined.filter(pl.col("limit_from").is_null()).drop("limit_from", "up_limit", "down_limit")
    with_own = joined.filter(pl.col("limit_from").is_not_null())
    free = pl.col("up_limit") >= STORED_NO_LIMIT
    own = with_own.with_columns(pl.when(~free).then(pl.col(name)) for name in ("up_limit", "down_limit"))
    return pl.concat([own, _by_rule(without, lives, names, calendar).select(own.columns)], how="vertical_relaxed")


def limited(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of `with_limits` with `at_up`, `at_down` (closed there) and `broken` (touched the upper one, closed below)."""
    close, high = _ticks("close"), _ticks("high")
    up, down = _ticks("up_limit"), _ticks("down_limit")
    return rows.with_columns(
        at_up=(close >= up).fill_null(False),
        at_down=(close <= down).fill_null(False),
        broken=((high >= up) & (close < up)).fill_null(False),
    )


def limits(today: pl.DataFrame, history: pl.DataFrame, quotes: Mapping[str, Quote]) -> Limits:
    """`today`: rows of `limited` · `history`: those of the shares at their upper limit, of the sessions up to today."""
    up = today.filter("at_up")["ts_code"].to_list()
    down = today.filter("at_down").sort("pct_chg", "ts_code")["ts_code"].to_list()
    rungs: dict[tuple[int, bool], list[Quote]] = {}
    for code, height, every in _heights(history.filter(pl.col("ts_code").is_in(up))).iter_rows():
        rungs.setdefault((height, every), []).append(quotes[code])
    return Limits(
        up=len(up),
        down=len(down),
        broken=int(today["broken"].sum()),
        ladder=[
            Rung(height, sorted(each, key=lambda quote: -(quote.amount or 0)), at_least=every)
            for (height, every), each in sorted(rungs.items(), reverse=True)
        ],
        fallen=[quotes[code] for code in down],
        ruled=int((today["limit_from"] == "rules").sum()),
        unknown=today["limit_from"].null_count(),
    )


def _heights(history: pl.DataFrame) -> pl.DataFrame:
    """ts_code, height (its own last bars that closed at the upper limit), every (all that is known of it did, and it is older
    than that)."""
    row = pl.col("at_up").sort_by("trade_date", descending=True).cast(pl.Int64).cum_min()
    counted = history.group_by("ts_code").agg(
        height=row.sum(), bars=pl.len(), first=pl.min("trade_date"), list_date=pl.col("list_date").first()
    )
    older = pl.col("list_date").is_null() | (pl.col("list_date") < pl.col("first"))
    return counted.select("ts_code", "height", every=(pl.col("height") == pl.col("bars")) & older)


def _by_rule(bars: pl.DataFrame, lives: pl.DataFrame, names: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    day = pl.col("trade_date")
    named = names.select("ts_code", "start_date", named="name").drop_nulls().sort("start_date")
    known = bars.join(lives.select("ts_code", listed="list_date"), on="ts_code", how="left").sort("trade_date")
    dated = known.join_asof(
        named, left_on="trade_date", right_on="start_date", by="ts_code", strategy="backward", check_sortedness=False,
        coalesce=False,
    )  # fmt: skip
    asked = dated.select(
        "ts_code",
        "trade_date",
        "pre_close",
        list_date="listed",
        is_st=special_treatment(pl.col("named"), day),
        session=session_number(pl.col("listed"), day, calendar),
        delisting_session=pl.when(delisting_period(pl.col("named"))).then(session_number(pl.col("start_date"), day, calendar)),
    )
    known_rule = pl.col("up_limit").is_not_null() | (pl.col("limit_rule") == NO_LIMIT)
    ruled = price_limits(asked).select(
        "ts_code", "trade_date", "up_limit", "down_limit", limit_from=pl.when(known_rule).then(pl.lit("rules"))
    )
    return bars.join(ruled, on=["ts_code", "trade_date"], how="left")


def _ticks(price: str) -> pl.Expr:
    return (pl.col(price) * _TICK).round()
