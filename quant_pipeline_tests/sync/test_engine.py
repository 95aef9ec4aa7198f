"""The engine over the real client, a real socket and a real PostgreSQL."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, MONTHLY_KLINE, SOURCED, STOCK_LIST, TRADE_CALENDAR
from quant_pipeline_tests.sync.conftest import Bench


def test_every_data_set_comes_from_the_wire_to_its_table(bench: Bench) -> None:
    sessions = bench.sessions(5)
    # of the running month Tushare has no bars
    for dataset in (each for each in SOURCED.values() if each is not MONTHLY_KLINE):
        outcome = bench.sync(dataset, sessions if dataset.dated else ())
        assert not outcome.failed, outcome.failed
        assert bench.rows(f"SELECT count(*) FROM {dataset.name} WHERE source = 'tushare'") == [(outcome.total("rows"),)]
        assert outcome.total("rejected") == 0
    assert len(bench.rows("SELECT DISTINCT trade_date FROM daily_kline")) == 5


def test_what_was_synced_is_not_fetched_again_unless_forced(bench: Bench) -> None:
    sessions = bench.sessions(4)
    bench.reference(sessions)
    bench.sync(DAILY_KLINE, sessions[:3])
    again = bench.sync(DAILY_KLINE, sessions)
    assert [unit.start for unit in again.synced] == [sessions[3]]
    assert sorted(unit.start for unit in again.before) == list(sessions[:3])
    assert len(bench.sandbox.calls("daily")) == 4
    forced = bench.sync(DAILY_KLINE, sessions, force=True)
    assert len(bench.sandbox.calls("daily")) == 8
    assert (forced.total("inserted"), forced.total("updated")) == (0, 0)
    assert forced.total("unchanged") == forced.total("rows") > 0


def test_a_code_that_leaves_the_list_leaves_the_table_and_is_kept_as_a_revision(bench: Bench) -> None:
    bench.sync(STOCK_LIST)
    with bench.database.connect() as connection:
        connection.execute("INSERT INTO stock_list (ts_code, list_status, source) VALUES ('830799.BJ', 'L', 'tushare')")
    bench.sync(STOCK_LIST, force=True)
    assert bench.rows("SELECT count(*) FROM stock_list WHERE ts_code = '830799.BJ'") == [(0,)]
    revisions = bench.rows("SELECT former ->> 'ts_code' FROM row_revisions WHERE dataset = 'stock_list'")
    assert revisions == [("830799.BJ",)], "an old BSE code is replaced by its new one, and not lost"


def test_a_restated_bar_keeps_its_former_values(bench: Bench) -> None:
    (session,) = sessions = bench.sessions(1)
    bench.reference(sessions)
    bench.sync(DAILY_KLINE, sessions)
    with bench.database.connect() as connection:
        connection.execute("UPDATE daily_kline SET close = 0.07 WHERE ts_code = (SELECT min(ts_code) FROM daily_kline)")
    outcome = bench.sync(DAILY_KLINE, sessions, force=True)
    assert (outcome.total("updated"), outcome.total("inserted")) == (1, 0)
    assert bench.rows("SELECT (former ->> 'close')::float8, key ->> 'trade_date' FROM row_revisions") == [(0.07, f"{session}")]
    assert bench.rows("SELECT count(*) FROM daily_kline WHERE close = 0.07") == [(0,)]


def test_given_codes_are_asked_for_one_by_one_where_that_is_fewer_calls(bench: Bench) -> None:
    sessions = bench.sessions(30)
    bench.reference(sessions)
    codes = tuple(str(code) for (code,) in bench.rows("SELECT ts_code FROM stock_list WHERE list_date < '2025-06-01' LIMIT 3"))
    outcome = bench.sync(DAILY_KLINE, sessions, codes=codes)
    assert not outcome.failed
    assert len(bench.sandbox.calls("daily")) == 3
    assert {code for (code,) in bench.rows("SELECT DISTINCT ts_code FROM daily_kline")} <= set(codes)


def test_the_ledger_tells_what_a_run_did(bench: Bench) -> None:
    sessions = bench.sessions(3)
    bench.sync(TRADE_CALENDAR)
    bench.reference(sessions)
    bench.sync(DAILY_KLINE, sessions)
    bench.ledger.finish(bench.run)
    run = bench.ledger.run(bench.run)
    assert run is not None
    assert (run["status"], run["units_failed"]) == ("success", 0)
    assert run["units_planned"] == run["units_done"] == 10
    assert run["rows_inserted"] == run["by_source"]["tushare"]["rows"] > 0
    assert run["calls"] == run["by_source"]["tushare"]["calls"] == len(bench.sandbox.calls())


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C is heard wherever the tests were started: a job in the background is started without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("where", ["while it waits for answers", "while it stores one"])
def test_a_run_that_is_cancelled_waits_for_the_calls_under_way_and_makes_no_other(bench: Bench, where: str) -> None:
    """Every call would hang, and be tried five times more; four are under way."""
    sessions = bench.sessions(8)
    bench.reference(sessions)
    quick = bench.policies["tushare"]["*"]
    bench.policies["tushare"] = {"*": quick.model_copy(update={"retries": 5})}
    answered = 1 if where == "while it stores one" else 0
    bench.sandbox.order_fault("hang", api="daily", seconds=3_600, after=answered, times=None)
    ended = threading.Event()

    def cancel_once_all_hang() -> None:
        while len(bench.sandbox.calls("daily")) < 4 and not ended.wait(0.02):
            pass
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def cancel(*_: object) -> None:
        raise KeyboardInterrupt

    canceller = threading.Thread(target=cancel_once_all_hang)
    if not answered:
        canceller.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            bench.sync(DAILY_KLINE, sessions, timeout=2.0, on_committed=cancel)
    finally:
        ended.set()
    made = len(bench.sandbox.calls("daily"))
    assert 1 <= made <= 4 + answered
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("daily_kline")], "nobody goes on asking"
    assert bench.rows("SELECT count(DISTINCT trade_date) FROM daily_kline") == [(answered,)], "what was committed is kept"
