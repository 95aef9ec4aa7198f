"""The exchange's rules and the settings' rates as arrays over codes and sessions: the one place where the two rooms meet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from quant_pipeline.backtest.layout import (
    C_DELISTED,
    C_GROUP,
    C_LOT_MIN,
    C_LOT_STEP,
    C_MOST,
    C_SAME_DAY,
    C_SAME_DAY_END,
    C_ST,
    C_ST_END,
    C_TICK,
    CODE_COLUMNS,
    COST_TABLES,
    D_ENDED_EARLY,
    D_MONTH,
    D_YEAR,
    DAY_COLUMNS,
    EVENT_COLUMNS,
    K_HANDLING,
    K_LEAST,
    K_PAR,
    K_REGULATORY,
    K_STAMP,
    K_STAMP_SOLD,
    K_TRANSFER,
    NEVER,
    V_BONUS_PAR,
    V_CASH,
    V_CODE,
    V_REGIME,
    V_SHARES,
    V_TOLD,
    Array,
    Bars,
    Exchange,
    Rules,
)
from quant_pipeline.backtest.market_data import Market, Steps
from quant_pipeline.backtest.settings import Fill, Settings, Sizing
from quant_pipeline.backtest.units import CENT, PARTS, UNITS, parts, units
from quant_pipeline.market import trading_rules
from quant_pipeline.market.codes import Board, board

_RATE = PARTS // trading_rules.PARTS
_UNKNOWN_LOT = (100, 100)
_ANY = 2**62


def exchange_of(
    market: Market,
    settings: Settings,
    steps: Steps,
    delisted: Mapping[str, dt.date],
    names: pl.DataFrame | None = None,
) -> Exchange:
    """`delisted`: code -> its day of delisting · `names`: ts_code, name, start_date, end_date (null: to this day), from which
    special treatment follows."""
    at_once, special = _same_day(market, settings), _special(market, names)
    spans = np.array([span for each in (*at_once, *special) for span in each], dtype=np.int64).reshape(-1, 2)
    ends = np.cumsum([len(each) for each in (*at_once, *special)])
    codes = _codes(market, settings, delisted)
    count = len(market.codes)
    codes[:, C_SAME_DAY_END], codes[:, C_ST_END] = ends[:count], ends[count:]
    codes[:, C_SAME_DAY] = codes[:, C_SAME_DAY_END] - [len(each) for each in at_once]
    codes[:, C_ST] = codes[:, C_ST_END] - [len(each) for each in special]
    rates = np.array([[rule.up_to_a_month, rule.up_to_a_year, rule.longer] for rule in _taxes()], dtype=np.int64)
    return Exchange(
        codes=codes,
        spans=spans,
        days=_days(market, settings),
        taxes=rates * (PARTS // 100) * settings.dividend_tax,
        costs=_costs(market, settings),
        event_offsets=np.searchsorted(steps.session, np.arange(len(market.sessions) + 1)).astype(np.int64),
        events=_events(steps),
    )


def _codes(market: Market, settings: Settings, delisted: Mapping[str, dt.date]) -> Array:
    """Lots and maxima as they are on the last session: no board has changed its lots since it opened."""
    last = market.sessions[-1]
    boards = [board(code) for code in market.codes]
    lots = [_lot(each, last) if settings.lots else (1, 1) for each in boards]
    ticks = pl.select(trading_rules.ticks_per_yuan(pl.lit(pl.Series(market.codes)))).to_series().to_numpy()
    codes = np.zeros((len(market.codes), CODE_COLUMNS), dtype=np.int64)
    codes[:, C_GROUP] = [trading_rules.fee_class(code) for code in market.codes]
    codes[:, C_TICK] = UNITS // ticks.astype(np.int64)
    codes[:, C_LOT_MIN], codes[:, C_LOT_STEP] = np.array(lots).T
    codes[:, C_DELISTED] = [_session_from(market, delisted.get(code)) for code in market.codes]
    codes[:, C_MOST] = [trading_rules.risk_warning_cap(each, last) or _ANY for each in boards]
    return codes


def _lot(kind: Board, day: dt.date) -> tuple[int, int]:
    """Of a day before the board's first rule, that one."""
    first = (rule for rule in trading_rules.LOTS if kind in rule.boards)
    rule = trading_rules.lot_rule(kind, day) or next(first, None)
    return (rule.minimum, rule.step) if rule else _UNKNOWN_LOT


def _days(market: Market, settings: Settings) -> Array:
    days = np.zeros((len(market.sessions), DAY_COLUMNS), dtype=np.int64)
    month, year = trading_rules.holding_ends(market.days)
    days[:, D_MONTH] = np.searchsorted(market.days, month, side="right") - 1
    days[:, D_YEAR] = np.searchsorted(market.days, year, side="right") - 1
    if settings.fill is not Fill.NEXT_OPEN:
        early = {each.session for each in trading_rules.EARLY_CLOSES}
        days[:, D_ENDED_EARLY] = [day in early for day in market.sessions]
    return days


def _events(steps: Steps) -> Array:
    since = np.array([rule.since for rule in _taxes()], dtype="datetime64[D]")
    events = np.zeros((len(steps.session), EVENT_COLUMNS), dtype=np.int64)
    events[:, V_CODE], events[:, V_CASH], events[:, V_BONUS_PAR] = steps.code, steps.cash, steps.bonus_par
    events[:, V_SHARES], events[:, V_TOLD] = steps.shares, steps.told
    events[:, V_REGIME] = np.maximum(np.searchsorted(since, steps.record, side="right") - 1, 0)
    return events


def _costs(market: Market, settings: Settings) -> Array:
    """The rates by date, and in their place those that the settings name."""
    rates = trading_rules.fee_rates(market.days)
    costs = np.zeros((COST_TABLES, *rates.transfer.shape), dtype=np.int64)

    def put(table: int, by_date: Array, own: float | None) -> None:
        costs[table] = by_date * _RATE if own is None else parts(own)

    put(K_STAMP, rates.stamp_buy, settings.stamp_duty_buy)
    put(K_STAMP_SOLD, rates.stamp_sell, settings.stamp_duty_sell)
    put(K_TRANSFER, rates.transfer, settings.transfer_fee)
    if settings.transfer_fee is None:
        costs[K_PAR] = rates.transfer_of_par * _RATE  # of the par of a share, 1 元
        costs[K_LEAST] = rates.transfer_minimum * CENT
    if not settings.commission_all_in:
        put(K_HANDLING, rates.handling, settings.handling_fee)
        put(K_REGULATORY, rates.regulatory, settings.regulatory_fee)
    return costs


def bars_of(market: Market, fill: Fill) -> Bars:
    """The market's bars, with the prices that such fills look at."""
    if fill is Fill.VWAP:
        if not market.vwap.size:
            raise ValueError("the market was read without what trades at vwap look at")
        price, low, high = market.vwap, market.low, market.high
    else:
        price = low = high = market.open if fill is Fill.NEXT_OPEN else market.close
    reference = market.close if fill is Fill.CLOSE else market.pre_close
    return Bars(
        market.offsets, market.session, price, low, high, market.close, reference, market.up, market.down, market.volume
    )


def rules_of(settings: Settings, *, mode: int, delay: int, first: int, last: int, positions: bool = True) -> Rules:
    """The settings as whole numbers, for the sessions from `first` to `last`."""
    return Rules(
        mode=mode,
        first=first,
        last=last,
        capital=units(settings.capital) // CENT * CENT if settings.rounding else units(settings.capital),
        places=settings.max_positions,
        by_score=settings.sizing is Sizing.SCORE,
        delay=delay,
        at_close=settings.fill is Fill.CLOSE,
        limits=settings.price_limits,
        slip=parts(settings.slippage_bp / 10_000),
        slip_ticks=settings.slippage_ticks,
        volume=-1 if settings.volume_share is None else parts(settings.volume_share),
        buy_patience=settings.buy_patience,
        sell_patience=settings.sell_patience,
        delisted_at=parts(settings.delisted_at),
        commission=parts(settings.commission),
        minimum=units(settings.minimum_commission),
        rounding=CENT if settings.rounding else 1,
        positions=positions,
    )


def _taxes() -> Sequence[trading_rules.DividendTax]:
    return sorted(trading_rules.DIVIDEND_TAXES, key=lambda rule: rule.since)


def _same_day(market: Market, settings: Settings) -> list[list[tuple[int, int]]]:
    """When each code was T+0. Settlement changed on few days: it is asked on those, once for codes that begin alike."""
    if not settings.t_plus_1:
        return [[(0, NEVER)]] * len(market.codes)
    days = {rule.since for rule in trading_rules.SAME_DAY}
    days |= {rule.until + dt.timedelta(days=1) for rule in trading_rules.SAME_DAY if rule.until}
    turns = sorted(days)
    known: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for code in market.codes:
        alike = code[:3], code[-2:]
        if alike not in known:
            at_once = [trading_rules.sessions_until_sellable(code, day) == 0 for day in turns]
            ends = [_session_from(market, day) for day in turns[1:]] + [NEVER]
            known[alike] = [
                (_session_from(market, day), end - 1) for day, end, free in zip(turns, ends, at_once, strict=True) if free
            ]
    return [known[code[:3], code[-2:]] for code in market.codes]


def _special(market: Market, names: pl.DataFrame | None) -> list[list[tuple[int, int]]]:
    """When each code was under special treatment and an account could buy only so many shares of it."""
    spans: list[list[tuple[int, int]]] = [[] for _ in market.codes]
    if names is not None:
        since = {each: cap.since for cap in trading_rules.RISK_WARNING_CAPS for each in cap.boards}
        marked = names.filter(
            pl.col("ts_code").is_in(list(market.codes)), trading_rules.special_treatment(pl.col("name"), pl.col("start_date"))
        )
        for code, first, last in marked.select("ts_code", "start_date", "end_date").iter_rows():
            if (from_then := since.get(board(code))) is not None:
                end = NEVER if last is None else _session_from(market, last + dt.timedelta(days=1)) - 1
                spans[market.number[code]].append((_session_from(market, max(first, from_then)), end))
    return spans


def _session_from(market: Market, day: dt.date | None) -> int:
    """The first session on or after the day."""
    return NEVER if day is None else int(np.searchsorted(market.days, np.datetime64(day)))
