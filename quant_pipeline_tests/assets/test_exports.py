"""Exports in Dagster, and as commands."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests
from click.testing import CliRunner, Result

from quant_pipeline.assets import exports
from quant_pipeline.assets.exports import export_asset
from quant_pipeline.cli import main
from quant_pipeline.definitions import defs
from quant_pipeline.exports.qlib import Qlib
from quant_pipeline.exports.registry import BUILT_IN, by_themselves
from quant_pipeline_tests.assets.platform import Platform, plain, texts
from quant_pipeline_tests.exports.conftest import SECRET
from quant_pipeline_tests.sync.stored import MAIN, market, sessions

CODES = MAIN[:4]


@pytest.fixture(scope="module")
def filled(platform: Platform) -> Platform:
    market(platform.database, sessions(30), CODES)
    return platform


def _last(platform: Platform, asset: str) -> dict[str, Any]:
    (record,) = platform.instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
    assert record.asset_materialization is not None
    return plain(record.asset_materialization.metadata)


def test_the_asset_writes_what_changed_and_says_where_and_how_to_read_it(
    filled: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    place = tmp_path / "exports" / "sandbox" / "qlib"
    assert filled.alone([], "export_qlib").success
    told = _last(filled, "export_qlib")
    assert told["path"] == str(place)
    (spec,) = (each for each in defs.resolve_all_asset_specs() if each.key == dg.AssetKey("export_qlib"))
    assert "`qlib.init(provider_uri='…', region='cn')`" in (spec.description or "")
    assert told["origin"].startswith("SANDBOX")
    assert (told["parts_written"], told["unchanged"]) == (4 + 5, 0)  # codes; two calendars, three pools
    assert (place / "calendars/day.txt").is_file()
    assert filled.alone([], "export_qlib").success
    again = _last(filled, "export_qlib")
    assert (again["parts_written"], again["unchanged"]) == (0, 4)
    assert "nothing changed" in again["note"]


def test_the_asset_s_launchpad_takes_what_the_command_takes(filled: Platform, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    assert filled.run([], "export_qlib", job="__ASSET_JOB", config={"export_qlib": {"to": str(place)}}).success
    assert (place / "manifest.json").is_file()


def test_an_asset_that_cannot_write_fails_in_words(filled: Platform, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "qlib"
    result = filled.run([], "export_qlib", job="__ASSET_JOB", config={"export_qlib": {"to": str(place)}})
    assert not result.success
    assert "无法写入" in texts(result)["export_qlib"]


def test_the_command_exports_says_so_and_a_second_one_that_nothing_changed(
    filled: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del filled
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    first = CliRunner().invoke(main, ["export", "qlib", "--json"])
    facts = json.loads(first.stdout)
    assert (facts["mode"], facts["export"], facts["changed"]) == ("sandbox", "qlib", True)
    assert [each for each in facts["written"] if "/" not in each] == CODES
    assert Path(facts["place"], "features/sh600000/close.day.bin").is_file()
    again = CliRunner().invoke(main, ["export", "qlib"], env={"COLUMNS": "300"})
    assert "Nothing changed, nothing was written" in again.stdout
    assert "qlib.init(" in again.stdout
    assert json.loads(CliRunner().invoke(main, ["export", "qlib", "--json"]).stdout)["changed"] is False


def test_a_command_s_run_stands_on_the_asset_s_page_as_its_own(
    filled: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    monkeypatch.setattr(dg.DagsterInstance, "get", lambda: nullcontext(filled.instance))
    place = tmp_path / "reported"
    facts = json.loads(CliRunner().invoke(main, ["export", "csv", "--to", str(place), "--json"]).stdout)
    told = _last(filled, "export_csv")
    assert (told["path"], told["parts_written"], told["rows"]) == (str(place), len(facts["written"]), facts["rows"])
    assert not facts["notes"]
    assert filled.run([], "export_csv", job="__ASSET_JOB", config={"export_csv": {"to": str(place)}}).success
    assert _last(filled, "export_csv").keys() >= {"path", "origin", "parts_written", "unchanged", "rows", "note"}


def test_where_dagster_cannot_be_opened_the_export_is_written_and_a_note_says_so(
    filled: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del filled
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("storage: {nonsense: 1}")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    done = CliRunner().invoke(main, ["export", "csv", "--to", str(tmp_path / "there"), "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert "does not show this run" in facts["notes"][-1]
    assert (tmp_path / "there" / "manifest.json").is_file()


def test_a_command_that_cannot_write_says_why_in_one_line(filled: Platform, tmp_path: Path) -> None:
    del filled
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["export", "qlib", "--to", str(tmp_path / "file" / "qlib")])
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_commands_of_the_object_store(filled: Platform, bucket: str) -> None:
    del filled
    name = "daily_kline/year=2026/data.parquet"

    def said(*arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, ["export", *arguments], env={"COLUMNS": "200"}, input=answer)

    def facts(*arguments: str) -> dict[str, Any]:
        done = said(*arguments, "--json")
        assert done.exit_code == 0, done.output
        read: dict[str, Any] = json.loads(done.stdout)
        return read

    assert "Nothing is there yet" in said("list").stdout
    sent = facts("parquet", "--datasets", "daily_kline,stock_list")
    assert (sent["place"], sent["written"]) == (bucket, ["stock_list/data.parquet", name])
    listed = facts("list")["objects"]
    assert [(each["name"], each["whole"]) for each in listed] == [("stock_list/data.parquet", True), (name, True)]
    assert "as the manifest says" in said("list").stdout
    url = said("link", name, "--hours", "1").stdout.strip().splitlines()[-1]
    assert requests.get(url, timeout=10).ok
    assert "Did you mean stock_list/data.parquet" in said("link", "stock_list").stderr
    assert said("delete", answer="n\n").exit_code == 1
    assert len(facts("list")["objects"]) == 2, "who says no deletes nothing"
    assert "auction is in" in said("delete", "--datasets", "auction", "--yes").stderr
    assert facts("delete", "--datasets", "daily_kline", "--yes")["deleted"] == [name]
    assert "1 object deleted" in said("delete", answer="y\n").stdout
    assert facts("list")["objects"] == []


def test_the_asset_of_the_object_store_names_no_key(filled: Platform, bucket: str) -> None:
    asked = {"export_parquet": {"datasets": "stock_list"}}
    assert filled.run([], "export_parquet", job="__ASSET_JOB", config=asked).success
    told = _last(filled, "export_parquet")
    assert told["path"] == bucket
    assert SECRET not in repr(told)


def test_every_export_has_its_command_and_its_help() -> None:
    listed = CliRunner().invoke(main, ["export", "--help"]).output
    for each in BUILT_IN:
        assert each.name in listed
        shown = CliRunner().invoke(main, ["export", each.name, "--help"]).output
        assert each.examples[0] in shown
        assert "--json" in shown
        for name in each.Parameters.model_fields:
            assert f"--{name}" in shown
    assert "没有变动" in CliRunner().invoke(main, ["export", "--help", "--lang", "zh"]).output


def test_those_that_are_named_follow_the_lake_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_EXPORTS", "qlib, qlbi")
    assert by_themselves() == {"qlib"}
    watched = dg.Definitions(
        [dg.AssetSpec("lake"), export_asset(Qlib, by_itself=True)], resources={"warehouse": 1, "notifier": 1}
    )
    with dg.DagsterInstance.ephemeral() as instance:
        asked = dg.evaluate_automation_conditions(watched, instance)
        for wanted in (1, 0):
            if wanted:
                instance.report_runless_asset_event(dg.AssetMaterialization("lake"))
            asked = dg.evaluate_automation_conditions(watched, instance, cursor=asked.cursor)
            assert asked.get_num_requested(dg.AssetKey("export_qlib")) == wanted
    assert all(not each.automation_conditions_by_key for each in exports.EXPORTS)
