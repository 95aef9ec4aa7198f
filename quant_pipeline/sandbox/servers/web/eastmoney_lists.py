"""Eastmoney's lists of funds and convertible bonds, its bars of funds and its hot rank, as AKShare reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation.interface import Market

LONGEST_PAGE = 100
HOT = 100
_EVERY_ROW = 100_000
_LOOK_BACK = dt.timedelta(days=90)
"""How far before an answer the close is looked for from which its first change is counted."""
_NOTHING = "-"
"""What stands for an absent figure."""
_BOND_FIELDS = (
    "SECURITY_CODE SECUCODE TRADE_MARKET SECURITY_NAME_ABBR DELIST_DATE LISTING_DATE CONVERT_STOCK_CODE BOND_EXPIRE RATING "
    "VALUE_DATE ISSUE_YEAR CEASE_DATE EXPIRE_DATE PAY_INTEREST_DAY INTEREST_RATE_EXPLAIN BOND_COMBINE_CODE ACTUAL_ISSUE_SCALE "
    "ISSUE_PRICE REMARK PAR_VALUE ISSUE_OBJECT REDEEM_TYPE EXECUTE_REASON_HS NOTICE_DATE_HS NOTICE_DATE_SH EXECUTE_PRICE_HS "
    "EXECUTE_PRICE_SH RECORD_DATE_SH EXECUTE_START_DATESH EXECUTE_START_DATEHS EXECUTE_END_DATE CORRECODE CORRECODE_NAME_ABBR "
    "PUBLIC_START_DATE CORRECODEO CORRECODE_NAME_ABBRO BOND_START_DATE SECURITY_START_DATE SECURITY_SHORT_NAME "
    "FIRST_PER_PREPLACING ONLINE_GENERAL_AAU ONLINE_GENERAL_LWR INITIAL_TRANSFER_PRICE TRANSFER_END_DATE TRANSFER_START_DATE "
    "RESALE_CLAUSE REDEEM_CLAUSE PARTY_NAME CONVERT_STOCK_PRICE TRANSFER_PRICE TRANSFER_VALUE CURRENT_BOND_PRICE "
    "TRANSFER_PREMIUM_RATIO CONVERT_STOCK_PRICEHQ MARKET RESALE_TRIG_PRICE REDEEM_TRIG_PRICE PBV_RATIO IB_START_DATE "
    "IB_END_DATE CASHFLOW_DATE COUPON_IR PARAM_NAME ISSUE_TYPE EXECUTE_REASON_SH PAYDAYNEW CURRENT_BOND_PRICENEW "
    "IS_CONVERT_STOCK IS_REDEEM IS_SELLBACK FIRST_PROFIT BOND_NAME"
)
"""Of a row, in the site's order: AKShare reads them by position. Those that the sandbox does not know are null."""


def fund_spot(market: Market, asked: Mapping[str, str]) -> tuple[bytes, int]:
    """push2delay…/api/qt/clist/get: a page (`pn`, of `pz` up to 100) of the listed ETFs' quotations; the page, its rows.

    `fields` are chosen, `fid` orders, `po=1` from the greatest. Past the last page `data` is null.
    """
    funds = _quoted(market)
    order = asked.get("fid", "f3")
    if order in funds.columns:
        funds = funds.sort(order, descending=asked.get("po") == "1", nulls_last=True)
    size = min(int(asked.get("pz", 20)), LONGEST_PAGE)
    page = funds.slice((int(asked.get("pn", 1)) - 1) * size, size)
    return _push2({"total": len(funds), "diff": _chosen(page, asked)} if len(page) else None), len(page)


def fund_bars(market: Market, ts_code: str, asked: Mapping[str, str]) -> tuple[bytes, int]:
    """push2his…/api/qt/stock/kline/get of an ETF, daily and unadjusted, `beg` to `end`; `data` is null for no ETF.

    Changes are counted from the close before as it was, on ex-dates too.
    """
    names = market.frame("fund_basic", {"market": "E", "ts_code": ts_code}, 1).filter(pl.col("ts_code") == ts_code)
    if names.is_empty():
        return _push2(None), 0
    begin = asked.get("beg", "19700101")
    since = dt.datetime.strptime(begin, "%Y%m%d") - _LOOK_BACK  # noqa: DTZ007  (a day has no zone)
    span = {"ts_code": ts_code, "start_date": f"{since:%Y%m%d}", "end_date": asked.get("end", "")}
    before = pl.col("close").shift().fill_null(pl.col("pre_close"))
    bars = (
        market.frame("fund_daily", span, _EVERY_ROW)
        .reverse()
        .select("trade_date", "open", "close", "high", "low", "vol", "amount", before=before)
        .filter(pl.col("trade_date") >= begin)
    )
    lines = [
        f"{day[:4]}-{day[4:6]}-{day[6:]},{opened:.3f},{close:.3f},{high:.3f},{low:.3f},{vol:.0f},{amount * 1000:.2f},"
        f"{(high - low) / last * 100:.2f},{(close / last - 1) * 100:.2f},{close - last:.3f},0.00"
        for day, opened, close, high, low, vol, amount, last in bars.iter_rows()
    ]
    digits, suffix = ts_code.split(".")
    about = {"code": digits, "market": int(suffix == "SH"), "name": names["name"][0], "decimal": 3, "dktotal": len(lines)}
    return _push2({**about, "klines": lines}), len(lines)


def bonds(market: Market, asked: Mapping[str, str]) -> tuple[bytes, int]:
    """datacenter-web…/api/data/v1/get?reportName=RPT_BOND_CB_LIST: a page of the convertible bonds, the youngest first."""
    every = market.frame("cb_basic", {}, _EVERY_ROW).sort("value_date", "ts_code", descending=True, nulls_last=True)
    size, number = int(asked.get("pageSize", 50)), int(asked.get("pageNumber", 1))
    known = every.slice((number - 1) * size, size).select(
        SECURITY_CODE=pl.col("ts_code").str.head(6),
        SECUCODE="ts_code",
        TRADE_MARKET=pl.when(pl.col("ts_code").str.ends_with("SH")).then(pl.lit("CNSESH")).otherwise(pl.lit("CNSESZ")),
        SECURITY_NAME_ABBR="bond_short_name",
        DELIST_DATE=_day("delist_date"),
        LISTING_DATE=_day("list_date"),
        CONVERT_STOCK_CODE=pl.col("stk_code").str.head(6),
        BOND_EXPIRE=pl.col("maturity").cast(pl.String),
        VALUE_DATE=_day("value_date"),
        EXPIRE_DATE=_day("maturity_date"),
        ACTUAL_ISSUE_SCALE=pl.col("issue_size") / 1e8,
        ISSUE_PRICE="issue_price",
        PAR_VALUE="par",
        PUBLIC_START_DATE=_day("value_date"),
        SECURITY_SHORT_NAME="stk_short_name",
        INITIAL_TRANSFER_PRICE="first_conv_price",
        TRANSFER_START_DATE=_day("conv_start_date"),
        TRANSFER_END_DATE=_day("conv_end_date"),
        TRANSFER_PRICE="conv_price",
    )
    rows: list[dict[str, Any]] = [dict.fromkeys(_BOND_FIELDS.split()) | row for row in known.iter_rows(named=True)]
    if not rows:
        return orjson.dumps({"version": None, "result": None, "success": False, "message": "返回数据为空", "code": 9201}), 0
    result = {"pages": -(-len(every) // size), "data": rows, "count": len(every)}
    return orjson.dumps({"version": "sandbox", "result": result, "success": True, "message": "ok", "code": 0}), len(rows)


def hot_ranks(market: Market, size: int) -> tuple[bytes, int]:
    """emappdata…/stockrank/getAllCurrentList: the most popular stocks (here: the latest session's most traded)."""
    ranked = _latest(market, "daily").sort("amount", "ts_code", descending=[True, False]).head(min(size, HOT))
    prefixed = ranked.select(pl.col("ts_code").str.tail(2) + pl.col("ts_code").str.head(6)).to_series()
    rows = [{"sc": code, "rk": rank, "rc": 0, "hisRc": 0} for rank, code in enumerate(prefixed, 1)]
    return orjson.dumps({"globalId": None, "message": "success", "status": 0, "code": 0, "data": rows}), len(rows)


def quotations(market: Market, asked: Mapping[str, str]) -> tuple[bytes, int]:
    """push2…/api/qt/ulist.np/get: the stocks of `secids` in their order; one that is unknown (1.920001) has no row."""
    names = market.frame("stock_basic", {"list_status": "L"}, _EVERY_ROW).select("ts_code", f14="name")
    latest = _latest(market, "daily").select("ts_code", f2="close", f3=pl.col("pct_chg").round(2))
    stocks = names.join(latest, on="ts_code", how="left").with_columns(
        f12=pl.col("ts_code").str.head(6), secid=_market_number().cast(pl.String) + "." + pl.col("ts_code").str.head(6)
    )
    secids = pl.DataFrame({"secid": asked.get("secids", "").split(",")})
    rows = secids.join(stocks, on="secid", how="inner", maintain_order="left")
    return _push2({"total": len(rows), "diff": _chosen(rows, asked)} if len(rows) else None), len(rows)


def _quoted(market: Market) -> pl.DataFrame:
    """The listed ETFs under eastmoney's names of fields (turnover in 元); null where one has not traded."""
    funds = market.frame("fund_basic", {"market": "E", "status": "L"}, _EVERY_ROW).filter(pl.col("status") == "L")
    latest = _latest(market, "fund_daily")
    session = int(latest["trade_date"][0]) if len(latest) else None
    return (
        funds.select("ts_code", f14="name")
        .join(latest, on="ts_code", how="left")
        .select(
            f2="close",
            f3=pl.col("pct_chg").round(2),
            f4="change",
            f5=pl.col("vol").cast(pl.Int64),
            f6=pl.col("amount") * 1000,
            f7=((pl.col("high") - pl.col("low")) / pl.col("pre_close") * 100).round(2),
            f12=pl.col("ts_code").str.head(6),
            f13=_market_number(),
            f14="f14",
            f15="high",
            f16="low",
            f17="open",
            f18="pre_close",
            f124=pl.lit(int(clock.now().timestamp())),
            f152=pl.lit(3),
            f297=pl.lit(session),
        )
    )


def _latest(market: Market, api: str) -> pl.DataFrame:
    """The bars of the latest session that has any."""
    newest = market.frame(api, {}, 1)
    return market.frame(api, {"trade_date": newest["trade_date"][0]}, _EVERY_ROW) if len(newest) else newest


def _chosen(rows: pl.DataFrame, asked: Mapping[str, str]) -> Sequence[dict[str, Any]]:
    """The asked fields of each row, in the order of their numbers, as the site gives them."""
    fields = sorted({field for field in asked.get("fields", "").split(",") if field}, key=lambda field: int(field[1:]))
    known = rows.to_dicts()
    return [{field: _NOTHING if (value := row.get(field)) is None else value for field in fields} for row in known]


def _market_number() -> pl.Expr:
    return pl.col("ts_code").str.ends_with("SH").cast(pl.Int64)


def _day(column: str) -> pl.Expr:
    return pl.col(column).str.replace(r"(\d{4})(\d{2})(\d{2})", "$1-$2-$3 00:00:00")


def _push2(data: Any) -> bytes:
    return orjson.dumps({"rc": 0, "rt": 6, "svr": 0, "lt": 1, "full": 1, "dlmkts": "", "data": data})
