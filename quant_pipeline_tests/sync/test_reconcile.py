"""Reconciliation over real servers: what is spoilt in our tables is found by itself, and what is honest is let be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    DAILY_KLINE,
    MONTHLY_KLINE,
    STOCK_LIST,
    SUSPENSIONS,
    TRADE_CALENDAR,
    WEEKLY_KLINE,
)
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sources.akshare import AkshareSource
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, RatePolicy
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.reconcile import ROTATION, Heard, sample
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.conftest import copied
from quant_pipeline_tests.sync.conftest import LATEST, NOW
from quant_pipeline_tests.sync.stored import execute

_QUICK = RatePolicy(per_minute=None, per_second=None, concurrency=3, retries=1, backoff=0.01, trip=1000, timeout=60)
_ALONE = _QUICK.model_copy(update={"concurrency": 1, "one_account": True})
POLICIES: Policies = {"tushare": {"*": _QUICK}, "baostock": {"*": _ALONE}, "akshare": {"*": _ALONE}, "derived": {"*": _QUICK}}
TURNS = 10
"""Of the hundred codes about ten have their turn with the sources that are asked code by code."""
WINDOW = xshg().window(LATEST, 10)
SYNCED = xshg().window(LATEST, 30)
_DIFFERENCES = """
SELECT trade_date, dataset, ts_code, field, stored_source, second_source, stored, second FROM reconciliation
ORDER BY dataset, trade_date, ts_code, field, second_source
"""
CODE_LISTS = st.lists(st.integers(0, 999_999).map(lambda number: f"{number:06d}.SH"), unique=True, max_size=300)


class Reconciling:
    """A market synced from Tushare, and its second sources."""

    def __init__(self, database: Database, sandbox: Rehearsal, syncer: Syncer) -> None:
        self.database, self.sandbox, self.syncer = database, sandbox, syncer

    def compare(self, dataset: Dataset, rotation: int = TURNS, sessions: Sequence[object] = WINDOW) -> dict[str, Heard]:
        heard = self.syncer.reconcile(dataset, sessions, rotation)  # type: ignore[arg-type]
        return {told.source: told for told in heard}

    def differences(self) -> list[tuple[object, ...]]:
        return self.rows(_DIFFERENCES)

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query, values).fetchall()

    def traded(self, where: str = "true") -> str:
        """A code that traded in every session, of the BSE or not."""
        query = f"SELECT ts_code FROM daily_kline WHERE {where} GROUP BY 1 HAVING count(*) = %s ORDER BY 1 LIMIT 1"
        return str(self.rows(query, len(SYNCED))[0][0])

    def on_turn(self) -> str:
        """A code of Shanghai whose turn it is in the latest session, and that traded in every one."""
        number = len(xshg().between(xshg().first, LATEST))
        traded = self.rows(
            "SELECT ts_code FROM daily_kline WHERE ts_code LIKE '6%%' GROUP BY 1 HAVING count(*) = %s", len(SYNCED)
        )
        return sample([str(code) for (code,) in traded], number, TURNS)[0]

    def asked(self, server: str) -> Counter[str]:
        return Counter(call["api"] for call in self.sandbox.calls(server=server))


@contextmanager
def syncing(database: Database, sandbox: Rehearsal, run: str) -> Iterator[Syncer]:
    calendar, presence = xshg(), Presence(database.connect())
    limiter, ledger = Limiter(database.pool, presence), Ledger(database, presence)
    ledger.begin(run, "test", {})
    sources = [
        TushareSource(sandbox.token, sandbox.tushare_url, calendar, limiter, POLICIES),
        BaostockSource(sandbox.host, sandbox.baostock_port, "anonymous", "123456", calendar, limiter, POLICIES),
        AkshareSource(database, sandbox.web_environment(), calendar, limiter, POLICIES),
        DerivedSource(database, calendar, limiter, POLICIES),
    ]
    ranking = Ranking(database.pool, {"tushare": 1, "baostock": 2, "akshare": 3, "derived": 9}, fresh=0.0)
    yield Syncer(database, calendar, sources, ranking, ledger, run)
    for source in sources:
        source.close()
    presence.close()


@pytest.fixture(scope="module")
def synced(database: Database, home: Path, exchange: Exchange) -> Iterator[Database]:
    """The market that each test gets a copy of: nobody is connected to it."""
    with copied(database, home) as own:
        with pytest.MonkeyPatch.context() as patch, running(exchange, quotas={"*": None}) as sandbox:
            patch.setenv("QUANT_NOW", NOW)
            with syncing(own, sandbox, "before") as syncer:
                for dataset in (TRADE_CALENDAR, STOCK_LIST, SUSPENSIONS, ADJ_FACTOR, DAILY_KLINE, WEEKLY_KLINE, MONTHLY_KLINE):
                    sources = ["tushare", "derived"] if dataset.periodic else ["tushare"]  # derived: the month that is running
                    outcome = syncer.sync(dataset, Request(sessions=SYNCED, sources=sources))
                    assert not outcome.failed, next(iter(outcome.failed.values())).error
        own.close()
        yield own


@pytest.fixture
def market(synced: Database, home: Path, sandbox: Rehearsal) -> Iterator[Reconciling]:
    with copied(synced, home) as own, syncing(own, sandbox, "run") as syncer:
        yield Reconciling(own, sandbox, syncer)


@given(codes=CODE_LISTS, first=st.integers(0, 20_000), rotation=st.integers(1, 60))
def test_in_a_rotation_s_sessions_every_code_comes_round_once(codes: list[str], first: int, rotation: int) -> None:
    drawn = [code for day in range(first, first + rotation) for code in sample(codes, day, rotation)]
    assert sorted(drawn) == sorted(codes)


def test_a_rotation_fits_into_every_quarter() -> None:
    quarters = Counter((day.year, (day.month - 1) // 3) for day in xshg().sessions if day.year >= 2003)
    assert min(quarters.values()) >= ROTATION


def test_a_sample_is_about_as_large_on_every_day() -> None:
    codes = [f"{number:06d}.SZ" for number in range(5_400)]
    sizes = [len(sample(codes, day)) for day in range(ROTATION)]
    assert 50 < min(sizes) <= max(sizes) < 150


def test_an_honest_window_leaves_no_finding_and_the_whole_market_is_compared_in_a_call_a_session(market: Reconciling) -> None:
    before = market.asked("baostock")
    heard = market.compare(DAILY_KLINE, rotation=1)
    assert market.differences() == []
    assert (market.asked("baostock") - before)["query_daily_history_k_AStock"] == len(WINDOW)
    stored = {code for (code,) in market.rows("SELECT DISTINCT ts_code FROM daily_kline WHERE trade_date >= %s", WINDOW[0])}
    assert heard["baostock"].codes == {code for code in stored if not code.endswith(".BJ")}
    assert heard["akshare"].codes, "what BaoStock does not have is asked of the next"
    assert all(code.endswith(".BJ") for code in heard["akshare"].codes)
    for dataset in (ADJ_FACTOR, WEEKLY_KLINE, MONTHLY_KLINE):
        told = market.compare(dataset, sessions=SYNCED)
        assert told["baostock"].compared > 0, dataset.name
        assert all(each.failed == each.differing == 0 for each in told.values()), dataset.name
    assert market.differences() == []
    runs = market.rows(
        "SELECT dataset, sum(compared) > 0, sum(differing), sum(failed) FROM reconciliation_runs GROUP BY 1 ORDER BY 1"
    )
    assert runs == [(name, True, 0, 0) for name in ("adj_factor", "daily_kline", "monthly_kline", "weekly_kline")]


def test_one_fen_in_one_close_and_tenfold_volumes_of_one_day_are_named(market: Reconciling) -> None:
    code, bse = market.traded("ts_code LIKE '6%%'"), market.traded("ts_code LIKE '%%.BJ'")
    execute(
        market.database, "UPDATE daily_kline SET close = close + 0.01 WHERE ts_code = %s AND trade_date = %s", code, WINDOW[2]
    )
    execute(
        market.database, "UPDATE daily_kline SET close = close + 0.01 WHERE ts_code = %s AND trade_date = %s", bse, WINDOW[4]
    )
    execute(
        market.database, "UPDATE daily_kline SET vol = vol * 10 WHERE trade_date = %s AND ts_code NOT LIKE '%%.BJ'", WINDOW[6]
    )
    market.compare(DAILY_KLINE, rotation=1)
    found = market.differences()
    prices = [row[:6] for row in found if row[3] == "close"]
    assert prices == [
        (WINDOW[2], "daily_kline", code, "close", "tushare", "baostock"),
        (WINDOW[4], "daily_kline", bse, "close", "tushare", "akshare"),
    ]
    volumes = [row for row in found if row[3] == "vol"]
    assert {row[0] for row in volumes} == {WINDOW[6]}
    query = "SELECT ts_code FROM daily_kline WHERE trade_date = %s AND ts_code NOT LIKE '%%.BJ' ORDER BY 1"
    assert [row[2] for row in volumes] == [of for (of,) in market.rows(query, WINDOW[6])]
    assert all(row[6] == pytest.approx(10 * row[7], rel=0.1) for row in volumes)
    assert len(found) == len(prices) + len(volumes)


def test_a_finding_stays_as_it_was_found_until_the_two_agree(market: Reconciling) -> None:
    code = market.traded("ts_code LIKE '6%%'")
    query = "UPDATE daily_kline SET close = close + %s WHERE ts_code = %s AND trade_date = %s"
    execute(market.database, query, 0.01, code, WINDOW[2])
    market.compare(DAILY_KLINE)
    (noted,) = market.rows("SELECT updated_at FROM reconciliation")
    market.compare(DAILY_KLINE)
    assert market.rows("SELECT updated_at FROM reconciliation") == [noted]
    execute(market.database, query, -0.01, code, WINDOW[2])
    market.compare(DAILY_KLINE)
    assert market.differences() == []


def test_a_factor_s_ratio_a_weekly_and_a_monthly_bar_that_are_off_are_named(market: Reconciling) -> None:
    code = market.on_turn()
    execute(
        market.database,
        "UPDATE adj_factor SET adj_factor = adj_factor * 1.005 WHERE ts_code = %s AND trade_date >= %s",
        *(code, WINDOW[3]),
    )
    week, month = xshg().weeks(SYNCED[0], LATEST)[-2], xshg().months(SYNCED[0], LATEST)[-1]
    execute(market.database, "UPDATE weekly_kline SET high = high + 0.01 WHERE ts_code = %s AND trade_date = %s", code, week)
    execute(market.database, "UPDATE monthly_kline SET vol = vol * 2 WHERE ts_code = %s AND trade_date = %s", code, month)
    for dataset in (ADJ_FACTOR, WEEKLY_KLINE, MONTHLY_KLINE):
        market.compare(dataset, sessions=SYNCED)
    assert [row[:6] for row in market.differences()] == [
        (WINDOW[3], "adj_factor", code, "adj_factor", "tushare", "baostock"),
        (month, "monthly_kline", code, "vol", "tushare", "baostock"),
        (week, "weekly_kline", code, "high", "tushare", "baostock"),
    ]


def test_a_source_that_fails_midway_costs_its_own_sessions_and_codes_only(market: Reconciling) -> None:
    code = market.traded("ts_code LIKE '6%%'")
    execute(
        market.database, "UPDATE daily_kline SET close = close + 0.01 WHERE ts_code = %s AND trade_date = %s", code, WINDOW[9]
    )
    market.sandbox.order_fault("disconnect", server="baostock", api="query_daily_history_k_AStock", after=3, times=2)
    heard = market.compare(DAILY_KLINE)
    market.sandbox.clear_faults()
    assert heard["baostock"].failed == 1
    assert "baostock" in (heard["baostock"].error or "")
    assert [row[:4] for row in market.differences()] == [(WINDOW[9], "daily_kline", code, "close")]
    query = "SELECT failed, error IS NOT NULL FROM reconciliation_runs WHERE second_source = 'baostock'"
    assert market.rows(query) == [(1, True)]


def test_a_row_that_merely_breaks_our_rules_is_compared_and_not_refused(market: Reconciling) -> None:
    """The other source's volumes a hundredfold: our validation would refuse them all, and nothing would be said."""
    fault = {"columns": ["volume"], "factor": 100, "share": 1.0, "times": None}
    market.sandbox.order_fault("scaled", server="baostock", api="query_daily_history_k_AStock", **fault)
    heard = market.compare(DAILY_KLINE, sessions=WINDOW[-1:])
    market.sandbox.clear_faults()
    assert heard["baostock"].failed == 0
    assert {row[3] for row in market.differences()} == {"vol"}
    assert len(market.differences()) == len(heard["baostock"].codes) > 50


def test_a_code_with_a_finding_is_asked_again_though_it_is_not_its_turn(market: Reconciling) -> None:
    code = market.on_turn()
    execute(
        market.database,
        "UPDATE adj_factor SET adj_factor = adj_factor * 1.01 WHERE ts_code = %s AND trade_date >= %s",
        *(code, WINDOW[3]),
    )
    market.compare(ADJ_FACTOR)
    assert len(market.differences()) == 1
    execute(
        market.database,
        "UPDATE adj_factor SET adj_factor = adj_factor / 1.01 WHERE ts_code = %s AND trade_date >= %s",
        *(code, WINDOW[3]),
    )
    numbers = {day: len(xshg().between(xshg().first, day)) for day in WINDOW}
    day = next(day for day in reversed(WINDOW) if code not in sample([code], numbers[day]))
    market.compare(ADJ_FACTOR, rotation=ROTATION, sessions=[day])
    assert market.differences() == []
