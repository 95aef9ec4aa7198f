"""The assets of watchlists as runs: hits pushed into a logged-in account, groups imported, what fails told over WeChat."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from quant_pipeline.assets import watchlists as assets
from quant_pipeline.definitions import defs
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.datasets import SCREEN_RESULTS, STOCK_LIST
from quant_pipeline.market.search import Named
from quant_pipeline.resources import upstream
from quant_pipeline.settings import load
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline.ths.accounts import Accounts, State
from quant_pipeline.ths.logins import Logins
from quant_pipeline.vault import keys
from quant_pipeline.warehouse import watchlists
from quant_pipeline_tests.assets.platform import LATEST, Platform, plain, texts
from quant_pipeline_tests.sync.stored import LISTED, store

PASSWORD = "sandbox-pw-5d1c77"
GROUP = f"选股-{DualMovingAverage.zh}"
CODES = ["600000.SH", "000001.SZ", "688981.SH"]
WRITTEN = [("600000", "17"), ("000001", "33"), ("688981", "18")]
ASSET = dg.AssetKey("ths_watchlist")


@pytest.fixture(scope="module")
def stored(platform: Platform) -> Iterator[Platform]:
    """Hits of the latest session and the one before."""
    for day in platform.sessions(2):
        hit = {"screen": "dual_ma", "trade_date": day, "name": "名"}
        rows = [{**hit, "ts_code": code, "rank": rank} for rank, code in enumerate(CODES, 1)]
        store(platform.database, SCREEN_RESULTS, rows, source="computed")
        platform.execute("INSERT INTO screenings (screen, trade_date, hits) VALUES ('dual_ma', %s, 3)", day)
    listed = {"name": "浦发银行", "list_status": "L", "list_date": LISTED}
    store(platform.database, STOCK_LIST, [{"ts_code": "600000.SH", **listed}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_KEY", keys.made().reveal())
        patch.setattr(keys, "ITERATIONS", 1_000)
        patch.setenv("QUANT_LANG", "en")
        yield platform


@pytest.fixture
def user(stored: Platform, request: pytest.FixtureRequest) -> Iterator[str]:
    """The user id of an account that is logged in, and that no other test has."""
    logins = Logins(stored.database, upstream.ths(load()))
    logins.entrust_password("default", f"sandbox-{request.node.name[:40]}", PASSWORD, keep=False)
    yield logins.by_password("default").user_id
    logins.log_out("default")
    Accounts(stored.database).forget("default")
    stored.execute("DELETE FROM ths_watchlist")
    stored.sandbox.clear_faults()


def _held(platform: Platform, user: str, name: str = GROUP) -> list[tuple[str, str]] | None:
    groups = platform.sandbox.ths_groups(user)["groups"]
    return next(([(code, market) for code, market in each["content"]] for each in groups if each["name"] == name), None)


def _run(platform: Platform, *days: dt.date, **config: Any) -> dg.ExecuteInProcessResult:
    given = {"ths_watchlist": config} if config else None
    return platform.alone(days or (LATEST,), "ths_watchlist", config=given)


def _told(platform: Platform) -> dict[str, Any]:
    (record,) = platform.instance.fetch_materializations(ASSET, limit=1).records
    assert record.asset_materialization is not None
    return plain(record.asset_materialization.metadata)


def _messages(platform: Platform, words: str) -> list[str]:
    return [content for (content,) in platform.rows("SELECT content FROM messages WHERE content LIKE %s", f"%{words}%")]


def test_each_screen_goes_into_a_group_of_its_name_and_a_re_run_changes_nothing(stored: Platform, user: str) -> None:
    assert _run(stored).success
    assert _held(stored, user) == WRITTEN
    told = _told(stored)
    assert (told["added"], told["removed"], told["dagster/row_count"]) == (3, 0, 3)
    version = stored.sandbox.ths_groups(user)["version"]
    assert _run(stored).success
    assert stored.sandbox.ths_groups(user)["version"] == version
    assert _told(stored)["added"] == 0


def test_of_several_sessions_the_newest_is_pushed(stored: Platform, user: str) -> None:
    assert _run(stored, *stored.sessions(2)).success
    assert stored.rows("SELECT DISTINCT trade_date FROM ths_watchlist") == [(LATEST,)]
    assert _held(stored, user) == WRITTEN


def test_the_launchpad_pushes_a_watchlist_as_it_is(stored: Platform, user: str) -> None:
    watchlists.add(stored.database, "core", [Named("600519.SH", "贵州茅台")], origin="typed", day=LATEST)
    mine = [{"id": "0_1", "name": "core", "content": [["600519", "17"], ["600001", "17"]]}]
    stored.sandbox.ths_groups(user, {"groups": mine})
    refused = _run(stored, codes_of="watchlist:core", mode="mirror")
    assert "more than 30%" in texts(refused)["ths_watchlist"]
    assert _messages(stored, "more than 30%"), "it is told over WeChat"
    assert len(_held(stored, user, "core") or []) == 2
    assert _run(stored, codes_of="watchlist:core", mode="mirror", confirm=True).success
    assert _held(stored, user, "core") == [("600519", "17")]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"codes_of": "moon"}, "moon is nothing to push"),
        ({"codes_of": "screen:dual_mb"}, "there is no screen dual_mb"),
        ({"codes_of": "watchlist:moon"}, "there is no watchlist moon"),
        ({"codes_of": "signals", "mode": "replace"}, "there is no mode 'replace'"),
        ({"codes_of": "screen:dual_ma", "group": "x" * 60}, "cannot be a group's name"),
        ({"codes_of": "screen:dual_ma", "group": "涨停板"}, "dynamic group"),
        ({"account": "other", "codes_of": "screen:dual_ma"}, "default"),
    ],
)
def test_a_slip_fails_the_step_with_a_sentence(stored: Platform, user: str, config: dict[str, Any], told: str) -> None:
    result = _run(stored, **config)
    assert told in texts(result)["ths_watchlist"]
    assert _held(stored, user) is None


def test_without_a_login_the_step_says_how_to_log_in(stored: Platform) -> None:
    assert "quant-pipeline ths login" in texts(_run(stored))["ths_watchlist"]


def test_an_expiry_in_use_is_reported_and_told(stored: Platform, user: str) -> None:
    stored.sandbox.order_fault("token", server="ths_groups", api="query")
    failed = texts(_run(stored))["ths_watchlist"]
    assert "has expired" in failed
    row = Accounts(stored.database).named("default")
    assert row.state is State.EXPIRED
    assert _held(stored, user) is None


def test_a_code_that_is_refused_is_told_once_and_does_not_stop_the_others(stored: Platform, user: str) -> None:
    stored.sandbox.order_fault("code", server="ths_groups", api="add", code="-10009", times=1)
    before = len(_messages(stored, "上限"))
    assert _run(stored).success
    assert len(_held(stored, user) or []) == 2
    assert len(_messages(stored, "上限")) == before + 1
    assert "上限" in str(_told(stored)["notes"].records)


def test_one_push_that_fails_does_not_stop_the_others(stored: Platform, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [assets.push_of("watchlist:moon", {}), assets.push_of("screen:dual_ma", {"dual_ma": "双均线"}, group="双均线")]
    monkeypatch.setattr(assets, "pushes", lambda: wanted)
    assert "there is no watchlist moon" in texts(_run(stored))["ths_watchlist"]
    assert _held(stored, user, "双均线") == WRITTEN
    assert _told(stored)["added"] == 3


def test_a_group_is_imported_with_names(stored: Platform, user: str) -> None:
    content = [["600000", "17"], ["HK0700", "177"], ["1A0001", "16"]]
    stored.sandbox.ths_groups(user, {"groups": [{"id": "0_1", "name": "手机", "content": content}]})
    result = stored.alone((), "watchlists", config={"watchlists": {"group": "手机"}})
    assert result.success
    items = watchlists.one(stored.database, "手机")
    assert [(each.code, each.name, each.origin) for each in items] == [
        ("600000.SH", "浦发银行", "default:手机"),
        ("000001.SH", "", "default:手机"),
    ]
    again = stored.alone((), "watchlists", config={"watchlists": {"group": "没有的"}})
    assert "the account has no group 没有的: it has 我的自选, 手机" in texts(again)["watchlists"]


class Ticks:
    """The automation's ticks, each going on from the one before."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._cursor: dg.AssetDaemonCursor | None = None  # type: ignore[name-defined]

    def tick(self, moment: str) -> set[str]:
        result = dg.evaluate_automation_conditions(
            defs=defs,
            instance=self.instance,
            asset_selection=dg.AssetSelection.assets(ASSET),
            cursor=self._cursor,
            evaluation_time=dt.datetime.fromisoformat(moment).replace(tzinfo=EXCHANGE_ZONE),
        )
        self._cursor = result.cursor
        return set(result.get_requested_partitions(ASSET))


def _screened(instance: dg.DagsterInstance, day: dt.date) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("screen_dual_ma", partition=day.isoformat()))


def test_it_pushes_by_itself_when_the_screens_of_the_latest_session_are_there(stored: Platform, user: str) -> None:
    del user
    former = stored.sessions(2)[0]
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance)
        assert ticks.tick("2026-11-20T18:00") == set()
        _screened(instance, former)
        assert ticks.tick("2026-11-20T18:01") == set(), "an older session's hits are not for a phone"
        _screened(instance, LATEST)
        assert ticks.tick("2026-11-20T18:02") == {LATEST.isoformat()}
        assert ticks.tick("2026-11-20T18:03") == set()


def test_it_is_off_until_an_account_is_logged_in_and_then_catches_up(stored: Platform) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance)
        assert ticks.tick("2026-11-20T18:00") == set()
        _screened(instance, LATEST)
        assert ticks.tick("2026-11-20T18:01") == set()
        logins = Logins(stored.database, upstream.ths(load()))
        logins.entrust_password("default", "sandbox-late", PASSWORD, keep=False)
        logins.by_password("default")
        try:
            assert ticks.tick("2026-11-20T18:02") == {LATEST.isoformat()}
        finally:
            logins.log_out("default")
            Accounts(stored.database).forget("default")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('[[push]]\nfrom = "moon"', "moon is nothing to push"),
        ('[[push]]\nfrom = "screen:moon"', "there is no screen moon"),
        ('[[push]]\nfrom = "signals"\nmode = "wipe"', "push.0.mode"),
        ('[[push]]\ngroup = "x"', "push.0.from"),
        ("[[pull]]\n", "pull"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence(tmp_path: Path, written: str, told: str) -> None:
    file = tmp_path / "watchlists.toml"
    file.write_text(written, encoding="utf-8")
    with pytest.raises(assets.ConfigurationError, match=told):
        assets.load({"dual_ma": "双均线"}, ["dual_ma"], file)


def test_a_file_says_what_is_pushed(tmp_path: Path) -> None:
    file = tmp_path / "watchlists.toml"
    second_push = '[[push]]\nfrom = "watchlist:core"\ngroup = "核心"\nmode = "mirror"\nconfirm = true\n'
    file.write_text(f'[[push]]\nfrom = "screen:dual_ma"\n{second_push}', encoding="utf-8")
    first, second = assets.load({"dual_ma": "双均线"}, ["dual_ma"], file)
    assert (str(first.origin), first.group, first.mode, first.confirmed) == ("screen:dual_ma", "选股-双均线", "add", False)
    assert (str(second.origin), second.group, second.mode, second.confirmed) == ("watchlist:core", "核心", "mirror", True)
    file.write_text("", encoding="utf-8")
    assert assets.load({"dual_ma": "双均线"}, ["dual_ma"], file) == []
