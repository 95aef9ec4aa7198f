"""BaoStock's dividends: whom to ask for them, and what its answers say in the platform's names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from quant_pipeline.market import codes
from quant_pipeline.market.datasets import DIVIDENDS

DIVIDEND_CALLS = 22
"""Calls for one session, on the average: two for the whole market, one for each of some twenty shares that go ex."""
_HALF_A_TICK = 0.005


def gone_ex(before: pl.DataFrame, session: pl.DataFrame) -> list[str]:
    """The codes (sh.600000) whose preclose of the session is not their close of the one before."""

    def price(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.Float64, strict=False)

    both = session.select("code", pre=price("preclose")).join(before.select("code", last=price("close")), on="code")
    return both.filter((pl.col("pre") - pl.col("last")).abs() > _HALF_A_TICK)["code"].sort().to_list()


def received(answers: Sequence[pl.DataFrame], start: dt.date, end: dt.date) -> pl.DataFrame:
    """The rows of query_dividend_data whose ex-date lies in the range; what it leaves empty of an amount is none of it."""
    known: dict[str, pl.Expr] = {
        "ts_code": codes.to_tushare(pl.col("code")),
        "trade_date": _day("dividOperateDate"),
        "ann_date": _day("dividPlanAnnounceDate"),
        "div_proc": pl.lit("实施"),
        "stk_div": (_amount("dividStocksPs") + _amount("dividReserveToStockPs")).round(8),
        "stk_bo_rate": _amount("dividStocksPs"),
        "stk_co_rate": _amount("dividReserveToStockPs"),
        # The cash after tax is a text where it depends on the holding: "0.27或0.285".
        "cash_div": pl.col("dividCashPsAfterTax").cast(pl.Float64, strict=False),
        "cash_div_tax": _amount("dividCashPsBeforeTax"),
        "record_date": _day("dividRegistDate"),
        "ex_date": _day("dividOperateDate"),
        "pay_date": _day("dividPayDate"),
        "div_listdate": _day("dividStockMarketDate"),
        "imp_ann_date": _day("dividPlanDate"),
    }
    columns = [known.get(column.name, pl.lit(None, column.type.polars)).alias(column.name) for column in DIVIDENDS.columns]
    filled = [answer.select(columns) for answer in answers if not answer.is_empty()]
    rows = pl.concat(filled) if filled else pl.DataFrame(schema={each.name: each.type.polars for each in DIVIDENDS.columns})
    return rows.filter(pl.col("trade_date").is_between(start, end))


def _day(name: str) -> pl.Expr:
    return pl.col(name).str.to_date("%Y-%m-%d", strict=False)


def _amount(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64, strict=False).fill_null(0.0)
