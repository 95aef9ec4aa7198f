"""Logins over REST, at the sandbox's THS: a code that a phone confirms, the two steps of an SMS, a password; and that nothing
of it stands in an answer, a log or the database."""

from __future__ import annotations

import base64
import io
import logging
import threading
from collections.abc import Iterator

import pytest
import requests
import zxingcpp
from PIL import Image

from quant_pipeline import settings
from quant_pipeline.door import keys as door_keys
from quant_pipeline.door.keys import Scope
from quant_pipeline.notify import binding
from quant_pipeline.ths import qr
from quant_pipeline.ths.accounts import Accounts, State
from quant_pipeline.vault import keys
from quant_pipeline_tests.assets.platform import Platform, exchange, platform
from quant_pipeline_tests.door.rest.test_rest import Rest
from quant_pipeline_tests.door.served import served

__all__ = ["exchange", "platform"]
PASSWORD, MOBILE = "sandbox-Geheim-4711-nie-zu-sehen", "13912345678"


@pytest.fixture
def rest(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rest]:
    monkeypatch.setenv("SECRET_KEY", keys.made().reveal())
    monkeypatch.setattr(keys, "ITERATIONS", 1_000)
    monkeypatch.setattr(qr, "POLL", 0.01)
    platform.sandbox.set_clock("2026-11-20T18:00")
    platform.sandbox.ths(phone="by_itself", slider=False)
    with served(settings.load(), platform.database) as url:
        yield Rest(platform, url)
    for table in ("vault_records", "ths_accounts", "ths_events", "door_keys"):
        platform.execute(f"DELETE FROM {table}")


def state(rest: Rest) -> State:
    return Accounts(rest.platform.database).named("default").state


def test_a_code_is_shown_scanned_and_confirmed(rest: Rest) -> None:
    shown = rest.ask("POST", "/api/ths/login/qr/init", json={})
    png = base64.b64decode(shown["image"].removeprefix("data:image/png;base64,"))
    (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(png)))
    assert read.text.startswith("http://mobile.10jqka.com.cn/?source=PC&qrid=")
    told = shown
    while told["status"] in ("waiting", "scanned"):
        told = rest.get("/api/ths/login/qr/status", params={"qr_id": shown["qr_id"]})
    assert (told["status"], told["image"]) == ("confirmed", None)
    assert state(rest) is State.ACTIVE
    rest.get("/api/ths/login/qr/status?qr_id=nothing", status=404)
    rest.ask("POST", "/api/ths/login/qr/init", json={"account": "a b"}, status=400)


def test_an_sms_takes_two_calls_and_its_number_is_forgotten(rest: Rest) -> None:
    assert rest.ask("POST", "/api/ths/login/sms/send", json={"mobile": MOBILE})["state"] == "waiting_for_code"
    wrong = rest.ask("POST", "/api/ths/login/sms", json={"code": "000000"}, status=400)
    assert "验证码" in wrong["error"]["why"]
    code = rest.platform.sandbox.ths()["codes"][MOBILE]
    assert rest.ask("POST", "/api/ths/login/sms", json={"code": code})["state"] == "active"
    assert rest.platform.rows("SELECT kind FROM vault_records WHERE kind = 'ths_mobile'") == []


def test_a_password_is_in_no_answer_no_log_and_no_table(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = {"name": "sandbox-me", "password": PASSWORD}
    bad = rest.ask("POST", "/api/ths/login/password", json=body | {"account": "x" * 90}, status=400)
    assert PASSWORD not in str(bad)
    done = rest.ask("POST", "/api/ths/login/password", json=body)
    assert done["state"] == "active"
    assert PASSWORD not in str(done) + caplog.text
    assert rest.platform.rows("SELECT kind FROM vault_records WHERE kind = 'ths_password'") == []


def test_codes_are_pushed_into_a_group_of_the_phone(rest: Rest) -> None:
    body = {"stock_codes": ["000043", "600000"], "group_name": "观察"}
    rest.platform.fill((), "stock_list")
    codes = [each["ts_code"] for each in rest.get("/api/stocks?per_page=2")["items"]]
    body["stock_codes"] = codes
    early = rest.ask("POST", "/api/watchlist/push", json=body, status=400)
    assert "登录" in early["error"]["why"]
    rest.ask("POST", "/api/ths/login/password", json={"name": "sandbox-push", "password": PASSWORD})
    done = rest.ask("POST", "/api/watchlist/push", json=body)
    assert (done["group"], sorted(done["added"]), done["refused"]) == ("观察", sorted(codes), {})
    user = rest.platform.rows("SELECT user_id FROM ths_accounts")[0][0]
    groups = rest.platform.sandbox.ths_groups(user)["groups"]
    (held,) = [each["content"] for each in groups if each["name"] == "观察"]
    assert sorted(code for code, _ in held) == sorted(code[:6] for code in codes)
    again = rest.ask("POST", "/api/watchlist/push", json=body)
    assert again["added"] == []
    rest.ask("POST", "/api/watchlist/push", json=body | {"stock_codes": ["999999"]}, status=400)
    rest.ask("POST", "/api/watchlist/push", json=body | {"group_name": ""}, status=400)


def test_a_friend_s_code_is_made_one_at_a_time(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "POLL", 0.05)
    code = rest.get("/api/user/pushplus/qrcode?receiver=li")
    assert requests.get(code["picture"], timeout=60).headers["Content-Type"] == "image/png"
    rest.get("/api/user/pushplus/qrcode?receiver=wang", status=400)
    rest.platform.execute("UPDATE invitations SET closed_at = now()")
    for waiting in threading.enumerate():
        if waiting.name.startswith("invitation-"):
            waiting.join()


def test_logins_are_for_keys_of_admins(rest: Rest) -> None:
    runner = door_keys.add(rest.platform.database, "runner", Scope.RUN, None)
    rest.ask("POST", "/api/ths/login/qr/init", json={}, headers={"X-API-Key": runner}, status=403)
    rest.ask("POST", "/api/ths/login/qr/init", json={}, status=401)


def test_without_a_vault_key_the_answer_names_the_command(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    told = rest.ask("POST", "/api/ths/login/password", json={"name": "a", "password": PASSWORD}, status=400)
    assert "vault init" in told["error"]["command"]
    rest.get("/api/user/pushplus/qrcode?receiver=li&channel=nothing", status=404)
    rest.get("/api/user/pushplus/qrcode?receiver=a%20b", status=400)
