"""Row rules: what no true row of a data set breaks. A row that breaks one is refused and kept in `rejected_rows`."""

from __future__ import annotations

import datetime as dt

import polars as pl

from quant_pipeline.market.codes import CODE_PATTERN
from quant_pipeline.market.columns import Rule

_INDEX_PATTERN = r"^[0-9A-Z]{6,12}\.(SH|SZ|BJ|CSI|CNI|SI|MI|OTH|CIC|SW)$"
_TICK = 0.005 + 1e-9
"""Half a tick: prices are rounded to 0.01 元 (0.001 for funds)."""


def _ohlc_in_order() -> pl.Expr:
    body_high = pl.max_horizontal("open", "close")
    body_low = pl.min_horizontal("open", "close")
    return (pl.col("low") <= body_low + 1e-9) & (pl.col("high") >= body_high - 1e-9)


VOLUME_FITS_SINCE = dt.date(1994, 1, 1)
"""Before this day the sources' vol and amount of Shenzhen's shares stand up to five times apart: nothing is refused for it."""


def volume_fits() -> pl.Expr:
    """amount[千元] / (vol[手] x price) in 元 per 元: near 1 when units are right, 10 or 100 off when they are not."""
    low = pl.col("low") * pl.col("vol") * 0.1
    high = pl.col("high") * pl.col("vol") * 0.1
    money = pl.col("amount")
    rounding = 1.0  # tiny volumes are quoted with rounded amounts
    return (money >= low * 0.8 - rounding) & (money <= high * 1.25 + rounding)


code_is_tushare = Rule(
    "code_is_tushare",
    "ts_code is a six-digit code with a market suffix (600000.SH).",
    lambda: pl.col("ts_code").str.contains(CODE_PATTERN),
)
prices_positive = Rule(
    "prices_positive",
    "open, high, low, close and pre_close are above zero.",
    lambda: pl.min_horizontal("open", "high", "low", "close", "pre_close") > 0,
)
ohlc_in_order = Rule("ohlc_in_order", "low <= open, close <= high.", _ohlc_in_order)
volume_not_negative = Rule(
    "volume_not_negative", "vol and amount are not negative.", lambda: pl.min_horizontal("vol", "amount") >= 0
)
unit_of_volume = Rule(
    "unit_of_volume",
    "amount / (price x vol) fits vol in 手 and amount in 千元: a source's unit slip shows here (from 1994 on).",
    lambda: volume_fits() | (pl.col("trade_date") < VOLUME_FITS_SINCE),
)
pct_chg_fits = Rule(
    "pct_chg_fits",
    "pct_chg is the percentage (not the fraction) of close over pre_close.",
    lambda: (pl.col("pct_chg") - (pl.col("close") / pl.col("pre_close") - 1) * 100).abs() < 0.02,
)
change_fits = Rule(
    "change_fits",
    "change = close - pre_close.",
    lambda: (pl.col("change") - (pl.col("close") - pl.col("pre_close"))).abs() < _TICK,
)
factor_positive = Rule("factor_positive", "adj_factor is above zero.", lambda: pl.col("adj_factor") > 0)
limits_in_order = Rule(
    "limits_in_order",
    "0 <= down_limit <= up_limit.",
    lambda: (pl.col("down_limit") >= 0) & (pl.col("down_limit") <= pl.col("up_limit")),
)
unit_of_auction = Rule(
    "unit_of_auction",
    "amount[元] is about vol[股] x price.",
    lambda: (pl.col("amount") - pl.col("vol") * pl.col("close")).abs() <= 0.25 * pl.col("vol") * pl.col("close") + 1.0,
)
unit_of_bond_volume = Rule(
    "unit_of_bond_volume",
    "amount[万元] is about vol[手 of 10 bonds] x price, within the day's range.",
    lambda: (
        (pl.col("amount") >= pl.col("low") * pl.col("vol") * 0.0008 - 1.0)
        & (pl.col("amount") <= pl.col("high") * pl.col("vol") * 0.00125 + 1.0)
    ),
)
bond_terms_positive = Rule(
    "bond_terms_positive",
    "par, issue_size and conv_price are above zero.",
    lambda: pl.min_horizontal("par", "issue_size", "conv_price") > 0,
)
code_is_index = Rule(
    "code_is_index",
    "ts_code is an index code with its publisher's suffix (000300.SH, H30269.CSI).",
    lambda: pl.col("ts_code").str.contains(_INDEX_PATTERN),
)
code_is_ths = Rule(
    "code_is_ths",
    "ts_code is a board of THS (885001.TI).",
    lambda: pl.col("ts_code").str.contains(r"^[0-9]{6}\.TI$"),
)
member_is_tushare = Rule(
    "member_is_tushare",
    "con_code is a six-digit code with a market suffix.",
    lambda: pl.col("con_code").str.contains(CODE_PATTERN),
)
index_code_is_index = Rule(
    "index_code_is_index",
    "index_code is an index code with its publisher's suffix (000300.SH).",
    lambda: pl.col("index_code").str.contains(_INDEX_PATTERN),
)
weight_is_percent = Rule("weight_is_percent", "weight lies between 0 and 100.", lambda: pl.col("weight").is_between(0, 100))
members_known_then = Rule(
    "members_known_then", "as_of is not later than trade_date.", lambda: pl.col("as_of") <= pl.col("trade_date")
)
dividend_carried_out = Rule(
    "dividend_carried_out",
    "div_proc is 实施: what is only planned or approved is no dividend yet.",
    lambda: pl.col("div_proc") == "实施",
)
ex_date_is_session = Rule("ex_date_is_session", "trade_date is the ex-date.", lambda: pl.col("ex_date") == pl.col("trade_date"))
dividend_not_negative = Rule(
    "dividend_not_negative",
    "Cash and shares are not negative.",
    lambda: pl.min_horizontal("cash_div", "cash_div_tax", "stk_div", "stk_bo_rate", "stk_co_rate") >= 0,
)
rank_positive = Rule("rank_positive", "rank begins at 1.", lambda: pl.col("rank") >= 1)
is_st_flag = Rule("is_st_flag", "is_st is 0 or 1.", lambda: pl.col("is_st").is_in([0, 1]))
is_open_flag = Rule("is_open_flag", "is_open is 0 or 1.", lambda: pl.col("is_open").is_in([0, 1]))
