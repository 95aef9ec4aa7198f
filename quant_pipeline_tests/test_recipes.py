"""The recipes of docs/development.md and docs/strategies.md, followed to the letter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import requests

from quant_pipeline.assets.checks import dataset_checks
from quant_pipeline.assets.dataset_asset import dataset_asset
from quant_pipeline.console.catalogue import page
from quant_pipeline.door import rendering
from quant_pipeline.door.pages import search
from quant_pipeline.look.environment import environment
from quant_pipeline.market import rules
from quant_pipeline.market.columns import number
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition
from quant_pipeline.market.datasets import DAILY_BASIC, DATASETS, SOURCED, STOCK_LIST, SUSPENSIONS
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import Settings
from quant_pipeline.sources import registry
from quant_pipeline.sources.base import Tally, serves
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, RatePolicy
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sources.tushare import TushareSource, _asked
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.strategies.registry import registered
from quant_pipeline.sync.checks import Scope, checks_of
from quant_pipeline.sync.engine import Outcome
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline.warehouse import schema
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.sources.loopback import send_json, serving, tushare_refusal, tushare_rows
from quant_pipeline_tests.sync.stored import CODES, LATEST, LISTED, NOW, store

MONEYFLOW = Dataset(
    "moneyflow",
    zh="个股资金流向",
    doc="Bought and sold by size of order.",
    group="market",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(CODE, TRADE_DATE, number("net_mf_amount", "净流入额", "Bought less sold.", "万元")),
    rules=(rules.code_is_tushare,),
    coverage=Coverage.MARKET,
    universe=("stock_list",),
    after=("stock_list", "suspensions"),
)
DOCS = Path(__file__).parents[1] / "docs"
FREE: Policies = {"tushare": {"*": RatePolicy(per_minute=None, per_second=None, retries=0, trip=1000)}}


class Tushare(TushareSource):
    """As it is when the recipe's method stands in it."""

    @serves(MONEYFLOW, by=(Grain.SESSION, Grain.CODE), api="moneyflow", page=6000)
    def moneyflow(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(MONEYFLOW, tally, **_asked(unit))


@pytest.fixture
def added(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The platform with the recipe carried out, and a market of 64 shares."""
    monkeypatch.setenv("QUANT_NOW", NOW)
    for catalogue in (DATASETS, SOURCED):
        monkeypatch.setitem(catalogue, MONEYFLOW.name, MONEYFLOW)
    monkeypatch.setattr(registry, "BUILT_IN", (Tushare, *registry.BUILT_IN[1:]))
    registry.registered.cache_clear()
    schema.fingerprint.cache_clear()  # a process that starts with the spec in place has none yet
    warehouse.upgrade()
    store(warehouse, STOCK_LIST, [{"ts_code": code, "list_status": "L", "list_date": LISTED} for code in CODES])
    yield warehouse
    registry.registered.cache_clear()
    schema.fingerprint.cache_clear()


def synced(database: Database, days: tuple[dt.date, ...], given: list[str]) -> Outcome:
    """A sync of the sessions from a server that gives the rows of these codes, and the right to nothing else."""

    def answer(handler: Any, asked: dict[str, Any]) -> None:
        if asked["api_name"] != "moneyflow":
            return send_json(handler, tushare_refusal("抱歉，您没有访问该接口的权限"))
        rows = [[code, asked["params"]["trade_date"], 12.5] for code in given]
        return send_json(handler, tushare_rows(["ts_code", "trade_date", "net_mf_amount"], rows))

    presence = Presence(database.connect())
    try:
        ledger = Ledger(database, presence)
        ledger.begin("run", "test", {})
        with serving(answer) as url:
            source = Tushare("token", url, xshg(), Limiter(database.pool, presence), FREE)
            ranking = Ranking(database.pool, {"tushare": 1})
            syncer = Syncer(database, xshg(), [source], ranking, ledger, "run")
            return syncer.sync(MONEYFLOW, Request(sessions=days))
    finally:
        presence.close()


def test_it_gets_its_table_and_its_rows(added: Database) -> None:
    days = xshg().window(LATEST, 2)
    outcome = synced(added, days, CODES)
    assert set(outcome.synced) == {Unit.session(day) for day in days}, outcome.failed
    assert read(added, MONEYFLOW).height == 2 * len(CODES)


def test_one_row_is_not_taken_for_the_market(added: Database) -> None:
    outcome = synced(added, (LATEST,), CODES[:1])
    (item,) = outcome.failed.values()
    assert "63 of 64 codes that should have traded are missing" in str(item.error)


def test_it_gets_its_asset_its_checks_and_its_page(added: Database) -> None:
    del added
    asset, checks = dataset_asset(MONEYFLOW), dataset_checks(MONEYFLOW)
    (spec,) = asset.specs
    assert (spec.key, spec.group_name) == (dg.AssetKey("moneyflow"), "market")
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"stock_list", "suspensions"}
    assert {key.name for key in checks.check_keys} == {check.name for check in checks_of(MONEYFLOW)} > {"rows_sane"}
    assert "| [`moneyflow`](#moneyflow) | 个股资金流向 | session | tushare |" in page()


@pytest.mark.parametrize("coverage", [Coverage.MARKET, Coverage.EVERY, Coverage.MOST])
def test_a_spec_whose_codes_owe_rows_says_which_codes(coverage: Coverage) -> None:
    with pytest.raises(ValueError, match=r"moneyflow: coverage .* needs a universe"):
        Dataset(
            "moneyflow",
            zh="个股资金流向",
            doc="As the recipe had it once.",
            group="market",
            partition=Partition.SESSION,
            key=("ts_code", "trade_date"),
            columns=(CODE, TRADE_DATE),
            coverage=coverage,
        )


def recipe(document: str, chapter: str, language: str = "python") -> str:
    """The first block of that language under the chapter's heading."""
    text = (DOCS / document).read_text(encoding="utf-8").split(f"\n## {chapter}\n", 1)[1]
    return text.split(f"```{language}\n", 1)[1].split("```", 1)[0]


def executed(block: str) -> dict[str, Any]:
    """What the block defines."""
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(block, "recipe", "exec", dont_inherit=True), names)
    return names


@pytest.mark.parametrize("document", ["strategies.md", "strategies.zh.md"])
def test_a_strategy_of_ones_own_in_ten_lines_screens_by_its_own_rule(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chapter = "One of your own" if document == "strategies.md" else "写一个自己的"
    text = recipe(document, chapter)
    assert len([line for line in text.splitlines() if line.strip()]) <= 10
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "my_high.py").write_text(text, encoding="utf-8")
    strategy = registered().strategies["my_high"]()
    days = xshg().window(LATEST, 5)
    closes = {"600000.SH": [10.0, 11.0, 10.5, 10.8, 11.2], "600001.SH": [10.0, 11.0, 10.5, 10.8, 10.9]}
    rows = [(code, day, close) for code, each in closes.items() for day, close in zip(days, each, strict=True)]
    bars = pl.DataFrame(rows, schema=["ts_code", "trade_date", "close"], orient="row")
    hits = strategy.screen(bars, days[-2:])
    assert hits.select("ts_code", "trade_date").rows() == [
        ("600000.SH", days[-1]),
        ("600001.SH", days[-1]),
    ]  # of the three last bars each: 11.2 and 10.9 are the highest


def test_a_check_of_ones_own_names_what_offends(warehouse: Database) -> None:
    check = executed(recipe("development.md", "A check"))["TURNOVER_PLAUSIBLE"]
    day = LATEST
    store(
        warehouse,
        DAILY_BASIC,
        [
            {"ts_code": code, "trade_date": day, "turnover_rate": rate}
            for code, rate in (("600000.SH", 99.0), ("600001.SH", 101.0))
        ],
    )
    verdict = check.judge(Scope(warehouse, DAILY_BASIC, (day,), xshg()))
    assert (verdict.passed, verdict.looked_at, verdict.offending["ts_code"].to_list()) == (False, 2, ["600001.SH"])


def test_a_page_of_ones_own_is_served_in_the_frame(
    warehouse: Database, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)
    store(warehouse, SUSPENSIONS, [{"ts_code": "600000.SH", "trade_date": LATEST, "suspend_type": "S"}])
    (tmp_path / "halts.html").write_text(recipe("development.md", "A page", "html"), encoding="utf-8")
    frame = environment(rendering.TEMPLATES, tmp_path)
    frame.globals |= rendering._environment().globals
    monkeypatch.setattr(rendering, "_environment", lambda: frame)
    module = executed(recipe("development.md", "A page"))
    monkeypatch.setattr(search, "router", module["router"])  # its place in the tuple of door/app.py
    with served(Settings(QUANT_HOME=home), warehouse) as url:
        page = requests.get(f"{url}/halts/{LATEST}", timeout=30)
        unknown = requests.get(f"{url}/halts/yesterday", timeout=30)
    assert (page.status_code, "600000.SH" in page.text, "SANDBOX" in page.text) == (200, True, True)
    assert unknown.status_code in (400, 404)
