"""The simulated exchange as BaoStock gives it: its columns, codes, units and dates, and no BSE.

The data are those of the Tushare APIs (tushare_apis.py), converted. A session's rows appear at 17:30; a suspended code
has a row with its last close as every price; a week or month has a bar once it is over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.baostock_protocol import PARAMETERS, Refusal
from quant_pipeline.sandbox.tushare_apis import Market

READY = dt.time(17, 30)
"""The time of a session's day at which its rows appear."""
_ALL = 10_000_000
_KEYS = ("ts_code", "trade_date")
_PRICES = ("open", "high", "low", "close", "preclose")
_DAILY = (
    *("date", "code", *_PRICES, "volume", "amount", "adjustflag", "turn", "tradestatus", "pctChg"),
    *("peTTM", "pbMRQ", "psTTM", "pcfNcfTTM", "isST"),
)
_PERIOD = ("date", "code", "open", "high", "low", "close", "volume", "amount", "adjustflag", "turn", "pctChg")
_PERIOD_APIS = {"w": "weekly", "m": "monthly"}
_FACTORS = ("code", "dividOperateDate", "foreAdjustFactor", "backAdjustFactor", "adjustFactor")
_INDEXES = {"sh.000001": "上证综合指数", "sz.399001": "深证成份指数", "sz.399006": "创业板指数"}
"""Indexes stand in BaoStock's lists beside the stocks."""
_DECIMALS = {
    **dict.fromkeys((*_PRICES, "amount"), 4),
    **dict.fromkeys(("turn", "pctChg", "peTTM", "pbMRQ", "psTTM", "pcfNcfTTM"), 6),
    **dict.fromkeys(_FACTORS[2:], 6),
}


def answer(market: Market, api: str, params: Mapping[str, str], steps: pl.DataFrame) -> pl.DataFrame:
    """The whole answer of a query, figures as figures (`texts` writes them down). Refusal when a parameter is wrong.

    `steps` are the factors' steps (`factor_steps`) that an answer about factors is made of.
    """
    match api:
        case "query_history_k_data_plus":
            return _history(market, params)
        case "query_daily_history_k_AStock":
            day = _compact(params["date"], "10004010")
            return _daily(market, {"trade_date": day}).select(_DAILY)
        case "query_adjust_factor":
            start, end = _range(params)
            asked = (pl.col("code") == params["code"]) & pl.col("dividOperateDate").is_between(_day(start), _day(end))
            return _factors(market, steps.filter(asked))
        case "query_daily_adjust_factor":
            day = _compact(params["date"], "10004010")
            return _factors(market, steps.filter(pl.col("dividOperateDate") == _day(day)))
        case "query_trade_dates":
            return _trade_dates(market, params)
        case "query_all_stock":
            return _all_stock(market, params)
        case "query_stock_basic":
            return _stock_basic(market, params)
    raise Refusal(PARAMETERS)


def ready_day() -> dt.date:
    """The last day whose rows are there."""
    now = clock.now()
    return now.date() if now.time() >= READY else now.date() - dt.timedelta(days=1)


def years_of_steps(market: Market, api: str, params: Mapping[str, str]) -> range:
    """The years whose factor steps the query is about; none when it is not about factors."""
    match api:
        case "query_adjust_factor":
            listed = _stocks(market, _ts_code(params["code"]))["list_date"].min()
            return range(int(str(listed)[:4]), ready_day().year + 1) if listed else range(0)
        case "query_daily_adjust_factor":
            year = int(_compact(params["date"], "10004010")[:4])
            return range(year, year + 1)
    return range(0)


def factor_steps(market: Market, year: int) -> pl.DataFrame:
    """Where the cumulative factors of all codes step in a year: on ex-dates, and where a code's data begin above 1."""
    window = {"start_date": f"{year - 1}1201", "end_date": f"{year}1231"}
    factors = _without_bse(market.frame("adj_factor", window, _ALL)).sort("ts_code", "trade_date")
    before = pl.col("adj_factor").shift(1).over("ts_code").fill_null(1.0)
    stepped = (pl.col("adj_factor") != before) & (pl.col("trade_date").dt.year() == year)
    return factors.filter(stepped).select("ts_code", "adj_factor", code=_code(), dividOperateDate="trade_date")


def texts(frame: pl.DataFrame) -> list[tuple[str, ...]]:
    """The rows as the service writes them: every value a text, an absent one empty, decimals fixed."""
    written = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        if name in _DECIMALS:
            column = column.cast(pl.Decimal(38, _DECIMALS[name]))
        elif dtype == pl.Float64:
            column = column.round().cast(pl.Int64)
        written.append(column.cast(pl.String).fill_null(""))
    return frame.select(written).rows()


# --- bars ----------------------------------------------------------------------------------------------------------------


def _history(market: Market, params: Mapping[str, str]) -> pl.DataFrame:
    start, end = _range(params)
    frequency, flag = params["frequency"], params["adjustflag"]
    if flag not in ("1", "2", "3") or (frequency != "d" and (frequency not in _PERIOD_APIS or flag != "3")):
        raise Refusal(PARAMETERS)  # minutes, and adjusted weeks and months, are not simulated
    fields = _chosen(params["fields"], _DAILY if frequency == "d" else _PERIOD)
    asked = {"ts_code": _ts_code(params["code"]), "start_date": start, "end_date": end}
    if frequency != "d":
        return _periods(market, _PERIOD_APIS[frequency], asked).select(fields)
    bars = _daily(market, asked)
    return (bars if flag == "3" else _adjusted(market, bars, asked, flag)).select(fields)


def _daily(market: Market, asked: Mapping[str, str]) -> pl.DataFrame:
    """The rows of every listed code, oldest first, suspended ones too."""
    listed = market.frame("stk_limit", asked, _ALL).select(*_KEYS, preclose="pre_close")
    bars = market.frame("daily", asked, _ALL).select(*_KEYS, "open", "high", "low", "close", "vol", "amount")
    basics = market.frame("daily_basic", asked, _ALL).select(*_KEYS, "turnover_rate", "pe_ttm", "pb", "ps_ttm")
    rows = _without_bse(listed.join(bars, on=_KEYS, how="left").join(basics, on=_KEYS, how="left"))
    rows = _with_st(market, rows.filter(pl.col("trade_date") <= ready_day()), asked).sort("trade_date", "ts_code")
    trades, pre = pl.col("close").is_not_null(), pl.col("preclose")
    return rows.select(
        *_KEYS,
        "preclose",
        *(pl.col(price).fill_null(pre) for price in _PRICES[:-1]),
        date=pl.col("trade_date"),
        code=_code(),
        # nothing traded is written as 0 or left empty: both occur in the service's answers
        volume=pl.when(trades | pl.col("ts_code").str.ends_with("SH")).then((pl.col("vol") * 100).fill_null(0.0)),
        amount=pl.when(trades | pl.col("ts_code").str.ends_with("SH")).then((pl.col("amount") * 1000).fill_null(0.0)),
        adjustflag=pl.lit("3"),
        turn="turnover_rate",
        tradestatus=pl.when(trades).then(pl.lit("1")).otherwise(pl.lit("0")),
        pctChg=((pl.col("close") / pre - 1) * 100).fill_null(0.0),
        peTTM="pe_ttm",
        pbMRQ="pb",
        psTTM="ps_ttm",
        pcfNcfTTM=pl.lit(None, pl.Float64),
        isST=pl.when("st").then(pl.lit("1")).otherwise(pl.lit("0")),
    )


def _with_st(market: Market, rows: pl.DataFrame, asked: Mapping[str, str]) -> pl.DataFrame:
    """The rows with `st`: whether the code's name of the day says ST."""
    of_code = {"ts_code": asked["ts_code"]} if "ts_code" in asked else {}
    names = market.frame("namechange", of_code, _ALL).select(
        "ts_code",
        pl.col("start_date").str.to_date("%Y%m%d").alias("trade_date"),
        pl.col("name").str.contains("ST", literal=True).alias("st"),
    )
    rows, names = rows.sort("trade_date"), names.sort("trade_date")
    return rows.join_asof(names, on="trade_date", by="ts_code", check_sortedness=False)


def _adjusted(market: Market, bars: pl.DataFrame, asked: Mapping[str, str], flag: str) -> pl.DataFrame:
    """The bars with the prices that `flag` wants: 1 hfq, 2 qfq."""
    factors = _dated(market.frame("adj_factor", asked, _ALL))
    latest = market.frame("adj_factor", {"ts_code": asked["ts_code"]}, 1)["adj_factor"].head(1)
    base = 1.0 if flag == "1" or latest.is_empty() else float(latest[0])
    bars = bars.join(factors, on=_KEYS, how="left")
    return bars.with_columns((pl.col(price) * pl.col("adj_factor") / base for price in _PRICES), adjustflag=pl.lit(flag))


def _periods(market: Market, api: str, asked: Mapping[str, str]) -> pl.DataFrame:
    rows = _without_bse(market.frame(api, asked, _ALL)).filter(pl.col("trade_date") <= ready_day())
    return rows.sort("trade_date").select(
        "open",
        "high",
        "low",
        "close",
        date=pl.col("trade_date"),
        code=_code(),
        volume=pl.col("vol") * 100,
        amount=pl.col("amount") * 1000,
        adjustflag=pl.lit("3"),
        turn=pl.lit(None, pl.Float64),
        pctChg=(pl.col("close") / pl.col("pre_close") - 1) * 100,
    )


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
        .select(_FACTORS)
        .sort("dividOperateDate", "code")
    )


# --- lists ---------------------------------------------------------------------------------------------------------------


def _trade_dates(market: Market, params: Mapping[str, str]) -> pl.DataFrame:
    start, end = _range(params)
    days = market.frame("trade_cal", {"start_date": start, "end_date": end}, _ALL)
    day = pl.col("cal_date").str.to_date("%Y%m%d")
    return days.select(calendar_date=day, is_trading_day=pl.col("is_open").cast(pl.String)).sort("calendar_date")


def _all_stock(market: Market, params: Mapping[str, str]) -> pl.DataFrame:
    """Who is listed on a day, with the indexes; nobody on a closed day."""
    rows = _daily(market, {"trade_date": _compact(params["day"], "10004010")}).select("ts_code", "code", "tradestatus")
    stocks = _stocks(market).select("ts_code", "name")
    rows = rows.join(stocks, on="ts_code", how="left").select("code", tradeStatus="tradestatus", code_name="name")
    indexes = pl.DataFrame({"code": list(_INDEXES), "tradeStatus": ["1"] * len(_INDEXES), "code_name": list(_INDEXES.values())})
    return pl.concat([rows, indexes]).sort("code") if len(rows) else rows


def _stock_basic(market: Market, params: Mapping[str, str]) -> pl.DataFrame:
    def day(name: str) -> pl.Expr:
        return pl.col(name).str.to_date("%Y%m%d")

    stocks = _stocks(market).select(
        code=_code(),
        code_name="name",
        ipoDate=day("list_date"),
        outDate=day("delist_date"),
        type=pl.lit("1"),
        status=pl.when(pl.col("list_status") == "D").then(pl.lit("0")).otherwise(pl.lit("1")),
    )
    count = len(_INDEXES)
    indexes = pl.DataFrame(
        {
            "code": list(_INDEXES),
            "code_name": list(_INDEXES.values()),
            "ipoDate": [dt.date(1991, 7, 15)] * count,
            "outDate": pl.Series([None] * count, dtype=pl.Date),
            "type": ["2"] * count,
            "status": ["1"] * count,
        }
    )
    rows = pl.concat([stocks, indexes]).sort("code")
    if params["code"]:
        rows = rows.filter(pl.col("code") == params["code"])
    return rows.filter(pl.col("code_name").str.contains(params["code_name"], literal=True))


def _stocks(market: Market, ts_code: str = "") -> pl.DataFrame:
    asked = {"list_status": "L,D,P", **({"ts_code": ts_code} if ts_code else {})}
    stocks = market.frame("stock_basic", asked, _ALL)
    return stocks.filter(~pl.col("ts_code").str.ends_with("BJ"))


# --- spellings -----------------------------------------------------------------------------------------------------------


def _dated(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("trade_date").str.to_date("%Y%m%d"))


def _without_bse(frame: pl.DataFrame) -> pl.DataFrame:
    return _dated(frame.filter(~pl.col("ts_code").str.ends_with("BJ")))


def _code() -> pl.Expr:
    """600000.SH as sh.600000."""
    ts_code = pl.col("ts_code")
    return pl.concat_str(ts_code.str.tail(2).str.to_lowercase(), ts_code.str.head(6), separator=".")


def _ts_code(code: str) -> str:
    market, _, digits = code.partition(".")
    if market not in ("sh", "sz") or not digits.isdigit() or len(digits) != 6:
        raise Refusal("10004011")
    return f"{digits}.{market.upper()}"


def _range(params: Mapping[str, str]) -> tuple[str, str]:
    return _compact(params["start_date"], "10004007"), _compact(params["end_date"], "10004008")


def _compact(day: str, refusal: str) -> str:
    """2026-11-20 as 20261120."""
    try:
        return dt.date.fromisoformat(day).strftime("%Y%m%d")
    except ValueError:
        raise Refusal(refusal) from None


def _day(compact: str) -> dt.date:
    return dt.date.fromisoformat(compact)


def _chosen(fields: str, known: Sequence[str]) -> list[str]:
    chosen = [name.strip() for name in fields.split(",")]
    if not set(chosen) <= set(known):
        raise Refusal("10004012")
    if len(set(chosen)) < len(chosen):
        raise Refusal("10004018")
    return chosen
