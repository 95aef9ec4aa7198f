"""The sandbox's logins: what its control orders and tells, and cookies that hold over a restart until their time is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline.market import clock
from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline.sandbox.servers.ths_accounts import Scan, ThsAccounts, User

ME = User("700000001", "沙盒用户001")


def test_an_order_that_is_refused_changes_nothing(sandbox: Rehearsal) -> None:
    before = sandbox.ths()
    for order in ({"scan": "confirmed"}, {"scan": "eaten"}, {"phone": "lost"}, {"slider": "yes"}, {"unknown": 1}):
        with pytest.raises(ValueError, match=r"write|QR code"):
            sandbox.ths(**order)
    assert sandbox.ths() == before
    assert before["phone"] == {"acts": "by_itself", "brings": "cookies", "slider": False}


def test_cookies_hold_over_a_restart_and_end_after_a_week_or_by_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "cookies.json"
    cookies = ThsAccounts(store).issue(ME)
    again = ThsAccounts(store)
    assert again.user_of(cookies) == ME
    assert again.signed_in(cookies) == ME.user_id
    assert again.user_of(cookies | {"userid": "8"}) is None
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-27T18:01")
    assert again.user_of(cookies) is None
    assert again.signed_in(cookies) is None
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T18:01")
    assert again.expire() == 1
    assert ThsAccounts(store).user_of(cookies) is None


def test_a_qr_code_ends_after_two_minutes_and_a_phone_that_acts_by_itself_confirms_it(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = ThsAccounts()
    qrid = accounts.new_qr()
    assert [accounts.poll(qrid) for _ in range(5)] == [
        Scan.WAITING,
        Scan.WAITING,
        Scan.SCANNED,
        Scan.SCANNED,
        Scan.CONFIRMED,
    ]
    accounts.phone.acts = "by_order"
    late = accounts.new_qr()
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T18:03")
    assert accounts.poll(late) is Scan.EXPIRED
    assert accounts.poll("usk_of_nobody") is Scan.EXPIRED


def test_a_code_opens_once_and_within_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = ThsAccounts()
    code = accounts.send_code("13912345678")
    assert accounts.by_code("13912345678", code) is not None
    assert accounts.by_code("13912345678", code) is None
    code = accounts.send_code("13912345678")
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T18:06")
    assert accounts.by_code("13912345678", code) is None
