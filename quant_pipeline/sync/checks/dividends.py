"""Dividends against prices: the ex price is what the close before and the dividend make of each other."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.datasets import DAILY_KLINE, DIVIDENDS
from quant_pipeline.market.trading_rules import CASH_PARTS, SHARE_PARTS, ex_rights_price
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.warehouse.reads import read

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LONGEST_HALT = dt.timedelta(days=120)
"""A bar before the ex-date is looked for as far back as this."""
_TICK = 1
"""分 by which the counted price may be off."""
_KEY = ["ts_code", "trade_date"]
_SAID = marked(
    "{count} of {total} ex prices are not what the close before and the dividend give (a rights issue of the day is one reason)"
)


def _explain_ex_prices(scope: Scope) -> Verdict:
    looked_at, found = 0, []
    for chunk in scope.chunks():
        rows = scope.only(_ex_prices(scope, chunk[0], chunk[-1]))
        looked_at += rows.height
        found.append(rows.filter((pl.col("counted") - pl.col("pre_close")).abs() > (_TICK + 0.5) / 100))
    rows = pl.concat(found) if found else pl.DataFrame()
    text = told(_SAID, count=rows.height, total=looked_at)
    return Verdict(rows.is_empty(), text, looked_at, rows.head(PAGE))


def _ex_prices(scope: Scope, start: dt.date, end: dt.date) -> pl.DataFrame:
    """trade_date, ts_code, last_close, cash_div_tax, stk_div, counted, pre_close [元] of each dividend with bars around it."""
    import numpy as np  # at work only: every process knows the checks

    paid = read(scope.database, DIVIDENDS, start=start, end=end, columns=[*_KEY, "cash_div_tax", "stk_div"])
    codes = paid["ts_code"].unique().to_list()
    columns = [*_KEY, "close", "pre_close"]
    since = start - _LONGEST_HALT if codes else end
    bars = read(scope.database, DAILY_KLINE, start=since, end=end, codes=codes, columns=columns).sort(_KEY)
    known = bars.with_columns(last_close=pl.col("close").shift().over("ts_code")).drop_nulls("last_close").drop("close")
    rows = paid.join(known, on=_KEY).drop_nulls("pre_close")

    def whole(name: str, scale: int) -> npt.NDArray[np.int64]:
        counted: npt.NDArray[np.int64] = np.rint(rows[name].fill_null(0.0).to_numpy() * scale).astype(np.int64)
        return counted

    counted = ex_rights_price(whole("last_close", 100), whole("cash_div_tax", CASH_PARTS), whole("stk_div", SHARE_PARTS))
    ordered = rows.with_columns(counted=pl.Series(counted / 100)).sort("trade_date", "ts_code")
    return ordered.select("trade_date", "ts_code", "last_close", "cash_div_tax", "stk_div", "counted", "pre_close")


EXPLAIN_EX_PRICES = Check(
    "dividends_explain_ex_prices",
    "分红与除权价一致",
    "On an ex-date pre_close is the close before less the dividend, over the new shares: (close - cash) / (1 + shares).",
    _explain_ex_prices,
    of_codes=True,
    warns=True,
)
