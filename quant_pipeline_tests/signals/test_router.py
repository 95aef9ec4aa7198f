"""Signals out of a real database: taken in, decided upon, carried over sessions, kept with their reasons, cleaned up."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from quant_pipeline.configuration import ConfigurationError
from quant_pipeline.signals.cleanup import clean
from quant_pipeline.signals.router import NotScreened, Routed, route
from quant_pipeline.signals.rules import OfStrategy, Policy, Rules, load
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline_tests.signals.conftest import Breaks, screened, strategies
from quant_pipeline_tests.sync.stored import CALENDAR, LATEST, market, sessions

DAYS = sessions(6)
CODES = ["600000.SH", "600001.SH", "600002.SH"]
A, B, C = CODES
Known = dict[str, type[Strategy]]


def routed(database: Database, *days: dt.date, rules: Rules | None = None, **more: object) -> list[Routed]:
    found = []
    for _, each, _ in route(database, CALENDAR, rules or Rules(), days or DAYS[-1:], **more):  # type: ignore[arg-type]
        assert isinstance(each, Routed), each
        found.append(each)
    return found


def statuses(database: Database) -> dict[tuple[str, str, str], str]:
    rows = read_sql(database, "SELECT strategy, ts_code, direction, status FROM signals ORDER BY trade_date")
    return {(strategy, code, way): status for strategy, code, way, status in rows.iter_rows()}


def test_screens_and_sales_become_signals_with_strength_priority_and_validity(warehouse: Database, known: Known) -> None:
    market(warehouse, DAYS, CODES)
    known |= strategies(up=[], down=[B, C])
    screened(warehouse, "up", LATEST, {A: 3.0, B: 1.0})
    screened(warehouse, "down", LATEST, {})
    rules = Rules(valid=2, strategies={"up": OfStrategy(priority=7)})
    (found,) = routed(warehouse, rules=rules)
    rows = found.rows.select("strategy", "ts_code", "direction", "strength", "priority").rows()
    assert rows == [
        ("down", B, "sell", 1.0, 100),
        ("down", C, "sell", 0.5, 100),
        ("up", A, "buy", 1.0, 7),
        ("up", B, "buy", 0.5, 7),
    ]  # of sales the lowest score is the strongest
    assert set(found.rows["valid_until"]) == {CALENDAR.shift(LATEST, 1)}
    assert found.rows.filter(ts_code=A)["close"].item() == pytest.approx(10.5)
    assert found.conflicts == {"opposite": 2, "duplicate": 0, "held": 0, "not_held": 0}
    stored = read_sql(
        warehouse, "SELECT strategy, ts_code, status, reason FROM signals WHERE ts_code = %(code)s ORDER BY 1", {"code": B}
    )
    assert stored.rows() == [
        ("down", B, "refused", "优先级：up buy（7，强度 0.50）先于 down sell（100，强度 1.00）"),
        ("up", B, "accepted", "优先级：up buy（7，强度 0.50）先于 down sell（100，强度 1.00）"),
    ]


def test_without_a_score_the_strength_is_a_half(warehouse: Database, known: Known) -> None:
    market(warehouse, DAYS, CODES)
    screened(warehouse, "gone", LATEST, {A: None, B: None})  # of a strategy that is no longer registered
    (found,) = routed(warehouse)
    assert found.rows["strength"].to_list() == [0.5, 0.5]
    assert known == {}


def test_every_decision_is_kept_with_its_reason_and_a_rerun_writes_the_same(warehouse: Database, known: Known) -> None:
    market(warehouse, DAYS, CODES)
    known |= strategies(down=[A])
    screened(warehouse, "up", LATEST, {A: 1.0})
    screened(warehouse, "down", LATEST, {})
    for policy, wins in ((Policy.STRENGTH, "down"), (Policy.VETO, "down"), (Policy.VETO, "down")):
        (found,) = routed(warehouse, policy=policy)
        history = read_sql(warehouse, "SELECT decided_on, strategy, decision, conflict, against, policy FROM signal_decisions")
        assert sorted(history.rows()) == [
            (LATEST, "down", "accepted", "opposite", "up buy", policy.value),
            (LATEST, "up", "refused", "opposite", "down sell", policy.value),
        ]
        assert statuses(warehouse)[wins, A, "sell"] == "accepted"
    assert (found.written.inserted, found.written.updated) == (0, 0)


def test_a_signal_is_decided_upon_as_long_as_it_is_valid(warehouse: Database, known: Known) -> None:
    market(warehouse, DAYS, CODES)
    known |= strategies(down=[])
    first, second, third = DAYS[-3:]
    screened(warehouse, "up", first, {A: 1.0})
    for day in (second, third):
        screened(warehouse, "down", day, {})
    known |= strategies(down=[A])
    rules = Rules(policy=Policy.VETO, strategies={"up": OfStrategy(valid=2)})
    results = routed(warehouse, first, second, third, rules=rules)
    assert [each.decisions.select("strategy", "decision").rows() for each in results] == [
        [("up", "accepted")],
        [("up", "refused"), ("down", "accepted")],
        [("down", "accepted")],
    ]
    row = read_sql(warehouse, "SELECT status, decided_on, conflict FROM signals WHERE strategy = 'up'").row(0)
    assert row == ("refused", second, "opposite")
    history = "SELECT decided_on, decision FROM signal_decisions WHERE strategy = 'up' ORDER BY 1"
    assert read_sql(warehouse, history).rows() == [(first, "accepted"), (second, "refused")]
    routed(warehouse, first, rules=rules)
    again = read_sql(warehouse, "SELECT status, decided_on FROM signals WHERE strategy = 'up'").row(0)
    assert again == ("refused", second), "what later sessions decided since is not undone"


def test_what_the_portfolio_holds_is_not_bought_again(warehouse: Database, known: Known) -> None:
    market(warehouse, DAYS, CODES)
    known |= strategies(down=[B, C])
    screened(warehouse, "up", LATEST, {A: 1.0})
    screened(warehouse, "down", LATEST, {})
    (found,) = routed(warehouse, held=lambda _: {A, B})
    assert statuses(warehouse) == {
        ("up", A, "buy"): "refused",
        ("down", B, "sell"): "accepted",
        ("down", C, "sell"): "refused",
    }
    assert found.conflicts == {"opposite": 0, "duplicate": 0, "held": 1, "not_held": 1}


def test_a_session_that_was_not_screened_is_said_and_stops_no_other(warehouse: Database, known: Known) -> None:
    market(warehouse, DAYS, CODES)
    known |= strategies(up=[])
    screened(warehouse, "up", LATEST, {A: 1.0})
    found = [each for _, each, _ in route(warehouse, CALENDAR, Rules(), DAYS[-2:])]
    assert isinstance(found[0], NotScreened)
    assert str(found[0]) == f"no screen ran for {DAYS[-2]}: run them first, `quant-pipeline run --date {DAYS[-2]}`"
    assert isinstance(found[1], Routed)


def test_a_strategy_that_breaks_costs_its_sales_alone(warehouse: Database, known: Known) -> None:
    market(warehouse, DAYS, CODES)
    known |= {**strategies(down=[A]), "broken": type("broken", (Breaks,), {"name": "broken"})}
    screened(warehouse, "broken", LATEST, {B: 1.0})
    screened(warehouse, "down", LATEST, {})
    ((_, _, news),) = route(warehouse, CALENDAR, Rules(), [LATEST])
    assert news.failed == {"broken": "broken: it failed on these bars (division by zero): mend its file"}
    assert set(statuses(warehouse)) == {("down", A, "sell"), ("broken", B, "buy")}


def test_expired_signals_are_marked_and_old_ones_forgotten(warehouse: Database, known: Known) -> None:
    days = sessions(25)
    market(warehouse, days, CODES)
    known |= strategies(down=[])
    for day in (days[0], days[-2], LATEST):
        screened(warehouse, "up", day, {A: 1.0, B: 2.0})
    routed(warehouse, days[0], days[-2], LATEST, held=lambda _: {A})
    cleaned = clean(warehouse, CALENDAR, Rules(kept=20))
    assert (cleaned.expired, cleaned.forgotten) == (2, 4)
    rows = read_sql(warehouse, "SELECT trade_date, ts_code, status FROM signals ORDER BY 1, 2").rows()
    assert rows == [
        (days[-2], A, "expired"),
        (days[-2], B, "accepted"),
        (LATEST, A, "refused"),
        (LATEST, B, "accepted"),
    ]
    why = read_sql(
        warehouse, "SELECT reason FROM signal_decisions WHERE decision = 'expired' AND trade_date > %(day)s", {"day": days[0]}
    )
    assert why.item() == f"有效期至 {days[-2]}: 组合已持有"
    assert clean(warehouse, CALENDAR, Rules(kept=20)).expired == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('policy = "coin"', "policy: it must be 'priority', 'strength', 'majority' or 'veto'"),
        ("valid = 0", "valid: it must be at least 1"),
        ("[strategies.dual_mb]\npriority = 1", "there is no strategy 'dual_mb'; strategies are dual_ma"),
        ("polic = 1", "polic: there is no such field"),
        ("policy = ", "the rules of signals in .*signals.toml cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "signals.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=told):
        load(["dual_ma"], tmp_path / "signals.toml")


def test_the_file_that_is_delivered_says_the_defaults() -> None:
    assert load(["dual_ma"], Path(__file__).parents[2] / "signals.toml") == Rules()


def test_the_document_s_example_can_be_used(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "signals.md").read_text(encoding="utf-8")
    (tmp_path / "signals.toml").write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    rules = load(["dual_ma"], tmp_path / "signals.toml")
    assert (rules.policy, rules.valid, rules.priority("dual_ma"), rules.portfolio.max_positions) == (Policy.VETO, 2, 1, 20)
