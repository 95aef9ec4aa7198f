"""E-mail over SMTP. QQ, 163 and others want an authorisation code in the place of the password."""

from __future__ import annotations

import logging
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from quant_pipeline.language import marked, say, told
from quant_pipeline.market import clock
from quant_pipeline.notify.channels import rendering
from quant_pipeline.notify.channels.contract import Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel, secret
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.result import NO_ANSWER, UNREACHED, Result, done, refused
from quant_pipeline.sources.failures import FailureClass

_PORTS = {"ssl": 465, "starttls": 587, "none": 25}
_PASSING_AT = 400
_FINAL_AT = 500
_STYLE = (
    "<style>body{font:15px/1.6 sans-serif}table{border-collapse:collapse}td,th{border-bottom:1px solid #ddd;"
    "padding:.2rem .5rem;text-align:left}pre{white-space:pre-wrap}</style>"
)
_logger = logging.getLogger(__name__)


class Settings(ChannelSettings):
    host: str = Field(description="The SMTP server: smtp.qq.com")
    port: int | None = Field(None, ge=1, le=65_535, description="465 for ssl, 587 for starttls, unless written")
    security: Literal["ssl", "starttls", "none"] = "ssl"
    user: str = Field("", description="The account; mostly the address itself")
    password: SecretStr | None = Field(None, description="The password, or the authorisation code (授权码)")
    sender: str = Field(description="The address that it comes from")
    to: list[str] = Field(min_length=1, description="The addresses that it goes to")

    @field_validator("sender", "to")
    @classmethod
    def _addresses(cls, value: str | list[str]) -> str | list[str]:
        for each in [value] if isinstance(value, str) else value:
            local, at, domain = each.rpartition("@")
            if not (at and local and domain) or any(c.isspace() or c in "<>,;" for c in each):
                raise ValueError(say("{address} is no address of a mailbox", address=each))
        return value


class Email(ServiceChannel):
    """A mailbox, or several: HTML with the plain text beside it."""

    kind = "email"
    settings_type = Settings
    limits = Limits()
    formats = ("html", "markdown", "txt")

    def parts(self, message: Message) -> list[Message]:
        """One, of any length, as it is: the mail holds both forms of it."""
        return [message]

    def handed_over(self, message: Message) -> Result:
        mail = self._mail(message)
        return self.client.attempt("send", lambda: self._exchanged(mail))

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = " ".join(message.title.split())
        mail["From"] = Address(addr_spec=self.settings.sender, display_name="quant_pipeline")
        mail["To"] = [Address(addr_spec=each) for each in self.settings.to]
        mail["Date"] = clock.now()
        mail["Message-ID"] = make_msgid(domain=self.settings.sender.rpartition("@")[2])
        mail.set_content("\n".join(rendering.rendered(message, rendering.Plain())))
        mail.add_alternative(f"<meta charset='utf-8'>{_STYLE}{rendering.as_html(message)}", subtype="html")
        return mail

    def _exchanged(self, mail: EmailMessage) -> Result:
        server: smtplib.SMTP | None = None
        sent = False
        try:
            server = self._connected()
            if self.settings.password is not None:
                server.login(self.settings.user or self.settings.sender, secret(self.settings.password))
            sent = True
            left_out = server.send_message(mail)
        except smtplib.SMTPAuthenticationError as error:
            return refused(error.smtp_code, _words(error.smtp_error), FailureClass.PERMANENT_SOURCE, sent=True)
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            return _refused(code, words)
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code, error.smtp_error)
        except smtplib.SMTPNotSupportedError as error:
            return refused("not_supported", str(error), FailureClass.PERMANENT_SOURCE, sent=False)
        except (smtplib.SMTPException, OSError) as error:
            return _broken(error, sent)
        finally:
            if server is not None:
                server.close()
        if left_out:
            _logger.warning("%s: the mail server refused %s of %s addresses", self.name, len(left_out), len(self.settings.to))
        return done(str(mail["Message-ID"]))

    def _connected(self) -> smtplib.SMTP:
        settings = self.settings
        port, seconds = settings.port or _PORTS[settings.security], settings.timeout
        if settings.security == "ssl":
            return smtplib.SMTP_SSL(settings.host, port, timeout=seconds, context=ssl.create_default_context())
        server = smtplib.SMTP(settings.host, port, timeout=seconds)
        if settings.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        return server


def _refused(code: int, words: bytes | str) -> Result:
    passing = _PASSING_AT <= code < _FINAL_AT
    return refused(code, _words(words), FailureClass.RETRYABLE if passing else FailureClass.PERMANENT_API)


def _broken(error: Exception, sent: bool) -> Result:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = marked("the connection failed: the server has no certificate that can be trusted")
        return refused(UNREACHED, text, FailureClass.RETRYABLE, sent=False)
    words = marked("no answer in time") if isinstance(error, TimeoutError) else marked("the connection failed")
    if sent:
        return refused(NO_ANSWER, told("the mail server broke off: {why}", why=words), FailureClass.RETRYABLE)
    return refused(UNREACHED, words, FailureClass.RETRYABLE, sent=False)


def _words(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


CHANNEL = Email
