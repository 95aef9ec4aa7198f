"""How BaoStock writes codes, days and figures, and from when on it has a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.servers.baostock_protocol import Refusal

READY = dt.time(17, 30)
"""The time of a session's day at which its rows appear."""
ALL = 10_000_000
"""More rows than any answer has."""
KEYS = ("ts_code", "trade_date")
PRICES = ("open", "high", "low", "close", "preclose")
FACTORS = ("foreAdjustFactor", "backAdjustFactor", "adjustFactor")
_DECIMALS = {
    **dict.fromkeys((*PRICES, "amount"), 4),
    **dict.fromkeys(("dividCashPsBeforeTax", "dividStocksPs", "dividReserveToStockPs"), 6),
    **dict.fromkeys(("turn", "pctChg", "peTTM", "pbMRQ", "psTTM", "pcfNcfTTM", *FACTORS), 6),
}


def ready_day() -> dt.date:
    """The last day whose rows are there."""
    now = clock.now()
    return now.date() if now.time() >= READY else now.date() - dt.timedelta(days=1)


def texts(frame: pl.DataFrame) -> list[tuple[str, ...]]:
    """The rows as the service writes them: every value a text, an absent one empty, decimals fixed."""
    written = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        if dtype == pl.Object:  # a fault wrote texts among the figures
            written.append(pl.lit(pl.Series(name, ["" if value is None else str(value) for value in frame[name]], pl.String)))
            continue
        if name in _DECIMALS:
            column = column.cast(pl.Decimal(38, _DECIMALS[name]))
        elif dtype == pl.Float64:
            column = column.round().cast(pl.Int64)
        written.append(column.cast(pl.String).fill_null(""))
    return frame.select(written).rows()


def dated(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with dates for its trade_date texts."""
    return frame.with_columns(pl.col("trade_date").str.to_date("%Y%m%d"))


def without_bse(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of the codes that BaoStock has, dated."""
    return dated(frame.filter(~pl.col("ts_code").str.ends_with("BJ")))


def spelled_code(ts_code: pl.Expr = pl.col("ts_code")) -> pl.Expr:  # noqa: B008  (an expression is a constant)
    """600000.SH as sh.600000."""
    return pl.concat_str(ts_code.str.tail(2).str.to_lowercase(), ts_code.str.head(6), separator=".")


def to_ts_code(code: str) -> str:
    """sh.600000 as 600000.SH. Refusal for any other spelling, the BSE's too."""
    market, _, digits = code.partition(".")
    if market not in ("sh", "sz") or not digits.isdigit() or len(digits) != 6:
        raise Refusal("10004011")
    return f"{digits}.{market.upper()}"


def span(params: Mapping[str, str]) -> tuple[str, str]:
    """The query's start_date and end_date, compact."""
    return compact(params["start_date"], "10004007"), compact(params["end_date"], "10004008")


def compact(day: str, refusal: str) -> str:
    """2026-11-20 as 20261120; Refusal with the code `refusal` when it is no day."""
    try:
        return dt.date.fromisoformat(day).strftime("%Y%m%d")
    except ValueError:
        raise Refusal(refusal) from None


def to_day(compact: str) -> dt.date:
    return dt.date.fromisoformat(compact)


def chosen(fields: str, known: Sequence[str]) -> list[str]:
    """The fields that a query names, "date,close"; Refusal when one is unknown or named twice."""
    chosen = [name.strip() for name in fields.split(",")]
    if not set(chosen) <= set(known):
        raise Refusal("10004012")
    if len(set(chosen)) < len(chosen):
        raise Refusal("10004018")
    return chosen
