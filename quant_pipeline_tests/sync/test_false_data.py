"""Answers that lie: refused rows are lacking and come from the next source; what contradicts what is known is no answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from quant_pipeline.market.datasets import DAILY_BASIC, DAILY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sync.engine import Outcome
from quant_pipeline.sync.ledger import ItemStatus
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline_tests.sync.conftest import LATEST, Bench

_FAST = RatePolicy(per_minute=None, per_second=None, concurrency=1, retries=0, backoff=0.01, trip=1000)


@pytest.fixture
def alone(bench: Bench) -> Syncer:
    """Tushare is the only source."""
    bench.policies["tushare"] = {"*": bench.policies["tushare"]["*"].model_copy(update={"retries": 0})}
    ranking = Ranking(bench.database.pool, {"tushare": 1})
    return Syncer(bench.database, bench.calendar, [bench.source()], ranking, bench.ledger, bench.run)


@pytest.fixture
def both(bench: Bench) -> Iterator[Syncer]:
    """Tushare, and BaoStock behind it."""
    bench.policies |= {"baostock": {"*": _FAST}}
    bench.policies["tushare"] = {"*": bench.policies["tushare"]["*"].model_copy(update={"retries": 0})}
    account = (bench.sandbox.host, bench.sandbox.baostock_port, "anonymous", "123456")
    baostock = BaostockSource(*account, xshg(), Limiter(bench.database.pool, bench.presence), bench.policies)
    ranking = Ranking(bench.database.pool, {"tushare": 1, "baostock": 2})
    yield Syncer(bench.database, bench.calendar, [bench.source(), baostock], ranking, bench.ledger, bench.run)
    baostock.close()


def _truth(bench: Bench, syncer: Syncer, count: int = 2) -> list[tuple[object, ...]]:
    """Syncs the session before the latest, and the latest; takes the latest away again. Its true rows."""
    sessions = bench.sessions(count)
    bench.reference(sessions)
    assert not syncer.sync(DAILY_KLINE, Request(sessions=sessions)).failed
    rows = bench.rows(
        "SELECT ts_code, open, close, vol::int, amount::int FROM daily_kline WHERE trade_date = %s ORDER BY 1", LATEST
    )
    with bench.database.connect() as connection:
        connection.execute("DELETE FROM daily_kline WHERE trade_date = %s", (LATEST,))
        connection.execute("DELETE FROM sync_items WHERE dataset = 'daily_kline' AND trade_date = %s", (LATEST,))
    return rows


def _stored(bench: Bench) -> list[tuple[object, ...]]:
    return bench.rows(
        "SELECT ts_code, open, close, vol::int, amount::int FROM daily_kline WHERE trade_date = %s ORDER BY 1", LATEST
    )


def _latest(syncer: Syncer) -> Outcome:
    return syncer.sync(DAILY_KLINE, Request(sessions=[LATEST]))


ONE_ROW = {"kind": "scaled", "columns": ["amount"], "factor": 1000.0, "share": 0.02}
"""Of a hundred codes one row is refused."""
REFUSED = {
    "swapped headers": {"kind": "swapped", "columns": ["open", "vol"]},
    "closes that are null": {"kind": "nan", "columns": ["close"], "share": 0.6},
    "closes that cannot be read": {"kind": "unreadable", "columns": ["close"], "share": 0.6},
    "turnover in another unit": {"kind": "scaled", "columns": ["amount"], "factor": 1000.0, "share": 0.3},
}


@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED)
def test_an_answer_of_which_many_rows_are_refused_is_short_and_goes_to_the_next_source(
    bench: Bench, both: Syncer, fault: dict[str, Any]
) -> None:
    truth = _truth(bench, both)
    bench.sandbox.order_fault(api="daily", **fault)
    outcome = _latest(both)
    assert not outcome.failed
    assert "baostock" in outcome.sources
    assert _stored(bench) == truth, "what BaoStock does not have (BSE) comes from Tushare's second answer"


@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED)
def test_where_nobody_else_can_be_asked_it_has_failed_and_nothing_is_stored(
    bench: Bench, alone: Syncer, fault: dict[str, Any]
) -> None:
    _truth(bench, alone)
    bench.sandbox.order_fault(api="daily", times=None, **fault)
    (failed,) = _latest(alone).failed.values()
    assert "rows were refused" in str(failed.error)
    assert _stored(bench) == []


def test_one_refused_row_is_filled_from_the_next_source(bench: Bench, both: Syncer) -> None:
    truth = _truth(bench, both)
    bench.sandbox.order_fault(api="daily", **ONE_ROW)
    outcome = _latest(both)
    assert [item.status for item in outcome.synced.values()] == [ItemStatus.SUCCESS]
    assert _stored(bench) == truth


def test_calls_for_gaps_that_nobody_closes_are_counted(bench: Bench, both: Syncer) -> None:
    _truth(bench, both)
    bench.sandbox.order_fault(api="daily", **ONE_ROW)
    bench.sandbox.order_fault("empty", server="baostock", api="query_history_k_data_plus", times=None)
    tried = "SELECT count(*) FROM source_calls"
    ((before,),) = bench.rows(tried)
    outcome = _latest(both)
    ((after,),) = bench.rows(tried)
    assert outcome.total("calls") == after - before


def test_it_is_told_how_far_the_asking_for_gaps_is(
    bench: Bench, both: Syncer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A site that is asked gently takes minutes for the halted codes of a day: silence is no progress."""
    monkeypatch.setattr("quant_pipeline.sync.engine._TELL", 0.0)
    _truth(bench, both)
    bench.sandbox.order_fault(api="daily", **(ONE_ROW | {"share": 0.04}))
    with caplog.at_level("INFO"):
        assert not _latest(both).failed
    counts = re.findall(r"daily_kline: (\d+) of (\d+) codes with gaps are asked", caplog.text)
    assert counts, caplog.text
    assert all(0 < int(asked) < int(count) for asked, count in counts)


def test_a_refused_row_that_nobody_replaces_makes_the_session_partial_and_is_asked_for_again(
    bench: Bench, alone: Syncer
) -> None:
    truth = _truth(bench, alone)
    bench.sandbox.order_fault(api="daily", times=2, **ONE_ROW)
    (item,) = _latest(alone).synced.values()
    assert (item.status, item.missing, item.error_class) == (ItemStatus.PARTIAL, 1, "refused")
    assert len(_stored(bench)) == len(truth) - 1
    bench.ledger.finish(bench.run)
    run = bench.ledger.run(bench.run)
    assert run is not None
    assert run["status"] == "success_with_errors"
    for request in (
        Request(sessions=[LATEST]),
        Request(sessions=[LATEST], failed=True),
        Request(sessions=[LATEST], repair=True),
    ):
        syncer = Syncer(
            bench.database, bench.calendar, [bench.source()], Ranking(bench.database.pool, {"tushare": 1}), bench.ledger, "plan"
        )
        (plan,) = syncer.plan(DAILY_KLINE, request)
        assert [unit.start for unit in plan.units] == [LATEST], "plain, retried and repaired: all find it"
    (item,) = _latest(alone).synced.values()
    assert item.status is ItemStatus.SUCCESS
    assert _stored(bench) == truth


def test_the_same_source_is_asked_again_where_there_is_no_other(bench: Bench, alone: Syncer) -> None:
    truth = _truth(bench, alone)
    bench.sandbox.order_fault(api="daily", **ONE_ROW)
    (item,) = _latest(alone).synced.values()
    assert (item.status, item.missing) == (ItemStatus.SUCCESS, 0)
    assert _stored(bench) == truth


LIES = {
    "yesterday's rows": {"kind": "stale"},
    "prices x100": {"kind": "scaled", "columns": ["open", "high", "low", "close", "pre_close", "change", "amount"]},
    "volume and turnover x100": {"kind": "scaled", "columns": ["vol", "amount"], "share": 1.0},
    "codes that do not exist": {"kind": "unknown_codes", "count": 100},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_that_validates_goes_to_the_next_source(bench: Bench, both: Syncer, lie: dict[str, Any]) -> None:
    truth = _truth(bench, both)
    bench.sandbox.order_fault(api="daily", **{"share": 1.0, **lie} if lie["kind"] == "scaled" else lie)
    outcome = _latest(both)
    assert not outcome.failed
    assert "baostock" in outcome.sources
    assert _stored(bench) == truth


@pytest.mark.parametrize("name", ["yesterday's rows", "prices x100"])
def test_what_cannot_be_true_is_taken_on_nobodys_word_alone(bench: Bench, alone: Syncer, name: str) -> None:
    _truth(bench, alone)
    bench.sandbox.order_fault(api="daily", times=None, **({"share": 1.0} if "columns" in LIES[name] else {}), **LIES[name])
    (failed,) = _latest(alone).failed.values()
    assert "implausible" in str(failed.error)
    assert _stored(bench) == []


def test_what_is_only_unlikely_is_taken_where_all_say_the_same_marked_and_asked_for_again(bench: Bench, alone: Syncer) -> None:
    truth = _truth(bench, alone)
    bench.sandbox.order_fault("scaled", api="daily", columns=["vol", "amount"], share=1.0, times=1)
    (item,) = _latest(alone).synced.values()
    assert (item.status, item.error_class) == (ItemStatus.PARTIAL, "implausible")
    assert "volume of" in str(item.error)
    (item,) = _latest(alone).synced.values()
    assert item.status is ItemStatus.SUCCESS
    assert _stored(bench) == truth


def test_bars_of_codes_that_were_halted_all_day_are_refused_and_do_not_lack(bench: Bench, alone: Syncer) -> None:
    truth = _truth(bench, alone)
    bench.sandbox.order_fault("halted_bars", api="daily")
    (item,) = _latest(alone).synced.values()
    assert (item.status, item.missing) == (ItemStatus.SUCCESS, 0)
    assert _stored(bench) == truth


def test_a_session_that_came_before_its_former_one_is_compared_with_it_later(bench: Bench, both: Syncer) -> None:
    """Ten sessions side by side, of which one is the former one's copy: it is replaced, whoever came first."""
    sessions = bench.sessions(10)
    bench.reference(sessions)
    bench.sandbox.order_fault("stale", api="daily", after=4, times=1)
    outcome = both.sync(DAILY_KLINE, Request(sessions=sessions))
    assert not outcome.failed
    assert len(outcome.synced) == 10
    query = "SELECT ts_code, trade_date, open, close, vol::int, amount::int FROM daily_kline ORDER BY 1, 2"
    taken = bench.rows(query)
    both.sync(DAILY_KLINE, Request(sessions=sessions, force=True))
    assert bench.rows(query) == taken, "every session is the exchange's own"


def test_figures_of_another_session_are_no_figures(bench: Bench, alone: Syncer) -> None:
    sessions = bench.sessions(2)
    bench.reference(sessions)
    alone.sync(DAILY_KLINE, Request(sessions=sessions))
    bench.sandbox.order_fault("stale", api="daily_basic", times=None)
    (failed,) = alone.sync(DAILY_BASIC, Request(sessions=[LATEST])).failed.values()
    assert "are not those of the session's bars" in str(failed.error)


def test_a_figure_that_cannot_be_read_does_not_cost_its_row(bench: Bench, alone: Syncer) -> None:
    sessions = bench.sessions(1)
    bench.reference(sessions)
    alone.sync(DAILY_KLINE, Request(sessions=sessions))
    bench.sandbox.order_fault("unreadable", api="daily_basic", columns=["pe"], share=0.5)
    (item,) = alone.sync(DAILY_BASIC, Request(sessions=[LATEST])).synced.values()
    assert (item.status, item.rejected, item.missing) == (ItemStatus.SUCCESS, 0, 0)
    assert bench.rows("SELECT count(*) = (SELECT count(*) FROM daily_kline) FROM daily_basic") == [(True,)]


@pytest.mark.parametrize("rows", [0, 3])
def test_a_code_owes_every_session_of_the_range(bench: Bench, alone: Syncer, rows: int) -> None:
    sessions = bench.sessions(30)
    bench.reference(sessions)
    ((code,),) = bench.rows("SELECT min(ts_code) FROM stock_list WHERE list_date < '2025-06-01' AND list_status = 'L'")
    bench.sandbox.order_fault("short_history", api="daily", rows=rows, times=None)
    (failed,) = alone.sync(DAILY_KLINE, Request(sessions=sessions, codes=[str(code)])).failed.values()
    assert "sessions are missing" in str(failed.error)


def test_a_code_that_no_list_names_is_named_and_asked_of_nobody(bench: Bench, alone: Syncer) -> None:
    sessions = bench.sessions(3)
    bench.reference(sessions)
    ((known,),) = bench.rows("SELECT min(ts_code) FROM stock_list WHERE list_date < '2025-06-01' AND list_status = 'L'")
    outcome = alone.sync(DAILY_KLINE, Request(sessions=sessions, codes=["603998.SH", str(known)]))
    assert [unit.ts_code for unit in outcome.failed] == ["603998.SH"]
    assert "in no list" in str(next(iter(outcome.failed.values())).error)
    assert {str(row[0]) for row in bench.rows("SELECT DISTINCT ts_code FROM daily_kline")} == {known}
    assert not any("603998" in str(call) for call in bench.sandbox.calls("daily"))
    assert not alone.sync(DAILY_KLINE, Request(sessions=sessions, failed=True)).failed, "asking again would be no use"
