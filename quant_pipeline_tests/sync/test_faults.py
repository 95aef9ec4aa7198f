"""Each fault that a server can show ends in its class: retried, waited for, or failed with a text that names it."""

from __future__ import annotations

import pytest

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, STOCK_LIST, SUSPENSIONS, TRADE_CALENDAR
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.rights import refused_before
from quant_pipeline_tests.sync.conftest import Bench

PASSING = [
    ("disconnect", {}),
    ("status", {"status": 502}),
    ("status", {"status": 429}),
    ("html", {}),
    ("empty", {}),
    ("wrong_rows", {"share": 0.5}),
]


@pytest.mark.parametrize(("kind", "order"), PASSING)
def test_a_passing_fault_is_tried_again_and_leaves_no_trace_in_the_rows(bench: Bench, kind: str, order: dict[str, int]) -> None:
    sessions = bench.sessions(3)
    bench.reference(sessions)
    bench.sandbox.order_fault(kind, api="daily", times=1, **order)
    outcome = bench.sync(DAILY_KLINE, sessions)
    assert not outcome.failed
    assert outcome.total("calls") == 4
    undisturbed = bench.sync(DAILY_KLINE, sessions, force=True)
    assert undisturbed.total("unchanged") == outcome.total("rows") == outcome.total("inserted")


@pytest.mark.parametrize(("kind", "order"), PASSING)
def test_a_lasting_fault_fails_the_unit_names_it_and_records_nothing_as_synced(
    bench: Bench, kind: str, order: dict[str, int]
) -> None:
    sessions = bench.sessions(2)
    bench.reference(sessions)
    bench.sandbox.order_fault(kind, api="daily", times=None, **order)
    outcome = bench.sync(DAILY_KLINE, sessions)
    assert not outcome.synced
    for unit, item in outcome.failed.items():
        assert item.error is not None
        assert "tushare.daily" in item.error
        assert str(unit) in item.error
        assert item.error_class in ("retryable", "empty")
        assert bench.token not in item.error
    assert bench.rows("SELECT count(*) FROM daily_kline") == [(0,)]
    bench.sandbox.clear_faults()
    assert len(bench.sync(DAILY_KLINE, sessions).synced) == 2


def test_a_hang_is_cut_off_by_the_time_out_and_tried_again(bench: Bench) -> None:
    sessions = bench.sessions(1)
    bench.reference(sessions)
    bench.sandbox.order_fault("hang", api="daily", times=1, seconds=30)
    outcome = bench.sync(DAILY_KLINE, sessions, timeout=3)
    assert not outcome.failed
    assert outcome.total("calls") == 2


def test_one_bad_session_does_not_stop_the_others(bench: Bench) -> None:
    sessions = bench.sessions(6)
    bench.reference(sessions)
    bench.policies["tushare"] = {"*": RatePolicy(per_minute=None, per_second=None, concurrency=1, retries=1, backoff=0)}
    bench.sandbox.order_fault("status", api="daily", after=2, times=2)
    outcome = bench.sync(DAILY_KLINE, sessions)
    assert [unit.start for unit in outcome.failed] == [sessions[2]]
    assert len(outcome.synced) == 5
    assert [unit.start for unit in bench.sync(DAILY_KLINE, sessions).synced] == [sessions[2]]


def test_a_minute_quota_is_waited_for_by_all_and_then_met(bench: Bench) -> None:
    sessions = bench.sessions(3)
    bench.reference(sessions)
    bench.policies["tushare"] = {"*": RatePolicy(per_minute=None, per_second=None, concurrency=1, minute=0.3)}
    bench.sandbox.order_fault("quota", api="daily", times=1, per="minute")
    assert not bench.sync(DAILY_KLINE, sessions).failed
    assert bench.rows("SELECT count(*) FROM source_calls WHERE api = 'daily' AND outcome = 'rate_limited'") == [(1,)]


@pytest.mark.parametrize("per", ["hour", "day"])
def test_a_longer_quota_fails_over_at_once_and_says_what_it_is(bench: Bench, per: str) -> None:
    sessions = bench.sessions(3)
    bench.reference(sessions)
    bench.sandbox.order_fault("quota", api="daily", times=None, per=per)
    outcome = bench.sync(DAILY_KLINE, sessions)
    assert len(outcome.failed) == 3
    assert {item.error_class for item in outcome.failed.values()} == {"rate_limited"}
    assert all("频率超限" in (item.error or "") for item in outcome.failed.values())
    assert len(bench.sandbox.calls("daily")) <= 4, "nobody knocks again while the source asks to wait"


@pytest.mark.parametrize(("kind", "failure"), [("permission", "permanent_api"), ("token", "permanent_source")])
def test_a_permanent_failure_costs_no_retry_and_not_one_call_per_session(bench: Bench, kind: str, failure: str) -> None:
    sessions = bench.sessions(12)
    bench.reference(sessions)
    bench.sandbox.order_fault(kind, api="daily", times=None)
    outcome = bench.sync(DAILY_KLINE, sessions)
    assert len(outcome.failed) == 12
    assert {item.error_class for item in outcome.failed.values()} == {failure}
    assert len(bench.sandbox.calls("daily")) <= 4, "as many as were under way when the first answer came"


def test_a_right_that_the_account_lacks_is_known_before_the_next_sync_until_it_is_had(bench: Bench) -> None:
    source = bench.source()
    assert refused_before(bench.database, [source], [SUSPENSIONS, STOCK_LIST]) == []
    bench.sandbox.order_fault("permission", api="stock_basic", times=1)
    assert bench.sync(STOCK_LIST).failed
    (line,) = refused_before(bench.database, [source], [SUSPENSIONS, STOCK_LIST])
    assert line.startswith("tushare stock_basic was refused when last asked, 20")
    assert "QUANT_WITHOUT=stock_list leaves it out" in line
    assert refused_before(bench.database, [source], [SUSPENSIONS]) == [], "what nobody asks for is not told"
    assert not bench.sync(STOCK_LIST).failed
    assert refused_before(bench.database, [source], [STOCK_LIST]) == [], "it has the right now"


def test_a_wrong_token_takes_the_whole_source_out_and_never_shows(bench: Bench) -> None:
    bench.token = "not-the-right-secret-token"
    outcome = bench.sync(STOCK_LIST)
    (item,) = outcome.failed.values()
    assert item.error_class == "permanent_source"
    assert "token" in (item.error or "")
    assert bench.token not in (item.error or "")
    assert bench.rows("SELECT count(*) FROM source_calls WHERE position('not-the-right' IN source_calls::text) > 0") == [(0,)]


def test_bad_rows_are_kept_whole_with_their_reason_and_good_rows_land(bench: Bench) -> None:
    sessions = bench.sessions(1)
    bench.reference(sessions)
    bench.sandbox.order_fault("bad_values", api="daily", times=1)
    outcome = bench.sync(DAILY_KLINE, sessions)
    assert outcome.total("rejected") == 2
    reasons = {str(reason) for (reason,) in bench.rows("SELECT reason FROM rejected_rows")}
    assert any("ohlc_in_order" in reason for reason in reasons)
    assert any("trade_date is missing" in reason for reason in reasons)
    landed = bench.rows("SELECT count(*), count(DISTINCT ts_code) FROM daily_kline")
    assert landed == [(outcome.total("rows"), outcome.total("rows"))]
    bench.sandbox.order_fault("bad_values", api="daily", times=1)
    bench.sync(DAILY_KLINE, sessions, force=True)
    assert bench.rows("SELECT count(*) FROM rejected_rows") == [(2,)], "the same bad rows again are no news"


def test_a_cut_calendar_is_no_calendar(bench: Bench) -> None:
    bench.sandbox.order_fault("wrong_rows", api="trade_cal", times=1, share=0.3)
    outcome = bench.sync(TRADE_CALENDAR)
    assert not outcome.failed
    first, last, count = bench.rows("SELECT min(cal_date), max(cal_date), count(*) FROM trade_calendar")[0]
    assert (last - first).days + 1 == count  # type: ignore[operator]


def test_a_list_that_comes_back_much_shorter_is_refused(bench: Bench) -> None:
    full = bench.sync(STOCK_LIST).total("rows")
    bench.sandbox.order_fault("wrong_rows", api="stock_basic", times=None, share=0.4)
    outcome = bench.sync(STOCK_LIST, force=True)
    (item,) = outcome.failed.values()
    assert "cut answer" in (item.error or "")
    assert bench.rows("SELECT count(*) FROM stock_list") == [(full,)]


def test_no_suspension_is_a_true_answer(bench: Bench) -> None:
    sessions = bench.sessions(1)
    bench.sandbox.order_fault("empty", api="suspend_d", times=1)
    outcome = bench.sync(SUSPENSIONS, sessions)
    assert not outcome.failed
    assert outcome.total("calls") == 1


def test_two_data_sets_have_quotas_of_their_own(bench: Bench) -> None:
    sessions = bench.sessions(2)
    bench.reference(sessions)
    bench.sandbox.order_fault("permission", api="daily", times=None)
    assert len(bench.sync(DAILY_KLINE, sessions).failed) == 2
    assert len(bench.sync(ADJ_FACTOR, sessions).synced) == 2
