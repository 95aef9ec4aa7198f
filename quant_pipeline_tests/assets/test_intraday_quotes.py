"""Kept quotes in Dagster: what a session's partition says, and that a session that ends otherwise than its bars is named."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

import dagster as dg
import pytest

import quant_pipeline as qp
from quant_pipeline.definitions import defs
from quant_pipeline.market import clock
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.quotes.hosts import Hosts
from quant_pipeline.quotes.kept import keep
from quant_pipeline.quotes.poller import Poller, sources
from quant_pipeline.quotes.store import Store
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sync.insight.status import status_of
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.assets.platform import LATEST, NOW, Platform, observations, plain, texts

NAME = "intraday_quotes"
TIMES = ("10:30:00", "10:30:30", "11:20:00", "14:59:00", "15:00:00")


@pytest.fixture(scope="module")
def codes(platform: Platform) -> list[str]:
    """Three shares that traded; the first two were watched to the close, the third to 14:59."""
    lists = ("trade_calendar", "stock_list", "suspensions")
    platform.fill(platform.sessions(1), *lists, DAILY_KLINE.name)
    return read(platform.database, DAILY_KLINE, start=LATEST, columns=["ts_code"])["ts_code"].to_list()[:3]


@pytest.fixture(scope="module")
def kept(platform: Platform, codes: list[str]) -> Platform:
    sandbox, store = platform.sandbox, Store(platform.database)
    hosts = Hosts(sandbox.tencent_quotes_url, sandbox.tencent_ranks_url, sandbox.sina_quotes_url)
    with closing(Presence(platform.database.connect())) as presence, pytest.MonkeyPatch.context() as patch:
        limiter = Limiter(platform.database.pool, presence)
        poller = Poller(store, "host:1", lambda: sources(hosts, limiter, list), xshg, keep=partial(keep, platform.database))
        for at in TIMES:
            store.subscribe("a", codes if at < TIMES[-1] else codes[:2])
            patch.setenv(clock.NOW_VARIABLE, f"{LATEST}T{at}")
            poller.poll()
    return platform


def materialized(result: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    return [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]


def checked(result: dg.ExecuteInProcessResult) -> tuple[dg.AssetCheckEvaluation, dict[str, Any]]:
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation, plain(evaluation.metadata)


def column(table: Any, name: str) -> list[Any]:
    records, _ = table
    return [record.data[name] for record in records]


def test_a_session_says_what_was_kept_and_when_nothing_came(
    kept: Platform, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_QUOTES_STORE", "true")
    result = kept.run(kept.sessions(2), job="quotes_report")
    assert result.success, texts(result)
    (event,) = materialized(result)
    told = plain(event.metadata)
    assert event.partition == f"{LATEST}", "a session of which nothing is kept is no partition"
    assert {name: told[name] for name in ("dagster/row_count", "codes", "first", "last", "source")} == {
        "dagster/row_count": 3 * 4 + 2,
        "codes": 3,
        "first": "10:30:00",
        "last": "15:00:00",
        "source": "tencent",
    }
    assert told["gaps"] == 4
    assert column(told["gaps_listed"], "从 from") == ["09:30:00", "10:30:30", "11:20:00", "13:00:00"]
    (empty,) = observations(result)
    assert empty.partition == f"{kept.sessions(2)[0]}"
    evaluation, facts = checked(result)
    assert evaluation.passed, facts
    assert (facts["looked_at"], facts["ended_early"]) == (2, 1)
    assert "2 只股票" in str(evaluation.description)
    frame = qp.read(NAME, codes=codes[:1])
    assert frame["quote_time"].to_list() == list(TIMES)


def test_a_share_whose_quotes_end_otherwise_than_its_bar_is_named_and_no_other(
    kept: Platform, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_QUOTES_STORE", "true")
    kept.execute("UPDATE daily_kline SET high = high + 0.01 WHERE ts_code = %s AND trade_date = %s", codes[1], LATEST)
    evaluation, facts = checked(kept.run(kept.sessions(1), job="quotes_report"))
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert codes[1] in str(evaluation.description)
    assert facts["codes"] == codes[1]
    assert column(facts["rows"], "field") == ["high"]
    kept.execute("UPDATE daily_kline SET high = high - 0.01, vol = vol * 2 WHERE ts_code = %s", codes[1])
    _, facts = checked(kept.run(kept.sessions(1), job="quotes_report"))
    assert column(facts["rows"], "field") == ["vol"]
    kept.execute("UPDATE daily_kline SET vol = vol / 2 WHERE ts_code = %s", codes[1])


def test_what_was_not_compared_has_not_passed(kept: Platform, codes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    del codes
    monkeypatch.setenv("QUANT_QUOTES_STORE", "true")
    kept.execute("UPDATE intraday_quotes SET trade_date = %s", kept.sessions(2)[0])
    evaluation, facts = checked(kept.run(kept.sessions(2), job="quotes_report"))
    kept.execute("UPDATE intraday_quotes SET trade_date = %s", LATEST)
    assert not evaluation.passed
    assert (facts["looked_at"], facts["without_bar"]) == (0, 2)


def test_where_nothing_is_kept_the_asset_says_how_to_switch_it_on(kept: Platform) -> None:
    result = kept.run(kept.sessions(3)[:1], NAME, job="__ASSET_JOB")
    assert not result.success
    assert "QUANT_QUOTES_STORE=true" in texts(result)[NAME]
    (spec,) = (each for each in defs.resolve_all_asset_specs() if each.key == dg.AssetKey(NAME))
    assert "QUANT_QUOTES_STORE=true" in (spec.description or "")


def test_no_other_job_and_no_status_knows_it(kept: Platform) -> None:
    repository = defs.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    assert [job.name for job in jobs if NAME in {node.name for node in job.nodes}] == ["quotes_report"]
    status = status_of(kept.database, kept.calendar)
    assert NAME not in {each.dataset for each in status.datasets}
    assert clock.now().isoformat().startswith(NOW)
