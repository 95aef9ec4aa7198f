"""`quant-pipeline watchlist push|pull|groups` for an account that is logged in, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from quant_pipeline.cli import main
from quant_pipeline.market.datasets import SCREEN_RESULTS, STOCK_LIST
from quant_pipeline.market.search import Named
from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline.ths.accounts import Accounts, State
from quant_pipeline.ths.hosts import Hosts
from quant_pipeline.ths.logins import Logins
from quant_pipeline.vault import keys
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import LATEST, LISTED, NOW, store
from quant_pipeline_tests.ths.conftest import Phone

PASSWORD = "sandbox-pw-91c3e0"
GROUP = f"选股-{DualMovingAverage.zh}"


@pytest.fixture
def phone(
    warehouse: Database, sandbox: Rehearsal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Phone]:
    """The account that the command finds logged in."""
    environment = {
        **sandbox.environment(),
        "QUANT_DATABASE_URL": warehouse.url,
        "QUANT_HOME": str(tmp_path),
        "QUANT_NOW": NOW,
        "QUANT_LANG": "en",
        "COLUMNS": "160",
        "SECRET_KEY": keys.made().reveal(),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(keys, "ITERATIONS", 1_000)
    monkeypatch.chdir(tmp_path)
    logins = Logins(warehouse, Hosts(sandbox.ths_upass_url, sandbox.ths_auth_url, sandbox.ths_ugc_url, sandbox.ths_t_url))
    logins.entrust_password("default", f"sandbox-{request.node.name}", PASSWORD, keep=False)
    yield Phone(sandbox, logins.by_password("default").user_id)
    sandbox.clear_faults()


@pytest.fixture
def stored(warehouse: Database) -> Database:
    names = {"600519.SH": "贵州茅台", "000001.SZ": "平安银行"}
    store(
        warehouse,
        STOCK_LIST,
        [{"ts_code": code, "name": name, "list_status": "L", "list_date": LISTED} for code, name in names.items()],
    )
    hit = {"screen": "dual_ma", "trade_date": LATEST}
    store(warehouse, SCREEN_RESULTS, [{**hit, "ts_code": "600519.SH", "name": "贵州茅台", "rank": 1}], source="computed")
    with warehouse.connect() as connection:
        connection.execute("INSERT INTO screenings (screen, trade_date, hits) VALUES ('dual_ma', %s, 1)", (LATEST,))
    watchlists.add(warehouse, "core", [Named(*each) for each in names.items()], origin="typed", day=LATEST)
    return warehouse


def _command(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["watchlist", *arguments])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def _facts(*arguments: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(_command(*arguments, "--json").stdout)
    return facts


def test_a_list_is_pushed_mirrored_and_looked_at_before(stored: Database, phone: Phone) -> None:
    del stored
    phone.arrange(核心=[("600519", "17"), ("600001", "17"), ("600002", "17"), ("600003", "17")])
    (looked,) = _facts("push", "core", "--group", "核心", "--mirror", "--confirm", "--dry-run")["pushes"]
    assert (looked["added"], len(looked["removed"])) == (["000001.SZ"], 3)
    assert "more than 30%" in _command("push", "core", "--group", "核心", "--mirror", exit_code=1).output
    assert len(phone.held("核心") or []) == 4
    told = _command("push", "core", "--group", "核心", "--mirror", "--confirm").output
    assert "核心" in told
    assert phone.held("核心") == [("600519", "17"), ("000001", "33")]


def test_without_a_name_what_is_pushed_by_itself_is_pushed(stored: Database, phone: Phone) -> None:
    del stored
    (pushed,) = _facts("push")["pushes"]
    assert (pushed["from"], pushed["added"], pushed["made"]) == ("screen:dual_ma", ["600519.SH"], True)
    assert phone.held(GROUP) == [("600519", "17")]
    assert _facts("push", "--screen", "dual_ma")["pushes"][0]["added"] == []


def test_a_group_is_pulled_into_a_list_with_names(stored: Database, phone: Phone) -> None:
    phone.arrange(手机=[("600519", "17"), ("HK0700", "177")])
    told = _command("pull", "手机", "--into", "phone").output
    assert "HK0700,177" in told
    assert [(each.code, each.name) for each in watchlists.one(stored, "phone")] == [("600519.SH", "贵州茅台")]
    assert "it has 我的自选, 手机, 涨停板" in _command("pull", "没有", exit_code=1).output


def test_an_empty_group_does_not_empty_a_list(stored: Database, phone: Phone) -> None:
    phone.arrange(core=[])
    assert "stays as it is" in _command("pull", "core", "--replace", exit_code=1).output
    assert len(watchlists.one(stored, "core")) == 2


def test_the_groups_are_shown(stored: Database, phone: Phone) -> None:
    del stored
    phone.arrange(default=(("600519", "17"),), 核心=[("000001", "33")])
    told = _command("groups").output
    for text in ("我的自选", "贵州茅台", "核心", "平安银行", "涨停板", "dynamic: read only"):
        assert text in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["push", "cor"], "Did you mean core?"),
        (["push", "--screen", "dual_mb"], "there is no screen dual_mb"),
        (["push", "core", "--account", "other"], "--account"),
        (["push", "--screen", "macd"], "did not run for 2026-11-20"),
    ],
)
def test_a_slip_is_a_sentence_and_pushes_nothing(stored: Database, phone: Phone, arguments: list[str], told: str) -> None:
    del stored
    result = _command(*arguments, exit_code=1)
    assert told in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not [each for each in phone.sandbox.ths_groups(phone.user)["groups"] if each["id"].startswith("0_")]


def test_an_expiry_is_told_with_what_to_do_and_reported(stored: Database, phone: Phone) -> None:
    phone.sandbox.order_fault("token", server="ths_groups", api="query")
    assert "quant-pipeline ths login" in _command("push", exit_code=1).output
    assert Accounts(stored).named("default").state is State.EXPIRED
    assert "quant-pipeline ths login" in _command("groups", exit_code=1).output


def test_no_secret_stands_in_the_database_or_in_what_is_printed(stored: Database, phone: Phone, tmp_path: Path) -> None:
    printed = _command("push").output + _command("groups", "--json").output + _command("push", "--json").output
    session = Logins(stored, phone.hosts).sessions.session("default")
    secrets = [PASSWORD, session.cookies["ticket"], session.cookies["utk"], session.cookies["sess_tk"]]
    with stored.connect() as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        dumped = "".join(str(connection.execute(f'SELECT * FROM "{table}"').fetchall()) for (table,) in tables)  # type: ignore[arg-type]
    logged = "".join(file.read_text(encoding="utf-8") for file in tmp_path.rglob("*.log"))
    for secret in secrets:
        assert secret not in printed + dumped + logged
