"""Reconciliation: a sample of stored rows, compared field by field with what a second source says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from quant_pipeline.market.codes import board_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

PRICE_TOLERANCE = 0.00501
"""元: half a tick, and what floating point adds."""
PCT_CHG_TOLERANCE = 0.02
TRADED_TOLERANCE = 0.01
"""Of vol and amount: sources count after-hours and block trades differently."""
ROUNDING = 1.0
"""手 or 千元 by which two roundings of one volume or turnover may differ."""
WARN_BELOW, ERROR_BELOW = 98.0, 90.0
"""Agreement in % below which a field is worth a warning, and an error."""
FIELDS = ("open", "high", "low", "close", "pre_close", "pct_chg", "vol", "amount")
_PRICES = frozenset(FIELDS[:5])
_KEY = ("ts_code", "trade_date")
_WORST = 50
_CELLS = pl.Schema(
    {
        "ts_code": pl.String,
        "trade_date": pl.Date,
        "field": pl.String,
        "source": pl.String,
        "second_source": pl.String,
        "stored": pl.Float64,
        "second": pl.Float64,
        "difference": pl.Float64,
        "tolerances": pl.Float64,
    }
)

_TRADED = """
SELECT ts_code, md5(%(seed)s || ' ' || trade_date || ' ' || ts_code) AS lot FROM daily_kline
WHERE trade_date = %(session)s ORDER BY lot
"""


class Agreement(StrEnum):
    """How well two sources agree."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BROKEN = "broken"


@dataclass(frozen=True)
class Reconciliation:
    """The values that were compared, a row for each.

    `cells`: ts_code, trade_date, field, source (of the stored row), second_source, stored, second, difference
    (absolute, in the field's unit), tolerances (difference / what is tolerated).
    """

    cells: pl.DataFrame

    @property
    def rows(self) -> int:
        """How many pairs of rows were compared."""
        return self.cells.n_unique([*_KEY, "second_source"]) if not self.cells.is_empty() else 0

    def agreement(self, *by: str) -> pl.DataFrame:
        """Per field and second source (and per `by`): compared, agreeing, agreement [%], worst_difference, worst_code."""
        worst = pl.col("tolerances").arg_max()
        return (
            self.cells.group_by(*by, "field", "second_source")
            .agg(
                compared=pl.len().cast(pl.Int64),
                agreeing=(pl.col("tolerances") <= 1).sum().cast(pl.Int64),
                agreement=(pl.col("tolerances") <= 1).mean() * 100,
                worst_difference=pl.col("difference").get(worst),
                worst_code=pl.col("ts_code").get(worst),
            )
            .sort(*by, pl.col("field").replace_strict(FIELDS, range(len(FIELDS)), default=len(FIELDS)), "second_source")
        )

    def worst(self) -> pl.DataFrame:
        """The cells that do not agree, worst first (at most a page of them)."""
        return (
            self.cells.filter(pl.col("tolerances") > 1).sort("tolerances", *_KEY, descending=[True, False, False]).head(_WORST)
        )


def sample(database: Database, session: dt.date, count: int, seed: int) -> list[str]:
    """`count` of the codes that have a daily bar in the session, of every board in proportion, and at least one.

    The same seed and session give the same codes, another session others; fewer only where fewer traded.
    """
    traded = read_sql(database, _TRADED, {"seed": str(seed), "session": session})
    place = pl.int_range(pl.len()).over("board")
    chosen = (
        traded.with_columns(board=board_of(pl.col("ts_code")).fill_null(""))
        .sort("lot")
        .with_columns(place=place, quantile=(place + 0.5) / pl.len().over("board"))
        .sort(pl.col("place") > 0, "quantile", "lot")
        .head(count)
    )
    return chosen["ts_code"].sort().to_list()


def reconcile(stored: pl.DataFrame, others: pl.DataFrame, fields: Sequence[str] = FIELDS) -> Reconciliation:
    """Compares rows of the same code and session from the warehouse and from other sources.

    Both have ts_code, trade_date, source and the fields. Rows of one and the same source are no pair, and a value that one
    side lacks is not compared. Prices agree within half a tick, pct_chg within 0.02, vol and amount within 1 % or rounding.
    """
    pairs = stored.join(others.rename({"source": "second_source"}), on=_KEY, suffix="_second").filter(
        pl.col("source") != pl.col("second_source")
    )
    return Reconciliation(pl.concat([_CELLS.to_frame(), *(_cells(pairs, field) for field in fields)]))


def judge(agreement: pl.DataFrame) -> Agreement:
    """The verdict over rows of `Reconciliation.agreement`: the worst field of any source decides."""
    if (agreement["agreement"] < ERROR_BELOW).any():
        return Agreement.BROKEN
    return Agreement.DOUBTFUL if (agreement["agreement"] < WARN_BELOW).any() else Agreement.GOOD


def _cells(pairs: pl.DataFrame, field: str) -> pl.DataFrame:
    stored, second = pl.col(field), pl.col(f"{field}_second")
    return (
        pairs.with_columns(difference=(stored - second).abs())
        .drop_nulls("difference")
        .select(
            *_KEY,
            field=pl.lit(field),
            source=pl.col("source"),
            second_source=pl.col("second_source"),
            stored=stored,
            second=second,
            difference=pl.col("difference"),
            tolerances=pl.col("difference") / _tolerated(field),
        )
    )


def _tolerated(field: str) -> pl.Expr:
    if field in _PRICES:
        return pl.lit(PRICE_TOLERANCE)
    if field == "pct_chg":
        return pl.lit(PCT_CHG_TOLERANCE)
    return pl.max_horizontal(pl.lit(ROUNDING), TRADED_TOLERANCE * pl.col(field).abs())
