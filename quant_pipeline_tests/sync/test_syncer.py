"""The syncer's modes: what is asked for is planned in the fewest calls, fetched once, and what failed can be tried again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest

from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    CB_DAILY,
    CONVERTIBLE_BONDS,
    DAILY_KLINE,
    DIVIDENDS,
    INDEX_DAILY,
    INDEX_LIST,
    INDEX_WEIGHTS,
    MONTHLY_KLINE,
    SOURCED,
    THS_CONCEPTS,
    THS_INDUSTRIES,
    THS_MEMBERS,
    TRADE_CALENDAR,
    WEEKLY_KLINE,
)
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync import plan
from quant_pipeline.sync.engine import Outcome
from quant_pipeline.sync.ledger import ItemStatus, Ledger, item_of, record
from quant_pipeline.sync.plan import PlanError
from quant_pipeline.sync.roster import Roster
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline_tests.sync.conftest import LATEST, Bench


@pytest.fixture
def syncer(bench: Bench) -> Syncer:
    derived = DerivedSource(bench.database, bench.calendar, Limiter(bench.database.pool, bench.presence), bench.policies)
    ranking = Ranking(bench.database.pool, {"tushare": 1, "derived": 9})
    return Syncer(bench.database, bench.calendar, [bench.source(), derived], ranking, bench.ledger, bench.run)


@pytest.fixture
def baostock(bench: Bench) -> Iterator[BaostockSource]:
    account = (bench.sandbox.host, bench.sandbox.baostock_port, "anonymous", "123456")
    policies = {"baostock": {"*": RatePolicy(per_minute=None, per_second=None, concurrency=1)}}
    source = BaostockSource(*account, xshg(), Limiter(bench.database.pool, bench.presence), policies)
    yield source
    source.close()


def _made(bench: Bench, *apis: str) -> int:
    return sum(len(bench.sandbox.calls(api)) for api in apis)


@pytest.mark.parametrize("name", [name for name, dataset in SOURCED.items() if dataset.dated and not dataset.periodic])
def test_the_planned_calls_are_the_calls_made(bench: Bench, syncer: Syncer, name: str) -> None:
    dataset, sessions = SOURCED[name], bench.sessions(5)
    bench.reference(sessions)
    for universe in dataset.universe:
        syncer.sync(SOURCED[universe], Request())
    request = Request(sessions=sessions)
    (plan,) = syncer.plan(dataset, request)
    before = len(bench.sandbox.calls())
    outcome = syncer.sync(dataset, request)
    assert not outcome.failed
    made = len(bench.sandbox.calls()) - before
    assert made == plan.calls == outcome.total("calls")
    assert [each.calls for each in syncer.plan(dataset, request)] == [0], "what is done is not planned again"


def test_a_range_of_more_sessions_than_codes_is_asked_for_code_by_code(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(140)
    bench.reference(sessions)
    (plan,) = syncer.plan(DAILY_KLINE, Request(sessions=sessions))
    assert plan.grain is Grain.CODE
    told: list[Unit] = []
    outcome = syncer.sync(DAILY_KLINE, Request(sessions=sessions), on_committed=lambda unit, _item: told.append(unit))
    assert not outcome.failed
    assert _made(bench, "daily") == plan.calls < 140
    assert [unit.start for unit in told if unit.grain is Grain.SESSION] == list(sessions), "each session is told complete"
    stored = bench.rows("SELECT count(*), count(DISTINCT trade_date) FROM daily_kline")
    assert stored == [(sum(item.rows for unit, item in outcome.synced.items() if unit.grain is Grain.CODE), 140)]
    again = syncer.sync(DAILY_KLINE, Request(sessions=sessions))
    assert (len(again.synced), len(again.before)) == (0, 140)
    assert _made(bench, "daily") == plan.calls


def test_days_without_an_ex_date_are_complete_when_every_code_was_asked(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(140)
    bench.reference(sessions[-1:])
    (plan,) = (each for each in syncer.plan(DIVIDENDS, Request(sessions=sessions)) if each.dataset is DIVIDENDS)
    assert plan.grain is Grain.CODE
    told: list[Unit] = []
    outcome = syncer.sync(DIVIDENDS, Request(sessions=sessions), on_committed=lambda unit, _item: told.append(unit))
    assert not outcome.failed
    assert [unit.start for unit in told if unit.grain is Grain.SESSION] == list(sessions)
    ((rows, days),) = bench.rows("SELECT count(*), count(DISTINCT trade_date) FROM dividends")
    assert 0 < days <= rows < len(sessions)
    again = syncer.sync(DIVIDENDS, Request(sessions=sessions))
    assert (len(again.synced), len(again.before)) == (0, 140)


def test_where_a_code_failed_no_session_of_what_may_be_empty_is_complete(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(140)
    bench.reference(sessions[-1:])
    bench.sandbox.order_fault("permission", api="dividend", after=3, times=1)
    outcome = syncer.sync(DIVIDENDS, Request(sessions=sessions))
    assert outcome.failed
    assert outcome.complete == {}


def test_the_running_month_s_members_give_way_to_the_next_label(
    bench: Bench, syncer: Syncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, latest = bench.sessions(2)
    monkeypatch.setenv("QUANT_NOW", f"{before}T18:00")
    for day in (before, latest):
        monkeypatch.setenv("QUANT_NOW", f"{day}T18:00")
        assert not syncer.sync(INDEX_WEIGHTS, Request(sessions=[day])).failed
        ((label, as_of, weight),) = bench.rows(
            "SELECT trade_date, as_of, round(sum(weight)) FROM index_weights WHERE index_code = '000300.SH' GROUP BY 1, 2"
        )
        assert (label, as_of, weight) == (day, dt.date(2026, 10, 30), 100)
    assert _made(bench, "daily") == 0, "no bars are needed for it"


def test_an_index_is_asked_for_by_code_and_only_for_the_days_that_lack(bench: Bench, syncer: Syncer) -> None:
    syncer.sync(TRADE_CALENDAR, Request())
    assert [plan.dataset for plan in syncer.plan(INDEX_DAILY, Request(sessions=bench.sessions(3)[:2]))] == [
        INDEX_LIST,
        INDEX_DAILY,
    ]
    first = syncer.sync(INDEX_DAILY, Request(sessions=bench.sessions(3)[:2]))
    assert not first.failed
    calls = _made(bench, "index_daily")
    assert calls == len(INDEX_DAILY.codes)
    second = syncer.sync(INDEX_DAILY, Request(sessions=bench.sessions(3)))
    assert not second.failed
    assert _made(bench, "index_daily") == 2 * calls
    assert {unit.start for unit in second.synced} == {LATEST}
    assert len(bench.rows("SELECT DISTINCT trade_date FROM index_daily")) == 3


def test_the_members_come_board_by_board_and_one_bad_board_does_not_stop_the_others(bench: Bench, syncer: Syncer) -> None:
    with pytest.raises(PlanError, match="sync ths_concepts, ths_industries first"):
        syncer.plan(THS_MEMBERS, Request())
    for dataset in (THS_CONCEPTS, THS_INDUSTRIES):
        syncer.sync(dataset, Request())
    boards = len(bench.rows("SELECT ts_code FROM ths_concepts UNION SELECT ts_code FROM ths_industries"))
    bench.policies["tushare"] = {"*": bench.policies["tushare"]["*"].model_copy(update={"retries": 0})}
    derived = DerivedSource(bench.database, bench.calendar, Limiter(bench.database.pool, bench.presence), bench.policies)
    ranking = Ranking(bench.database.pool, {"tushare": 1, "derived": 9})
    syncer = Syncer(bench.database, bench.calendar, [bench.source(), derived], ranking, bench.ledger, bench.run)
    bench.sandbox.order_fault("status", api="ths_member", after=3, times=1, status=500)
    outcome = syncer.sync(THS_MEMBERS, Request())
    assert (len(outcome.synced), len(outcome.failed)) == (boards - 1, 1)
    assert len(bench.rows("SELECT DISTINCT ts_code FROM ths_members")) == boards - 1


def test_a_list_is_planned_with_as_many_pages_as_it_had(bench: Bench, baostock: BaostockSource) -> None:
    """BaoStock turns pages of 2,000 rows, and a calendar has a row per day."""
    ranking = Ranking(bench.database.pool, {"baostock": 1})
    syncer = Syncer(bench.database, bench.calendar, [baostock], ranking, bench.ledger, bench.run)
    syncer.sync(TRADE_CALENDAR, Request())
    (plan,) = syncer.plan(TRADE_CALENDAR, Request(force=True))
    outcome = syncer.sync(TRADE_CALENDAR, Request(force=True))
    assert plan.calls == outcome.total("calls") > 5


@pytest.mark.parametrize("name", ["weekly_kline", "monthly_kline"])
def test_the_running_period_is_planned_at_the_price_of_who_has_it(
    bench: Bench, syncer: Syncer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Tushare has no running week or month: it is derived, in one call, however many pages Tushare's others take."""
    monkeypatch.setenv("QUANT_NOW", "2026-11-18T18:00")
    monkeypatch.setitem(TushareSource.servings, name, replace(TushareSource.servings[name], page=60))
    sessions = bench.calendar.between(dt.date(2026, 10, 9), dt.date(2026, 11, 18))
    bench.reference(sessions)
    assert not syncer.sync(DAILY_KLINE, Request(sessions=sessions)).failed
    *_, plan = syncer.plan(SOURCED[name], Request(sessions=sessions))
    outcome = syncer.sync(SOURCED[name], Request(sessions=sessions))
    assert not outcome.failed
    assert outcome.sources == ["derived", "tushare"]
    assert plan.calls == outcome.total("calls") == 2 * len(plan.units) - 1


def test_a_unit_that_nobody_serves_does_not_stop_the_others_that_are_tried_again(
    bench: Bench, baostock: BaostockSource, caplog: pytest.LogCaptureFixture
) -> None:
    """BaoStock has factors by code and not by session: what failed by session fails again, what failed by code comes."""
    bench.reference(bench.sessions(2))
    ((code,),) = bench.rows("SELECT min(ts_code) FROM stock_list WHERE ts_code ~ '^60' AND list_status = 'L'")
    by_session, by_code = Unit.session(LATEST), Unit.code(str(code), *bench.sessions(2))
    with bench.database.connect() as connection:
        record(connection, bench.run, ADJ_FACTOR, [item_of(unit, status="failed") for unit in (by_session, by_code)])
    syncer = Syncer(
        bench.database, bench.calendar, [baostock], Ranking(bench.database.pool, {"baostock": 1}), bench.ledger, bench.run
    )
    outcome = syncer.sync(ADJ_FACTOR, Request(failed=True))
    assert set(outcome.synced) == {by_code}
    assert "no source serves it" in str(outcome.failed[by_session].error)
    assert f"adj_factor {LATEST} failed: no source serves it" in caplog.messages, "the unit is named once"


def test_baostocks_pages_are_planned_too(bench: Bench, baostock: BaostockSource) -> None:
    """A session comes in one call, a code's history in pages; the plan knows which is cheaper, and what it costs."""
    sessions = bench.sessions(60)
    bench.reference(sessions)
    syncer = Syncer(
        bench.database, bench.calendar, [baostock], Ranking(bench.database.pool, {"baostock": 1}), bench.ledger, "run-1"
    )
    codes = [str(code) for (code,) in bench.rows("SELECT ts_code FROM stock_list WHERE ts_code ~ '^60' LIMIT 3")]
    for request in (Request(sessions=sessions[-2:]), Request(sessions=sessions, codes=codes)):
        (plan,) = syncer.plan(DAILY_KLINE, request)
        outcome = syncer.sync(DAILY_KLINE, request)  # sessions stay short: BaoStock has no BSE
        assert plan.calls == outcome.total("calls") == len(plan.units)


def test_sources_work_side_by_side_on_different_units(bench: Bench, baostock: BaostockSource) -> None:
    """While BaoStock takes its time over the session that Tushare could not give, Tushare goes on with the others."""
    bench.policies["tushare"] = {"*": bench.policies["tushare"]["*"].model_copy(update={"retries": 0})}
    ranking = Ranking(bench.database.pool, {"tushare": 1, "baostock": 2})
    both = Syncer(bench.database, bench.calendar, [bench.source(), baostock], ranking, bench.ledger, bench.run)
    sessions = bench.sessions(40)
    bench.reference(sessions)
    bench.sandbox.order_fault("status", api="daily", after=4, times=1, status=500)
    bench.sandbox.order_fault("slow", server="baostock", seconds=2)
    outcome = both.sync(DAILY_KLINE, Request(sessions=sessions))
    assert (len(outcome.synced), outcome.sources) == (40, ["baostock", "tushare"])
    meanwhile = (
        "SELECT count(*) FROM source_calls AS other, (SELECT * FROM source_calls WHERE source = 'baostock') AS slow"
        " WHERE other.source = 'tushare' AND other.api = 'daily' AND other.outcome = 'ok'"
        " AND other.started_at BETWEEN slow.started_at AND slow.finished_at"
    )
    ((calls,),) = bench.rows(meanwhile)
    assert int(str(calls)) > 20


def test_codes_of_a_market_that_was_synced_are_not_fetched_again(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(3)
    bench.reference(sessions)
    for dataset in (DAILY_KLINE, DIVIDENDS):
        assert not syncer.sync(dataset, Request(sessions=sessions)).failed
    whole = bench.rows("SELECT ts_code FROM daily_kline GROUP BY 1 HAVING count(*) = 3 ORDER BY 1 LIMIT 2")
    codes = [str(code) for (code,) in whole]
    request = Request(sessions=sessions, codes=codes)
    before = _made(bench, "daily", "dividend")
    for dataset in (DAILY_KLINE, DIVIDENDS):
        assert sum(each.calls for each in syncer.plan(dataset, request)) == 0
        outcome = syncer.sync(dataset, request)
        assert (outcome.synced, {unit.ts_code for unit in outcome.before}) == ({}, set(codes))
    assert _made(bench, "daily", "dividend") == before
    earlier = Request(sessions=[bench.calendar.shift(sessions[0], -1), *sessions], codes=codes)
    assert len(syncer.sync(DAILY_KLINE, earlier).synced) == 2, "a session of theirs was not synced"
    with bench.database.connect() as connection:
        connection.execute("DELETE FROM sync_items WHERE ts_code IS NOT NULL")
        connection.execute("DELETE FROM daily_kline WHERE ts_code = %s AND trade_date = %s", (codes[0], sessions[1]))
    assert {unit.ts_code for unit in syncer.sync(DAILY_KLINE, request).synced} == {codes[0]}, "a row of it is lacking"
    with bench.database.connect() as connection:
        partial = "UPDATE sync_items SET status = 'partial', error_class = 'unserved' WHERE trade_date = %s"
        connection.execute(partial, (sessions[1],))
    assert len(syncer.sync(DIVIDENDS, request).synced) == 2, "of what may be empty the sessions have to be whole"
    assert len(syncer.sync(DAILY_KLINE, replace(request, force=True)).synced) == 2


def test_only_what_failed_is_tried_again(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(6)
    bench.reference(sessions)
    bench.sandbox.order_fault("wrong_rows", api="daily", share=0.9, after=1, times=9)
    first = syncer.sync(DAILY_KLINE, Request(sessions=sessions))
    assert 0 < len(first.failed) < 6
    bench.sandbox.clear_faults()
    before = _made(bench, "daily")
    second = syncer.sync(DAILY_KLINE, Request(sessions=sessions, failed=True))
    assert set(second.synced) == set(first.failed)
    assert _made(bench, "daily") == before + len(first.failed)
    assert not syncer.sync(DAILY_KLINE, Request(sessions=sessions, failed=True)).synced, "nothing has failed any more"


def test_a_fresh_daily_bar_does_not_make_the_week_and_the_month_look_current(
    bench: Bench, syncer: Syncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-18T18:00")
    sessions = bench.calendar.between(dt.date(2026, 11, 2), dt.date(2026, 11, 18))
    bench.reference(sessions)
    for dataset in (DAILY_KLINE, WEEKLY_KLINE, MONTHLY_KLINE):
        assert not syncer.sync(dataset, Request(sessions=sessions)).failed
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")
    syncer.sync(DAILY_KLINE, Request(sessions=bench.sessions(1)))
    wanted = Request(sessions=bench.sessions(1))
    assert syncer.plan(WEEKLY_KLINE, wanted)[-1].units == (Unit.session(LATEST),)
    assert syncer.plan(MONTHLY_KLINE, wanted)[-1].units == (Unit.session(LATEST),)


def test_the_running_week_follows_the_days_and_leaves_no_former_label(
    bench: Bench, syncer: Syncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    week = bench.calendar.between(dt.date(2026, 11, 16), dt.date(2026, 11, 20))
    bench.reference(bench.sessions(10))
    for day in week:
        monkeypatch.setenv("QUANT_NOW", f"{day}T18:00")
        syncer.sync(DAILY_KLINE, Request(sessions=[day]))
        outcome = syncer.sync(WEEKLY_KLINE, Request(sessions=[day]))
        assert not outcome.failed
        labels = bench.rows("SELECT DISTINCT trade_date, source FROM weekly_kline")
        assert labels == [(day, "tushare" if day == LATEST else "derived")]
    made = bench.rows("SELECT min(high), max(high) FROM daily_kline WHERE ts_code = (SELECT min(ts_code) FROM weekly_kline)")
    week_high = bench.rows("SELECT high FROM weekly_kline ORDER BY ts_code LIMIT 1")
    assert week_high == [(made[0][1],)]


def test_repair_fetches_what_is_short_and_what_breaks_a_check_and_nothing_else(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(8)
    bench.reference(sessions)
    for dataset in (DAILY_KLINE, ADJ_FACTOR):
        syncer.sync(dataset, Request(sessions=sessions))
    whole = bench.rows("SELECT * FROM daily_kline ORDER BY ts_code, trade_date")
    with bench.database.connect() as connection:
        connection.execute("DELETE FROM daily_kline WHERE trade_date = %s AND ts_code < '0008'", (sessions[2],))
        connection.execute("UPDATE daily_kline SET pre_close = pre_close * 1.5 WHERE trade_date = %s", (sessions[5],))
    before = _made(bench, "daily")
    outcome = syncer.sync(DAILY_KLINE, Request(sessions=sessions, repair=True))
    fetched = {unit.start for unit in outcome.synced}
    assert {sessions[2], sessions[5]} <= fetched <= {sessions[2], sessions[3], sessions[5]}, "and who comes after a missing bar"
    assert _made(bench, "daily") == before + len(fetched)
    columns = slice(0, -1)  # all but updated_at
    assert [row[columns] for row in bench.rows("SELECT * FROM daily_kline ORDER BY ts_code, trade_date")] == [
        row[columns] for row in whole
    ]
    assert not syncer.sync(DAILY_KLINE, Request(sessions=sessions, repair=True)).synced


def test_a_restated_factor_is_fetched_again_over_the_whole_history(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(8)
    bench.reference(sessions)
    syncer.sync(ADJ_FACTOR, Request(sessions=sessions))
    code = str(bench.rows("SELECT min(ts_code) FROM adj_factor")[0][0])
    with bench.database.connect() as connection:
        connection.execute("UPDATE adj_factor SET adj_factor = adj_factor * 0.5 WHERE ts_code = %s", (code,))
    outcome: Outcome = syncer.sync(ADJ_FACTOR, Request(sessions=sessions, repair=True))
    assert Unit.code(code, sessions[0], sessions[-1]) in outcome.synced
    assert len(bench.rows("SELECT DISTINCT adj_factor FROM adj_factor WHERE ts_code = %s", code)) <= 2
    former = bench.rows("SELECT count(*) FROM row_revisions WHERE dataset = 'adj_factor' AND key ->> 'ts_code' = %s", code)
    assert former == [(8,)], "what stood there before is kept"


def test_a_long_plan_is_shared_out_over_the_sources_that_can_have_whole_sessions(
    bench: Bench, baostock: BaostockSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Tushare at a few calls a second, BaoStock does not stand idle; each session is asked for once."""
    sessions = bench.sessions(12)
    bench.reference(sessions)
    with bench.database.connect() as connection:
        connection.execute("DELETE FROM stock_list WHERE ts_code LIKE '%.BJ'")  # BaoStock has the whole market then
    slow = bench.policies["tushare"]["*"].model_copy(update={"per_second": 5.0, "burst": 1, "concurrency": 1})
    bench.policies["tushare"] = {"*": slow}
    ranking = Ranking(bench.database.pool, {"tushare": 1, "baostock": 2})
    monkeypatch.setattr(Ledger, "done", lambda *_: {})  # the list is what this test made of it
    syncer = Syncer(bench.database, bench.calendar, [bench.source(), baostock], ranking, bench.ledger, bench.run)
    monkeypatch.setattr("quant_pipeline.sync.syncer.lists_of", lambda _dataset: [])
    monkeypatch.setattr(plan, "SHARED_FROM", 0.0)
    *_, planned = syncer.plan(DAILY_KLINE, Request(sessions=sessions))
    assert planned.shared
    outcome = syncer.sync(DAILY_KLINE, Request(sessions=sessions))
    assert not outcome.failed
    assert {item.source for item in outcome.synced.values()} == {"tushare", "baostock"}
    assert len(outcome.synced) == 12
    assert {item.calls for item in outcome.synced.values()} == {1}
    assert planned.minutes < 12 / 5 / 60


def test_where_a_source_lacks_a_board_whole_sessions_are_not_its_share(bench: Bench, baostock: BaostockSource) -> None:
    sessions = bench.sessions(5)
    bench.reference(sessions)
    roster = Roster.load(bench.database, DAILY_KLINE, bench.calendar)
    assert roster.whole_for(bench.source(), sessions) == set(sessions)
    assert roster.whole_for(baostock, sessions) == frozenset(), "BaoStock has no BSE"


def test_one_codes_history_asks_for_that_codes_halts_only(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(60)
    bench.sync(TRADE_CALENDAR)
    syncer.sync(SOURCED["stock_list"], Request())
    ((code,),) = bench.rows("SELECT min(ts_code) FROM stock_list WHERE list_date < '2025-06-01' AND list_status = 'L'")
    request = Request(sessions=sessions, codes=[str(code)])
    plans = {each.dataset.name: each for each in syncer.plan(DAILY_KLINE, request)}
    assert list(plans) == ["bse_mapping", "suspensions", "daily_kline"], "references first, and counted"
    assert not syncer.sync(DAILY_KLINE, request).failed
    assert _made(bench, "suspend_d") == plans["suspensions"].calls == 1
    assert _made(bench, "daily") == plans["daily_kline"].calls == 1
    assert _made(bench, "bse_mapping") == plans["bse_mapping"].calls == 1


def test_what_is_retried_brings_nothing_else_with_it(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(6)
    bench.reference(sessions)
    with bench.database.connect() as connection:
        connection.execute("DELETE FROM sync_items WHERE dataset = 'suspensions'")
        record(connection, bench.run, DAILY_KLINE, [item_of(Unit.session(sessions[2]), status="failed")])
    before = _made(bench, "suspend_d")
    outcome = syncer.sync(DAILY_KLINE, Request(sessions=sessions, failed=True))
    assert [unit.start for unit in outcome.synced] == [sessions[2]]
    assert _made(bench, "suspend_d") == before + 1, "the halts of that session, and of no other"


def test_weeks_of_a_code_come_from_the_source_and_only_the_running_one_is_derived(
    bench: Bench, syncer: Syncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-18T18:00")
    sessions = bench.calendar.between(dt.date(2026, 10, 12), dt.date(2026, 11, 18))
    bench.reference(sessions)
    ((code,),) = bench.rows("SELECT min(ts_code) FROM stock_list WHERE list_date < '2025-06-01' AND list_status = 'L'")
    for dataset in (DAILY_KLINE, WEEKLY_KLINE):
        assert not syncer.sync(dataset, Request(sessions=sessions, codes=[str(code)])).failed
    rows = bench.rows("SELECT trade_date, source FROM weekly_kline ORDER BY 1")
    assert [source for _, source in rows] == ["tushare"] * 5 + ["derived"]
    assert rows[-1][0] == dt.date(2026, 11, 18)


def test_an_index_with_a_hole_is_repaired_code_by_code(bench: Bench, syncer: Syncer) -> None:
    sessions = bench.sessions(30)
    bench.reference(sessions)
    assert not syncer.sync(INDEX_DAILY, Request(sessions=sessions)).failed
    with bench.database.connect() as connection:
        connection.execute(
            "DELETE FROM index_daily WHERE ts_code = '000300.SH' AND trade_date BETWEEN %s AND %s", (sessions[5], sessions[20])
        )
    (planned,) = syncer.plan(INDEX_DAILY, Request(sessions=sessions, repair=True))
    assert [(unit.ts_code, unit.start, unit.end) for unit in planned.units] == [("000300.SH", sessions[5], sessions[20])]
    assert not syncer.sync(INDEX_DAILY, Request(sessions=sessions, repair=True)).failed
    assert bench.rows("SELECT count(*) FROM index_daily WHERE ts_code = '000300.SH'") == [(30,)]


def test_a_market_without_one_board_is_partial_says_who_lacks_and_is_not_asked_for_for_ever(
    bench: Bench, baostock: BaostockSource
) -> None:
    sessions = bench.sessions(2)
    bench.reference(sessions)
    ranking = Ranking(bench.database.pool, {"baostock": 1})
    syncer = Syncer(bench.database, bench.calendar, [baostock], ranking, bench.ledger, bench.run)
    outcome = syncer.sync(DAILY_KLINE, Request(sessions=sessions))
    assert not outcome.failed
    (item, _) = outcome.synced.values()
    assert (item.status, item.error_class) == (ItemStatus.PARTIAL, "unserved")
    assert ".BJ" in str(item.error)
    assert "tushare" in str(item.error), "who could have it"
    assert not syncer.sync(DAILY_KLINE, Request(sessions=sessions)).synced


def test_the_running_weeks_days_are_fetched_with_it(bench: Bench, syncer: Syncer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-18T18:00")
    wednesday = dt.date(2026, 11, 18)
    planned = {plan.dataset.name: plan.calls for plan in syncer.plan(WEEKLY_KLINE, Request(sessions=[wednesday]))}
    assert not syncer.sync(WEEKLY_KLINE, Request(sessions=[wednesday])).failed
    assert planned["daily_kline"] == _made(bench, "daily") == 3
    assert planned["suspensions"] == _made(bench, "suspend_d") == 3


def test_a_first_calendar_is_planned_with_its_pages(bench: Bench, syncer: Syncer) -> None:
    (planned,) = syncer.plan(TRADE_CALENDAR, Request())
    syncer.sync(TRADE_CALENDAR, Request())
    assert planned.calls == _made(bench, "trade_cal") > 1


def test_sessions_before_the_first_code_are_done_without_a_call(bench: Bench, syncer: Syncer) -> None:
    before = bench.calendar.between(dt.date(2012, 6, 14), dt.date(2012, 6, 15))
    told: list[tuple[Unit, int]] = []
    outcome = syncer.sync(
        CB_DAILY, Request(sessions=before), on_committed=lambda unit, item: told.append((unit, item.rows + item.calls))
    )
    assert not outcome.failed
    assert told == [(Unit.session(day), 0) for day in before]
    assert _made(bench, "cb_basic") == 1, "the list says when the first bond came"
    assert _made(bench, "cb_daily") == 0
    assert not any(plan.units for plan in syncer.plan(CB_DAILY, Request(sessions=before)))
    again = syncer.sync(CB_DAILY, Request(sessions=before))
    assert (len(again.synced), len(again.before)) == (0, 2), "nobody waits for them any more"


def test_sessions_before_the_first_code_are_asked_for_once_the_list_knows_an_earlier_one(bench: Bench, syncer: Syncer) -> None:
    syncer.sync(CONVERTIBLE_BONDS, Request())
    earlier, latest = bench.sessions(2)
    with bench.database.connect() as connection:
        connection.execute("UPDATE convertible_bonds SET list_date = greatest(list_date, %s)", (latest,))
    assert syncer.sync(CB_DAILY, Request(sessions=[earlier])).total("rows") == 0, "the list is short: nothing is owed"
    assert _made(bench, "cb_daily") == 0
    with bench.database.connect() as connection:
        connection.execute("UPDATE convertible_bonds SET list_date = '2020-01-02'")
    assert syncer.sync(CB_DAILY, Request(sessions=[earlier])).total("rows") == 10
    assert not any(each.units for each in syncer.plan(CB_DAILY, Request(sessions=[earlier])))


def test_what_failed_though_it_could_not_be_there_is_done_when_it_is_tried_again(bench: Bench, syncer: Syncer) -> None:
    day = dt.date(2012, 6, 15)
    lists = syncer.sync(CB_DAILY, Request(sessions=[day]))
    assert len(lists.synced) == 1
    with bench.database.connect() as connection:
        failed = [item_of(Unit.session(day), status=ItemStatus.FAILED, error_class="empty", error="no good row came")]
        record(connection, bench.run, CB_DAILY, failed)
    assert [unit.start for unit in bench.ledger.failed(CB_DAILY)] == [day]
    assert not syncer.sync(CB_DAILY, Request(failed=True)).failed
    assert bench.ledger.failed(CB_DAILY) == []
    assert _made(bench, "cb_daily") == 0


def test_an_index_that_was_not_published_yet_is_asked_and_need_not_be_there(bench: Bench, syncer: Syncer) -> None:
    syncer.sync(INDEX_LIST, Request())
    earlier, latest = bench.sessions(2)
    with bench.database.connect() as connection:
        connection.execute("UPDATE index_list SET list_date = %s, base_date = '2004-12-31'", (latest,))
    bench.sandbox.order_fault("empty", api="index_daily", times=1000)
    outcome = syncer.sync(INDEX_DAILY, Request(sessions=[earlier]))
    assert not outcome.failed
    assert _made(bench, "index_daily") == len(INDEX_DAILY.codes), "a source that counts it back to its base may have it"
    assert syncer.sync(INDEX_DAILY, Request(sessions=[earlier])).before, "none was owed, so none is lacking"
    assert syncer.sync(INDEX_DAILY, Request(sessions=[latest])).failed
