"""The commands of `ths`, as a user types them: in one process, over the instance of dagster.yaml."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from click.testing import CliRunner, Result

from quant_pipeline.cli import main
from quant_pipeline.look import qr_code
from quant_pipeline.ths import qr
from quant_pipeline.vault import keys
from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.console.commanded import checkout

PASSWORD, MOBILE = "sandbox-Geheim-4711-nie-zu-sehen", "13912345678"


@pytest.fixture(autouse=True)
def _ready(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SECRET_KEY", keys.made().reveal())
    monkeypatch.setattr(keys, "ITERATIONS", 1_000)
    monkeypatch.setattr(qr, "POLL", 0.01)
    with checkout(tmp_path):
        yield
    for table in ("vault_records", "ths_accounts", "ths_events"):
        platform.execute(f"DELETE FROM {table}")


def call(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["ths", *arguments], input=given)


def test_a_qr_code_in_the_terminal_can_be_read_by_a_phone() -> None:
    address = "http://mobile.10jqka.com.cn/?source=PC&qrid=usk_0123456789abcdef0123456789abcdef"
    halves = {" ": (0, 0), "▀": (255, 0), "▄": (0, 255), "█": (255, 255)}
    lines = qr_code.blocks(address).splitlines()
    pixels = [[halves[sign][half] for sign in line] for line in lines for half in (0, 1)]
    picture = np.kron(np.array(pixels, dtype=np.uint8), np.ones((6, 6), dtype=np.uint8))
    (read,) = zxingcpp.read_barcodes(np.pad(picture, 24, constant_values=255))
    assert read.text == address


def test_each_login_is_a_run_and_none_of_its_secrets_is_shown_or_stored(platform: Platform, tmp_path: Path) -> None:
    """What the whole database (Dagster's schema too), the files of both homes and the terminal hold afterwards."""
    shown = [done := call("login", "qr", "--account", "mine")]
    assert done.exit_code == 0, done.output
    assert "▀" in done.output
    shown.append(done := call("login", "password", "--account", "pw", "--keep", given=f"sandbox-me\n{PASSWORD}\n"))
    assert done.exit_code == 0, done.output
    shown.append(done := call("login", "password", "--account", "bad", given="sandbox-me\nwrong-Geheim\n"))
    assert done.exit_code == 1
    assert "账号或密码错误" in done.stderr
    shown.append(done := call("login", "sms", "--account", "sms", given=f"{MOBILE}\n"))
    assert done.exit_code == 0, done.output
    assert "quant-pipeline ths login sms --code --account sms" in done.output
    code = platform.sandbox.ths()["codes"][MOBILE]
    shown.append(done := call("login", "sms", "--account", "sms", "--code", given=f"{code}\n"))
    assert done.exit_code == 0, done.output
    from quant_pipeline.console.ths import opened

    cookies = dict(opened().sessions.session("mine").cookies)
    written = tmp_path / "cookies.json"
    written.write_text(json.dumps([{"name": name, "value": value} for name, value in cookies.items()]))
    shown.append(done := call("login", "cookie", "--account", "again", "--file", str(written)))
    assert done.exit_code == 0, done.output
    written.unlink()
    shown.append(listed := call("status", "--probe"))
    told = json.loads(call("status", "--json").stdout)
    assert {each["account"]: (each["state"], each["method"]) for each in told["accounts"]} == {
        "again": ("active", "cookie"),
        "mine": ("active", "qr"),
        "pw": ("active", "password"),
        "sms": ("active", "sms"),
    }
    assert listed.exit_code == 0
    (jobs,) = zip(*platform.rows("SELECT pipeline_name FROM dagster.runs ORDER BY id"), strict=True)
    methods = ("qr", "password", "password", "sms", "sms_code", "cookie")
    assert jobs[-6:] == tuple(f"ths_login_{method}" for method in methods)
    secrets = {PASSWORD, MOBILE, "wrong-Geheim", "sandbox-me"}
    for account in ("mine", "pw", "sms"):
        held = opened().sessions.session(account).cookies
        secrets |= {value for name, value in held.items() if name in ("ticket", "sess_tk", "utk", "user")}
    found = "".join(each.output for each in shown) + dumped(platform) + files(tmp_path)
    assert [secret for secret in secrets if secret in found] == []
    assert len(secrets) == 16


def dumped(platform: Platform) -> str:
    written = io.StringIO()
    tables = platform.rows("SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'dagster')")
    for schema, table in tables:
        written.write(str(platform.rows(f'SELECT t::text FROM "{schema}"."{table}" AS t')))
    written.write(str(platform.rows("SELECT convert_from(sealed, 'UTF8') FROM vault_records")))
    return written.getvalue()


def files(*folders: Path) -> str:
    """Whatever was written there: logs, output of runs."""
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    from quant_pipeline import logbook, settings

    found += list(logbook.folder_of(settings.load()).glob("*"))
    return "".join(path.read_bytes().decode(errors="replace") for path in found)


def test_what_is_not_there_is_one_line_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = call("relogin", "off")
    assert refused.exit_code == 1
    assert "quant-pipeline ths login qr" in refused.stderr
    assert call("logout").exit_code == 1
    assert "No THS account is logged in" in call("status").output
    empty = call("login", "password", given="\n")
    assert empty.exit_code == 2
    monkeypatch.delenv("SECRET_KEY")
    refused = call("login", "qr")
    assert refused.exit_code == 1
    assert "quant-pipeline vault init" in refused.stderr
    assert "▀" not in refused.output


def test_a_login_is_switched_and_forgotten(platform: Platform) -> None:
    assert call("login", "password", "--keep", given=f"sandbox-me\n{PASSWORD}\n").exit_code == 0
    assert call("relogin", "off").exit_code == 0
    assert platform.rows("SELECT relogin FROM ths_accounts") == [(False,)]
    assert call("logout").exit_code == 0
    assert platform.rows("SELECT account FROM ths_accounts") == []
    assert platform.rows("SELECT kind FROM vault_records") == [("vault",)]
