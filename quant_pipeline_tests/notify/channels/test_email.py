"""E-mail over a real SMTP server: what arrives, and each refusal with its class."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from quant_pipeline.notify.channels.configured import ChannelError, Means, built
from quant_pipeline.notify.channels.contract import Accepted, Channel, Refused, Unknown
from quant_pipeline.notify.messages import Message
from quant_pipeline_tests.notify.channels.conftest import sent


class Mailbox:
    """The server: what it was sent; `reply` in place of 250, `refuses` an address."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.to: list[list[str]] = []
        self.reply = "250 OK"
        self.refuses = ""
        self.breaks_off = False

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address == self.refuses:
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.breaks_off:
            server.transport.abort()
            return "250 too late"
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.to.append(list(envelope.rcpt_tos))
        return self.reply


def _authenticated(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
    right = isinstance(given, LoginPassword) and given.login == b"me@quant.example" and given.password == b"code-of-mine"
    return AuthResult(success=right, handled=False)


class AnyPort(Controller):
    """On a free port, which aiosmtpd's own does not know when it looks whether it listens."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(mailbox: Mailbox) -> Iterator[Controller]:
    controller = AnyPort(
        mailbox, hostname="127.0.0.1", port=0, authenticator=_authenticated, auth_require_tls=False, auth_exclude_mechanism=[]
    )
    controller.start()
    yield controller
    controller.stop()


def channel(server: Controller, **lines: Any) -> Channel:
    own = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "sender": "me@quant.example",
        "to": ["me@quant.example"],
    }
    return built("mail", {"kind": "email", "user": "me@quant.example", "password": "code-of-mine", **own, **lines}, Means())


def test_a_mail_has_the_content_as_html_and_as_text(server: Controller, mailbox: Mailbox) -> None:
    (answer,) = sent(channel(server, to=["me@quant.example", "you@quant.example"]))
    assert isinstance(answer, Accepted)
    (mail,) = mailbox.mails
    assert mail["Subject"] == "双均线 选股"
    assert mail["Message-ID"] == answer.receipt
    assert mailbox.to == [["me@quant.example", "you@quant.example"]]
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert "<strong>金叉</strong>" in html.get_content()
    assert "金叉 查看 http://127.0.0.1:3001/day" in text.get_content()


def test_a_title_can_smuggle_no_header(server: Controller, mailbox: Mailbox) -> None:
    sent(channel(server), Message("a\nBcc: x@y.example", "b"))
    assert mailbox.mails[0]["Bcc"] is None
    assert mailbox.mails[0]["Subject"] == "a Bcc: x@y.example"


@pytest.mark.parametrize(("lines", "code"), [({"password": "another-code"}, "535"), ({"to": ["nobody@quant.example"]}, "550")])
def test_what_is_refused_for_good(server: Controller, mailbox: Mailbox, lines: dict[str, Any], code: str) -> None:
    mailbox.refuses = "nobody@quant.example"
    (answer,) = sent(channel(server, **lines))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable) == (code, False)
    assert "another-code" not in repr(answer)


@pytest.mark.parametrize(("reply", "retryable"), [("451 greylisted, try again", True), ("554 looks like spam", False)])
def test_what_the_server_says_of_the_content(server: Controller, mailbox: Mailbox, reply: str, retryable: bool) -> None:
    mailbox.reply = reply
    (answer,) = sent(channel(server))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable) == (reply[:3], retryable)


def test_one_of_several_addresses_that_is_refused_stops_no_other(
    server: Controller, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.refuses = "nobody@quant.example"
    (answer,) = sent(channel(server, to=["nobody@quant.example", "me@quant.example"]))
    assert isinstance(answer, Accepted)
    assert mailbox.to == [["me@quant.example"]]
    assert "refused 1 of 2 addresses" in caplog.text


def test_a_server_that_breaks_off_may_have_it_and_one_that_is_not_there_has_not(server: Controller, mailbox: Mailbox) -> None:
    mailbox.breaks_off = True
    assert isinstance(sent(channel(server))[0], Unknown)
    answer = sent(channel(server, port=9))[0]
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable) == ("unreachable", True)


def test_mistakes_of_its_table_are_sentences(server: Controller) -> None:
    with pytest.raises(ChannelError, match=r"\[channels.mail\]: to: me is no address of a mailbox"):
        channel(server, to=["me"])
    with pytest.raises(ChannelError, match="security: it must be 'ssl', 'starttls' or 'none'"):
        channel(server, security="tls")
    with pytest.raises(ChannelError, match="has hosst, which this kind does not have; did you mean host"):
        channel(server, hosst="x")
