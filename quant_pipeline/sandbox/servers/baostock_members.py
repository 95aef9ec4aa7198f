"""Dividends and index members as BaoStock gives them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import polars as pl

from quant_pipeline.sandbox.servers.baostock_forms import ALL, ready_day, spelled_code, to_day, to_ts_code
from quant_pipeline.sandbox.servers.baostock_protocol import PARAMETERS, Refusal
from quant_pipeline.sandbox.simulation.interface import Market

_INDEXES = {"query_hs300_stocks": "399300.SZ", "query_sz50_stocks": "000016.SH", "query_zz500_stocks": "000905.SH"}
_A_SNAPSHOT_AND_MORE = dt.timedelta(days=45)
_TAXED_BY_HOLDING = 2013
"""From this year on the cash after tax depends on how long the share is held: it is written as a choice."""


def dividends(market: Market, params: Mapping[str, str]) -> pl.DataFrame:
    """The code's dividends of a year: of the plan's announcement (report) or of the ex-date (operate)."""
    if params["yearType"] not in ("report", "operate") or not params["year"].isdigit():
        raise Refusal(PARAMETERS)
    rows = market.frame("dividend", {"ts_code": to_ts_code(params["code"])}, ALL).filter(pl.col("div_proc") == "实施")
    of_year = pl.col("ex_date" if params["yearType"] == "operate" else "ann_date").str.head(4) == params["year"]

    def day(name: str) -> pl.Expr:
        return pl.col(name).str.to_date("%Y%m%d")

    cash = pl.col("cash_div_tax")
    by_holding = pl.format("{}或{}", (cash * 0.8).round(4), (cash * 0.9).round(4))
    later = pl.col("ex_date").str.head(4).cast(pl.Int64) >= _TAXED_BY_HOLDING
    none = pl.lit("")
    return (
        rows.filter(of_year & (day("ex_date") <= ready_day()))
        .sort("ex_date")
        .select(
            code=spelled_code(),
            dividPreNoticeDate=none,
            dividAgmPumDate=none,
            dividPlanAnnounceDate=day("ann_date"),
            dividPlanDate=day("imp_ann_date"),
            dividRegistDate=day("record_date"),
            dividOperateDate=day("ex_date"),
            dividPayDate=day("pay_date"),
            dividStockMarketDate=day("div_listdate"),
            dividCashPsBeforeTax=cash,
            dividCashPsAfterTax=pl.when(later).then(by_holding).otherwise(pl.col("cash_div").cast(pl.String)),
            # nothing is left empty
            dividStocksPs=pl.when(pl.col("stk_bo_rate") > 0).then("stk_bo_rate"),
            dividCashStock=pl.format("10派{}元", (cash * 10).round(4)),
            dividReserveToStockPs=pl.when(pl.col("stk_co_rate") > 0).then("stk_co_rate"),
        )
    )


def of_index(market: Market, api: str, day: str) -> pl.DataFrame:
    """The members on that day: those of the last snapshot."""
    window = {"start_date": f"{to_day(day) - _A_SNAPSHOT_AND_MORE:%Y%m%d}", "end_date": day}
    rows = market.frame("index_weight", {"index_code": _INDEXES[api], **window}, 1)
    names = market.frame("stock_basic", {"list_status": "L,D,P"}, ALL).select(con_code="ts_code", code_name="name")
    last = rows.filter(pl.col("trade_date") == pl.col("trade_date").max()).join(names, on="con_code", how="left")
    return last.sort("con_code").select(
        updateDate=pl.col("trade_date").str.to_date("%Y%m%d"),
        code=spelled_code(pl.col("con_code")),
        code_name="code_name",
    )
