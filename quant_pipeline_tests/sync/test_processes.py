"""What several processes, and dying ones, must not do to the data or to the quota."""

from __future__ import annotations

import random
from collections import Counter

from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.sandbox.rehearsal import running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.sync.backfill import Backfill
from quant_pipeline_tests.sync.conftest import Bench

KILLS = 10
_DONE = """
SELECT to_char(trade_date, 'YYYYMMDD') FROM sync_items WHERE dataset = 'daily_kline' AND status = 'success'
"""


def test_killed_at_ten_random_moments_it_ends_as_if_undisturbed(bench: Bench) -> None:
    chance = random.Random(20261123)
    sessions = bench.sessions(80)
    bench.reference(sessions)
    policy = RatePolicy(per_minute=None, per_second=None, concurrency=3, retries=1, backoff=0.01)

    def start(run: str) -> Backfill:
        child = Backfill(bench.database.url, bench.sandbox.tushare_url, policy, run, sessions)
        child.go()
        return child

    done: set[str] = set()
    for attempt in range(KILLS):
        asked_before = len(bench.sandbox.calls("daily"))
        child = start(f"killed-{attempt}")
        for _ in range(chance.randint(1, 6)):
            child.wait_for_session()
        child.kill()
        asked = Counter(call["params"]["trade_date"] for call in bench.sandbox.calls("daily")[asked_before:])
        assert not done & set(asked), "a finished session was fetched again"
        done = {str(day) for (day,) in bench.rows(_DONE)}
        stored, recorded = bench.rows(
            "SELECT (SELECT count(*) FROM daily_kline), (SELECT sum(rows) FROM sync_items WHERE dataset = 'daily_kline')"
        )[0]
        assert stored == recorded, "rows and their record land together"
    assert 10 <= len(done) < 80, "it was killed in the middle"

    assert start("last").finish() == 0
    disturbed = read(bench.database, DAILY_KLINE)
    ended = Counter(status for (status,) in bench.rows("SELECT status FROM sync_runs WHERE trigger = 'backfill'"))
    assert ended == {"failed": KILLS, "success": 1}, "runs whose process died are closed by the next one"

    with bench.database.connect() as connection:
        connection.execute("TRUNCATE daily_kline, sync_items")
    assert not bench.sync(DAILY_KLINE, sessions).failed
    assert disturbed.equals(read(bench.database, DAILY_KLINE)), "row for row"


def test_four_processes_share_the_quota_and_use_it_up(bench: Bench, exchange: Exchange) -> None:
    quota, minute = 40, 4.0
    sessions = bench.sessions(180)
    policy = RatePolicy(per_minute=quota, per_second=None, concurrency=5, retries=0, minute=minute)
    with running(exchange, quotas={"*": quota}, minute=minute) as sandbox:
        parts = [sessions[first : first + 45] for first in range(0, 180, 45)]
        children = [
            Backfill(bench.database.url, sandbox.tushare_url, policy, f"part-{number}", part)
            for number, part in enumerate(parts)
        ]
        for child in children:
            child.go()
        assert [child.finish() for child in children] == [0, 0, 0, 0]
        calls, busiest = sandbox.calls("daily"), sandbox.stats()["tushare.daily"]["busiest_window"]
    assert len(calls) == 180, "each session is asked for once"
    assert {call["answer"] for call in calls} == {"ok"}, "the server never had to refuse"
    assert busiest <= quota
    arrivals = sorted(call["arrived"] for call in calls)
    windows = int((arrivals[-1] - arrivals[0]) // minute)
    used = sum(arrival < arrivals[0] + windows * minute for arrival in arrivals)
    assert windows >= 4
    # A call's answer time is lost to each window: little of a minute (benchmarks/quota.py), more of these four seconds.
    assert used >= 0.8 * quota * windows
