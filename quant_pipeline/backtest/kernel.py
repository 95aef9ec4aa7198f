"""The event loop of a backtest, compiled: session by session, in whole units (see units.py) and shares.

Of a session, in this order: what dividends and factor steps do to the shares held, before the open · shares of delisted codes
leave · orders are made · sells, then buys, each at the session's price: cash of a sale is free at once, bought shares may be
sold the next session (those of a list that are T+0 in the same) · holdings are valued at the close.

Imported only when it is used: numba costs most of a second, the first compilation half a minute (then it is cached on disk).
"""

from __future__ import annotations

from typing import Final

import numpy as np

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
    D_ENDED_EARLY,
    D_MONTH,
    D_YEAR,
    E_BOUGHT,
    E_CASH,
    E_HOLDINGS,
    E_POSITIONS,
    E_SOLD,
    EQUITY_COLUMNS,
    I_AMOUNT,
    I_CODE,
    I_SIDE,
    K_HANDLING,
    K_LEAST,
    K_PAR,
    K_REGULATORY,
    K_STAMP,
    K_TRANSFER,
    O_CODE,
    O_DONE,
    O_FILLED,
    O_MADE,
    O_REASON,
    O_SIDE,
    O_STATUS,
    O_TRIES,
    O_WANTED,
    ORDER_COLUMNS,
    ORDERS,
    P_CODE,
    P_COST,
    P_PRICE,
    P_SESSION,
    P_SHARES,
    PASSED_FULL,
    PASSED_HELD,
    POSITION_COLUMNS,
    SIGNALS,
    T_CASH,
    T_CODE,
    T_COMMISSION,
    T_HANDLING,
    T_HELD,
    T_KIND,
    T_ORDER,
    T_PRICE,
    T_PROFIT,
    T_REGULATORY,
    T_SESSION,
    T_SHARES,
    T_STAMP,
    T_TAX,
    T_TRANSFER,
    T_VALUE,
    TRADE_COLUMNS,
    V_BONUS_PAR,
    V_CASH,
    V_CODE,
    V_REGIME,
    V_SHARES,
    V_TOLD,
    WEIGHTS,
    Array,
    Bars,
    Decisions,
    Exchange,
    Rules,
    Simulated,
)
from quant_pipeline.backtest.reasons import Kind, Reason, Side, Status
from quant_pipeline.backtest.units import PARTS
from quant_pipeline.compiling import compiled
from quant_pipeline.market.trading_rules import buyable, sellable

_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_FILLED, _PART, _REFUSED = int(Status.FILLED), int(Status.PART_FILLED), int(Status.REFUSED)
_EXPIRED, _WITHDRAWN, _WAITING = int(Status.EXPIRED), int(Status.WITHDRAWN), int(Status.WAITING)
_HALTED, _LIMIT_UP, _LIMIT_DOWN = int(Reason.HALTED), int(Reason.LIMIT_UP), int(Reason.LIMIT_DOWN)
_NO_CASH, _LOT, _T_PLUS_1, _NOT_HELD = int(Reason.CASH), int(Reason.LOT), int(Reason.T_PLUS_1), int(Reason.NOT_HELD)
_VOLUME, _NOT_LISTED, _DELISTED = int(Reason.VOLUME), int(Reason.NOT_LISTED), int(Reason.DELISTED)
_OPPOSITE, _SUPERSEDED = int(Reason.OPPOSITE), int(Reason.SUPERSEDED)
_ST_MAXIMUM, _ENDED_EARLY = int(Reason.ST_MAXIMUM), int(Reason.ENDED_EARLY)
_DIVIDEND, _STEP, _WRITE_OFF = int(Kind.DIVIDEND), int(Kind.STEP), int(Kind.WRITE_OFF)

# The account: a row per code. `held`: the codes held, a list in the first rows; `place`: the code's in it · `head`, `tail`: its
# lots, a chain, the oldest first · `cursor`: its last bar that was looked at · `waiting`: its order that waits (of signals).
_A = 13
A_SHARES, A_MARK, A_BOUGHT, A_BOUGHT_ON, A_USED, A_USED_ON, A_HEAD, A_TAIL, A_CURSOR, A_PLACE, A_HELD, A_WAITING, A_AIMED = (
    range(_A)
)
# Totals of it: codes held, the first free lot, rows used of orders, trades, positions and the queue; money.
_HELD, _FREE, _ORDERS, _TRADES, _POSITIONS, _QUEUED, _CASH, _BOUGHT, _SOLD = range(9)
# Lots; the last columns are the dividends that are yet to be taxed, by regime.
L_SHARES, L_SESSION, L_COST, L_NEXT, L_TAXABLE = range(5)
_ROOM: Final = 1024
_PER_UNIT: Final = PARTS // 10_000

_buyable, _sellable = compiled(buyable), compiled(sellable)


@compiled
def rounded(amount: int, rate: int, to: int) -> int:
    """amount x rate (parts), half up to a multiple of `to`; exact, without leaving int64."""
    whole = PARTS * to
    return ((amount // whole) * rate + ((amount % whole) * rate + whole // 2) // whole) * to


@compiled
def _share(amount: int, part: int, of: int) -> int:
    """amount x part / of, rounded down."""
    return (amount // of) * part + (amount % of) * part // of


@compiled
def _value(price: int, shares: int, to: int) -> int:
    return (price * shares + to // 2) // to * to


@compiled
def _fees(costs: Array, rules: Rules, group: int, s: int, side: int, value: int, shares: int) -> tuple[int, int, int, int, int]:
    """Commission, stamp duty, transfer fee, handling fee, regulatory fee of one order of one session."""
    to = rules.rounding
    commission = max(rounded(value, rules.commission, to), rules.minimum)
    stamp = rounded(value, costs[K_STAMP + side, group, s], to)
    by_par = (shares * costs[K_PAR, group, s] + _PER_UNIT * to // 2) // (_PER_UNIT * to) * to
    transfer = max(rounded(value, costs[K_TRANSFER, group, s], to) + by_par, costs[K_LEAST, group, s])
    handling = rounded(value, costs[K_HANDLING, group, s], to)
    return commission, stamp, transfer, handling, rounded(value, costs[K_REGULATORY, group, s], to)


@compiled
def _clear(row: Array) -> None:
    for column in range(row.shape[0]):
        row[column] = 0


@compiled
def _find(bars: Bars, account: Array, code: int, s: int) -> int:
    """The code's last row up to session s, -1 where it has none. Asked with sessions that never go back."""
    at, end = account[code, A_CURSOR], bars.offsets[code + 1]
    if at + 1 < end and bars.session[at + 1] <= s:
        at += 1
        if at + 1 < end and bars.session[at + 1] <= s:
            low, high = at + 1, end
            while high - low > 1:
                middle = (low + high) // 2
                if bars.session[middle] <= s:
                    low = middle
                else:
                    high = middle
            at = low
        account[code, A_CURSOR] = at
    return at if at >= bars.offsets[code] else -1


@compiled
def _add_lot(account: Array, totals: Array, lots: Array, code: int, s: int, shares: int, cost: int) -> None:
    lot = totals[_FREE]
    totals[_FREE] = lots[lot, L_NEXT]
    for column in range(lots.shape[1]):
        lots[lot, column] = 0
    lots[lot, L_SHARES], lots[lot, L_SESSION], lots[lot, L_COST], lots[lot, L_NEXT] = shares, s, cost, -1
    if account[code, A_SHARES] == 0:
        account[code, A_PLACE] = totals[_HELD]
        account[totals[_HELD], A_HELD] = code
        totals[_HELD] += 1
        account[code, A_HEAD] = lot
    else:
        lots[account[code, A_TAIL], L_NEXT] = lot
    account[code, A_TAIL] = lot
    account[code, A_SHARES] += shares


@compiled
def _take(
    account: Array, totals: Array, lots: Array, days: Array, taxes: Array, to: int, code: int, s: int, shares: int
) -> tuple[int, int, int]:
    """Takes shares out of the oldest lots: their cost, the dividend tax that falls due, and the session of the oldest."""
    cost, due, left = 0, 0, shares
    since = lots[account[code, A_HEAD], L_SESSION]
    while left > 0:
        lot = account[code, A_HEAD]
        had = lots[lot, L_SHARES]
        taken = min(left, had)
        part = _share(lots[lot, L_COST], taken, had)
        bought = lots[lot, L_SESSION]
        held = 0 if s <= days[bought, D_MONTH] else 1 if s <= days[bought, D_YEAR] else 2
        for regime in range(taxes.shape[0]):
            base = _share(lots[lot, L_TAXABLE + regime], taken, had)
            lots[lot, L_TAXABLE + regime] -= base
            due += rounded(base, taxes[regime, held], 1)
        cost += part
        lots[lot, L_COST] -= part
        lots[lot, L_SHARES] -= taken
        left -= taken
        if taken == had:
            account[code, A_HEAD] = lots[lot, L_NEXT]
            lots[lot, L_NEXT] = totals[_FREE]
            totals[_FREE] = lot
    account[code, A_SHARES] -= shares
    if account[code, A_SHARES] == 0:
        last, place = account[totals[_HELD] - 1, A_HELD], account[code, A_PLACE]
        account[place, A_HELD] = last
        account[last, A_PLACE] = place
        totals[_HELD] -= 1
    return cost, (due + to // 2) // to * to, since


@compiled
def _distribute(
    account: Array, totals: Array, lots: Array, taxes: Array, events: Array, to: int, trades: Array, event: int, s: int
) -> None:
    """What a dividend or a factor step does to the shares of its code."""
    code, cash, more, told = events[event, V_CODE], events[event, V_CASH], events[event, V_SHARES], events[event, V_TOLD]
    held, each = account[code, A_SHARES], _PER_UNIT * to
    gross = (held * abs(cash) + each // 2) // each * to
    gross = gross if cash >= 0 else -gross  # half a cent is a whole one, whoever pays it
    new = _share(held, more, PARTS)
    regime = events[event, V_REGIME]
    rate = taxes[regime, 0]
    withheld = rate == taxes[regime, 1] and rate == taxes[regime, 2]
    taxable, paid, handed = 0, gross, 0
    lot = account[code, A_HEAD]
    while lot >= 0:
        had, last = lots[lot, L_SHARES], lot == account[code, A_TAIL]
        base = (had * (cash + events[event, V_BONUS_PAR]) + _PER_UNIT // 2) // _PER_UNIT if told else 0
        if withheld:
            taxable += base
        else:
            lots[lot, L_TAXABLE + regime] += base
        income = paid if last else _share(gross, had, held)
        fresh = new - handed if last else _share(had, more, PARTS)
        paid -= income
        handed += fresh
        lots[lot, L_COST] -= income
        lots[lot, L_SHARES] += fresh
        lot = lots[lot, L_NEXT]
    tax = rounded(taxable, rate, to)
    lots[account[code, A_TAIL], L_COST] += tax
    account[code, A_SHARES] += new
    totals[_CASH] += gross - tax
    account[code, A_MARK] = max((account[code, A_MARK] * held - gross) // account[code, A_SHARES], 1)
    row = trades[totals[_TRADES]]
    _clear(row)
    row[T_ORDER], row[T_SESSION], row[T_CODE], row[T_KIND] = -1, s, code, _DIVIDEND if told else _STEP
    row[T_SHARES], row[T_VALUE], row[T_TAX], row[T_HELD], row[T_CASH] = new, gross, tax, held, totals[_CASH]
    totals[_TRADES] += 1


@compiled
def _affordable(
    costs: Array, rules: Rules, group: int, s: int, price: int, wanted: int, cash: int, least: int, step: int
) -> int:
    """The most shares up to `wanted`, in lots, whose price and fees the cash pays."""
    shares = _buyable(min(wanted, max(cash, 0) // price), least, step)
    while shares > 0:
        value = _value(price, shares, rules.rounding)
        commission, stamp, transfer, handling, regulatory = _fees(costs, rules, group, s, _BUY, value, shares)
        lacking = value + commission + stamp + transfer + handling + regulatory - cash
        if lacking <= 0:
            break
        # Fees grow with the shares: so many fewer are too many still, or the most that the cash pays.
        shares = _buyable(shares - max(lacking // (2 * price) // step * step, step), least, step)
    return int(shares)


@compiled
def _within(spans: Array, first: int, end: int, s: int) -> bool:
    for span in range(first, end):  # noqa: SIM110
        if spans[span, 0] <= s <= spans[span, 1]:
            return True
    return False


@compiled
def _try(
    bars: Bars,
    codes: Array,
    spans: Array,
    days: Array,
    taxes: Array,
    costs: Array,
    rules: Rules,
    account: Array,
    totals: Array,
    lots: Array,
    order: Array,
    number: int,
    trades: Array,
    s: int,
) -> bool:
    """Trades what it can of an order. Whether the order is over; its row says what became of it."""
    code, side = order[O_CODE], order[O_SIDE]
    left = order[O_WANTED] - order[O_FILLED]
    row = _find(bars, account, code, s)
    shares, reason, waits, price, free = 0, 0, False, 0, 0
    group, tick, least, step = codes[code, C_GROUP], codes[code, C_TICK], codes[code, C_LOT_MIN], codes[code, C_LOT_STEP]
    if row < 0:
        reason = _NOT_LISTED
    elif left <= 0:
        reason = _LOT
    elif bars.session[row] != s or bars.volume[row] <= 0 or bars.price[row] <= 0:
        reason, waits = _HALTED, True
    elif rules.limits and side == _BUY and bars.low[row] >= bars.up[row]:
        reason, waits = _LIMIT_UP, True
    elif rules.limits and side == _SELL and bars.high[row] <= bars.down[row]:
        reason, waits = _LIMIT_DOWN, True
    elif days[s, D_ENDED_EARLY]:
        reason, waits = _ENDED_EARLY, True
    else:
        slip = rounded(bars.price[row], rules.slip, tick) + rules.slip_ticks * tick
        if side == _BUY:
            price = min(bars.price[row] + slip, max(bars.up[row], bars.price[row]))
        else:
            price = max(bars.price[row] - slip, min(bars.down[row], bars.price[row]), tick)
        shares, free = left, account[code, A_SHARES]
        bought = account[code, A_BOUGHT] if account[code, A_BOUGHT_ON] == s else 0
        if side == _SELL:
            if not _within(spans, codes[code, C_SAME_DAY], codes[code, C_SAME_DAY_END], s):
                free -= bought
            if free < shares:
                shares, reason = free, _T_PLUS_1 if free < account[code, A_SHARES] else _NOT_HELD
        elif shares > codes[code, C_MOST] - bought and _within(spans, codes[code, C_ST], codes[code, C_ST_END], s):
            shares, reason = max(codes[code, C_MOST] - bought, 0), _ST_MAXIMUM
        if rules.volume >= 0:
            used = account[code, A_USED] if account[code, A_USED_ON] == s else 0
            allowed = max(_share(bars.volume[row], rules.volume, PARTS) - used, 0)
            if allowed < shares:
                shares, reason, waits = allowed, _VOLUME, True
        whole = _buyable(shares, least, step) if side == _BUY else _sellable(shares, free, least, step)
        if whole < shares and reason == 0:
            reason = _LOT
        shares = whole
        if side == _BUY and shares > 0:
            paid = _affordable(costs, rules, group, s, price, shares, totals[_CASH], least, step)
            if paid < shares:
                shares, reason, waits = paid, _NO_CASH, False
    if shares > 0:
        value = _value(price, shares, rules.rounding)
        commission, stamp, transfer, handling, regulatory = _fees(costs, rules, group, s, side, value, shares)
        fees = commission + stamp + transfer + handling + regulatory
        tax, profit, since = 0, 0, s
        if account[code, A_USED_ON] != s:
            account[code, A_USED_ON], account[code, A_USED] = s, 0
        account[code, A_USED] += shares
        if side == _BUY:
            if account[code, A_BOUGHT_ON] != s:
                account[code, A_BOUGHT_ON], account[code, A_BOUGHT] = s, 0
            account[code, A_BOUGHT] += shares
            if account[code, A_SHARES] == 0:
                account[code, A_MARK] = price
            _add_lot(account, totals, lots, code, s, shares, value + fees)
            totals[_CASH] -= value + fees
            totals[_BOUGHT] += value
        else:
            cost, tax, since = _take(account, totals, lots, days, taxes, rules.rounding, code, s, shares)
            profit = value - fees - tax - cost
            totals[_CASH] += value - fees - tax
            totals[_SOLD] += value
        trade = trades[totals[_TRADES]]
        trade[T_ORDER], trade[T_SESSION], trade[T_CODE], trade[T_KIND] = number, s, code, side
        trade[T_SHARES], trade[T_PRICE], trade[T_VALUE] = shares, price, value
        trade[T_COMMISSION], trade[T_STAMP], trade[T_TRANSFER] = commission, stamp, transfer
        trade[T_HANDLING], trade[T_REGULATORY], trade[T_TAX] = handling, regulatory, tax
        trade[T_PROFIT], trade[T_HELD], trade[T_CASH] = profit, s - since, totals[_CASH]
        totals[_TRADES] += 1
        order[O_FILLED] += shares
        left -= shares
    order[O_DONE], order[O_REASON] = s, reason
    patience = rules.buy_patience if side == _BUY else rules.sell_patience
    if left > 0 and waits and order[O_TRIES] < patience:
        order[O_TRIES] += 1
        return False
    if order[O_FILLED] > 0:
        order[O_STATUS] = _FILLED if left == 0 else _PART
        order[O_REASON] = 0 if left == 0 else reason
    else:
        order[O_STATUS] = _EXPIRED if waits and order[O_TRIES] > 0 else _REFUSED
    return True


@compiled
def _make(totals: Array, orders: Array, queue: Array, code: int, side: int, s: int, wanted: int) -> int:
    """A new order at the queue's end; its number."""
    number = totals[_ORDERS]
    row = orders[number]
    _clear(row)
    row[O_MADE], row[O_DONE], row[O_CODE], row[O_SIDE], row[O_WANTED], row[O_STATUS] = s, s, code, side, wanted, _WAITING
    queue[totals[_QUEUED], 0] = number
    totals[_ORDERS] += 1
    totals[_QUEUED] += 1
    return int(number)


@compiled
def _withdraw(order: Array, s: int, reason: int) -> None:
    order[O_STATUS] = _PART if order[O_FILLED] else _WITHDRAWN
    order[O_REASON], order[O_DONE] = reason, s


@compiled
def _grown(rows: Array, used: int, more: int) -> Array:
    """The rows with room for so many more."""
    if used + more <= rows.shape[0]:
        return rows
    larger = np.empty((max(2 * rows.shape[0], used + more), rows.shape[1]), np.int64)
    for row in range(used):  # a slice would take numba five seconds more
        for column in range(rows.shape[1]):
            larger[row, column] = rows[row, column]
    return larger


@compiled
def _chained(lots: Array, totals: Array, more: int) -> Array:
    """The lots with at least so many free ones."""
    free, count = totals[_FREE], 0
    while free >= 0 and count < more:
        free, count = lots[free, L_NEXT], count + 1
    if count >= more:
        return lots
    size = lots.shape[0]
    larger = _grown(lots, size, max(size, more))
    for lot in range(size, larger.shape[0]):
        larger[lot, L_NEXT] = lot + 1
    larger[larger.shape[0] - 1, L_NEXT] = totals[_FREE]
    totals[_FREE] = size
    return larger  # type: ignore[no-any-return]


@compiled
def _equity(account: Array, totals: Array) -> int:
    total = totals[_CASH]
    for place in range(totals[_HELD]):
        code = account[place, A_HELD]
        total += account[code, A_SHARES] * account[code, A_MARK]
    return int(total)


@compiled
def _mark(bars: Bars, account: Array, totals: Array, s: int) -> None:
    """Values the holdings at the session's close; a halted one stays as it was."""
    for place in range(totals[_HELD]):
        code = account[place, A_HELD]
        row = _find(bars, account, code, s)
        if row >= 0 and bars.session[row] == s:
            account[code, A_MARK] = bars.close[row]


@compiled
def _reference(bars: Bars, account: Array, code: int, s: int) -> int:
    """The price by which an order is counted in shares; 0: there is none."""
    row = _find(bars, account, code, s)
    if row < 0:
        return 0
    if bars.session[row] != s:
        return int(account[code, A_MARK] if account[code, A_SHARES] else bars.close[row])
    return int(bars.reference[row] if bars.reference[row] > 0 else bars.price[row])


@compiled
def _leave(
    codes: Array,
    days: Array,
    taxes: Array,
    rules: Rules,
    account: Array,
    totals: Array,
    lots: Array,
    orders: Array,
    queue: Array,
    trades: Array,
    s: int,
) -> None:
    """Writes off the shares of codes that are no longer listed; their orders end."""
    for place in range(totals[_HELD] - 1, -1, -1):
        code = account[place, A_HELD]
        if codes[code, C_DELISTED] > s:
            continue
        shares, mark = account[code, A_SHARES], account[code, A_MARK]
        number = _make(totals, orders, queue, code, _SELL, s, shares)
        totals[_QUEUED] -= 1  # it is over at once
        orders[number, O_FILLED], orders[number, O_STATUS], orders[number, O_REASON] = shares, _FILLED, _DELISTED
        value = rounded(shares * mark, rules.delisted_at, rules.rounding)
        cost, tax, since = _take(account, totals, lots, days, taxes, rules.rounding, code, s, shares)
        totals[_CASH] += value - tax
        row = trades[totals[_TRADES]]
        _clear(row)
        row[T_ORDER], row[T_SESSION], row[T_CODE], row[T_KIND] = number, s, code, _WRITE_OFF
        row[T_SHARES], row[T_PRICE], row[T_VALUE], row[T_TAX] = shares, mark, value, tax
        row[T_PROFIT], row[T_HELD], row[T_CASH] = value - tax - cost, s - since, totals[_CASH]
        totals[_TRADES] += 1
    kept = 0
    for place in range(totals[_QUEUED]):
        order = orders[queue[place, 0]]
        if codes[order[O_CODE], C_DELISTED] <= s:
            _withdraw(order, s, _DELISTED)
            account[order[O_CODE], A_WAITING] = -1
        else:
            queue[kept, 0] = queue[place, 0]
            kept += 1
    totals[_QUEUED] = kept


@compiled
def _sell_signals(bars: Bars, sell: Array, account: Array, totals: Array, orders: Array, queue: Array, t: int, s: int) -> None:
    """Orders of what is held and has a sell signal in session t; buys of such codes that wait are withdrawn."""
    for place in range(totals[_HELD]):
        code = account[place, A_HELD]
        row = _find(bars, account, code, t)
        if row < 0 or bars.session[row] != t or not sell[row]:
            continue
        number = account[code, A_WAITING]
        if number >= 0 and orders[number, O_SIDE] == _SELL:
            continue
        if number >= 0:
            _withdraw(orders[number], s, _OPPOSITE)
        account[code, A_WAITING] = _make(totals, orders, queue, code, _SELL, s, account[code, A_SHARES])
    for place in range(totals[_QUEUED]):
        order = orders[queue[place, 0]]
        if order[O_SIDE] == _BUY and order[O_STATUS] == _WAITING:
            row = _find(bars, account, order[O_CODE], t)
            if row >= 0 and bars.session[row] == t and sell[row]:
                _withdraw(order, s, _OPPOSITE)
                account[order[O_CODE], A_WAITING] = -1


@compiled
def _buy_signals(
    bars: Bars,
    codes: Array,
    decisions: Decisions,
    rules: Rules,
    account: Array,
    totals: Array,
    orders: Array,
    queue: Array,
    chosen: Array,
    passed: Array,
    worth: int,
    t: int,
    s: int,
) -> None:
    """Orders of the best buy signals of session t, as many as there are free places."""
    places = rules.places - totals[_HELD]
    for place in range(totals[_QUEUED]):
        order = orders[queue[place, 0]]
        if order[O_SIDE] == _BUY and order[O_STATUS] == _WAITING and account[order[O_CODE], A_SHARES] == 0:
            places -= 1
    first, end = decisions.buy_offsets[t], decisions.buy_offsets[t + 1]
    if first == end:
        return
    picked, scores = 0, 0.0
    for signal in range(first, end):
        code, score = decisions.buy_codes[signal], decisions.score[signal]
        number = account[code, A_WAITING]
        if number >= 0 and orders[number, O_SIDE] == _SELL:
            _withdraw(orders[number], s, _OPPOSITE)
            account[code, A_WAITING] = -1
        if account[code, A_SHARES] > 0 or account[code, A_WAITING] >= 0:
            passed[PASSED_HELD] += 1
            continue
        place = picked  # the best so far, the highest score first, of equal ones the first code
        while place > 0 and decisions.score[chosen[place - 1]] < score:
            place -= 1
        if place >= places:
            passed[PASSED_FULL] += 1
            continue
        if picked < places:
            picked += 1
        else:
            passed[PASSED_FULL] += 1
        for later in range(picked - 1, place, -1):
            chosen[later] = chosen[later - 1]
        chosen[place] = signal
    for pick in range(picked):
        scores += max(decisions.score[chosen[pick]], 0.0)
    for pick in range(picked):
        code = decisions.buy_codes[chosen[pick]]
        budget = worth // rules.places
        if rules.by_score and scores > 0.0:
            score = max(decisions.score[chosen[pick]], 0.0)
            budget = int(budget * picked * (score / scores))
        price = _reference(bars, account, code, s)
        wanted = 0 if price == 0 else _buyable(max(budget, 0) // price, codes[code, C_LOT_MIN], codes[code, C_LOT_STEP])
        account[code, A_WAITING] = _make(totals, orders, queue, code, _BUY, s, wanted)


@compiled
def _aims(
    bars: Bars,
    codes: Array,
    decisions: Decisions,
    rules: Rules,
    account: Array,
    totals: Array,
    orders: Array,
    queue: Array,
    worth: int,
    s: int,
) -> None:
    """Orders of a list, or those that lead from the holdings to target weights: what has none is sold."""
    first, end = decisions.offsets[s], decisions.offsets[s + 1]
    if rules.mode == WEIGHTS:
        for place in range(totals[_QUEUED]):
            _withdraw(orders[queue[place, 0]], s, _SUPERSEDED)
        totals[_QUEUED] = 0
        for intent in range(first, end):
            account[decisions.intents[intent, I_CODE], A_AIMED] = s
        for place in range(totals[_HELD]):
            code = account[place, A_HELD]
            if account[code, A_AIMED] != s:
                _make(totals, orders, queue, code, _SELL, s, account[code, A_SHARES])
    for intent in range(first, end):
        code, amount = decisions.intents[intent, I_CODE], decisions.intents[intent, I_AMOUNT]
        if rules.mode == ORDERS:
            _make(totals, orders, queue, code, decisions.intents[intent, I_SIDE], s, amount)
            continue
        held, price = account[code, A_SHARES], _reference(bars, account, code, s)
        least, step = codes[code, C_LOT_MIN], codes[code, C_LOT_STEP]
        target = 0 if price == 0 else _share(max(worth, 0), amount, PARTS) // price
        if amount > 0 and target >= held:
            more = _buyable(target - held, least, step)
            if more > 0 or held == 0:
                _make(totals, orders, queue, code, _BUY, s, more)
        elif target < held:
            less = held if amount == 0 else _sellable(held - target, held, least, step)
            if less > 0:
                _make(totals, orders, queue, code, _SELL, s, less)


@compiled
def _run(
    bars: Bars,
    codes: Array,
    spans: Array,
    days: Array,
    taxes: Array,
    costs: Array,
    event_offsets: Array,
    events: Array,
    decisions: Decisions,
    rules: Rules,
) -> tuple[Array, Array, Array, Array, Array]:
    count = codes.shape[0]
    account = np.zeros((count, _A), np.int64)
    for code in range(count):
        account[code, A_BOUGHT_ON] = account[code, A_USED_ON] = account[code, A_WAITING] = account[code, A_AIMED] = -1
        account[code, A_CURSOR] = bars.offsets[code] - 1
    totals = np.zeros(9, np.int64)
    totals[_CASH] = rules.capital
    totals[_FREE] = -1
    lots = np.zeros((0, L_TAXABLE + taxes.shape[0]), np.int64)
    orders = np.empty((_ROOM, ORDER_COLUMNS), np.int64)
    trades = np.empty((_ROOM, TRADE_COLUMNS), np.int64)
    positions = np.empty((_ROOM, POSITION_COLUMNS), np.int64)
    equity = np.zeros((rules.last + 1 - rules.first, EQUITY_COLUMNS), np.int64)
    passed = np.zeros(2, np.int64)
    queue = np.empty((_ROOM, 1), np.int64)
    chosen = np.empty(min(rules.places, count), np.int64)
    for s in range(rules.first, rules.last + 1):
        t = s - rules.delay
        intents = decisions.offsets[s + 1] - decisions.offsets[s]
        room = 3 * totals[_HELD] + intents + chosen.shape[0] + totals[_QUEUED]
        orders = _grown(orders, totals[_ORDERS], room)
        trades = _grown(trades, totals[_TRADES], room + event_offsets[s + 1] - event_offsets[s])
        lots = _chained(lots, totals, room)
        queue = _grown(queue, totals[_QUEUED], room)
        totals[_BOUGHT] = totals[_SOLD] = 0
        for event in range(event_offsets[s], event_offsets[s + 1]):
            if account[events[event, V_CODE], A_SHARES] > 0:
                _distribute(account, totals, lots, taxes, events, rules.rounding, trades, event, s)
        _leave(codes, days, taxes, rules, account, totals, lots, orders, queue, trades, s)
        if rules.at_close:
            _mark(bars, account, totals, s)
        worth = _equity(account, totals)
        if rules.mode == SIGNALS and t >= rules.first:
            _sell_signals(bars, decisions.sell, account, totals, orders, queue, t, s)
        elif intents > 0:
            _aims(bars, codes, decisions, rules, account, totals, orders, queue, worth, s)
        for turn in range(3):
            side = _BUY if turn == 1 else _SELL
            if turn == 2 and rules.mode != ORDERS:
                break
            if side == _BUY and rules.mode == SIGNALS and t >= rules.first:
                _buy_signals(bars, codes, decisions, rules, account, totals, orders, queue, chosen, passed, worth, t, s)
            kept = 0
            for place in range(totals[_QUEUED]):
                number = queue[place, 0]
                order = orders[number]
                if order[O_STATUS] != _WAITING:
                    continue
                # Of a list, sales of more than is held come after the session's purchases: T+0, or refused for T+1.
                later = (
                    turn == 0 and rules.mode == ORDERS and order[O_WANTED] - order[O_FILLED] > account[order[O_CODE], A_SHARES]
                )
                if (
                    order[O_SIDE] == side
                    and not later
                    and _try(bars, codes, spans, days, taxes, costs, rules, account, totals, lots, order, number, trades, s)
                ):
                    account[order[O_CODE], A_WAITING] = -1
                else:
                    queue[kept, 0] = number
                    kept += 1
            totals[_QUEUED] = kept
        _mark(bars, account, totals, s)
        line = equity[s - rules.first]
        line[E_CASH], line[E_HOLDINGS] = totals[_CASH], _equity(account, totals) - totals[_CASH]
        line[E_POSITIONS], line[E_BOUGHT], line[E_SOLD] = totals[_HELD], totals[_BOUGHT], totals[_SOLD]
        if rules.positions:
            positions = _grown(positions, totals[_POSITIONS], totals[_HELD])
            for place in range(totals[_HELD]):
                code = account[place, A_HELD]
                row = positions[totals[_POSITIONS]]
                row[P_SESSION], row[P_CODE], row[P_SHARES] = s, code, account[code, A_SHARES]
                row[P_PRICE], row[P_COST] = account[code, A_MARK], 0
                lot = account[code, A_HEAD]
                while lot >= 0:
                    row[P_COST] += lots[lot, L_COST]
                    lot = lots[lot, L_NEXT]
                totals[_POSITIONS] += 1
    return orders[: totals[_ORDERS]], trades[: totals[_TRADES]], equity, positions[: totals[_POSITIONS]], passed


def simulate(bars: Bars, exchange: Exchange, decisions: Decisions, rules: Rules) -> Simulated:
    """Trades the decisions over the sessions from `rules.first` to `rules.last`: see layout.py for what comes out."""
    e = exchange
    tables = e.codes, e.spans, e.days, e.taxes, e.costs, e.event_offsets, e.events
    return Simulated(*_run(bars, *tables, decisions, rules))
