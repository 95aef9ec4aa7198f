"""The machine that logs in again by itself, branch by branch, at the sandbox's servers; the clock is the sandbox's."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline.ths.accounts import Account, Alone, Method, State
from quant_pipeline.ths.errors import Failure, ThsError
from quant_pipeline.ths.logins import Logins
from quant_pipeline.ths.relogin import Relogin
from quant_pipeline.vault import keys
from quant_pipeline.warehouse.database import Database

ME = "default"
MOBILE = "13912345678"


@pytest.fixture
def machine(logins: Logins) -> Relogin:
    return Relogin(logins)


def with_password(logins: Logins, sandbox: Rehearsal) -> Account:
    """An account that was logged in with a kept password an hour ago, and whose cookies have ended."""
    logins.entrust_password(ME, "sandbox-me", "sandbox-Geheim", keep=True)
    logins.by_password(ME)
    return expired(logins, sandbox)


def expired(logins: Logins, sandbox: Rehearsal, at: str = "2026-11-20T19:00") -> Account:
    sandbox.set_clock(at)
    sandbox.ths(expire=True)
    assert not logins.probe(ME)
    return logins.accounts.named(ME)


def states(logins: Logins) -> list[str]:
    return [event.state for event in reversed(logins.accounts.events())]


def sent_logins(sandbox: Rehearsal) -> int:
    return len(sandbox.calls("verify2", server="ths_login")) // 3


def test_an_active_account_is_probed_every_half_hour_and_its_end_is_seen(
    logins: Logins, machine: Relogin, sandbox: Rehearsal
) -> None:
    logins.by_qr(ME, lambda _: None)
    assert machine.look(logins.accounts.named(ME)) is None, "it was looked at when it was logged in"
    sandbox.set_clock("2026-11-20T18:31")
    assert machine.look(logins.accounts.named(ME)) is True
    assert machine.look(logins.accounts.named(ME)) is None
    sandbox.set_clock("2026-11-20T19:02")
    sandbox.order_fault("disconnect", server="ths_login", api="simple_info")
    assert machine.look(logins.accounts.named(ME)) is None, "no answer is no expiry"
    assert logins.accounts.named(ME).state is State.ACTIVE
    sandbox.set_clock("2026-11-20T19:33")
    sandbox.ths(expire=True)
    assert machine.look(logins.accounts.named(ME)) is False
    assert logins.accounts.named(ME).state is State.EXPIRED


def test_a_kept_password_brings_it_back(logins: Logins, machine: Relogin, sandbox: Rehearsal) -> None:
    with_password(logins, sandbox)
    row = machine.step(ME)
    assert row.state is State.ACTIVE
    assert states(logins) == ["logging_in", "active", "expired", "logging_in", "active"]
    assert [event.by_itself for event in reversed(logins.accounts.events())] == [False, False, False, True, True]
    assert logins.probe(ME)
    assert not machine.due(row)


def test_where_it_is_switched_off_a_person_is_needed_at_once(logins: Logins, machine: Relogin, sandbox: Rehearsal) -> None:
    with_password(logins, sandbox)
    logins.accounts.note(ME, relogin=False)
    before = sent_logins(sandbox)
    row = machine.step(ME)
    assert row.state is State.WAITING_FOR_PERSON
    assert "switched off" in str(row.failure)
    assert sent_logins(sandbox) == before
    assert not machine.due(row)


def test_without_a_password_and_an_sms_only_its_owner_can(logins: Logins, machine: Relogin, sandbox: Rehearsal) -> None:
    logins.by_qr(ME, lambda _: None)
    expired(logins, sandbox)
    assert machine.step(ME).state is State.WAITING_FOR_PERSON
    logins.by_qr(ME, lambda _: None)
    assert logins.accounts.named(ME).state is State.ACTIVE


def test_a_password_that_is_refused_is_not_sent_again(logins: Logins, machine: Relogin, sandbox: Rehearsal) -> None:
    with_password(logins, sandbox)
    logins.entrust_password(ME, "sandbox-me", "changed-elsewhere", keep=True)
    row = machine.step(ME)
    assert row.state is State.WAITING_FOR_PERSON
    assert "账号或密码错误" in str(row.failure)
    calls = len(sandbox.calls(server="ths_login"))
    sandbox.set_clock("2026-11-21T09:00")
    assert machine.step(ME).state is State.WAITING_FOR_PERSON
    assert len(sandbox.calls(server="ths_login")) == calls


def test_after_a_passing_failure_it_waits_5_10_20_40_60_minutes_and_six_logins_are_the_day_s_last(
    logins: Logins, machine: Relogin, sandbox: Rehearsal
) -> None:
    with_password(logins, sandbox)  # the first login of the day
    sandbox.order_fault("status", server="ths_login", api="verify2", status=502, times=None)
    moment = dt.datetime.fromisoformat("2026-11-20T19:00+08:00")
    waits = []
    while (row := machine.step(ME)).state is State.BACKING_OFF:
        assert row.next_attempt_at is not None
        waits.append((row.next_attempt_at - moment) // dt.timedelta(minutes=1))
        early = row.next_attempt_at - dt.timedelta(minutes=1)
        sandbox.set_clock(early.isoformat())
        assert not machine.due(row)
        assert machine.step(ME).state is State.BACKING_OFF
        moment = row.next_attempt_at
        sandbox.set_clock(moment.isoformat())
        assert machine.due(row)
    assert waits == [5, 10, 20, 40, 60]
    assert row.state is State.USED_UP
    assert logins.accounts.logins_of(ME, dt.date(2026, 11, 20)) == 6
    sandbox.set_clock("2026-11-20T23:59")
    assert not machine.due(row)
    sandbox.clear_faults()
    sandbox.set_clock("2026-11-21T00:01")
    assert machine.due(row)
    row = machine.step(ME)
    assert row.state is State.ACTIVE
    assert row.failures == 0


def test_what_expires_at_once_again_is_not_logged_in_again_at_once(
    logins: Logins, machine: Relogin, sandbox: Rehearsal
) -> None:
    logins.entrust_password(ME, "sandbox-me", "sandbox-Geheim", keep=True)
    logins.by_password(ME)
    expired(logins, sandbox, "2026-11-20T18:10")
    row = machine.step(ME)
    assert row.state is State.BACKING_OFF
    assert row.next_attempt_at == dt.datetime.fromisoformat("2026-11-20T18:30+08:00")
    sandbox.set_clock("2026-11-20T18:30")
    assert machine.step(ME).state is State.ACTIVE


def test_an_account_of_sms_has_one_sent_and_waits_for_its_code(logins: Logins, machine: Relogin, sandbox: Rehearsal) -> None:
    by_sms(logins, sandbox)
    expired(logins, sandbox)
    row = machine.step(ME)
    assert row.state is State.WAITING_FOR_CODE
    assert not machine.due(row)
    logins.entrust_code(ME, sandbox.ths()["codes"][MOBILE])
    assert machine.due(row)
    assert machine.step(ME).state is State.ACTIVE


def test_a_code_that_does_not_come_hands_over_to_a_person(logins: Logins, machine: Relogin, sandbox: Rehearsal) -> None:
    by_sms(logins, sandbox)
    expired(logins, sandbox)
    row = machine.step(ME)
    logins.entrust_code(ME, f"{(int(sandbox.ths()['codes'][MOBILE]) + 1) % 10**6:06}")
    assert machine.step(ME).state is State.WAITING_FOR_CODE, "a wrong one leaves it waiting"
    sandbox.set_clock("2026-11-20T19:10")
    assert machine.due(row)
    assert machine.step(ME).state is State.WAITING_FOR_PERSON
    assert "no code came" in str(logins.accounts.named(ME).failure)


def test_a_slider_hands_over_to_a_person(logins: Logins, machine: Relogin, sandbox: Rehearsal) -> None:
    by_sms(logins, sandbox)
    expired(logins, sandbox)
    sandbox.ths(slider=True)
    row = machine.step(ME)
    assert row.state is State.WAITING_FOR_PERSON
    assert "slider" in str(row.failure)


def test_an_sms_of_a_session_that_still_holds_costs_nothing_where_no_code_comes(
    logins: Logins, machine: Relogin, sandbox: Rehearsal
) -> None:
    by_sms(logins, sandbox)
    logins.send_code(ME)
    sandbox.set_clock("2026-11-20T18:15")
    assert machine.step(ME).state is State.ACTIVE


def test_a_process_that_died_while_logging_in_is_noticed(logins: Logins, machine: Relogin, sandbox: Rehearsal) -> None:
    row = with_password(logins, sandbox)
    logins.accounts.move(ME, State.LOGGING_IN, "a login began", method=Method.PASSWORD)
    assert not machine.due(logins.accounts.named(ME)), "it may be at it"
    sandbox.set_clock("2026-11-20T19:06")
    row = machine.step(ME)
    assert row.state is State.BACKING_OFF
    sandbox.set_clock("2026-11-20T19:12")
    assert machine.step(ME).state is State.ACTIVE


def test_while_another_process_is_at_it_nothing_is_done(
    logins: Logins, machine: Relogin, warehouse: Database, sandbox: Rehearsal
) -> None:
    with_password(logins, sandbox)
    before = len(logins.accounts.events())
    with Alone(warehouse, ME):
        assert machine.step(ME).state is State.EXPIRED
    assert len(logins.accounts.events()) == before
    assert machine.step(ME).state is State.ACTIVE


def test_many_who_see_the_expiry_at_once_log_in_once(warehouse: Database, logins: Logins, sandbox: Rehearsal) -> None:
    with_password(logins, sandbox)
    before = sent_logins(sandbox)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Relogin(Logins(warehouse, logins._hosts)).step(ME), range(4)))
    assert logins.accounts.named(ME).state is State.ACTIVE
    assert sent_logins(sandbox) == before + 1


def test_who_comes_late_finds_it_logged_in_and_leaves_it(logins: Logins, sandbox: Rehearsal) -> None:
    """Two saw the expiry; the second gets the account when the first is through."""
    with_password(logins, sandbox)
    logins.by_password(ME, by_itself=True)
    before = sent_logins(sandbox)
    with pytest.raises(ThsError) as raised:
        logins.by_password(ME, by_itself=True)
    assert raised.value.failure is Failure.TAKEN
    assert sent_logins(sandbox) == before


def test_a_vault_that_does_not_open_is_told_and_loses_nothing(
    logins: Logins, machine: Relogin, sandbox: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_password(logins, sandbox)
    records = logins.vault.records()
    monkeypatch.setenv("SECRET_KEY", keys.made().reveal())
    row = machine.step(ME)
    assert row.state is State.WAITING_FOR_PERSON
    assert "SECRET_KEY is not the key" in str(row.failure)
    assert logins.vault.records() == records


def by_sms(logins: Logins, sandbox: Rehearsal) -> None:
    logins.entrust_mobile(ME, MOBILE)
    logins.send_code(ME)
    logins.entrust_code(ME, sandbox.ths()["codes"][MOBILE])
    logins.by_code(ME)


def test_every_code_of_a_web_login_has_its_class_and_advice() -> None:
    from quant_pipeline.language import speaking
    from quant_pipeline.retelling import retold
    from quant_pipeline.ths.errors import of_code, says_expired

    classes = {-11400: Failure.SLIDER, -10510: Failure.ANOTHER_WAY, -11032: Failure.ANOTHER_WAY, -11043: Failure.ANOTHER_WAY}
    for code, failure in {**classes, -10500: Failure.CODE, -1: Failure.REFUSED}.items():
        error = of_code(code, "异常")
        assert error.failure is failure
        assert isinstance(error, ThsError)
        assert str(code) in str(error)
        named = str(of_code(code, "异常", "wang"))
        assert named.count("--account wang") == named.count("quant-pipeline ths login"), "of several accounts it is this one"
        assert "--account" not in str(error), "of a user's only one no name is needed"
        with speaking("zh"):
            assert retold(named) != named, "its words are known in Chinese with the account's name in them too"
    assert says_expired(401, None)
    assert says_expired(200, {"status_code": 401})
    assert says_expired(200, {"errorCode": -1, "errorMsg": "登录已失效"})
    assert not says_expired(200, {"status_code": 0, "data": {}})
    assert not says_expired(200, {"errorCode": -5, "errorMsg": "参数错误"})
    assert not says_expired(200, [])
