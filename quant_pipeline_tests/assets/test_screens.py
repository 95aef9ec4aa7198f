"""Screens in Dagster: one read for all of a run, a universe from the launchpad, hits beside those of the session before."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pydantic
import pytest

from quant_pipeline.assets import screens
from quant_pipeline.assets.screens import screen_asset
from quant_pipeline.market.datasets import NAME_HISTORY, STOCK_LIST, THS_CONCEPTS, THS_MEMBERS
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.settings import Settings
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.registry import Registry
from quant_pipeline.warehouse.lake import folder_of, sync
from quant_pipeline_tests.assets.platform import LATEST, Platform, plain, texts
from quant_pipeline_tests.sync.stored import MAIN, market, sessions, store

CODES = MAIN[:6]
DAYS = sessions(12)


class Parameters(pydantic.BaseModel):
    above: float = pydantic.Field(0, description="Close above. 收盘高于")


class ByClose(Strategy):
    """Buys whatever closes above a price."""

    name, zh, doc, Parameters = "by_close", "价格高于", "Closes above a price.", Parameters
    lookback, figures = 2, ("close",)

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        close = pl.col("close")
        return bars.select("ts_code", "trade_date", "close", buy=close > self.parameters.above, sell=pl.lit(False), score=close)


class ByVolume(ByClose):
    """Needs another column, and a longer past."""

    name, lookback, needs = "by_volume", 5, {"daily_kline": ("vol", "close")}


class Broken(ByClose):
    """Raises."""

    name = "broken"

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        return bars.select(pl.col("close") // 0).filter(pl.lit(1) == pl.col("nothing"))


STRATEGIES = {each.name: each for each in (ByClose, ByVolume, Broken)}


@pytest.fixture(scope="module")
def stored(platform: Platform) -> Iterator[Platform]:
    market(platform.database, DAYS, CODES)
    listed = {"list_status": "L", "list_date": dt.date(2020, 1, 2), "name": "名", "industry": "银行"}
    store(platform.database, STOCK_LIST, [{"ts_code": code, **listed} for code in CODES])
    names = [{"ts_code": code, "name": "名", "start_date": dt.date(2020, 1, 2)} for code in CODES[1:]]
    names += [
        {"ts_code": CODES[0], "name": "ST名", "start_date": dt.date(2020, 1, 2)},
        {"ts_code": CODES[0], "name": "名", "start_date": DAYS[-1]},
    ]
    store(platform.database, NAME_HISTORY, names)
    store(platform.database, THS_CONCEPTS, [{"ts_code": "885001.TI", "name": "人工智能", "type": "N"}])
    store(platform.database, THS_MEMBERS, [{"ts_code": "885001.TI", "con_code": CODES[5]}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screens, "registered", lambda: Registry(STRATEGIES, {}))
        yield platform


def _run(
    platform: Platform, days: Sequence[dt.date], *names: str, config: dict[str, Any] | None = None
) -> dg.ExecuteInProcessResult:
    warehouse = WarehouseResource()
    span = {
        "dagster/asset_partition_range_start": days[0].isoformat(),
        "dagster/asset_partition_range_end": days[-1].isoformat(),
    }
    definitions = dg.Definitions(
        [screen_asset(STRATEGIES[name], by_itself=False) for name in names],
        resources={"warehouse": warehouse, "notifier": NotifierResource(warehouse=warehouse)},
        executor=dg.in_process_executor,
    )
    return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=platform.instance,
        run_config={
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": {f"screen_{name}": {"config": values} for name, values in (config or {}).items()},
        },
        tags=span,
        raise_on_error=False,
    )


def _hits(platform: Platform, screen: str, day: dt.date, columns: str = "ts_code") -> list[tuple[Any, ...]]:
    query = f"SELECT {columns} FROM screen_results WHERE screen = %s AND trade_date = %s ORDER BY rank"
    return platform.rows(query, screen, day)


def _told(platform: Platform, screen: str) -> dict[str, Any]:
    (record,) = platform.instance.fetch_materializations(dg.AssetKey(f"screen_{screen}"), limit=1).records
    assert record.asset_materialization is not None
    return plain(record.asset_materialization.metadata)


def test_the_screens_of_a_run_share_one_read(stored: Platform, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "quant_pipeline.warehouse.screening")
    assert _run(stored, DAYS[-1:], "by_close", "by_volume").success
    assert len([record for record in caplog.records if record.message.startswith("read ")]) == 1
    assert len(_hits(stored, "by_close", LATEST)) == len(_hits(stored, "by_volume", LATEST)) == len(CODES)


def test_a_hit_has_rank_reason_industry_and_concepts(stored: Platform) -> None:
    assert _run(stored, DAYS[-1:], "by_close").success
    columns = "ts_code, rank, close, reason, industry, concepts, universe"
    best, second = _hits(stored, "by_close", LATEST, columns)[:2]
    assert best == (CODES[5], 1, 16.1, "价格高于：close 16.10", "银行", "人工智能", None)
    assert second[:2] == (CODES[4], 2)
    assert second[5] is None


def test_a_universe_is_chosen_in_the_launchpad_and_by_the_day(stored: Platform) -> None:
    config = {"by_close": {"above": 0.0, "universe": {"without_st": True, "min_listed": 60}}}
    assert _run(stored, DAYS[-2:], "by_close", config=config).success
    assert (CODES[0],) not in _hits(stored, "by_close", DAYS[-2]), "it was ST until then"
    assert (CODES[0],) in _hits(stored, "by_close", DAYS[-1])
    assert _hits(stored, "by_close", LATEST, "universe")[0] == ('{"without_st": true, "min_listed": 60}',)
    told = _told(stored, "by_close")
    assert told["universe"] == {"without_st": True, "min_listed": 60}
    assert (told["new"], told["kept"], told["gone"]) == (1, 5, 0)


def test_what_is_gone_is_told(stored: Platform) -> None:
    assert _run(stored, DAYS[-2:-1], "by_close").success
    assert _run(stored, DAYS[-1:], "by_close", config={"by_close": {"above": 15.0}}).success
    told = _told(stored, "by_close")
    assert (told["new"], told["kept"], told["gone"]) == (0, 2, 4)


@pytest.mark.parametrize(
    ("universe", "words"),
    [
        ({"boards": ["star"]}, f"{DAYS[-3]} 的股票池为空"),
        ({"boards": ["nasdaq"]}, "nasdaq 不是板块：请写 main, chinext, star, bse"),
        ({"index": "hs300"}, f"筛选条件 index 需要 index_weights {DAYS[-3]}，而库中没有"),
        ({"min_listed": -1}, "universe：min_listed：不得小于 0"),
        ({"ths": ["人工智障"]}, "人工智障 不是同花顺概念或行业；或许是：人工智能 885001.TI"),
    ],
)
def test_a_universe_that_cannot_be_is_a_sentence_and_nothing_is_written(
    stored: Platform, universe: dict[str, Any], words: str
) -> None:
    assert _run(stored, DAYS[-3:], "by_close").success
    before = stored.rows("SELECT * FROM screen_results ORDER BY 1, 2, 3")
    result = _run(stored, DAYS[-3:], "by_close", config={"by_close": {"universe": universe}})
    assert not result.success
    assert words in texts(result)["screen_by_close"]
    assert stored.rows("SELECT * FROM screen_results ORDER BY 1, 2, 3") == before


def test_codes_that_could_not_be_judged_are_named_at_the_session(stored: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STRATEGIES["by_close"], "left_out", {CODES[0]: "too short"})
    assert _run(stored, DAYS[-1:], "by_close").success
    assert _told(stored, "by_close")["left_out"] == {CODES[0]: "too short"}


def test_one_strategy_that_raises_stops_no_other(stored: Platform) -> None:
    result = _run(stored, DAYS[-1:], "broken", "by_close")
    assert texts(result).keys() == {"screen_broken"}
    assert "broken" in texts(result)["screen_broken"]
    assert "screen_by_close" in {event.step_key for event in result.all_events if event.is_step_success}


def test_a_backfill_says_session_by_session_what_one_session_alone_says(stored: Platform, tmp_path: Path) -> None:
    days = DAYS[-3:]
    assert _run(stored, days, "by_volume").success
    query = "SELECT * FROM screen_results WHERE screen = 'by_volume' ORDER BY trade_date, rank"
    whole = [row[:-1] for row in stored.rows(query)]
    assert {row[1] for row in whole} == set(days)
    assert set(stored.materialized("screen_by_volume")) >= {day.isoformat() for day in days}
    stored.execute("DELETE FROM screen_results WHERE screen = 'by_volume'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUANT_HOME", str(tmp_path))
        sync(stored.database, folder_of(Settings(QUANT_HOME=tmp_path)))  # and from the lake what PostgreSQL says
        for day in days:
            assert _run(stored, [day], "by_volume").success
    assert [row[:-1] for row in stored.rows(query)] == whole
