"""Who wins where signals contradict each other, and why: each policy by hand."""

from __future__ import annotations

import datetime as dt

import pytest

from quant_pipeline.signals.resolution import BUY, SELL, Conflict, Decision, Signal, resolved
from quant_pipeline.signals.rules import Policy

DAY = dt.date(2026, 11, 20)
EVE = dt.date(2026, 11, 19)
CODE = "600000.SH"


def signal(
    strategy: str,
    direction: str = BUY,
    strength: float = 0.5,
    priority: int = 100,
    *,
    session: dt.date = DAY,
    ts_code: str = CODE,
) -> Signal:
    return Signal(session, strategy, ts_code, direction, strength, priority)


def accepted(decisions: list[Decision]) -> list[str]:
    return [str(each.signal) for each in decisions if each.accepted]


def of(decisions: list[Decision], strategy: str) -> Decision:
    return next(each for each in decisions if each.signal.strategy == strategy)


def test_what_stands_alone_is_accepted() -> None:
    (one,) = resolved([signal("a")], Policy.PRIORITY)
    assert (one.accepted, one.conflict, one.reason) == (True, None, "nothing speaks against it")


def test_of_duplicates_the_first_goes() -> None:
    found = resolved([signal("a", priority=2, strength=0.9), signal("b", priority=1, strength=0.1)], Policy.PRIORITY)
    assert accepted(found) == ["b buy"]
    assert (of(found, "a").conflict, of(found, "a").against) == (Conflict.DUPLICATE, "b buy")
    assert of(found, "a").reason == "the same as b buy, which goes first"
    assert accepted(resolved([each.signal for each in found], Policy.STRENGTH)) == ["a buy"]


def test_of_one_strategy_s_two_sessions_the_newer_goes() -> None:
    found = resolved([signal("a", session=EVE), signal("a")], Policy.PRIORITY)
    assert [(each.signal.session, each.accepted) for each in found] == [(EVE, False), (DAY, True)]


CONTRARY = [
    signal("a", BUY, strength=0.9, priority=3),
    signal("b", BUY, strength=0.8, priority=2),
    signal("c", SELL, strength=0.4, priority=1),
]


@pytest.mark.parametrize(
    ("policy", "wins", "why"),
    [
        (Policy.PRIORITY, "c sell", "priority: c sell (1, strength 0.40) before b buy (2, strength 0.80)"),
        (Policy.STRENGTH, "a buy", "strength: a buy (0.90, priority 3) over c sell (0.40, priority 1)"),
        (Policy.MAJORITY, "b buy", "majority: 2 strategies say buy, 1 sell"),
        (Policy.VETO, "c sell", "veto: c sell forbids to buy"),
    ],
)
def test_a_contradiction_is_resolved_by_the_policy_and_both_sides_read_why(policy: Policy, wins: str, why: str) -> None:
    found = resolved(CONTRARY, policy)
    assert accepted(found) == [wins]
    opposed = [each for each in found if each.conflict is Conflict.OPPOSITE]
    assert {each.reason for each in opposed} == {why}
    assert {each.signal.direction for each in opposed} == {BUY, SELL}
    assert len(found) == 3


@pytest.mark.parametrize("policy", Policy)
def test_where_nothing_tells_them_apart_it_is_sold(policy: Policy) -> None:
    assert accepted(resolved([signal("a", BUY), signal("b", SELL)], policy)) == ["b sell"]


def test_as_many_votes_are_told_apart_by_strength() -> None:
    assert accepted(resolved([signal("a", BUY, 0.9), signal("b", SELL, 0.4)], Policy.MAJORITY)) == ["a buy"]
    twice = [signal("b", SELL, 0.2), signal("b", SELL, 0.2, session=EVE)]
    found = resolved([signal("a", BUY, 0.5), *twice], Policy.MAJORITY)
    assert accepted(found) == ["a buy"], "a strategy that says it twice has one vote"


def test_what_is_held_is_not_bought_again_and_what_is_not_held_not_sold() -> None:
    held = resolved([signal("a", BUY)], Policy.PRIORITY, {CODE})
    assert [(each.accepted, each.conflict, each.reason) for each in held] == [
        (False, Conflict.HELD, "the portfolio holds it already")
    ]
    free = resolved([signal("a", SELL)], Policy.PRIORITY, set())
    assert [(each.accepted, each.conflict) for each in free] == [(False, Conflict.NOT_HELD)]
    assert accepted(resolved([signal("a", SELL)], Policy.PRIORITY, {CODE})) == ["a sell"]
    assert accepted(resolved([signal("a", BUY)], Policy.PRIORITY, set())) == ["a buy"]


def test_a_sale_of_what_is_not_held_speaks_against_buying_it_all_the_same() -> None:
    found = resolved([signal("a", BUY), signal("b", SELL)], Policy.VETO, set())
    assert accepted(found) == []
    assert of(found, "b").conflict is Conflict.NOT_HELD


def test_codes_do_not_meet() -> None:
    found = resolved([signal("a", BUY), signal("b", SELL, ts_code="000001.SZ")], Policy.VETO)
    assert accepted(found) == ["a buy", "b sell"]
