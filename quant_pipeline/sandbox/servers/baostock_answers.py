"""The simulated exchange as BaoStock gives it: its columns, codes, units and dates, and no BSE.

The data are those of the Tushare APIs (tushare_apis.py), converted. A session's rows appear at 17:30; a suspended code
has a row with its last close as every price; a week or month has a bar once it is over.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from quant_pipeline.sandbox.servers import baostock_bars as bars
from quant_pipeline.sandbox.servers import baostock_members as members
from quant_pipeline.sandbox.servers.baostock_forms import (
    ALL,
    FACTORS,
    compact,
    ready_day,
    span,
    spelled_code,
    to_day,
    to_ts_code,
    without_bse,
)
from quant_pipeline.sandbox.servers.baostock_protocol import PARAMETERS, Refusal
from quant_pipeline.sandbox.simulation.interface import Market


def answer(market: Market, api: str, params: Mapping[str, str], steps: pl.DataFrame) -> pl.DataFrame:
    """The whole answer of a query, figures as figures (`texts` writes them down). Refusal when a parameter is wrong.

    `steps` are the factors' steps (`factor_steps`) that an answer about factors is made of.
    """
    match api:
        case "query_history_k_data_plus":
            return bars.history(market, params)
        case "query_daily_history_k_AStock":
            day = compact(params["date"], "10004010")
            return bars.daily(market, {"trade_date": day}).select(bars.DAILY)
        case "query_adjust_factor":
            start, end = span(params)
            asked = (pl.col("code") == params["code"]) & pl.col("dividOperateDate").is_between(to_day(start), to_day(end))
            return _factors(market, steps.filter(asked))
        case "query_daily_adjust_factor":
            day = compact(params["date"], "10004010")
            return _factors(market, steps.filter(pl.col("dividOperateDate") == to_day(day)))
        case "query_dividend_data":
            return members.dividends(market, params)
        case "query_hs300_stocks" | "query_sz50_stocks" | "query_zz500_stocks":
            return members.of_index(market, api, compact(params["date"] or str(ready_day()), "10004010"))
        case "query_trade_dates":
            return _trade_dates(market, params)
        case "query_all_stock":
            return _all_stock(market, params)
        case "query_stock_basic":
            return _stock_basic(market, params)
    raise Refusal(PARAMETERS)


def years_of_steps(market: Market, api: str, params: Mapping[str, str]) -> range:
    """The years whose factor steps the query is about; none when it is not about factors."""
    match api:
        case "query_adjust_factor":
            listed = _stocks(market, to_ts_code(params["code"]))["list_date"].min() or ready_day().year
            return range(int(str(listed)[:4]), ready_day().year + 1)
        case "query_daily_adjust_factor":
            year = int(compact(params["date"], "10004010")[:4])
            return range(year, year + 1)
    return range(0)


def factor_steps(market: Market, year: int) -> pl.DataFrame:
    """Where the cumulative factors of all codes step in a year: on ex-dates, and where a code's data begin above 1."""
    window = {"start_date": f"{year - 1}1201", "end_date": f"{year}1231"}
    factors = without_bse(market.frame("adj_factor", window, ALL)).sort("ts_code", "trade_date")
    before = pl.col("adj_factor").shift(1).over("ts_code").fill_null(1.0)
    stepped = (pl.col("adj_factor") != before) & (pl.col("trade_date").dt.year() == year)
    return factors.filter(stepped).select("ts_code", "adj_factor", code=spelled_code(), dividOperateDate="trade_date")


def _factors(market: Market, steps: pl.DataFrame) -> pl.DataFrame:
    """Steps as the service gives them: back counts from the listing, fore from today."""
    steps = steps.filter(pl.col("dividOperateDate") <= ready_day())
    codes = steps["ts_code"].unique()
    newest = market.frame("adj_factor", {"ts_code": ",".join(codes)}, len(codes)) if len(codes) else steps
    latest = newest.unique("ts_code", keep="first").select("ts_code", latest="adj_factor")
    back = pl.col("adj_factor")
    return (
        steps.join(latest, on="ts_code", how="left")
        .with_columns(
            foreAdjustFactor=back / pl.coalesce("latest", back).cast(pl.Float64), backAdjustFactor=back, adjustFactor=back
        )
        .select("code", "dividOperateDate", *FACTORS)
        .sort("dividOperateDate", "code")
    )


def _trade_dates(market: Market, params: Mapping[str, str]) -> pl.DataFrame:
    start, end = span(params)
    days = market.frame("trade_cal", {"start_date": start, "end_date": end}, ALL)
    day = pl.col("cal_date").str.to_date("%Y%m%d")
    return days.select(calendar_date=day, is_trading_day=pl.col("is_open").cast(pl.String)).sort("calendar_date")


def _all_stock(market: Market, params: Mapping[str, str]) -> pl.DataFrame:
    """Who is listed on a day, with the indexes; nobody on a closed day."""
    rows = bars.daily(market, {"trade_date": compact(params["day"], "10004010")}).select("ts_code", "code", "tradestatus")
    stocks = _stocks(market).select("ts_code", "name")
    rows = rows.join(stocks, on="ts_code", how="left").select("code", tradeStatus="tradestatus", code_name="name")
    indexes = _indexes(market).select("code", tradeStatus=pl.lit("1"), code_name="name")
    return pl.concat([rows, indexes]).sort("code") if len(rows) else rows


def _stock_basic(market: Market, params: Mapping[str, str]) -> pl.DataFrame:
    def day(name: str) -> pl.Expr:
        return pl.col(name).str.to_date("%Y%m%d")

    stocks = _stocks(market).select(
        code=spelled_code(),
        code_name="name",
        ipoDate=day("list_date"),
        outDate=day("delist_date"),
        type=pl.lit("1"),
        status=pl.when(pl.col("list_status") == "D").then(pl.lit("0")).otherwise(pl.lit("1")),
    )
    indexes = _indexes(market).select(
        "code",
        code_name="name",
        ipoDate=day("list_date"),
        outDate=pl.lit(None, pl.Date),
        type=pl.lit("2"),
        status=pl.lit("1"),
    )
    rows = pl.concat([stocks, indexes]).sort("code")
    if params["code"]:
        rows = rows.filter(pl.col("code") == params["code"])
    return rows.filter(pl.col("code_name").str.contains(params["code_name"], literal=True))


def _indexes(market: Market) -> pl.DataFrame:
    """The indexes, which stand in the lists beside the stocks."""
    listed = [market.frame("index_basic", {"market": exchange}, ALL) for exchange in ("SSE", "SZSE")]
    indexes = pl.concat(listed).filter(~pl.col("ts_code").str.ends_with("BJ"))
    return indexes.with_columns(code=spelled_code())


def _stocks(market: Market, ts_code: str = "") -> pl.DataFrame:
    asked = {"list_status": "L,D,P", **({"ts_code": ts_code} if ts_code else {})}
    stocks = market.frame("stock_basic", asked, ALL)
    return stocks.filter(~pl.col("ts_code").str.ends_with("BJ"))
