"""The comparison of stored rows with a second source's: value by value, each within its field's tolerance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, MONTHLY_KLINE, WEEKLY_KLINE
from quant_pipeline.market.reports import RECONCILIATION

AFTER_HOURS_SINCE = dt.date(2026, 7, 6)
"""From here on Shanghai and Shenzhen trade at the fixed price after hours, which Tushare's vol and amount leave out."""
_KEY = ["ts_code", "trade_date"]


@dataclass(frozen=True)
class Tolerance:
    """How far two honest sources may be apart: the larger of `absolute` (the field's unit) and `relative` (of the value).

    `after_hours`: in place of `relative` since Shanghai and Shenzhen trade after hours.
    """

    why: str
    absolute: float = 0.0
    relative: float = 0.0
    after_hours: float | None = None

    def of(self, value: pl.Expr) -> pl.Expr:
        share = pl.lit(self.relative)
        if self.after_hours is not None:
            late = (pl.col("trade_date") >= AFTER_HOURS_SINCE) & ~pl.col("ts_code").str.ends_with(".BJ")
            share = pl.when(late).then(self.after_hours).otherwise(self.relative)
        return pl.max_horizontal(pl.lit(self.absolute), share * value.abs())


_PRICE = Tolerance("a price is exact to a 分: half of one, and what floating point adds", absolute=0.00501)
_TICK = Tolerance("sources count it back from a rounded change: a 分, and what floating point adds", absolute=0.01001)
_PERCENT = Tolerance("rounded to two digits by some, to four by others", absolute=0.02)
_TRADED = Tolerance(
    "手 and 千元 are rounded from 股 and 元 by some; block and after-hours trades are counted by some",
    absolute=1.0,
    relative=0.01,
    after_hours=0.05,
)
_RATIO = Tolerance("both factors of the ratio are rounded to three digits by some", relative=0.0011)
_TURNOVER = Tolerance("as vol, over share counts renewed on different days", absolute=0.01, relative=0.02, after_hours=0.05)
_VALUATION = Tolerance("each source takes a report in on a day of its own", absolute=0.02, relative=0.05)
_CAPITAL = Tolerance("share counts are renewed on different days", absolute=1.0, relative=0.01)

_PRICES = dict.fromkeys(("open", "high", "low", "close"), _PRICE)
_VOLUMES = dict.fromkeys(("vol", "amount"), _TRADED)
# Of weeks and months pct_chg is close over pre_close, as a rule of each row holds it to: where pre_close is a tick off, it is.
_PERIOD = {**_PRICES, "pre_close": _TICK, **_VOLUMES}
TOLERANCES: Mapping[str, Mapping[str, Tolerance]] = {
    DAILY_KLINE.name: {**_PRICES, "pre_close": _PRICE, "pct_chg": _PERCENT, **_VOLUMES},
    WEEKLY_KLINE.name: _PERIOD,
    MONTHLY_KLINE.name: _PERIOD,
    ADJ_FACTOR.name: {"adj_factor": _RATIO},
    DAILY_BASIC.name: {
        "close": _PRICE,
        "turnover_rate": _TURNOVER,
        **dict.fromkeys(("pe", "pe_ttm", "pb", "ps", "ps_ttm"), _VALUATION),
        **dict.fromkeys(("total_share", "float_share", "total_mv", "circ_mv"), _CAPITAL),
    },
}
"""data set -> field -> how far two honest sources may be apart, and why. `change` is close less pre_close: both are here."""
RATIOS = frozenset({ADJ_FACTOR.name})
"""The data sets whose values have no base in common: the ratio to the row before is compared."""


def _types() -> dict[str, pl.DataType]:
    return {
        "ts_code": pl.String(),
        "trade_date": pl.Date(),
        "field": pl.String(),
        "stored_source": pl.String(),
        "second_source": pl.String(),
        "stored": pl.Float64(),
        "second": pl.Float64(),
        "difference": pl.Float64(),
        "tolerated": pl.Float64(),
    }


def compared_fields(dataset: Dataset) -> tuple[str, ...]:
    return tuple(TOLERANCES[dataset.name])


@dataclass(frozen=True)
class Comparison:
    """Every value that both sides have, a row for each: the columns of `reconciliation` but for `dataset`."""

    dataset: Dataset
    values: pl.DataFrame

    @property
    def codes(self) -> list[str]:
        """The codes of which something was compared."""
        return self.values["ts_code"].unique().sort().to_list()

    @property
    def findings(self) -> pl.DataFrame:
        """The values that differ by more than is tolerated, as rows of `reconciliation`."""
        off = self.values.filter(pl.col("difference") > pl.col("tolerated"))
        return off.with_columns(dataset=pl.lit(self.dataset.name)).select(RECONCILIATION.column_names)


def compare(dataset: Dataset, stored: pl.DataFrame, second: pl.DataFrame, second_source: str) -> Comparison:
    """Each value of the stored rows beside the second source's of the same code and session; nothing is averaged.

    Both have ts_code, trade_date and the fields, the stored rows `source` as well. Rows that are the second source's own are
    no pair, and a value that one side lacks is not compared.
    """
    pairs = stored.filter(pl.col("source") != second_source).join(second, on=_KEY, suffix="_second").sort(_KEY)
    if dataset.name in RATIOS:
        pairs = _as_ratios(pairs, compared_fields(dataset))
    values = [_values(pairs, field, tolerance, second_source) for field, tolerance in TOLERANCES[dataset.name].items()]
    return Comparison(dataset, pl.concat([pl.DataFrame(schema=_types()), *values]))


def _as_ratios(pairs: pl.DataFrame, fields: tuple[str, ...]) -> pl.DataFrame:
    """Each value over the one of the same code in the session before that both sides have; the first has none."""
    names = [name for field in fields for name in (field, f"{field}_second")]
    return pairs.with_columns(pl.col(name) / pl.col(name).shift().over("ts_code", order_by="trade_date") for name in names)


def _values(pairs: pl.DataFrame, field: str, tolerance: Tolerance, second_source: str) -> pl.DataFrame:
    stored, second = pl.col(field), pl.col(f"{field}_second")
    return (
        pairs.with_columns(difference=(stored - second).abs())
        .drop_nulls("difference")
        .select(
            *_KEY,
            field=pl.lit(field),
            stored_source=pl.col("source"),
            second_source=pl.lit(second_source),
            stored=stored,
            second=second,
            difference=pl.col("difference"),
            tolerated=tolerance.of(stored),
        )
    )
