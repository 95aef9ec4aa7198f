"""The PushPlus protocol over HTTP: send, delivery result, access keys; asynchronous, limited, its documented codes."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from quant_pipeline.market import clock
from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Faults, Kind
from quant_pipeline.sandbox.control.quotas import Per, Quotas
from quant_pipeline.sandbox.servers.faulty_transport import interrupt
from quant_pipeline.sandbox.servers.pushplus_friends import PushPlusFriends

SERVER = "pushplus"
PREFIX = "/pushplus"
TEMPLATES = frozenset({"html", "txt", "json", "markdown", "cloudMonitor", "jenkins", "route", "pay"})
LONGEST_CONTENT = 20_000
_LONGEST_TITLE = 100
_KEY_LIFE, _KEY_OVERLAP = 7_200.0, 300.0
_OK, _UNAUTHORISED, _SYSTEM, _NOT_THERE, _LIMITED, _TOKEN, _INVALID = 200, 401, 500, 600, 900, 903, 999
_SENDING, _SENT, _FAILED = 1, 2, 3
DELIVERED = _SENT


@dataclass
class Message:
    """A message as the phone gets it; `status` is 1 sending, 2 sent, 3 failed."""

    short_code: str
    title: str
    content: str
    template: str
    time: str
    """Exchange time, to the second."""
    status: int = _SENDING
    fails: bool = False
    channel: str = "pushplus"
    """Which service it came over."""
    to: str = ""
    """Names of friends, where it was for them."""


class PushPlusServer:
    """Tokens and secrets that begin with "sandbox" are accepted; 200 messages a day, 5 a minute, the same 3 an hour.

    `store` is a file that keeps the messages over restarts; None keeps them in memory only.
    """

    def __init__(
        self, calls: CallLog, faults: Faults, *, minute: float = 60.0, store: Path | None = None, control_token: str = ""
    ) -> None:
        self.friends = PushPlusFriends(calls, PREFIX, self._admitted, control_token)
        self.quotas = Quotas({"send": 5}, minute=minute)
        self.quotas.set("send", Per.DAY, 200)
        self._same = Quotas(minute=minute)
        self._same.set("*", Per.HOUR, 3)
        self._calls, self._faults, self._store = calls, faults, store
        self._keys: dict[str, float] = {}
        self.messages: list[Message] = []
        if store is not None and store.exists():
            self.messages = [Message(**orjson.loads(line)) for line in store.read_bytes().splitlines()]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(PREFIX + "/send", self.send),
            web.get(PREFIX + "/api/open/message/sendMessageResult", self.result, allow_head=False),
            web.post(PREFIX + "/api/common/openApi/getAccessKey", self.access_key),
            *self.friends.routes(),
        ]

    async def send(self, request: web.Request) -> web.StreamResponse:
        """`POST /send`: accepted, not yet delivered."""
        body = _json(await request.read())
        shown = {name: body.get(name) for name in ("title", "template", "channel", "topic") if body.get(name)}
        call = self._calls.arrival(SERVER, "send", shown)
        fault = self._faults.take(SERVER, "send")
        if fault is not None:
            call.answer = fault.kind.value
            interrupted = await interrupt(fault, request)
            if interrupted is not None:
                return interrupted
            if fault.kind is Kind.TOKEN:
                return _reply(_TOKEN, "无效的用户令牌")
            if fault.kind in (Kind.QUOTA, Kind.PERMISSION):
                return _reply(_LIMITED, "用户账号使用受限")
        code, text, answer = self._refusal(body)
        if code != _OK:
            if fault is None:
                call.answer = answer
            return _reply(code, text)
        message = Message(
            short_code=secrets.token_hex(16),
            title=str(body.get("title") or ""),
            content=str(body["content"]),
            template=str(body.get("template") or "html"),
            time=clock.now().isoformat(sep=" ", timespec="seconds")[:19],
            fails=fault is not None and fault.kind is Kind.UNDELIVERED,
            to=", ".join(friend.name for friend in self.friends.known(str(body.get("to") or "")) or ()),
        )
        self.deliver(message)
        settled = {"message": "", "shortCode": message.short_code, "sendStatus": 3 if message.fails else 2}
        self.friends.report({"event": "message_complate", "messageInfo": settled})
        if fault is None:
            call.answer = "ok"
        return _reply(_OK, "请求成功", message.short_code)

    async def result(self, request: web.Request) -> web.StreamResponse:
        """`GET /api/open/message/sendMessageResult`: sending when first asked, delivered (or failed) after that."""
        short_code = request.query.get("shortCode", "")
        call = self._calls.arrival(SERVER, "sendMessageResult", {"shortCode": short_code})
        fault = self._faults.take(SERVER, "sendMessageResult")
        if fault is not None:
            call.answer = fault.kind.value
            interrupted = await interrupt(fault, request)
            if interrupted is not None:
                return interrupted
        if not self._admitted(request):
            call.answer = "token"
            return _reply(_UNAUTHORISED, "请求未授权")
        message = next((each for each in self.messages if each.short_code == short_code), None)
        if message is None:
            call.answer = "parameters"
            return _reply(_NOT_THERE, "数据异常，操作失败")
        status = message.status
        if status == _SENDING:
            message.status = _FAILED if message.fails else _SENT
            self._keep()
        if fault is None:
            call.answer = "ok"
        error = "微信渠道发送失败" if status == _FAILED else ""
        return _reply(_OK, "执行成功", {"status": status, "errorMessage": error, "updateTime": message.time})

    async def access_key(self, request: web.Request) -> web.StreamResponse:
        """`POST /api/common/openApi/getAccessKey`: a new key; the one before lives five minutes more."""
        body = _json(await request.read())
        call = self._calls.arrival(SERVER, "getAccessKey", {})
        fault = self._faults.take(SERVER, "getAccessKey")
        if fault is not None:
            call.answer = fault.kind.value
            interrupted = await interrupt(fault, request)
            if interrupted is not None:
                return interrupted
        if not str(body.get("token") or "").startswith("sandbox"):
            call.answer = "token"
            return _reply(_TOKEN, "无效的用户令牌")
        if not str(body.get("secretKey") or "").startswith("sandbox"):
            call.answer = "token"
            return _reply(_UNAUTHORISED, "请求未授权")
        now = time.monotonic()
        self._keys = {key: min(end, now + _KEY_OVERLAP) for key, end in self._keys.items() if end > now}
        key = secrets.token_hex(16)
        self._keys[key] = now + _KEY_LIFE
        if fault is None:
            call.answer = "ok"
        return _reply(_OK, "请求成功", {"accessKey": key, "expiresIn": int(_KEY_LIFE)})

    def _admitted(self, request: web.Request) -> bool:
        return self._keys.get(request.headers.get("access-key", ""), 0.0) >= time.monotonic()

    def deliver(self, message: Message) -> None:
        """Puts a message into the inbox."""
        self.messages.append(message)
        self._keep()

    def _refusal(self, body: dict[str, Any]) -> tuple[int, str, str]:
        """Code, text and the log's word; code 200 when the message may pass."""
        token, content = str(body.get("token") or ""), body.get("content")
        if not token.startswith("sandbox"):
            return _TOKEN, "无效的用户令牌", "token"
        if not content:
            return _INVALID, "服务端验证错误：消息内容不能为空", "parameters"
        if len(str(content)) > LONGEST_CONTENT or len(str(body.get("title") or "")) > _LONGEST_TITLE:
            return _INVALID, "服务端验证错误：标题或内容过长", "parameters"
        if self.friends.known(str(body.get("to") or "")) is None:
            return _INVALID, "服务端验证错误：好友令牌不正确", "parameters"
        if str(body.get("template") or "html") not in TEMPLATES:
            return _INVALID, "服务端验证错误：模板不存在", "parameters"
        broken = self.quotas.take(token, "send")
        if broken is not None and broken.per is Per.DAY:
            return _LIMITED, "用户账号使用受限", "quota"
        # the texts of these two limits are not documented; users report the limits
        if broken is not None:
            return _INVALID, f"服务端验证错误：请求过于频繁，一分钟最多发送{broken.calls}条", "quota"
        if self._same.take(token, hashlib.sha256(str(content).encode()).hexdigest()) is not None:
            return _INVALID, "服务端验证错误：相同内容一小时内最多发送3条", "quota"
        return _OK, "", "ok"

    def _keep(self) -> None:
        if self._store is not None:
            self._store.write_bytes(b"".join(orjson.dumps(asdict(each)) + b"\n" for each in self.messages[-500:]))


def _json(body: bytes) -> dict[str, Any]:
    try:
        loaded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _reply(code: int, text: str, data: Any = None) -> web.Response:
    return web.Response(
        body=orjson.dumps({"code": code, "msg": text, "data": data, "count": None}),
        content_type="application/json",
        charset="utf-8",
    )
