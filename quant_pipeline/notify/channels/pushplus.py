"""PushPlus (https://www.pushplus.plus/doc/): to WeChat, and what else an account of it reaches. It is the default channel.

An accepted message is not yet delivered; with the account's secret key PushPlus says what became of it. Who goes on after
code 900 is blocked for days, so nothing more is sent before the next one.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr, model_validator

from quant_pipeline.language import marked, say
from quant_pipeline.market import clock
from quant_pipeline.notify.channels import rendering
from quant_pipeline.notify.channels.contract import Answer, Delivery, DeliveryState, Limits
from quant_pipeline.notify.channels.http_channel import ChannelSettings, ServiceChannel, answer, secret
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.client import Answered, Judge, by_code
from quant_pipeline.services.result import Result, done, refused
from quant_pipeline.sources.failures import FailureClass

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter

URL = "https://www.pushplus.plus"
LONGEST_CONTENT = 20_000
_REOPENS = dt.time(0, 5)
"""When a day's limit is surely over, in exchange time."""
_QUESTION_TIMEOUT = 5.0
"""Seconds for the answer to a question, which can be asked again later."""
_UNAUTHORISED, _NOT_THERE, _LIMITED = "401", "600", "900"
_MINUTE, _HOUR = 60.0, 3_600.0
_PAGE = 100
_AS_IT_IS = frozenset({"html", "txt", "json", "markdown", "cloudMonitor", "jenkins", "route", "pay"})

CODES: Mapping[str, FailureClass] = {
    "302": FailureClass.PERMANENT_SOURCE,
    "401": FailureClass.PERMANENT_SOURCE,
    "403": FailureClass.PERMANENT_SOURCE,
    "500": FailureClass.RETRYABLE,
    "600": FailureClass.PERMANENT_API,
    "805": FailureClass.PERMANENT_API,
    "888": FailureClass.PERMANENT_SOURCE,
    "900": FailureClass.RATE_LIMITED,
    "903": FailureClass.PERMANENT_SOURCE,
    "905": FailureClass.PERMANENT_SOURCE,
    "999": FailureClass.PERMANENT_API,
}
"""PushPlus's codes and what they mean."""
_SAME = re.compile("相同内容")
_FAST = re.compile("频繁|最多发送")
"""The limits per hour and per minute come as other codes: only their words tell them."""
_access_keys: dict[tuple[str, str, str], str] = {}
_one_at_a_time = threading.Lock()
_STATES = {"1": DeliveryState.SENDING, "2": DeliveryState.DELIVERED, "3": DeliveryState.FAILED}


class Settings(ChannelSettings):
    token: SecretStr = Field(description="The account's token")
    secret_key: SecretStr | None = Field(
        None, description="The secret key of its open interface (开放接口): then it tells deliveries"
    )
    channel: Literal["wechat", "app", "webhook", "cp", "mail", "sms", "voice", "extension", "clawbot"] | None = Field(
        None, description="Its own way to you; wechat unless written"
    )
    option: str = Field("", description="What its way needs: the code of a webhook, of a mailbox …")
    template: Literal["html", "txt", "json", "markdown", "cloudMonitor"] | None = Field(
        None, description="Instead of the message's own"
    )
    topic: str = Field("", description="The code of a group (群组): all of its people get the messages")
    to: list[SecretStr] = Field([], max_length=100, description="Tokens of friends (好友令牌)")
    callback: str = Field("", description="Where it reports deliveries to: an address of yours")

    @model_validator(mode="after")
    def _one_of_them(self) -> Settings:
        if self.topic and self.to:
            raise ValueError(say("a message goes to a topic or to friends, not to both: take one of them away"))
        return self


@dataclass(frozen=True)
class Friend:
    """A person bound to the account; `token` is what a message to him is addressed with."""

    id: int
    name: str
    token: str
    follows: bool = True
    """Whether he follows the service's WeChat account: else nothing reaches him."""


class PushPlus(ServiceChannel):
    """A PushPlus account, or a friend of it (see `for_friend`). Without `secret_key` it can send, but not ask (`polls`)."""

    kind = "pushplus"
    settings_type = Settings
    address = URL
    limits = Limits(a_minute=5, a_day=200, longest_characters=LONGEST_CONTENT)
    longest_title = 90
    """100 with the number of a part."""
    dialect = rendering.FullMarkdown()

    def __init__(
        self,
        token: str,
        url: str | None = None,
        secret_key: str | None = None,
        *,
        name: str = "pushplus",
        limiter: Limiter | None = None,
        settings: Settings | None = None,
    ) -> None:
        """`url` None: the real service; else a server that speaks its protocol, such as the sandbox's."""
        written = settings or Settings(
            token=SecretStr(token), url=url, secret_key=SecretStr(secret_key) if secret_key else None
        )
        super().__init__(name, written, limiter)
        self.polls = written.secret_key is not None
        self._friend: int | None = None
        self._of = self
        self._friends: Mapping[int, Friend] = {}

    @property
    def _access_key(self) -> str | None:
        """The account's key as this process got it last: a new one ends the former, so it is not asked for at each look."""
        return _access_keys.get(self._account_of_keys)

    @_access_key.setter
    def _access_key(self, key: str) -> None:
        _access_keys[self._account_of_keys] = key

    @property
    def _account_of_keys(self) -> tuple[str, str, str]:
        return self.client.address, secret(self.settings.token), secret(self.settings.secret_key)

    @classmethod
    def made(cls, name: str, settings: Any, limiter: Limiter | None) -> PushPlus:
        return cls("", name=name, settings=settings, limiter=limiter)

    def for_friend(self, name: str, friend: int) -> PushPlus:
        """The way to one of its friends: it draws from the same limits."""
        channel = PushPlus("", name=name, settings=self.settings, limiter=self.client.limiter)
        channel.account, channel.client = self.account, self.client
        channel._friend, channel._of = friend, self._of
        return channel

    def parts(self, message: Message) -> Sequence[Message]:
        """The message as it is: PushPlus shows all of its templates. Markdown and text that are too long are split."""
        template = self.settings.template or message.template
        if len(message.content) > LONGEST_CONTENT and template == "html":
            return self.parts(Message(message.title, "\n".join(rendering.rendered(message, rendering.Plain())), "txt"))
        return [replace(part, template=template) for part in super().parts(message)]

    def lines(self, message: Message) -> list[str]:
        return message.content.split("\n")

    def dressed(self, _title: str, content: str) -> str:
        return content

    def send(self, message: Message) -> Answer:
        """Hands the message over; the receipt is PushPlus's short code."""
        return answer(self.handed_over(message))

    def handed_over(self, message: Message) -> Result:
        settings = self.settings
        body = {
            "token": secret(settings.token),
            "title": message.title,
            "content": message.content,
            "template": message.template,
            "channel": settings.channel,
            "option": settings.option,
            "topic": settings.topic,
            "callbackUrl": settings.callback,
            "to": ",".join(secret(each) for each in settings.to),
        }
        if self._friend is not None:
            found = self._of._token_of(self._friend)
            if not found.success:
                return found
            body |= {"to": found.data, "topic": ""}
        asked = {name: value for name, value in body.items() if value or name == "content"}
        return self._call("send", "POST", "/send", _data, json=asked)

    def poll(self, receipt: str) -> Delivery:
        """What became of an accepted message."""
        path, asked_for = "/api/open/message/sendMessageResult", {"shortCode": receipt}
        asked = self._of._question("poll", "GET", path, params=asked_for, retries=0)  # the outbox asks again
        if not asked.success:
            said = f"{asked.error_code} {asked.error_message}" if asked.answered else asked.error_message
            return Delivery(DeliveryState.UNKNOWN, said, reached=asked.error_code == _NOT_THERE)
        data = _mapping(asked.data)
        state = _STATES.get(str(data.get("status")), DeliveryState.UNKNOWN)
        return Delivery(state, self.client.clean(" ".join(str(data.get("errorMessage") or "").split())))

    def friends(self) -> Result:
        """The account's friends; data: a list of Friend. It needs the secret key."""
        found: list[Friend] = []
        for page in range(1, 11):
            body = {"current": page, "pageSize": _PAGE}
            asked = self._question("friends", "POST", "/api/open/friend/list", json=body)
            if not asked.success:
                return asked
            rows = _mapping(asked.data).get("list") or []
            found += [_friend(each) for each in rows]
            if len(rows) < _PAGE:
                break
        for each in found:
            self.client.hide(each.token)
        self._friends = {each.id: each for each in found}
        return done(found)

    def qr_code(self, nonce: str, seconds: int) -> Result:
        """The address of a picture that binds the friend who scans it; data: the address. `nonce` comes back with him."""
        asked = {"content": nonce, "second": seconds, "scanCount": 1}
        result = self._question("qr_code", "GET", "/api/open/friend/getQrCode", params=asked)
        return done(str(_mapping(result.data).get("qrCodeImgUrl") or "")) if result.success else result

    def unbind(self, friend: int) -> Result:
        """Takes a friend off the account."""
        return self._question("unbind", "GET", "/api/open/friend/deleteFriend", params={"friendId": friend})

    def _token_of(self, friend: int) -> Result:
        if friend not in self._friends:
            asked = self.friends()
            if not asked.success:
                return asked
        if friend not in self._friends:
            text = marked("the friend is no longer bound to the account")
            return refused("not_bound", text, FailureClass.PERMANENT_API, sent=False)
        return done(self._friends[friend].token)

    def _question(self, api: str, method: str, path: str, **asked: Any) -> Result:
        """A call of the open interface, with an access key. It ends after two hours, and when another process gets one."""
        if self.settings.secret_key is None:
            text = marked("PushPlus answers this only to those who have the account's secret key")
            return refused("no_secret_key", text, FailureClass.PERMANENT_SOURCE, sent=False)
        held = self._access_key
        self.client.hide(held or "")
        for key in (held, None):
            granted = done(key) if key else self._new_access_key(held)
            if not granted.success:
                return granted
            headers = {"access-key": str(granted.data)}
            result = self._call(api, method, path, _data, repeatable=True, timeout=_QUESTION_TIMEOUT, headers=headers, **asked)
            if result.error_code != _UNAUTHORISED or held is None:
                break
        return result

    def _new_access_key(self, ended: str | None) -> Result:
        with _one_at_a_time:
            if self._access_key not in (None, ended):
                return done(self._access_key)  # another thread was first
            credentials = {"token": secret(self.settings.token), "secretKey": secret(self.settings.secret_key)}
            path = "/api/common/openApi/getAccessKey"
            granted = self._call(
                "access_key", "POST", path, _data, repeatable=True, timeout=_QUESTION_TIMEOUT, json=credentials
            )
            if not granted.success:
                return granted
            key = str(_mapping(granted.data).get("accessKey") or "")
            self.client.hide(key)
            self._access_key = key
            return done(key)

    def _call(self, api: str, method: str, path: str, judge: Judge, **asked: Any) -> Result:
        return self.client.call(api, method, path, judge, **asked)


def _data(answered: Answered) -> Result | None:
    judged = by_code(answered, "code", "msg", CODES, success=frozenset({"200"}))
    if judged is None or judged.success:
        return judged and done(answered.json.get("data"))
    code, words = judged.error_code, judged.error_message
    if code == _LIMITED:
        return replace(judged, wait=until_it_reopens(), for_the_day=True)
    if _SAME.search(words):
        return replace(judged, failure=FailureClass.PERMANENT_API, wait=_HOUR)  # of this content alone
    if _FAST.search(words):
        return replace(judged, failure=FailureClass.RATE_LIMITED, wait=_MINUTE)
    return judged


def until_it_reopens() -> float:
    """Seconds to the next day, when a limit of the day is over."""
    now = clock.now()
    next_day = dt.datetime.combine(now.date() + dt.timedelta(days=1), _REOPENS, clock.EXCHANGE_ZONE)
    return (next_day - now).total_seconds()


def _friend(row: Mapping[str, Any]) -> Friend:
    number = row.get("friendId") or row.get("id") or 0
    follows = str(row.get("isFollow", 1)) != "0"
    return Friend(int(number), str(row.get("nickName") or row.get("remark") or number), str(row.get("token") or ""), follows)


def _mapping(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


CHANNEL = PushPlus
