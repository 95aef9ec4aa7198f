"""The columns of the kernel's tables: whole numbers (int64), money in units, rates in parts (see units.py).

The kernel takes few, wide tables: each array that a compiled function is given costs a tenth of a second of its compilation.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
NEVER: Final = 2**31 - 1
"""A session that does not come; a limit that no price reaches."""

SIGNALS, WEIGHTS, ORDERS = 0, 1, 2
"""What is followed: a strategy's signals, target weights, a list of orders."""

# --- codes: what holds for each. `st` and `same_day`: rows of the spans in which the code is under special treatment, and in
# which its shares may be sold in the session in which they were bought.
C_GROUP, C_TICK, C_LOT_MIN, C_LOT_STEP, C_DELISTED, C_MOST, C_ST, C_ST_END, C_SAME_DAY, C_SAME_DAY_END = range(10)
CODE_COLUMNS = 10
# --- days: the last session in which a sale of shares bought in this one counts as held for a month, a year, at most; whether
# it ended before the time at which orders trade.
D_MONTH, D_YEAR, D_ENDED_EARLY = range(3)
DAY_COLUMNS = 3
# --- events: dividends and factor steps, per share held. `told`: by a record, not by the factor alone; `regime`: of
# dividend tax.
V_CODE, V_CASH, V_BONUS_PAR, V_SHARES, V_TOLD, V_REGIME = range(6)
EVENT_COLUMNS = 6
# --- costs: tables of groups x sessions, rates in parts; `par`: parts of 元 a share; `least`: units of transfer fee at least.
K_STAMP, K_STAMP_SOLD, K_TRANSFER, K_PAR, K_LEAST, K_HANDLING, K_REGULATORY = range(7)
COST_TABLES = 7
# --- intents: of target weights (amount: parts of the equity) and orders (amount: shares), by session.
I_CODE, I_SIDE, I_AMOUNT = range(3)

# --- what comes out
O_MADE, O_DONE, O_CODE, O_SIDE, O_WANTED, O_FILLED, O_STATUS, O_REASON, O_TRIES = range(9)
ORDER_COLUMNS = 9
(
    T_ORDER,
    T_SESSION,
    T_CODE,
    T_KIND,
    T_SHARES,
    T_PRICE,
    T_VALUE,
    T_COMMISSION,
    T_STAMP,
    T_TRANSFER,
    T_HANDLING,
    T_REGULATORY,
    T_TAX,
    T_PROFIT,
    T_HELD,
    T_CASH,
) = range(16)
TRADE_COLUMNS = 16
E_CASH, E_HOLDINGS, E_POSITIONS, E_BOUGHT, E_SOLD = range(5)
EQUITY_COLUMNS = 5
P_SESSION, P_CODE, P_SHARES, P_COST, P_PRICE = range(5)
POSITION_COLUMNS = 5
PASSED_HELD, PASSED_FULL = range(2)


class Bars(NamedTuple):
    """A row per bar, sorted by code and session; prices in units. `offsets`: where each code's rows begin, and the end.

    `price`: at which orders of the session trade; `low` and `high`: the lowest and highest price at which they could;
    `reference`: what was known before (pre_close, ex-rights): orders are counted in shares by it. `up` and `down`: the
    session's limits (NEVER and 0: none). `volume`: shares.
    """

    offsets: Array
    session: Array
    price: Array
    low: Array
    high: Array
    close: Array
    reference: Array
    up: Array
    down: Array
    volume: Array


class Exchange(NamedTuple):
    """The exchange's rules over these codes and sessions: the tables above. `spans`: first and last session · `taxes`: dividend
    tax, regimes x (held a month at most, a year at most, longer) · `event_offsets`: where each session's events begin."""

    codes: Array
    spans: Array
    days: Array
    taxes: Array
    costs: Array
    event_offsets: Array
    events: Array


class Decisions(NamedTuple):
    """What is to be traded. Signals: `buy_rows`, `buy_codes` and `score` (rows of the bars, their codes, how good each is) by
    session of the signal, `buy_offsets` where each session's begin; `sell` per bar. Otherwise `intents` by session in which
    they trade, `offsets` where each session's begin."""

    buy_offsets: Array
    buy_rows: Array
    buy_codes: Array
    score: Array
    sell: Array
    offsets: Array
    intents: Array


class Rules(NamedTuple):
    """The settings, as whole numbers: money in units, rates in parts; `volume` -1: any part of it; `rounding`: units that
    amounts of money are rounded to; `at_close`: whether orders are counted by the session's own close · `limits`: whether a
    price at its limit keeps orders from trading."""

    mode: int
    first: int
    last: int
    capital: int
    places: int
    by_score: bool
    delay: int
    at_close: bool
    limits: bool
    slip: int
    slip_ticks: int
    volume: int
    buy_patience: int
    sell_patience: int
    delisted_at: int
    commission: int
    minimum: int
    rounding: int
    positions: bool


class Simulated(NamedTuple):
    """What the kernel gives: the tables above, and how many buy signals were passed over (held already, no free place)."""

    orders: Array
    trades: Array
    equity: Array
    positions: Array
    passed: Array
