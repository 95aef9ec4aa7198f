"""How far a price may go in a session, by board, listing, special treatment and delisting.

Tables by date, from which the limit prices are counted as the exchanges count them: in ticks,
with whole numbers (binary floats make 11.38 of 10.35 x 1.1, where the exchange says 11.39). The exchange's own limits of a
session (`price_limits`) overrule these rules: they are for gaps, for checks and for the time before those data.

What these rules do not know gets no answer rather than a guess: funds (their limit follows from the members of their index),
boards of an unknown prefix, days before a board opened.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.codes import Board, board_of
from quant_pipeline.market.trading_rules.ticks import ticks_per_yuan

NO_LIMIT = "none"
"""The `limit_rule` of a session in which a price may go as far as it likes."""
STORED_NO_LIMIT = 10_000.0
"""Tushare writes an up_limit of this or more (999999.999, 99999.99) where there is no limit."""

_EXCHANGE_OPENS = dt.date(1990, 12, 19)
_MAIN = (Board.SSE_MAIN, Board.SZSE_MAIN, Board.B_SHARE)


@dataclass(frozen=True)
class Band:
    """How far a price may go up and down from pre_close, in thousandths of it."""

    up: int
    down: int


@dataclass(frozen=True)
class LimitRule:
    """From `since` on: the usual band of a board's shares, and that of those under special treatment (ST, *ST, PT, S).
    None: no limit."""

    since: dt.date
    boards: tuple[Board, ...]
    usual: Band | None
    special: Band | None
    source: str


@dataclass(frozen=True)
class ListingRule:
    """For what is listed from `since` on: how many sessions it begins with that have no limit, or the first one's band."""

    since: dt.date
    boards: tuple[Board, ...]
    free: int
    first: Band | None
    source: str


@dataclass(frozen=True)
class DelistingRule:
    """From `since` on: how many sessions a delisting period (退市整理期) has, and how many without a limit it begins with."""

    since: dt.date
    sessions: int
    free: int
    source: str


@dataclass(frozen=True)
class CodeRule:
    """A code to which another band applies for a while."""

    ts_code: str
    since: dt.date
    until: dt.date
    band: Band
    source: str


def _percent(rate: int) -> Band:
    return Band(10 * rate, 10 * rate)


LIMITS: Final = (
    LimitRule(
        _EXCHANGE_OPENS,
        _MAIN,
        None,
        None,
        "none from 1992-05-21; the caps before (5 %, 1 %, 0.5 %) are told in contradictory ways and not kept here",
    ),
    LimitRule(dt.date(1996, 12, 16), _MAIN, _percent(10), _percent(10), "notice of both exchanges, 1996-12"),
    LimitRule(
        dt.date(1998, 4, 22),
        _MAIN,
        _percent(10),
        _percent(5),
        "ST rules of both exchanges, 1998-04-22; that PT (to 2002) fell without a limit is not kept here",
    ),
    LimitRule(
        dt.date(2026, 7, 6),
        _MAIN,
        _percent(10),
        _percent(10),
        "上证发〔2026〕41号, 深证上〔2026〕551号 3.3.13; stk_limit of 000010.SZ, 2026-06-30 and 2026-07-06",
    ),
    LimitRule(dt.date(2009, 10, 30), (Board.CHINEXT,), _percent(10), _percent(5), "trading rules of the SZSE, 2009"),
    LimitRule(dt.date(2020, 8, 24), (Board.CHINEXT,), _percent(20), _percent(20), "深证上〔2020〕515号"),
    LimitRule(dt.date(2019, 7, 22), (Board.STAR,), _percent(20), _percent(20), "STAR special trading rules of the SSE, 2019"),
    LimitRule(dt.date(2020, 7, 27), (Board.BSE,), _percent(30), _percent(30), "精选层 of the NEEQ; BSE rules from 2021-11-15"),
    LimitRule(_EXCHANGE_OPENS, (Board.CONVERTIBLE_BOND,), None, None, "no limit before 2022-08-01"),
    LimitRule(dt.date(2022, 8, 1), (Board.CONVERTIBLE_BOND,), _percent(20), _percent(20), "convertible bond rules, 2022-08-01"),
)
"""A board's rule is the last one whose day has come."""

LISTINGS: Final = (
    ListingRule(
        _EXCHANGE_OPENS,
        (*_MAIN, Board.CHINEXT),
        1,
        None,
        "first day free, with halts from 2012-03 on; that one after 恢复上市 is free too is not kept here: no list tells it",
    ),
    ListingRule(
        dt.date(2014, 1, 1),
        (*_MAIN, Board.CHINEXT),
        0,
        Band(440, 360),
        "the IPOs from 2014-01-17; 上证发〔2014〕37号, 深证会〔2014〕54号: of the issue price, which is the day's pre_close; "
        "that the auction of the open ended at 120 % of it is not kept here",
    ),
    ListingRule(dt.date(2019, 7, 22), (Board.STAR,), 5, None, "STAR special trading rules of the SSE, 2019"),
    ListingRule(dt.date(2020, 8, 24), (Board.CHINEXT,), 5, None, "深证上〔2020〕515号"),
    ListingRule(dt.date(2023, 4, 10), _MAIN, 5, None, "trading rules of both exchanges, 2023"),
    ListingRule(dt.date(2020, 7, 27), (Board.BSE,), 1, None, "精选层 of the NEEQ; BSE rules from 2021-11-15"),
    ListingRule(
        dt.date(2022, 8, 1), (Board.CONVERTIBLE_BOND,), 0, Band(573, 433), "convertible bond rules, 2022-08-01: of the par, 100"
    ),
)
DELISTINGS: Final = (
    DelistingRule(_EXCHANGE_OPENS, 30, 0, "delisting rules of 2012 and before: the usual limit, not that of ST"),
    DelistingRule(dt.date(2020, 12, 31), 15, 1, "delisting rules of 2020-12-31, notices of 2022; SZSE 2026 3.3.15"),
)
"""Since 2020-12-31 a share that leaves for its price or its market value (交易类) has no delisting period at all."""
CODE_RULES: Final = tuple(
    CodeRule(code, dt.date(2020, 8, 24), dt.date(2020, 12, 30), _percent(10), "深证上〔2020〕515号: in delisting then")
    for code in ("300216.SZ", "300156.SZ", "300090.SZ")
)


def st_limits_differ(day: dt.date) -> bool:
    """Whether shares under special treatment have limits of their own in that session, on any board."""
    until_then = sorted((rule for rule in LIMITS if rule.since <= day), key=lambda rule: rule.since)
    in_force = {board: rule for rule in until_then for board in rule.boards}
    return any(rule.usual != rule.special for rule in in_force.values())


def session_number(first: pl.Expr, trade_date: pl.Expr, calendar: Calendar) -> pl.Expr:
    """Which session the day is, counted from the day `first` (1): 5 on the fifth session. 0 or less before it."""
    days = list(calendar.sessions)

    def place(day: pl.Expr) -> pl.Expr:
        known = pl.Series(days, dtype=pl.Date)
        return day.map_batches(lambda asked: known.search_sorted(asked, side="right").cast(pl.Int64), return_dtype=pl.Int64)

    before = first.dt.offset_by("-1d")
    return pl.when(first.is_not_null()).then(place(trade_date) - place(before))


def price_limits(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `limit_rule`, `down_limit` and `up_limit` [元], as the exchange's rules of the day have them.

    The rows are those of `limit_ticks`.
    """
    counted = limit_ticks(rows)
    # polars divides a column by one number as a product with its reciprocal: 4630 / 100 would be 46.300000000000004
    limits = ((pl.col(f"{side}_ticks") / pl.col("ticks_per_yuan")).round(3) for side in ("down", "up"))
    return counted.with_columns(**dict(zip(("down_limit", "up_limit"), limits, strict=True))).drop(
        "ticks_per_yuan", "down_ticks", "up_ticks"
    )


def limit_ticks(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `limit_rule`, `ticks_per_yuan`, `down_ticks` and `up_ticks` (whole numbers; an A share's tick is a 分).

    `rows`: ts_code · trade_date · pre_close [元, on a listing day the issue price, of a bond the par] · is_st (of
    `special_treatment`) · list_date and session (its number since the listing, of `session_number`; null: long ago) ·
    optionally delisting_session (the same since the delisting period began; null: not in one).

    `limit_rule` is "10 %" or "+44 % -36 %", or "none", where the limits are null; it is null where the rules are not known
    (see above), or pre_close or, where it matters, is_st is null.
    """
    up, down = _rates()
    delisting = "delisting_session" in rows.columns
    if not delisting:
        rows = rows.with_columns(delisting_session=pl.lit(None, pl.Int64))
    counted = rows.with_columns(_board=board_of(pl.col("ts_code")), ticks_per_yuan=ticks_per_yuan(pl.col("ts_code")))
    counted = counted.with_columns(_up=up, _down=down)
    pre = (pl.col("pre_close") * pl.col("ticks_per_yuan")).round().cast(pl.Int64)
    is_bse = pl.col("_board") == Board.BSE.value
    highest, lowest = pre * (1000 + pl.col("_up")), pre * (1000 - pl.col("_down"))
    # Half up to the tick; the BSE rounds towards pre_close. A limit is a tick away from pre_close at least.
    up_ticks = pl.max_horizontal(pl.when(is_bse).then(highest // 1000).otherwise((highest + 500) // 1000), pre + 1)
    down_ticks = pl.min_horizontal(pl.when(is_bse).then((lowest + 999) // 1000).otherwise((lowest + 500) // 1000), pre - 1)
    limited = (pl.col("_up") > 0) & pl.col("pre_close").is_not_null()
    known = counted.with_columns(
        limit_rule=pl.when(pl.col("_up") == 0).then(pl.lit(NO_LIMIT)).when(limited).then(_named()),
        down_ticks=pl.when(limited).then(pl.max_horizontal(down_ticks, 1)),
        up_ticks=pl.when(limited).then(up_ticks),
    )
    return known.select(*(name for name in rows.columns if delisting or name != "delisting_session"), *_LIMIT_COLUMNS)


_LIMIT_COLUMNS = ("limit_rule", "ticks_per_yuan", "down_ticks", "up_ticks")


def _rates() -> tuple[pl.Expr, pl.Expr]:
    """The thousandths of the row's band, up and down: 0 without limit, null where nothing is known."""
    return _rate("up"), _rate("down")


def _rate(side: str) -> pl.Expr:
    day, session = pl.col("trade_date"), pl.col("session")
    rate = pl.lit(None, pl.Int64)
    for rule in sorted(LIMITS, key=lambda rule: rule.since):
        usual, special = _of(rule.usual, side), _of(rule.special, side)
        own = pl.lit(usual) if usual == special else pl.when(pl.col("is_st")).then(special).when(~pl.col("is_st")).then(usual)
        rate = pl.when(_on(rule.boards) & (day >= rule.since)).then(own).otherwise(rate)
    free, first = pl.lit(0, pl.Int64), pl.lit(None, pl.Int64)
    for listing in sorted(LISTINGS, key=lambda listing: listing.since):
        applies = _on(listing.boards) & (pl.col("list_date") >= listing.since)
        free = pl.when(applies).then(listing.free).otherwise(free)
        first = pl.when(applies).then(None if listing.first is None else _of(listing.first, side)).otherwise(first)
    for each in CODE_RULES:
        named = (pl.col("ts_code") == each.ts_code) & day.is_between(each.since, each.until)
        rate = pl.when(named).then(_of(each.band, side)).otherwise(rate)
    freed = pl.lit(0, pl.Int64)
    for delisting in sorted(DELISTINGS, key=lambda delisting: delisting.since):
        freed = pl.when(day >= delisting.since).then(delisting.free).otherwise(freed)
    return (
        pl.when(rate.is_null() | (session < 1))  # before the listing it traded elsewhere, by other rules
        .then(None)
        .when(session.is_between(1, free) | pl.col("delisting_session").is_between(1, freed))
        .then(0)
        .when((session == 1) & first.is_not_null() & (rate > 0))
        .then(first)
        .otherwise(rate)
    )


def _of(band: Band | None, side: str) -> int:
    return 0 if band is None else band.up if side == "up" else band.down


def _on(boards: Sequence[Board]) -> pl.Expr:
    return pl.col("_board").is_in([board.value for board in boards])


def _named() -> pl.Expr:
    up, down = pl.col("_up") / 10, pl.col("_down") / 10
    even = up.cast(pl.Int64).cast(pl.String)
    uneven = pl.format("+{} % -{} %", up.round(1), down.round(1))
    return pl.when(up == down).then(pl.format("{} %", even)).otherwise(uneven)
