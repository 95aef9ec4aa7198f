"""The promise of three sources: a backfill through every outage ends complete, and with the values of an undisturbed one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pytest

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, STOCK_LIST, SUSPENSIONS, TRADE_CALENDAR
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sources.akshare import AkshareSource
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, RatePolicy
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync import engine
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.sync.conftest import LATEST, NOW

SESSIONS = xshg().window(LATEST, 120)
_QUICK = RatePolicy(per_minute=None, per_second=None, concurrency=3, retries=1, backoff=0.01, trip=3, cool_down=600)
POLICIES: Policies = {
    "tushare": {"*": _QUICK},
    "baostock": {"*": _QUICK.model_copy(update={"concurrency": 1, "one_account": True, "timeout": 8.0, "cool_down": 0.5})},
    "akshare": {"*": _QUICK.model_copy(update={"concurrency": 1, "retries": 0, "trip": 2, "cool_down": 0.5})},
    "derived": {"*": _QUICK},
}
_FIELDS = ["open", "high", "low", "close", "pre_close", "change", "pct_chg", "vol", "amount"]


@dataclass
class Platform:
    """A syncer with all sources over a sandbox."""

    database: Database
    sandbox: Rehearsal
    baostock: BaostockSource
    syncer: Syncer
    ledger: Ledger

    def backfill(self) -> None:
        for dataset in (TRADE_CALENDAR, STOCK_LIST, SUSPENSIONS, ADJ_FACTOR, DAILY_KLINE):
            outcome = self.syncer.sync(dataset, Request(sessions=SESSIONS))
            assert not outcome.failed, next(iter(outcome.failed.values())).error

    def bars(self) -> pl.DataFrame:
        return read(self.database, DAILY_KLINE, columns=[*DAILY_KLINE.column_names, "source"])


class Interrupted(Source):
    """Who asks this source for the codes that lack is interrupted by Ctrl-C."""

    name = "interrupted"

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))

    @serves(DAILY_KLINE, by=(Grain.CODE,), api="daily", page=6000)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit, tally
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    """More codes than there are sessions, so that they are asked for session by session."""
    return Exchange(codes=300, first_year=2025)


@pytest.fixture
def platform(exchange: Exchange, warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setenv("QUANT_NOW", NOW)
    calendar = xshg()
    with running(exchange, quotas={"*": None}) as sandbox:
        presence = Presence(warehouse.connect())
        limiter = Limiter(warehouse.pool, presence)
        ledger = Ledger(warehouse, presence)
        ledger.begin("run", "test", {})
        baostock = BaostockSource(sandbox.host, sandbox.baostock_port, "anonymous", "123456", xshg(), limiter, POLICIES)
        sources = [
            TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, POLICIES),
            baostock,
            AkshareSource(warehouse, sandbox.web_environment(), xshg(), limiter, POLICIES),
            DerivedSource(warehouse, calendar, limiter, POLICIES),
        ]
        ranking = Ranking(warehouse.pool, {"tushare": 1, "baostock": 2, "akshare": 3, "derived": 9}, fresh=0.0)
        yield Platform(warehouse, sandbox, baostock, Syncer(warehouse, calendar, sources, ranking, ledger, "run"), ledger)
        for source in sources:
            source.close()
        presence.close()


def test_cut_hung_and_blocked_it_ends_complete_and_equal(platform: Platform) -> None:
    sandbox = platform.sandbox
    sandbox.order_fault("disconnect", api="daily", after=60, times=None)
    sandbox.order_fault("hang", server="baostock", api="query_daily_history_k_AStock", every=25, seconds=60)
    sandbox.order_fault("html", server="akshare", api="eastmoney", times=3)
    platform.backfill()
    disturbed = platform.bars()

    by_source = dict(disturbed.group_by("source").len().iter_rows())
    assert set(by_source) == {"tushare", "baostock", "akshare"}, "each row says who gave it"
    filled = disturbed.filter(pl.col("source") == "akshare")
    assert filled.filter(~pl.col("ts_code").str.ends_with(".BJ")).is_empty(), "what BaoStock does not have"
    sessions = disturbed.filter(pl.col("source") == "tushare")["trade_date"].n_unique()
    assert 48 <= sessions <= 63
    done = platform.ledger.done(DAILY_KLINE, [Unit.session(day) for day in SESSIONS])
    assert len(done) == len(SESSIONS)
    assert {str(unit): item.missing for unit, item in done.items() if item.missing} == {}

    with platform.database.connect() as connection:
        connection.execute("TRUNCATE daily_kline, sync_items, source_state, source_calls")
    sandbox.clear_faults()
    platform.backfill()
    undisturbed = platform.bars()
    assert set(undisturbed["source"]) == {"tushare"}
    keys = ["ts_code", "trade_date"]
    assert disturbed.select(keys).equals(undisturbed.select(keys)), "no row more, no row less"
    for field in _FIELDS:
        assert disturbed[field].null_count() == undisturbed[field].null_count() == 0, field
        worst = (disturbed[field] - undisturbed[field]).abs().max()
        assert isinstance(worst, float)
        assert worst <= {"pct_chg": 1e-3, "amount": 1e-3}.get(field, 1e-6), field


def test_a_source_that_is_switched_off_while_a_sync_runs_is_asked_no_more(platform: Platform) -> None:
    for dataset in (TRADE_CALENDAR, STOCK_LIST, SUSPENSIONS):
        platform.syncer.sync(dataset, Request(sessions=SESSIONS[-40:]))
    with platform.database.connect() as connection:
        connection.execute(
            "INSERT INTO source_state (source, api, priority) VALUES ('tushare', 'daily', 5)"
            " ON CONFLICT (source, api) DO UPDATE SET priority = 5"
        )
    outcome = platform.syncer.sync(DAILY_KLINE, Request(sessions=SESSIONS[-3:]))
    assert not outcome.failed
    owners = platform.bars().group_by("source").agg(pl.col("ts_code").str.slice(-2).unique().sort()).sort("source")
    assert dict(owners.iter_rows()) == {"akshare": ["BJ"], "baostock": ["SH", "SZ"]}


def test_many_codes_that_lack_today_come_with_the_quotations_of_the_whole_market(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evening of an outage: BaoStock has no BSE, and eastmoney would ban whoever asked for its codes one by one."""
    monkeypatch.setattr(engine, "_WHOLE_FROM", 5)
    for dataset in (TRADE_CALENDAR, STOCK_LIST, SUSPENSIONS):
        platform.syncer.sync(dataset, Request(sessions=[LATEST]))
    outcome = platform.syncer.sync(DAILY_KLINE, Request(sessions=[LATEST], sources=["baostock", "akshare"]))
    (item,) = outcome.synced.values()
    assert (item.missing, item.calls) == (0, 2), "one of each"
    assert outcome.sources == ["akshare", "baostock"]
    owners = platform.bars().group_by("source").agg(pl.col("ts_code").str.slice(-2).unique().sort()).sort("source")
    assert dict(owners.iter_rows()) == {"akshare": ["BJ"], "baostock": ["SH", "SZ"]}
    assert item.inserted == item.rows == platform.bars().height


def test_a_session_whose_gaps_were_never_asked_for_is_not_done(platform: Platform) -> None:
    """Killed between the short answer and the rest, the ledger must not say that the session is there."""
    for dataset in (TRADE_CALENDAR, STOCK_LIST, SUSPENSIONS):
        platform.syncer.sync(dataset, Request(sessions=[LATEST]))
    sources = [platform.baostock, Interrupted(xshg(), platform.baostock._limiter, POLICIES)]
    ranking = Ranking(platform.database.pool, {"baostock": 1, "interrupted": 2})
    syncer = Syncer(platform.database, xshg(), sources, ranking, platform.ledger, "run")
    with pytest.raises(KeyboardInterrupt):
        syncer.sync(DAILY_KLINE, Request(sessions=[LATEST]))
    assert platform.bars().height > 200, "what came is kept"
    assert platform.ledger.done(DAILY_KLINE, [Unit.session(LATEST)]) == {}
    assert platform.ledger.failed(DAILY_KLINE) == [Unit.session(LATEST)]


def test_a_lower_source_never_overwrites_a_higher_one_s_rows_unless_forced(platform: Platform) -> None:
    platform.syncer.sync(TRADE_CALENDAR, Request())
    session = [LATEST]
    assert not platform.syncer.sync(DAILY_KLINE, Request(sessions=session)).failed
    with platform.database.connect() as connection:
        connection.execute("UPDATE daily_kline SET close = close + 1 WHERE ts_code NOT LIKE '%%.BJ'", ())
        connection.execute(
            "INSERT INTO source_state (source, api, priority) VALUES ('tushare', 'daily', 0)"
            " ON CONFLICT (source, api) DO UPDATE SET priority = 0"
        )
        connection.execute("DELETE FROM sync_items WHERE dataset = 'daily_kline'")
    platform.syncer.sync(DAILY_KLINE, Request(sessions=session))
    assert set(platform.bars()["source"]) == {"tushare"}
    platform.syncer.sync(DAILY_KLINE, Request(sessions=session, sources=["baostock"], force=True))
    assert set(platform.bars().filter(~pl.col("ts_code").str.ends_with(".BJ"))["source"]) == {"baostock"}
