"""Logins of 同花顺 as runs: the QR code's picture, the two steps of an SMS, re-login by the sensor, what the asset shows; and
that no event, run config or log of any of them holds a secret."""

from __future__ import annotations

import base64
import io
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import pytest
import zxingcpp
from PIL import Image

from quant_pipeline.definitions import defs
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.postman import POSTMAN
from quant_pipeline.resources.ths import ThsResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sensors.ths_session import ths_session
from quant_pipeline.ths import qr
from quant_pipeline.ths.accounts import Accounts, State
from quant_pipeline.ths.logins import Logins
from quant_pipeline.vault import keys
from quant_pipeline_tests.assets.platform import Platform, observations, plain, texts
from quant_pipeline_tests.sensors.test_run_failure import notice

PASSWORD, MOBILE = "sandbox-Geheim-4711-nie-zu-sehen", "13912345678"
_OPS = {
    "ths_login_qr": "show_qr_code",
    "ths_login_sms": "send_sms_code",
    "ths_login_sms_code": "check_sms_code",
    "ths_login_password": "log_in_by_password",
    "ths_login_cookie": "import_cookies",
    "ths_relogin": "log_in_again",
}


@pytest.fixture(autouse=True)
def _key(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SECRET_KEY", keys.made().reveal())
    monkeypatch.setattr(keys, "ITERATIONS", 1_000)
    monkeypatch.setattr(qr, "POLL", 0.01)
    platform.sandbox.set_clock("2026-11-20T18:00")
    platform.sandbox.ths(phone="by_itself", slider=False)
    yield
    POSTMAN.finish()  # what it delivers holds the rows of the messages
    platform.execute("DELETE FROM vault_records")
    platform.execute("DELETE FROM ths_accounts")
    platform.execute("DELETE FROM ths_events")
    platform.execute("DELETE FROM messages")
    platform.execute("DELETE FROM alerts")


def logins() -> Logins:
    return ThsResource(warehouse=WarehouseResource()).logins()


def run(platform: Platform, job: str, account: str = "default") -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def(job).execute_in_process(
        instance=platform.instance, run_config={"ops": {_OPS[job]: {"config": {"account": account}}}}, raise_on_error=False
    )


def tick(platform: Platform) -> dg.SensorResult | dg.SkipReason:
    warehouse = WarehouseResource()
    resources = {
        "warehouse": warehouse,
        "ths": ThsResource(warehouse=warehouse),
        "notifier": NotifierResource(warehouse=warehouse),
    }
    with dg.build_sensor_context(instance=platform.instance, resources=resources) as context:
        answer: Any = ths_session(context)
        assert isinstance(answer, dg.SensorResult | dg.SkipReason)
        return answer


def requested(answer: dg.SensorResult | dg.SkipReason) -> list[str]:
    """The accounts that a tick wants to be logged in again."""
    assert isinstance(answer, dg.SensorResult)
    return [request.run_config["ops"]["log_in_again"]["config"]["account"] for request in answer.run_requests or []]


def told(platform: Platform) -> list[tuple[str, str]]:
    rows = platform.rows("SELECT title, content FROM messages WHERE kind = 'session_expired' ORDER BY id")
    return [(title, content) for title, content in rows]


def test_the_run_of_a_qr_login_shows_a_picture_that_a_phone_can_read(platform: Platform) -> None:
    result = run(platform, "ths_login_qr")
    assert result.success
    (shown,) = observations(result)
    assert shown.asset_key == dg.AssetKey("ths_account")
    picture = plain(shown.metadata)["qr_code"]
    png = base64.b64decode(picture.removeprefix("![qr-code](data:image/png;base64,").removesuffix(")"))
    (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(png)))
    (code,) = platform.sandbox.ths()["qrs"][-1:]
    assert read.text == f"http://mobile.10jqka.com.cn/?source=PC&qrid={code['qrid']}"
    (page,) = platform.instance.fetch_materializations(dg.AssetKey("ths_account"), limit=1).records
    assert page.asset_materialization is not None
    metadata = plain(page.asset_materialization.metadata)
    (account,) = metadata["accounts"].records
    assert account.data["方式 by"] == "扫码 QR"
    assert "已登录" in str(account.data["状态 state"])
    (times,) = metadata["times"].records
    assert times.data["有效至 until"] == "11\u201127 18:00"
    assert [event.data["账户与状态 state"] for event in metadata["events"].records] == ["default 已登录", "default 登录中"]


def test_a_code_that_nobody_confirms_fails_the_run_with_a_sentence(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qr, "LIFE", 0.02)
    platform.sandbox.ths(phone="by_order")
    before = len(pictures(platform))
    result = run(platform, "ths_login_qr")
    assert not result.success
    assert "没有人确认二维码" in texts(result)["show_qr_code"]
    assert len(pictures(platform)) - before == qr.CODES


def test_the_picture_is_there_while_the_run_waits_for_the_phone(platform: Platform) -> None:
    """Whoever looks at the run's page sees the code, scans it, and only then the run goes on."""
    platform.sandbox.ths(phone="by_order")
    before = len(pictures(platform))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, platform, "ths_login_qr")
        deadline = time.monotonic() + 60
        while len(pictures(platform)) == before:
            assert not running.done()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        platform.sandbox.ths(scan="scanned")
        platform.sandbox.ths(scan="confirmed")
        assert running.result(60).success
    assert len(pictures(platform)) == before + 1


def pictures(platform: Platform) -> list[str]:
    """The QR codes that stand in the event log."""
    found = platform.instance.fetch_observations(dg.AssetKey("ths_account"), limit=100).records
    told = [plain(each.asset_observation.metadata) for each in found if each.asset_observation is not None]
    return [metadata["qr_code"] for metadata in told]


def test_an_sms_takes_two_runs_and_the_code_is_in_neither_s_config(platform: Platform) -> None:
    logins().entrust_mobile("default", MOBILE)
    assert run(platform, "ths_login_sms").success
    early = run(platform, "ths_login_sms_code")
    assert "请先录入验证码" in texts(early)["check_sms_code"]
    code = platform.sandbox.ths()["codes"][MOBILE]
    logins().entrust_code("default", code)
    assert run(platform, "ths_login_sms_code").success
    assert Accounts(platform.database).named("default").state is State.ACTIVE


def test_a_slider_fails_the_run_with_advice(platform: Platform) -> None:
    platform.sandbox.ths(slider=True)
    logins().entrust_mobile("default", MOBILE)
    assert "滑块" in texts(run(platform, "ths_login_sms"))["send_sms_code"]


def test_without_a_key_the_run_says_which_command_makes_one(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    for job, op in _OPS.items():
        if job not in ("ths_relogin", "ths_login_sms_code"):
            assert "quant-pipeline vault init" in texts(run(platform, job))[op]


def test_a_login_by_hand_that_fails_is_told_where_it_was_begun_and_by_no_message(platform: Platform) -> None:
    """Whoever typed the password reads THS's words; only what runs by itself is told over a channel, in its step's words."""
    logins().entrust_password("default", "sandbox-me", "wrong-Geheim", keep=False)
    by_hand = run(platform, "ths_login_password")
    assert "账号或密码错误" in texts(by_hand)["log_in_by_password"]
    notice(platform, by_hand.run_id)
    assert platform.rows("SELECT title FROM messages") == []
    assert platform.rows("SELECT rule FROM alerts") == []
    by_itself = run(platform, "ths_relogin", "nobody")
    notice(platform, by_itself.run_id)
    ((title, content),) = platform.rows("SELECT title, content FROM messages")
    assert "ths_relogin" in title
    assert "quant-pipeline ths login qr" in content
    assert "Execution of run" not in content


def test_an_expired_login_is_renewed_by_a_run_that_the_sensor_asks_for(platform: Platform) -> None:
    skipped = tick(platform)
    assert isinstance(skipped, dg.SkipReason)
    assert "nobody is logged in" in str(skipped.skip_message)
    logins().entrust_password("default", "sandbox-me", PASSWORD, keep=True)
    assert run(platform, "ths_login_password").success
    assert isinstance(tick(platform), dg.SkipReason)
    platform.sandbox.set_clock("2026-11-20T19:00")
    platform.sandbox.ths(expire=True)
    first, again = tick(platform), tick(platform)
    assert requested(first) == ["default"]
    assert isinstance(first, dg.SensorResult)
    assert isinstance(again, dg.SensorResult)
    assert [each.run_key for each in first.run_requests or []] == [each.run_key for each in again.run_requests or []]
    result = run(platform, "ths_relogin")
    assert result.success
    assert isinstance(tick(platform), dg.SkipReason)
    assert Accounts(platform.database).named("default").state is State.ACTIVE
    assert told(platform) == []


def test_where_a_person_is_needed_he_is_told_once_with_the_command(platform: Platform) -> None:
    assert run(platform, "ths_login_qr").success
    platform.sandbox.set_clock("2026-11-20T19:00")
    platform.sandbox.ths(expire=True)
    assert requested(tick(platform)) == ["default"]
    assert run(platform, "ths_relogin").success
    for _ in range(3):
        assert isinstance(tick(platform), dg.SkipReason)
    ((title, content),) = told(platform)
    assert "您的同花顺登录已过期，请重新登录" in title
    assert "quant-pipeline ths login qr" in content
    assert "没有保存密码" in content
    about = "SELECT resolved_at IS NOT NULL FROM alerts WHERE rule = 'session_expired'"
    assert platform.rows(about) == [(False,)]
    assert run(platform, "ths_login_qr").success
    for _ in range(2):
        tick(platform)
    assert platform.rows(about) == [(True,)]
    assert platform.rows("SELECT count(*) FROM messages WHERE kind = 'recovered'") == [(1,)]


def test_an_account_that_was_logged_out_by_hand_is_not_waited_for(platform: Platform) -> None:
    run(platform, "ths_login_qr")
    Accounts(platform.database).move("default", State.WAITING_FOR_PERSON, "as a test wants it")
    tick(platform)
    assert platform.rows("SELECT count(*) FROM alerts WHERE resolved_at IS NULL") == [(1,)]
    logins().log_out("default")
    tick(platform)
    assert platform.rows("SELECT count(*) FROM alerts WHERE resolved_at IS NULL") == [(0,)]


def test_an_sms_that_was_sent_by_itself_is_told_with_its_own_command(platform: Platform) -> None:
    logins().entrust_mobile("default", MOBILE)
    run(platform, "ths_login_sms")
    logins().entrust_code("default", platform.sandbox.ths()["codes"][MOBILE])
    run(platform, "ths_login_sms_code")
    platform.sandbox.set_clock("2026-11-20T19:00")
    platform.sandbox.ths(expire=True)
    assert requested(tick(platform)) == ["default"]
    run(platform, "ths_relogin")
    tick(platform)
    ((_, content),) = told(platform)
    assert "quant-pipeline ths login sms --code`" in content
    assert MOBILE not in content
    logins().entrust_code("default", platform.sandbox.ths()["codes"][MOBILE])
    assert requested(tick(platform)) == ["default"]
    run(platform, "ths_relogin")
    assert Accounts(platform.database).named("default").state is State.ACTIVE


def test_a_first_login_by_sms_is_no_expiry_and_comes_to_nothing_without_a_word(platform: Platform) -> None:
    logins().entrust_mobile("three", MOBILE)
    assert run(platform, "ths_login_sms", "three").success
    tick(platform)
    assert told(platform) == []
    platform.sandbox.set_clock("2026-11-20T18:11")
    assert requested(tick(platform)) == ["three"]
    assert run(platform, "ths_relogin", "three").success
    assert isinstance(tick(platform), dg.SkipReason)
    assert told(platform) == []
    assert Accounts(platform.database).all() == []


def test_an_sms_that_was_asked_for_by_hand_is_told_when_no_code_came(platform: Platform) -> None:
    """And what was told before is not over because somebody tries."""
    assert run(platform, "ths_login_qr", "three").success
    Accounts(platform.database).move("three", State.WAITING_FOR_PERSON, "as a test wants it")
    tick(platform)
    ((_, content),) = told(platform)
    assert "quant-pipeline ths login qr --account three`" in content
    platform.sandbox.ths(expire=True)
    logins().entrust_mobile("three", MOBILE)
    assert run(platform, "ths_login_sms", "three").success
    tick(platform)
    assert len(told(platform)) == 1
    assert platform.rows("SELECT count(*) FROM messages WHERE kind = 'recovered'") == [(0,)]
    platform.sandbox.set_clock("2026-11-20T18:11")
    assert requested(tick(platform)) == ["three"]
    assert run(platform, "ths_relogin", "three").success
    tick(platform)
    assert len(told(platform)) == 2


def test_no_run_of_any_login_holds_a_secret(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk, secrets = logins(), {PASSWORD, MOBILE, "wrong-Geheim"}
    run(platform, "ths_login_qr", "qr")
    desk.entrust_password("pw", "sandbox-me", PASSWORD, keep=True)
    run(platform, "ths_login_password", "pw")
    desk.entrust_password("bad", "sandbox-me", "wrong-Geheim", keep=False)
    assert not run(platform, "ths_login_password", "bad").success
    desk.entrust_mobile("sms", MOBILE)
    run(platform, "ths_login_sms", "sms")
    code = platform.sandbox.ths()["codes"][MOBILE]
    desk.entrust_code("sms", code)
    run(platform, "ths_login_sms_code", "sms")
    cookies = dict(desk.sessions.session("qr").cookies)
    desk.entrust_cookies("cookie", "; ".join(f"{name}={value}" for name, value in cookies.items()))
    run(platform, "ths_login_cookie", "cookie")
    platform.sandbox.set_clock("2026-11-20T19:00")
    platform.sandbox.ths(expire=True)
    assert set(requested(tick(platform))) == {"qr", "pw", "sms", "cookie"}
    for account in ("pw", "qr"):
        run(platform, "ths_relogin", account)
    tick(platform)
    for account in ("pw", "sms"):
        secrets |= {v for n, v in desk.sessions.peek(account).cookies.items() if n in ("ticket", "sess_tk", "utk", "user")}
    secrets |= {value for name, value in cookies.items() if name in ("ticket", "sess_tk", "utk", "user")}
    runs = platform.instance.get_runs()
    events = [str(record) for each in runs for record in platform.instance.all_logs(each.run_id)]
    tables = platform.rows("SELECT tablename FROM pg_tables WHERE schemaname IN ('public', 'dagster')")
    rows = [str(platform.rows(f'SELECT t::text FROM "{name}" AS t')) for (name,) in tables]
    sealed = str(platform.rows("SELECT convert_from(sealed, 'UTF8') FROM vault_records"))
    found = "\n".join([*map(str, runs), *(str(each.run_config) for each in runs), *events, *rows, sealed, caplog.text])
    assert "sandbox-me" not in found
    assert [secret for secret in secrets if secret in found] == []
    assert f" {code}" not in found, "six digits may stand anywhere; not as a word of their own"
    assert len(secrets) >= 12
    assert "log_in_again" in found
