"""The engine over the real client, a real socket and a real PostgreSQL."""

from __future__ import annotations

from quant_pipeline.market.datasets import DAILY_KLINE, SOURCED
from quant_pipeline_tests.sync.conftest import Bench


def test_every_data_set_comes_from_the_wire_to_its_table(bench: Bench) -> None:
    sessions = bench.sessions(5)
    for dataset in SOURCED.values():
        outcome = bench.sync(dataset, sessions if dataset.by_session else ())
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
