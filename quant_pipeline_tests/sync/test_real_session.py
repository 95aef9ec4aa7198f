"""One real session of the whole market, as Tushare answered it: every row lands, and no check cries wolf.

The recording is not part of the repository: without it the test is skipped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, PRICE_LIMITS, STOCK_LIST
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import running
from quant_pipeline.sandbox.servers.tushare_apis import APIS
from quant_pipeline.sync.checks import Scope, checks_of
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.sync.conftest import QUICK, Bench

RECORDING = Path(__file__).resolve().parents[3] / "shared" / "realdata"
pytestmark = pytest.mark.skipif(not RECORDING.is_dir(), reason="the recorded session is not here")


class Recording:
    """The recorded answers as a market for the sandbox's Tushare server."""

    def __init__(self) -> None:
        self._frames = {
            file.name.removesuffix(".csv.gz"): pl.read_csv(file, schema_overrides={"symbol": pl.String})
            for file in RECORDING.glob("*.csv.gz")
        }

    def edition(self) -> str:
        return "recorded"

    def frame(self, api: str, params: Mapping[str, str], rows: int | None = None) -> pl.DataFrame:
        del rows
        frame = self._frames[api].with_columns(pl.selectors.ends_with("_date").cast(pl.String))
        served = APIS[api]
        lacking = [name for name in (*served.columns, *served.optional) if name not in frame.columns]
        frame = frame.with_columns(pl.lit(None).alias(name) for name in lacking)
        for name in ("trade_date", "list_status"):
            if params.get(name):
                frame = frame.filter(pl.col(name) == params[name])
        return frame


@pytest.fixture
def bench(warehouse: Database) -> Iterator[Bench]:
    presence = Presence(warehouse.connect())
    ledger = Ledger(warehouse, presence)
    ledger.begin("run-1", "test", {})
    with running(Recording(), quotas={"*": None}) as sandbox:
        yield Bench(warehouse, presence, ledger, xshg(), sandbox, dict(QUICK), sandbox.token)
    presence.close()


@pytest.mark.parametrize(
    ("day", "datasets"),
    [
        (dt.date(2025, 12, 18), {DAILY_KLINE: 5449, ADJ_FACTOR: 5464, DAILY_BASIC: 5449}),
        (dt.date(2025, 12, 19), {PRICE_LIMITS: 7396}),
    ],
    ids=["bars", "limits"],
)
def test_a_real_session_lands_whole_and_passes_its_checks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, day: dt.date, datasets: dict[Dataset, int]
) -> None:
    monkeypatch.setenv("QUANT_NOW", f"{day}T18:00")
    assert bench.sync(STOCK_LIST).total("rows") == 5470
    for dataset, rows in datasets.items():
        outcome = bench.sync(dataset, (day,))
        assert not outcome.failed
        assert outcome.total("rejected") == 0, bench.rows("SELECT reason, row FROM rejected_rows LIMIT 5")
        assert outcome.total("inserted") == rows
        scope = Scope(bench.database, dataset, [day], bench.calendar)
        for check in checks_of(dataset):
            verdict = check.judge(scope)
            assert verdict.passed, f"{dataset.name}.{check.name}: {verdict.text}\n{verdict.offending}"
