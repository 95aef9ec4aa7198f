"""A second opinion on the kernel: the same rules in plain Python, one thing after the other, money as Decimal.

Slow, and written from the rules, not from the kernel: lists of lots, dictionaries of holdings, no shared arithmetic.
"""

from __future__ import annotations

import bisect
import datetime as dt
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from quant_pipeline.backtest.reading import Loaded
from quant_pipeline.backtest.settings import Fill, Settings, Sizing
from quant_pipeline.market import trading_rules
from quant_pipeline.market.codes import Board, board

CENT, UNIT = Decimal("0.01"), Decimal("0.0001")
PARTS = Decimal(trading_rules.PARTS)


def half_up(amount: Decimal, to: Decimal) -> Decimal:
    return amount.quantize(to, ROUND_HALF_UP)


@dataclass
class Bar:
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    pre_close: Decimal
    vwap: Decimal
    volume: int
    up: Decimal | None
    down: Decimal | None


@dataclass
class Lot:
    day: int
    shares: int
    taxable: list[tuple[dt.date, Decimal]] = field(default_factory=list)


@dataclass
class Order:
    made: int
    code: str
    side: str
    wanted: int
    filled: int = 0
    status: str = "waiting"
    reason: str = "none"
    tries: int = 0


class Ledger:
    """Runs a list of decisions over a small market."""

    def __init__(self, loaded: Loaded, settings: Settings) -> None:
        self.settings = settings
        market = loaded.market
        self.sessions = market.sessions
        self.codes = market.codes
        self.delisted = loaded.delisted
        self.to = CENT if settings.rounding else UNIT
        self.bars: dict[tuple[str, int], Bar] = {}
        for row in range(len(market.session)):
            money = [Decimal(int(getattr(market, name)[row])) * UNIT for name in ("open", "high", "low", "close", "pre_close")]
            up, down = int(market.up[row]), int(market.down[row])
            free = up == 2**31 - 1
            self.bars[market.codes[market.code[row]], int(market.session[row])] = Bar(
                *money, Decimal(int(market.vwap[row])) * UNIT, int(market.volume[row]),
                None if free else Decimal(up) * UNIT, None if free else Decimal(down) * UNIT,
            )  # fmt: skip
        self.rates = [trading_rules.fee_rates([day]) for day in self.sessions]
        self.events: dict[int, list[tuple[str, Decimal, Decimal, Decimal, bool, dt.date]]] = {}
        steps = loaded.steps
        for at in range(len(steps.session)):
            amounts = (Decimal(int(each[at])) / 10**8 for each in (steps.cash, steps.bonus_par, steps.shares))
            event = (market.codes[steps.code[at]], *amounts, bool(steps.told[at]), steps.record[at].item())
            self.events.setdefault(int(steps.session[at]), []).append(event)
        self.cash = half_up(Decimal(str(settings.capital)), self.to)
        self.lots: dict[str, list[Lot]] = {}
        self.mark: dict[str, Decimal] = {}
        self.orders: list[Order] = []
        self.trades: list[tuple[int, str, str, int, Decimal]] = []
        self.equity: list[tuple[Decimal, Decimal]] = []
        self.queue: list[Order] = []
        self.used: dict[str, int] = {}

    # --- what is held

    def held(self, code: str) -> int:
        return sum(lot.shares for lot in self.lots.get(code, []))

    def worth(self) -> Decimal:
        return self.cash + sum((self.held(code) * self.mark[code] for code in self.lots), Decimal(0))

    def revalue(self, day: int) -> None:
        for code in self.lots:
            if (bar := self.bars.get((code, day))) is not None:
                self.mark[code] = bar.close

    # --- the run

    def run(self, mode: str, decisions: dict[int, list[tuple[str, Any, Any]]]) -> Ledger:
        """`decisions`: session of the decision -> (code, signal, score), (code, weight, None), (code, side, shares)."""
        delay = 0 if mode == "orders" else self.settings.delay
        for day in range(len(self.sessions)):
            self.used = {}
            for event in self.events.get(day, []):
                self.distribute(day, *event)
            self.leave(day)
            if self.settings.delay == 0 and mode != "orders":
                self.revalue(day)
            worth = self.worth()
            decided = decisions.get(day - delay, []) if day - delay >= 0 else []
            getattr(self, f"begin_{mode}")(day, decided, worth)
            self.trade(day, "sell", soft=mode == "orders")
            if mode == "signals":
                self.buy_signals(day, decided, worth)
            self.trade(day, "buy")
            if mode == "orders":
                self.trade(day, "sell")
            self.revalue(day)
            self.equity.append((self.cash, self.worth()))
        return self

    def distribute(
        self, day: int, code: str, cash: Decimal, par: Decimal, shares: Decimal, told: bool, record: dt.date
    ) -> None:
        if not (held := self.held(code)):
            return
        gross = half_up(held * cash, self.to)
        new = int((held * shares).to_integral_value(ROUND_FLOOR))
        handed, withheld = 0, Decimal(0)
        for lot in self.lots[code]:
            if told and self.settings.dividend_tax:
                base = half_up(lot.shares * (cash + par), UNIT)
                if record < dt.date(2013, 1, 1):
                    withheld += base * (Decimal("0.1") if record >= dt.date(2005, 6, 13) else Decimal("0.2"))
                else:
                    lot.taxable.append((record, base))
            more = int((lot.shares * shares).to_integral_value(ROUND_FLOOR))
            lot.shares += more
            handed += more
        self.lots[code][-1].shares += new - handed
        self.cash += gross - half_up(withheld, self.to)
        after = (self.mark[code] * held - gross) / self.held(code)
        self.mark[code] = max(after.quantize(UNIT, ROUND_FLOOR), UNIT)
        self.trades.append((day, code, "dividend" if told else "step", new, self.cash))

    def leave(self, day: int) -> None:
        gone = {code for code, end in self.delisted.items() if end <= self.sessions[day]}
        for code in [code for code in self.lots if code in gone]:
            shares = self.held(code)
            order = Order(day, code, "sell", shares, shares, "filled", "delisted")
            self.orders.append(order)
            value = half_up(shares * self.mark[code] * Decimal(str(self.settings.delisted_at)), self.to)
            self.cash += value - self.take(code, day, shares)
            self.trades.append((day, code, "write_off", shares, self.cash))
        for order in self.queue:
            if order.code in gone:
                self.withdraw(order, "delisted")
        self.queue = [order for order in self.queue if order.code not in gone]

    def take(self, code: str, day: int, shares: int) -> Decimal:
        """Takes the oldest shares out; the tax that falls due."""
        due, lots = Decimal(0), self.lots[code]
        while shares:
            lot = lots[0]
            taken = min(shares, lot.shares)
            rest = []
            by_regime: dict[dt.date, Decimal] = {}
            for record, base in lot.taxable:
                regime = max(rule.since for rule in trading_rules.DIVIDEND_TAXES if rule.since <= record)
                by_regime[regime] = by_regime.get(regime, Decimal(0)) + base
            for regime, base in by_regime.items():
                part = (base * taken / lot.shares).quantize(UNIT, ROUND_FLOOR)
                percent = trading_rules.dividend_tax_rate(regime, self.sessions[lot.day], self.sessions[day])
                due += half_up(part * percent / 100, UNIT)
                rest.append((regime, base - part))
            lot.taxable = rest
            lot.shares -= taken
            shares -= taken
            if not lot.shares:
                lots.pop(0)
        if not lots:
            del self.lots[code]
        return half_up(due, self.to)

    # --- orders

    def make(self, day: int, code: str, side: str, wanted: int) -> Order:
        order = Order(day, code, side, wanted)
        self.orders.append(order)
        self.queue.append(order)
        return order

    def withdraw(self, order: Order, reason: str) -> None:
        order.status, order.reason = "part_filled" if order.filled else "withdrawn", reason

    def waits(self, code: str) -> Order | None:
        return next((order for order in self.queue if order.code == code and order.status == "waiting"), None)

    def begin_orders(self, day: int, decided: list[tuple[str, Any, Any]], worth: Decimal) -> None:
        del worth
        for code, side, shares in decided:
            self.make(day, code, side, shares)

    def begin_signals(self, day: int, decided: list[tuple[str, Any, Any]], worth: Decimal) -> None:
        del worth
        for code, signal, _ in decided:
            if signal >= 0:
                continue
            waiting = self.waits(code)
            if waiting is not None and waiting.side == "buy":
                self.withdraw(waiting, "opposite")
                waiting = None
            if self.held(code) and waiting is None:
                self.make(day, code, "sell", self.held(code))

    def buy_signals(self, day: int, decided: list[tuple[str, Any, Any]], worth: Decimal) -> None:
        most = self.settings.max_positions
        buys = [(code, score) for code, signal, score in decided if signal > 0]
        waiting_buys = {order.code for order in self.queue if order.status == "waiting" and order.side == "buy"}
        free = most - len(self.lots) - len([code for code in waiting_buys if code not in self.lots])
        for code, _ in buys:
            waiting = self.waits(code)
            if waiting is not None and waiting.side == "sell":
                self.withdraw(waiting, "opposite")
        open_to = [(code, score) for code, score in buys if code not in self.lots and self.waits(code) is None]
        chosen = sorted(open_to, key=lambda each: (-each[1], each[0]))[: max(free, 0)]
        total = sum(max(score, 0.0) for _, score in chosen)
        each = int(worth / UNIT) // most
        for code, score in chosen:
            budget = each
            if self.settings.sizing is Sizing.SCORE and total > 0:
                budget = int(each * len(chosen) * (max(score, 0.0) / total))
            price = self.reference(code, day)
            wanted = 0 if price is None else self.buy_lot(code, budget // int(price / UNIT))
            self.make(day, code, "buy", wanted)

    def begin_weights(self, day: int, decided: list[tuple[str, Any, Any]], worth: Decimal) -> None:
        if not decided:
            return
        for order in self.queue:
            self.withdraw(order, "superseded")
        self.queue = []
        named = {code for code, _, _ in decided}
        for code in [code for code in self.lots if code not in named]:
            self.make(day, code, "sell", self.held(code))
        for code, weight, _ in sorted(decided, key=lambda each: (-each[1], each[0])):
            held, price = self.held(code), self.reference(code, day)
            target = 0 if price is None else int((worth * Decimal(str(weight))).quantize(UNIT, ROUND_FLOOR) / price)
            if weight > 0 and target >= held:
                more = self.buy_lot(code, target - held)
                if more or not held:
                    self.make(day, code, "buy", more)
            elif target < held:
                less = held if weight == 0 else self.sale_lot(code, held - target, held)
                if less:
                    self.make(day, code, "sell", less)

    def reference(self, code: str, day: int) -> Decimal | None:
        bar = self.bars.get((code, day))
        if bar is not None:
            return bar.close if self.settings.fill is Fill.CLOSE else bar.pre_close
        earlier = [at for at in range(day) if (code, at) in self.bars]
        if not earlier:
            return None
        return self.mark[code] if code in self.lots else self.bars[code, earlier[-1]].close

    # --- trading

    def lot(self, code: str) -> tuple[int, int]:
        if not self.settings.lots:
            return 1, 1
        return {Board.STAR: (200, 1), Board.BSE: (100, 1), Board.CONVERTIBLE_BOND: (10, 10)}.get(board(code), (100, 100))

    def buy_lot(self, code: str, shares: int) -> int:
        least, step = self.lot(code)
        return 0 if shares < least else shares - (shares - least) % step

    def sale_lot(self, code: str, shares: int, free: int) -> int:
        least, step = self.lot(code)
        if shares == free or (step == 1 and shares >= least):
            return shares
        if step == 1:
            return 0
        return next(n for n in range(shares, -1, -1) if n % step in {0, free % step})

    def trade(self, day: int, side: str, *, soft: bool = False) -> None:
        kept = []
        for order in self.queue:
            if order.status != "waiting":
                continue
            later = soft and order.wanted - order.filled > self.held(order.code)
            if order.side != side or later or not self.try_(order, day):
                kept.append(order)
        self.queue = kept

    def try_(self, order: Order, day: int) -> bool:
        code, settings, left = order.code, self.settings, order.wanted - order.filled
        bar = self.bars.get((code, day))
        shares, reason, waits, price = 0, "none", False, Decimal(0)
        if bar is None and not any((code, at) in self.bars for at in range(day + 1)):
            reason = "not_listed"
        elif left <= 0:
            reason = "lot"
        elif bar is None or bar.volume <= 0:
            reason, waits = "halted", True
        else:
            seen = {
                Fill.NEXT_OPEN: (bar.open, bar.open, bar.open),
                Fill.NEXT_CLOSE: (bar.close, bar.close, bar.close),
                Fill.CLOSE: (bar.close, bar.close, bar.close),
                Fill.VWAP: (bar.vwap, bar.low, bar.high),
            }
            base, low, high = seen[settings.fill]
            if order.side == "buy" and settings.price_limits and bar.up is not None and low >= bar.up:
                reason, waits = "limit_up", True
            elif order.side == "sell" and settings.price_limits and bar.down is not None and high <= bar.down:
                reason, waits = "limit_down", True
            else:
                shares, reason, waits, price = self.most(order, bar, base, left, day)
        if shares:
            self.fill(order, day, shares, price)
            left -= shares
        order.reason = reason
        patience = settings.buy_patience if order.side == "buy" else settings.sell_patience
        if left > 0 and waits and order.tries < patience:
            order.tries += 1
            return False
        if order.filled:
            order.status, order.reason = ("filled", "none") if left == 0 else ("part_filled", reason)
        else:
            order.status = "expired" if waits and order.tries else "refused"
        return True

    def most(self, order: Order, bar: Bar, base: Decimal, left: int, day: int) -> tuple[int, str, bool, Decimal]:
        """How many shares can trade, at which price, and what cut them."""
        code, settings = order.code, self.settings
        tick = Decimal("0.001") if board(code) in (Board.ETF, Board.CONVERTIBLE_BOND) else CENT
        slip = half_up(base * Decimal(str(settings.slippage_bp)) / 10_000, tick) + settings.slippage_ticks * tick
        if order.side == "buy":
            price = base + slip if bar.up is None else min(base + slip, max(bar.up, base))
        else:
            price = max(base - slip, tick) if bar.down is None else max(base - slip, min(bar.down, base), tick)
        shares, reason, waits, free = left, "none", False, self.held(code)
        if order.side == "sell":
            today = sum(lot.shares for lot in self.lots.get(code, []) if lot.day == day)
            if today and settings.t_plus_1 and trading_rules.sessions_until_sellable(code, self.sessions[day]):
                free -= today
            if free < shares:
                shares, reason = free, "t_plus_1" if free < self.held(code) else "not_held"
        if settings.volume_share is not None:
            part = (bar.volume * Decimal(str(settings.volume_share))).to_integral_value(ROUND_FLOOR)
            allowed = max(int(part) - self.used.get(code, 0), 0)
            if allowed < shares:
                shares, reason, waits = allowed, "volume", True
        whole = self.buy_lot(code, shares) if order.side == "buy" else self.sale_lot(code, shares, free)
        if whole < shares and reason == "none":
            reason = "lot"
        shares = whole
        if order.side == "buy" and shares:
            least, step = self.lot(code)
            possible = range(0, shares + 1 - least, step)  # each a number of shares above the least
            above = bisect.bisect_right(possible, self.cash, key=lambda n: self.paid(code, day, least + n, price))
            paid = least + possible[above - 1] if above else 0
            if paid < shares:
                shares, reason, waits = paid, "cash", False
        return shares, reason, waits, price

    def paid(self, code: str, day: int, shares: int, price: Decimal) -> Decimal:
        value = half_up(price * shares, self.to)
        return value + sum(self.fees(code, day, "buy", shares, value))

    def fees(self, code: str, day: int, side: str, shares: int, value: Decimal) -> list[Decimal]:
        settings, row = self.settings, trading_rules.fee_class(code)
        by_date = self.rates[day]

        def rate(own: float | None, table: Any) -> Decimal:
            return Decimal(str(own)) if own is not None else Decimal(int(table[row, 0])) / PARTS

        stamp = (
            rate(settings.stamp_duty_buy, by_date.stamp_buy)
            if side == "buy"
            else rate(settings.stamp_duty_sell, by_date.stamp_sell)
        )
        transfer = half_up(value * rate(settings.transfer_fee, by_date.transfer), self.to)
        if settings.transfer_fee is None:
            transfer += half_up(shares * Decimal(int(by_date.transfer_of_par[row, 0])) / PARTS, self.to)
            transfer = max(transfer, Decimal(int(by_date.transfer_minimum[row, 0])) * CENT)
        commission = half_up(value * Decimal(str(settings.commission)), self.to)
        fees = [
            max(commission, Decimal(str(settings.minimum_commission))),
            half_up(value * stamp, self.to),
            transfer,
        ]
        if not settings.commission_all_in:
            fees.append(half_up(value * rate(settings.handling_fee, by_date.handling), self.to))
            fees.append(half_up(value * rate(settings.regulatory_fee, by_date.regulatory), self.to))
        return fees

    def fill(self, order: Order, day: int, shares: int, price: Decimal) -> None:
        code, value = order.code, half_up(price * shares, self.to)
        fees = sum(self.fees(code, day, order.side, shares, value), Decimal(0))
        self.used[code] = self.used.get(code, 0) + shares
        if order.side == "buy":
            self.cash -= value + fees
            if code not in self.lots:
                self.mark[code] = price
            self.lots.setdefault(code, []).append(Lot(day, shares))
        else:
            self.cash += value - fees - self.take(code, day, shares)
        order.filled += shares
        self.trades.append((day, code, order.side, shares, self.cash))
