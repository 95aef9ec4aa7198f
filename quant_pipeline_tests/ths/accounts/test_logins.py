"""Each way of logging in, at servers that speak 同花顺's protocol over real sockets; and that a dump holds none of it."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re

import pytest

from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline.ths.accounts import Accounts, Alone, State
from quant_pipeline.ths.errors import Failure, ThsError
from quant_pipeline.ths.logins import Logins
from quant_pipeline.ths.qr import Shown
from quant_pipeline.vault.kinds import THS_PASSWORD, THS_SESSION
from quant_pipeline.warehouse.database import Database

ME = "default"
PASSWORD = "sandbox-Geheim-4711-nie-zu-sehen"
MOBILE = "13912345678"


def states(logins: Logins) -> list[str]:
    """The transitions, oldest first."""
    return [event.state for event in reversed(logins.accounts.events())]


def cookies_of(logins: Logins) -> dict[str, str]:
    return dict(logins.sessions.session(ME).cookies)


def code_of(sandbox: Rehearsal) -> str:
    return str(sandbox.ths()["codes"][MOBILE])


def test_a_qr_code_is_scanned_confirmed_and_leaves_a_session(logins: Logins, sandbox: Rehearsal) -> None:
    news: list[Shown | str] = []
    session = logins.by_qr(ME, news.append)
    shown, *after = news
    assert isinstance(shown, Shown)
    (qr,) = sandbox.ths()["qrs"]
    assert shown.address == f"http://mobile.10jqka.com.cn/?source=PC&qrid={qr['qrid']}"
    assert after == ["scanned"]
    assert session.nickname.startswith("沙盒用户")
    assert session.user_id == session.cookies["userid"]
    assert session.expires_at == dt.datetime.fromisoformat("2026-11-27T18:00+08:00")
    assert session.method == "qr"
    assert states(logins) == ["logging_in", "active"]
    assert logins.probe(ME)
    assert session.cookies["ticket"] not in repr(session)


def test_the_session_survives_a_restart(logins: Logins, warehouse: Database, sandbox: Rehearsal) -> None:
    del sandbox
    session = logins.by_qr(ME, lambda _: None)
    again = Logins(warehouse, logins._hosts).sessions.session()
    assert again == session


@pytest.mark.parametrize("brings", ["cookies", "redirect", "credential"])
def test_what_a_confirmed_code_brings_is_found_wherever_it_is(logins: Logins, sandbox: Rehearsal, brings: str) -> None:
    sandbox.ths(brings=brings)
    assert logins.by_qr(ME, lambda _: None).cookies["ticket"]
    called = {call["api"] for call in sandbox.calls(server="ths_login")}
    assert ("landing" in called) == (brings == "redirect")
    assert ("docookie2" in called) == (brings == "credential")


def test_an_expired_code_is_made_anew_and_after_three_it_is_given_up(logins: Logins, sandbox: Rehearsal) -> None:
    sandbox.ths(phone="by_order")
    numbers: list[int] = []

    def look(news: Shown | str) -> None:
        if isinstance(news, Shown):
            numbers.append(news.number)
            sandbox.ths(scan="expired")

    with pytest.raises(ThsError, match="nobody confirmed") as raised:
        logins.by_qr(ME, look)
    assert raised.value.failure is Failure.NOT_CONFIRMED
    assert numbers == [1, 2, 3]
    assert states(logins) == ["logging_in", "logged_out"]


def test_the_second_code_can_be_confirmed_when_the_first_has_expired(logins: Logins, sandbox: Rehearsal) -> None:
    sandbox.ths(phone="by_order")
    sandbox_state = {1: "expired", 2: "confirmed"}
    news: list[str] = []

    def look(told: Shown | str) -> None:
        if isinstance(told, Shown):
            sandbox.ths(scan=sandbox_state[told.number])
        else:
            news.append(told)

    assert logins.by_qr(ME, look).cookies["ticket"]
    assert news == ["expired"]


def test_a_code_that_the_server_forgets_to_end_ends_by_its_own_time(
    logins: Logins, sandbox: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quant_pipeline.ths import qr

    monkeypatch.setattr(qr, "LIFE", 0.05)
    sandbox.ths(phone="by_order")
    with pytest.raises(ThsError, match="nobody confirmed"):
        logins.by_qr(ME, lambda _: None)


def test_an_sms_is_sent_and_its_code_opens_the_account_in_a_second_step(logins: Logins, sandbox: Rehearsal) -> None:
    logins.entrust_mobile(ME, f"+86 {MOBILE[:3]} {MOBILE[3:7]} {MOBILE[7:]}")
    logins.send_code(ME)
    assert logins.accounts.named(ME).state is State.WAITING_FOR_CODE
    with pytest.raises(ThsError, match="waits for the SMS code"):
        logins.sessions.session(ME)
    logins.entrust_code(ME, code_of(sandbox))
    session = logins.by_code(ME)
    assert session.method == "sms"
    assert states(logins) == ["logging_in", "waiting_for_code", "active"]


def test_a_wrong_code_leaves_it_waiting_and_the_right_one_opens_it(logins: Logins, sandbox: Rehearsal) -> None:
    logins.entrust_mobile(ME, MOBILE)
    logins.send_code(ME)
    right = code_of(sandbox)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for given in (wrong, "abc"):
        logins.entrust_code(ME, given)
        with pytest.raises(ThsError) as raised:
            logins.by_code(ME)
        assert raised.value.failure is Failure.CODE
        assert given not in str(raised.value)
        assert logins.accounts.named(ME).state is State.WAITING_FOR_CODE
    with pytest.raises(ThsError, match="give the code first"):
        logins.by_code(ME)
    logins.entrust_code(ME, right)
    assert logins.by_code(ME).cookies["ticket"]
    with pytest.raises(ThsError, match="no code is waited for"):
        logins.by_code(ME)


def test_a_slider_ends_an_sms_login_with_advice(logins: Logins, sandbox: Rehearsal) -> None:
    sandbox.ths(slider=True)
    logins.entrust_mobile(ME, MOBILE)
    with pytest.raises(ThsError, match=r"slider.*ths login qr.*ths login cookie") as raised:
        logins.send_code(ME)
    assert raised.value.failure is Failure.SLIDER
    assert sandbox.ths()["sent"] == 0
    assert states(logins) == ["logging_in", "logged_out"]


@pytest.mark.parametrize("number", ["12345", "29912345678", "139123456789"])
def test_a_number_that_is_none_is_not_sent_anywhere(logins: Logins, sandbox: Rehearsal, number: str) -> None:
    with pytest.raises(ThsError, match="eleven digits"):
        logins.entrust_mobile(ME, number)
    with pytest.raises(ThsError, match="give the number first"):
        logins.send_code(ME)
    assert sandbox.calls(server="ths_login") == []


def test_a_password_goes_under_rsa_and_is_forgotten_unless_it_is_to_be_kept(logins: Logins, sandbox: Rehearsal) -> None:
    logins.entrust_password(ME, "sandbox-me", PASSWORD, keep=False)
    session = logins.by_password(ME)
    assert session.method == "password"
    assert not logins.vault.holds(THS_PASSWORD, ME)
    asked = [call["api"] for call in sandbox.calls(server="ths_login")]
    assert asked == ["verify2", "verify2", "verify2", "docookie2", "simple_info"]
    logins.entrust_password(ME, "sandbox-me", PASSWORD, keep=True)
    logins.by_password(ME)
    assert logins.vault.holds(THS_PASSWORD, ME)
    with pytest.raises(ThsError, match="give the password first"):
        logins.by_password("other")


def test_a_wrong_password_changes_nothing_of_a_session_that_holds(logins: Logins, sandbox: Rehearsal) -> None:
    del sandbox
    logins.by_qr(ME, lambda _: None)
    held = cookies_of(logins)
    logins.entrust_password(ME, "sandbox-me", "wrong-Geheim", keep=False)
    with pytest.raises(ThsError, match="账号或密码错误") as raised:
        logins.by_password(ME)
    assert raised.value.failure is Failure.REFUSED
    assert "wrong-Geheim" not in str(raised.value)
    assert cookies_of(logins) == held
    account = logins.accounts.named(ME)
    assert "账号或密码错误" in str(account.failure)
    assert not logins.vault.holds(THS_PASSWORD, ME)


@pytest.mark.parametrize("form", ["header", "mapping", "extension"])
def test_cookies_come_in_every_form_that_browsers_give_and_are_tried_before_they_are_kept(
    logins: Logins, sandbox: Rehearsal, form: str
) -> None:
    logins.by_qr("donor", lambda _: None)
    cookies = dict(logins.sessions.session("donor").cookies) | {"v": "of-a-page-view"}
    del sandbox
    text = {
        "header": "Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "mapping": json.dumps(cookies),
        "extension": json.dumps([{"domain": ".10jqka.com.cn", "name": n, "value": v} for n, v in cookies.items()]),
    }[form]
    logins.entrust_cookies(ME, text)
    session = logins.by_cookies(ME)
    assert session.method == "cookie"
    assert session.cookies["ticket"] == cookies["ticket"]
    assert "v" not in session.cookies
    assert session.expires_at == dt.datetime.fromisoformat("2026-11-27T18:00+08:00")


def test_cookies_that_lack_something_or_have_ended_are_not_kept(logins: Logins, sandbox: Rehearsal) -> None:
    for text in ("userid=7; v=1", "{", '["x"]', '{"ticket": "x"}', ""):
        with pytest.raises(ThsError):
            logins.entrust_cookies(ME, text)
    logins.by_qr("donor", lambda _: None)
    cookies = logins.sessions.session("donor").cookies
    sandbox.ths(expire=True)
    logins.entrust_cookies(ME, json.dumps(dict(cookies)))
    with pytest.raises(ThsError, match="does not accept the cookies") as raised:
        logins.by_cookies(ME)
    assert raised.value.failure is Failure.EXPIRED
    assert not logins.vault.holds(THS_SESSION, ME)


def test_a_report_of_an_answer_in_use_ends_the_session_once_and_only_its_own(logins: Logins, sandbox: Rehearsal) -> None:
    session = logins.by_qr(ME, lambda _: None)
    logins.sessions.report_expired(session, "401 请先登录")
    logins.sessions.report_expired(session, "401 请先登录")
    account = logins.accounts.named(ME)
    assert account.state is State.EXPIRED
    assert "401 请先登录" in str(account.failure)
    with pytest.raises(ThsError, match="has expired"):
        logins.sessions.session(ME)
    sandbox.set_clock("2026-11-20T18:30")
    logins.by_qr(ME, lambda _: None)
    logins.sessions.report_expired(session, "401, late")
    assert logins.accounts.named(ME).state is State.ACTIVE
    assert states(logins).count("expired") == 1


def test_cookies_end_by_their_own_time_without_a_call(logins: Logins, sandbox: Rehearsal) -> None:
    logins.by_qr(ME, lambda _: None)
    sandbox.set_clock("2026-11-27T18:01")
    before = len(sandbox.calls(server="ths_login"))
    with pytest.raises(ThsError, match="has expired"):
        logins.sessions.session(ME)
    assert len(sandbox.calls(server="ths_login")) == before
    assert logins.accounts.named(ME).state is State.EXPIRED


def test_a_probe_tells_what_holds_and_says_nothing_where_nobody_answers(logins: Logins, sandbox: Rehearsal) -> None:
    logins.by_qr(ME, lambda _: None)
    sandbox.order_fault("status", server="ths_login", api="simple_info", status=502)
    with pytest.raises(ThsError) as raised:
        logins.probe(ME)
    assert raised.value.failure is Failure.UNREACHABLE
    assert logins.accounts.named(ME).state is State.ACTIVE, "no answer is no expiry"
    sandbox.order_fault("html", server="ths_login", api="simple_info")
    with pytest.raises(ThsError) as raised:
        logins.probe(ME)
    assert raised.value.failure is Failure.UNREADABLE
    assert logins.accounts.named(ME).state is State.ACTIVE, "no answer is no expiry"
    assert logins.probe(ME)
    sandbox.ths(expire=True)
    assert not logins.probe(ME)
    assert logins.accounts.named(ME).state is State.EXPIRED


def test_one_process_at_a_time_logs_an_account_in(logins: Logins, warehouse: Database, sandbox: Rehearsal) -> None:
    with Alone(warehouse, ME), pytest.raises(ThsError, match="another process") as raised:
        logins.by_qr(ME, lambda _: None)
    assert raised.value.failure is Failure.TAKEN
    assert sandbox.ths()["qrs"] == []
    assert logins.by_qr(ME, lambda _: None).cookies["ticket"]


def test_several_accounts_are_named_and_each_has_its_own(logins: Logins, sandbox: Rehearsal) -> None:
    del sandbox
    with pytest.raises(ThsError, match="no THS account is logged in"):
        logins.sessions.session()
    for account, name in (("mine", "sandbox-1"), ("hers", "sandbox-2")):
        logins.entrust_password(account, name, PASSWORD, keep=False)
        logins.by_password(account)
    assert logins.sessions.session("mine").user_id != logins.sessions.session("hers").user_id
    with pytest.raises(ThsError, match="hers, mine"):
        logins.sessions.session()
    logins.log_out("hers")
    assert logins.sessions.session().account == "mine"
    assert [record.name for record in logins.vault.records()] == ["mine"]


def test_without_a_key_nobody_is_bothered(logins: Logins, sandbox: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    from quant_pipeline.vault.errors import NoKey

    monkeypatch.delenv("SECRET_KEY")
    with pytest.raises(NoKey, match="vault init"):
        logins.by_qr(ME, lambda _: None)
    assert sandbox.ths()["qrs"] == []


def test_a_redirect_to_another_host_is_not_followed(logins: Logins, sandbox: Rehearsal) -> None:
    """A server that sends the confirmed login elsewhere gets no cookie there."""
    for api in ("creatCode", "getInfoNew"):
        sandbox.order_fault("redirect", server="ths_login", api=api)
        with pytest.raises(ThsError, match="sends us on") as raised:
            logins.by_qr(ME, lambda _: None)
        assert raised.value.failure is Failure.UNREACHABLE
    assert sandbox.calls(server="elsewhere") == []


def test_a_dump_of_the_database_and_the_logs_hold_none_of_the_secrets(
    logins: Logins, warehouse: Database, sandbox: Rehearsal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {PASSWORD, MOBILE, "wrong-Geheim"}
    logins.by_qr("qr", lambda _: None)
    logins.entrust_password("pw", "sandbox-me", PASSWORD, keep=True)
    logins.by_password("pw")
    logins.entrust_password("bad", "sandbox-me", "wrong-Geheim", keep=False)
    with pytest.raises(ThsError):
        logins.by_password("bad")
    logins.entrust_mobile("sms", MOBILE)
    logins.send_code("sms")
    code = code_of(sandbox)
    logins.entrust_code("sms", code)
    logins.by_code("sms")
    logins.entrust_cookies("cookie", json.dumps(dict(logins.sessions.session("qr").cookies)))
    logins.by_cookies("cookie")
    for account in ("qr", "pw", "sms", "cookie"):
        cookies = logins.sessions.session(account).cookies
        secrets |= {value for name, value in cookies.items() if name in ("ticket", "sess_tk", "utk", "user")}
    found = dumped(warehouse) + caplog.text
    assert "sandbox-me" not in found
    assert [secret for secret in secrets if secret in found] == []
    # Six digits stand in fractions of a second and in long numbers by chance, never as a number of their own.
    assert re.search(rf"(?<![\d.]){code}(?!\d)", found) is None
    assert len(secrets) > 11


def dumped(database: Database) -> str:
    """Every row of every table, as text; what is sealed, as it stands there."""
    with database.connect() as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname IN ('public', 'dagster')").fetchall()
        parts = [str(connection.execute(f'SELECT t::text FROM "{name}" AS t').fetchall()) for (name,) in tables]  # type: ignore[arg-type]
        sealed = connection.execute("SELECT convert_from(sealed, 'UTF8') FROM vault_records").fetchall()
    return "\n".join([*parts, str(sealed)])


def test_the_accounts_are_listed_by_name(logins: Logins, warehouse: Database, sandbox: Rehearsal) -> None:
    del sandbox
    logins.by_qr("b", lambda _: None)
    logins.by_qr("a", lambda _: None)
    assert [each.account for each in Accounts(warehouse).all()] == ["a", "b"]
