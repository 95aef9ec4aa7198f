"""The registry of sources, with packages that are really installed: a folder on the path with its entry points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quant_pipeline.console.catalogue import page
from quant_pipeline.console.choices import chosen_sources
from quant_pipeline.console.sources import known_apis
from quant_pipeline.market.datasets import STOCK_LIST
from quant_pipeline.market.xshg import xshg
from quant_pipeline.resources.sources import SourcesResource
from quant_pipeline.settings import SettingsError
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.failures import SourceError
from quant_pipeline.sources.policy import policy_for
from quant_pipeline.sources.registry import BUILT_IN, GROUP, policies, priorities, registered
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

ROOT = Path(__file__).parents[2]
MODULE = '''
from typing import ClassVar
import polars as pl
from pydantic import Field, SecretStr
from quant_pipeline.market.datasets import STOCK_LIST
from quant_pipeline.sources.base import Source, serves
from quant_pipeline.sources.context import SourceSettings
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.units import Grain

class MineSettings(SourceSettings):
    file: str | None = Field(None, alias="MINE_FILE")
    key: SecretStr | None = Field(None, alias="MINE_KEY")

class Mine(Source):
    """Shares out of a file."""
    name = "mine"
    default_priority = 5
    default_policies: ClassVar = {"*": RatePolicy(per_minute=7)}
    settings = MineSettings

    @classmethod
    def build(cls, settings, context):
        source = super().build(settings, context)
        source.file = settings.file
        return source

    def classify(self, api, error):
        return SourceError(FailureClass.PERMANENT_API, self.name, api, f"{self.file} cannot be read")

    @serves(STOCK_LIST, by=(Grain.SNAPSHOT,), api="file", page=1000)
    def stock_list(self, unit, tally):
        return self.call("file", lambda: pl.read_csv(self.file), tally)

class Impostor(Mine):
    name = "tushare"

class Shouting(Mine):
    name = "My Source!"

class Unfinished(Source):
    name, default_priority, default_policies = "unfinished", 5, {}

class Nameless(Source):
    def classify(self, api, error): ...

class Failing(Mine):
    name = "failing"
    @classmethod
    def build(cls, settings, context):
        raise OSError("no licence file")

not_a_class = 5
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "plugged_source.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "burst_source.py").write_text("raise RuntimeError('no licence')", encoding="utf-8")
    info = tmp_path / "plugged_source-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-source\nVersion: 1.0\n", encoding="utf-8")
    names = "Mine Impostor Shouting Unfinished Nameless Failing not_a_class absent".split()
    points = [f"{name.lower()} = plugged_source:{name}" for name in names] + ["burst = burst_source:X", "gone = no_module:X"]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points]), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    registered.cache_clear()
    yield
    registered.cache_clear()


def test_ours_are_there_without_any_plug_in() -> None:
    assert list(registered().sources) == ["tushare", "baostock", "akshare", "ths", "derived"]
    assert registered().broken == {}
    assert priorities() == {"tushare": 1, "baostock": 2, "akshare": 3, "ths": 4, "derived": 9}


@pytest.mark.usefixtures("install")
def test_plug_ins_join_and_the_broken_ones_are_named_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    found = registered()
    assert list(found.sources) == ["tushare", "baostock", "akshare", "ths", "derived", "failing", "mine"]
    assert found.sources["tushare"] is TushareSource, "ours cannot be replaced"
    reasons = {
        "impostor": "another one with the name",
        "shouting": "My Source!",
        "unfinished": "it lacks classify",
        "nameless": "name, default_priority, default_policies",
        "not_a_class": "no subclass",
        "absent": "absent",
        "burst": "no licence",
        "gone": "no_module",
    }
    assert set(found.broken) == set(reasons)
    for name, reason in reasons.items():
        assert reason in found.broken[name]
        assert name in caplog.text


@pytest.mark.usefixtures("install")
def test_a_plug_in_is_ranked_paced_named_and_documented_as_ours_are(
    warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert priorities()["mine"] == 5
    monkeypatch.setenv("MINE_PRIORITY", "0")
    assert priorities()["mine"] == 0
    assert policy_for(policies(None), "mine", "file").per_minute == 7
    (tmp_path / "limits.toml").write_text("[mine.file]\nper_minute = 3", encoding="utf-8")
    assert policy_for(policies(tmp_path / "limits.toml"), "mine", "file").per_minute == 3
    assert chosen_sources(["mine", "tushare"]) == ["mine", "tushare"]
    assert known_apis(warehouse)["mine"] == {"file"}
    assert "| mine | 5 | `MINE_PRIORITY`, `MINE_FILE`, `MINE_KEY` |" in page()
    assert "| mine | `file` | snapshot |" in page()


@pytest.mark.usefixtures("install")
def test_a_plug_in_is_opened_with_its_settings_and_asked_and_one_that_cannot_be_built_stops_no_other(
    warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("QUANT_MODE", "live")  # nobody is asked
    for variable in ("TUSHARE_TOKEN", "THS_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MINE_PRIORITY", "1")
    monkeypatch.setenv("MINE_FILE", str(tmp_path / "shares.csv"))
    (tmp_path / "shares.csv").write_text("ts_code,name\n600000.SH,浦发银行\n", encoding="utf-8")
    presence = Presence(warehouse.connect())
    with SourcesResource().opened(warehouse, xshg(), presence) as (sources, ranking):
        assert [source.name for source in sources] == ["tushare", "mine", "baostock", "akshare", "derived"]
        assert "TUSHARE_TOKEN" in (sources[0].unavailable() or ""), "it is in use, and says what it lacks when it is asked"
        assert "failing is left out: OSError: no licence file" in caplog.text
        mine = sources[1]
        assert (
            ranking.order(STOCK_LIST, [source for source in sources if source.can_serve(STOCK_LIST, Grain.SNAPSHOT)])[1] is mine
        )
        rows = mine.fetch(STOCK_LIST, Unit.snapshot(xshg().latest()), Tally())
        assert rows.rows() == [("600000.SH", "浦发银行")]
        (tmp_path / "shares.csv").unlink()
        with pytest.raises(SourceError, match="cannot be read"):
            mine.fetch(STOCK_LIST, Unit.snapshot(xshg().latest()), Tally())
    presence.close()


def test_a_wrong_priority_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAOSTOCK_PRIORITY", "-1")
    with pytest.raises(SettingsError, match="BAOSTOCK_PRIORITY"):
        priorities()


def test_each_variable_of_a_source_of_ours_is_explained_to_the_user() -> None:
    explained = (ROOT / ".env.example").read_text(encoding="utf-8")
    standard = {"HTTP_PROXY", "NO_PROXY", "CURL_CA_BUNDLE"}
    for source in BUILT_IN:
        for field in source.settings.model_fields.values():
            assert field.alias in standard or str(field.alias) in explained, field.alias
        assert f"{source.name.upper()}_PRIORITY={source.default_priority}" in explained
