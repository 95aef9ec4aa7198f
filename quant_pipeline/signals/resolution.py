"""Which of the signals that are open on a session is followed: duplicates, contradictions, what is held already."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from quant_pipeline.language import say, say_many
from quant_pipeline.signals.rules import Policy

BUY, SELL = "buy", "sell"


class Conflict(StrEnum):
    """What a signal stands against."""

    OPPOSITE = "opposite"
    """Another strategy says the contrary of the same code."""
    DUPLICATE = "duplicate"
    """Another signal says the same of the same code."""
    HELD = "held"
    """It says to buy what is held already."""
    NOT_HELD = "not_held"
    """It says to sell what is not held."""


@dataclass(frozen=True)
class Signal:
    """`session`: of which it is · `strength`: 0 to 1 · `priority`: 1 goes first."""

    session: dt.date
    strategy: str
    ts_code: str
    direction: str
    strength: float
    priority: int

    def __str__(self) -> str:
        return f"{self.strategy} {self.direction}"


@dataclass(frozen=True)
class Decision:
    """`against`: what it stood against, as text; `reason`: a sentence, in the language of messages."""

    signal: Signal
    accepted: bool
    conflict: Conflict | None
    against: str
    reason: str


def resolved(signals: Iterable[Signal], policy: Policy, held: Collection[str] | None = None) -> list[Decision]:
    """A decision on each signal, code by code. At most one per code is accepted.

    `held`: the codes that the portfolio holds; None: there is none, and nothing is asked of holdings.
    """
    by_code: dict[str, list[Signal]] = {}
    for signal in signals:
        by_code.setdefault(signal.ts_code, []).append(signal)
    return [decision for each in by_code.values() for decision in _of_code(each, policy, held)]


def _of_code(signals: Sequence[Signal], policy: Policy, held: Collection[str] | None) -> list[Decision]:
    by_direction = {way: [each for each in signals if each.direction == way] for way in (BUY, SELL)}
    sides = {way: found for way, found in by_direction.items() if found}
    wins, why = _winning(sides, policy)
    losers = [each for each in signals if each.direction != wins]
    leader, *others = sorted(sides[wins], key=_order(policy))
    decisions = [Decision(each, False, Conflict.OPPOSITE, _named(sides[wins]), why) for each in losers]
    decisions += [
        Decision(each, False, Conflict.DUPLICATE, str(leader), say("the same as {leader}, which goes first", leader=leader))
        for each in others
    ]
    return [*decisions, _on_leader(leader, losers, why, held)]


def _on_leader(leader: Signal, losers: Sequence[Signal], why: str, held: Collection[str] | None) -> Decision:
    if held is not None and leader.direction == BUY and leader.ts_code in held:
        return Decision(leader, False, Conflict.HELD, leader.ts_code, say("the portfolio holds it already"))
    if held is not None and leader.direction == SELL and leader.ts_code not in held:
        return Decision(leader, False, Conflict.NOT_HELD, leader.ts_code, say("the portfolio does not hold it"))
    if losers:
        return Decision(leader, True, Conflict.OPPOSITE, _named(losers), why)
    return Decision(leader, True, None, "", say("nothing speaks against it"))


def _winning(sides: Mapping[str, Sequence[Signal]], policy: Policy) -> tuple[str, str]:
    """The direction that is followed, and why, for both sides to read. Where nothing tells them apart: sell."""
    if len(sides) == 1:
        return next(iter(sides)), ""
    if policy is Policy.VETO:
        return SELL, say("veto: {sale} forbids to buy", sale=sides[SELL][0])
    if policy is Policy.MAJORITY:
        votes = {way: len({each.strategy for each in found}) for way, found in sides.items()}
        strengths = {way: sum(each.strength for each in found) for way, found in sides.items()}
        wins = BUY if (votes[BUY], strengths[BUY]) > (votes[SELL], strengths[SELL]) else SELL
        told = say_many(
            "majority: {count} strategy says buy, {sales} sell", "majority: {count} strategies say buy, {sales} sell",
            votes[BUY], sales=votes[SELL],
        )  # fmt: skip
        return wins, told
    first = {way: min(found, key=_order(policy)) for way, found in sides.items()}
    wins = BUY if _rank(first[BUY], policy) < _rank(first[SELL], policy) else SELL
    lead, other = first[wins], first[SELL if wins == BUY else BUY]
    figures = {
        "winner": lead, "loser": other, "one": lead.priority, "two": other.priority,
        "stronger": f"{lead.strength:.2f}", "weaker": f"{other.strength:.2f}",
    }  # fmt: skip
    if policy is Policy.PRIORITY:
        text = say("priority: {winner} ({one}, strength {stronger}) before {loser} ({two}, strength {weaker})", **figures)
    else:
        text = say("strength: {winner} ({stronger}, priority {one}) over {loser} ({weaker}, priority {two})", **figures)
    return wins, text


def _rank(signal: Signal, policy: Policy) -> tuple[float, float]:
    if policy is Policy.STRENGTH:
        return (-signal.strength, signal.priority)
    return (signal.priority, -signal.strength)


def _order(policy: Policy) -> Callable[[Signal], tuple[float, float, int, str]]:
    """Of signals that say the same, the one that ranks first, the newer one of one strategy's, and by name at last."""
    return lambda signal: (*_rank(signal, policy), -signal.session.toordinal(), signal.strategy)


def _named(signals: Iterable[Signal]) -> str:
    return ", ".join(sorted({str(each) for each in signals}))
