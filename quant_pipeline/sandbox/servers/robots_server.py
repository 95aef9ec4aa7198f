"""The robots and SMS services over HTTP with their vendors' own paths: each verifies key, signature and moment, counts by the
minute and in bytes, and refuses as its vendor does, with HTTP 200 and a code in the body.

Keys that begin with "sandbox" are accepted; where a signature is asked for, it is made with the secret of `addresses`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import orjson
from aiohttp import web

from quant_pipeline.market import clock
from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Faults, Kind
from quant_pipeline.sandbox.control.quotas import Per, Quotas
from quant_pipeline.sandbox.servers.faulty_transport import interrupt
from quant_pipeline.sandbox.servers.pushplus_server import Message

SERVER = "robots"
PREFIX = "/robots"
SECRET = "SECsandbox"
"""With which DingTalk, Feishu and the webhook verify signatures."""
KEYWORD_TOKEN = "sandbox-keyword"
"""The token of robots that take only texts with the word KEYWORD."""
KEYWORD = "行情"
A_MINUTE = {"wecom": 20, "dingtalk": 20, "feishu": 100, "telegram": 20}
A_DAY = {"serverchan": 5}
_HOUR = 3_600.0
_MUTE_MINUTES = 10
_TELEGRAM_TAGS = frozenset({"b", "strong", "i", "em", "u", "s", "a", "code", "pre", "blockquote"})

Form = Mapping[str, Any]


@dataclass(frozen=True)
class Post:
    """What a robot got."""

    account: str
    title: str
    content: str
    template: str = "txt"


@dataclass(frozen=True)
class Verdict:
    """A refusal: the vendor's code and words, and the log's word for it."""

    code: Any
    text: str
    word: str


class RobotsServer:
    """`deliver` puts a message into the inbox. `minute`: the length of a quota's minute in seconds."""

    def __init__(self, calls: CallLog, faults: Faults, deliver: Callable[[Message], None], *, minute: float = 60.0) -> None:
        self.quotas = Quotas(A_MINUTE, minute=minute)
        for robot, count in A_DAY.items():
            self.quotas.set(robot, Per.DAY, count)
        self._second = Quotas({"feishu": 5}, minute=minute / 60)
        self._calls, self._faults, self._deliver, self._minute = calls, faults, deliver, minute
        self._muted: dict[str, float] = {}
        self._receipts: dict[str, bool] = {}
        """Receipt -> whether its delivery fails."""

    def routes(self) -> list[web.RouteDef]:
        """Each vendor's own path below /robots/NAME."""
        return [
            web.post(f"{PREFIX}/wecom/cgi-bin/webhook/send", self._route("wecom", self._wecom)),
            web.post(f"{PREFIX}/dingtalk/robot/send", self._route("dingtalk", self._dingtalk)),
            web.post(PREFIX + "/feishu/open-apis/bot/v2/hook/{token}", self._route("feishu", self._feishu)),
            web.post(PREFIX + "/serverchan/{key}.send", self._route("serverchan", self._serverchan)),
            web.get(f"{PREFIX}/serverchan/push", self._serverchan_status, allow_head=False),
            web.post(f"{PREFIX}/bark/push", self._route("bark", self._bark)),
            web.post(PREFIX + "/telegram/bot{token}/sendMessage", self._route("telegram", self._telegram)),
            web.post(f"{PREFIX}/webhook", self._webhook),
        ]

    def _route(
        self, robot: str, take: Callable[[web.Request, bytes], Awaitable[tuple[Post | Verdict, Callable[..., Any]]]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            call = self._calls.arrival(SERVER, robot, {"bytes": len(body)})
            fault = self._faults.take(SERVER, robot)
            if fault is not None:
                call.answer = fault.kind.value
                interrupted = await interrupt(fault, request)
                if interrupted is not None:
                    return interrupted
            taken, reply = await take(request, body)
            if fault is not None and fault.kind is Kind.QUOTA and isinstance(taken, Post):
                taken = _TOO_FAST[robot]
            if isinstance(taken, Verdict):
                call.answer = taken.word if fault is None else call.answer
                return _json(reply(taken.code, taken.text, None))
            receipt = secrets.token_hex(8)
            self._receipts[receipt] = fault is not None and fault.kind is Kind.UNDELIVERED
            self._deliver(_message(robot, taken, receipt))
            if fault is None:
                call.answer = "ok"
            return _json(reply(None, "", receipt))

        return handle

    def _too_fast(self, robot: str, account: str) -> bool:
        return self.quotas.take(account, robot) is not None

    async def _wecom(self, request: web.Request, raw: bytes) -> tuple[Post | Verdict, Callable[..., Any]]:
        def reply(code: Any, text: str, _receipt: str | None) -> Any:
            return {"errcode": code or 0, "errmsg": text or "ok"}

        body, key = _read(raw), request.query.get("key", "")
        form = str(body.get("msgtype"))
        longest = {"text": 2_048, "markdown": 4_096, "markdown_v2": 4_096}.get(form)
        content = str((body.get(form) or {}).get("content") or "")
        if not key.startswith("sandbox"):
            return Verdict(93000, "invalid webhook url, hint: [1700000000]", "token"), reply
        if longest is None:
            return Verdict(40008, "invalid message type", "parameters"), reply
        if not content:
            return Verdict(44004, "empty content", "parameters"), reply
        if len(content.encode()) > longest:
            return Verdict(
                40058, f"content exceed max length. invalid Request Parameter, hint: [{longest}]", "parameters"
            ), reply
        if self._too_fast("wecom", key):
            return _TOO_FAST["wecom"], reply
        return Post(key, "", content, "markdown" if form.startswith("markdown") else "txt"), reply

    async def _dingtalk(self, request: web.Request, raw: bytes) -> tuple[Post | Verdict, Callable[..., Any]]:
        def reply(code: Any, text: str, _receipt: str | None) -> Any:
            return {"errcode": code or 0, "errmsg": text or "ok"}

        body, token = _read(raw), request.query.get("access_token", "")
        form = str(body.get("msgtype"))
        inner = body.get(form) or {}
        content = str(inner.get("text") or inner.get("content") or "")
        if not token.startswith("sandbox"):
            return Verdict(300005, "token is not exist", "token"), reply
        if token == KEYWORD_TOKEN:
            if KEYWORD not in content:
                return Verdict(310000, "keywords not in content, more: [https://ding-doc.dingtalk.com/doc]", "token"), reply
        else:
            moment, sign = request.query.get("timestamp", ""), request.query.get("sign", "")
            right = _dingtalk_sign(moment)
            if not _recent(moment, 1_000.0):
                return Verdict(310000, "invalid timestamp, more: [https://ding-doc.dingtalk.com/doc]", "token"), reply
            if not hmac.compare_digest(sign.encode(), right.encode()):
                return Verdict(310000, "sign not match, more: [https://ding-doc.dingtalk.com/doc]", "token"), reply
        if form not in ("text", "markdown") or not content:
            return Verdict(400105, "unsupported message type", "parameters"), reply
        if len(raw) > 20_000:
            return Verdict(460101, "message too long, exceed 20000 bytes", "parameters"), reply
        if self._muted.get(token, 0.0) > time.monotonic():
            return _TOO_FAST["dingtalk"], reply
        if self._too_fast("dingtalk", token):
            self._muted[token] = time.monotonic() + _MUTE_MINUTES * self._minute
            return _TOO_FAST["dingtalk"], reply
        return Post(token, str(inner.get("title") or ""), content, "markdown" if form == "markdown" else "txt"), reply

    async def _feishu(self, request: web.Request, raw: bytes) -> tuple[Post | Verdict, Callable[..., Any]]:
        def reply(code: Any, text: str, _receipt: str | None) -> Any:
            if code:
                return {"code": code, "msg": text, "data": {}}
            return {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}

        body, token = _read(raw), request.match_info["token"]
        card: Form = body.get("card") or {}
        title = str(((card.get("header") or {}).get("title") or {}).get("content") or "")
        elements = card.get("elements") or (card.get("body") or {}).get("elements") or []
        texts = [str(each.get("content") or (each.get("text") or {}).get("content") or "") for each in elements]
        content = str((body.get("content") or {}).get("text") or "") or "\n".join(texts)
        if not token.startswith("sandbox"):
            return Verdict(19001, "param invalid: incoming webhook access token invalid", "token"), reply
        if token == KEYWORD_TOKEN:
            if KEYWORD not in title + content:
                return Verdict(19024, "Key Words Not Found", "token"), reply
        else:
            moment, sign = str(body.get("timestamp") or ""), str(body.get("sign") or "")
            right = _feishu_sign(moment)
            if not _recent(moment, 1.0) or not hmac.compare_digest(sign.encode(), right.encode()):
                return Verdict(19021, "sign match fail or timestamp is not within one hour from current time", "token"), reply
        if body.get("msg_type") not in ("text", "interactive") or not content or len(raw) > 20_480:
            return Verdict(9499, "Bad Request", "parameters"), reply
        if self._second.take(token, "feishu") is not None or self._too_fast("feishu", token):
            return _TOO_FAST["feishu"], reply
        return Post(token, title, content, "markdown" if card else "txt"), reply

    async def _serverchan(self, request: web.Request, raw: bytes) -> tuple[Post | Verdict, Callable[..., Any]]:
        def reply(code: Any, text: str, receipt: str | None) -> Any:
            if code:
                return {"message": text, "code": code, "info": text, "args": [None]}
            data = {"pushid": receipt, "readkey": f"SCT{receipt}", "error": "SUCCESS", "errno": 0}
            return {"code": 0, "message": "", "data": data}

        del raw
        form, key = await request.post(), request.match_info["key"]
        title, content = str(form.get("title") or ""), str(form.get("desp") or "")
        if not key.startswith("sandbox"):
            return Verdict(40001, "[AUTH]错误的Key", "token"), reply
        if not title:
            return Verdict(40000, "[INPUT]消息标题不能为空", "parameters"), reply
        if len(title) > 32 or len(content.encode()) > 32_768:
            return Verdict(40000, "[INPUT]标题或内容过长", "parameters"), reply
        if self._too_fast("serverchan", key):
            return _TOO_FAST["serverchan"], reply
        return Post(key, title, content, "markdown"), reply

    async def _serverchan_status(self, request: web.Request) -> web.Response:
        receipt = request.query.get("id", "")
        self._calls.arrival(SERVER, "serverchan_status", {"id": receipt}).answer = "ok"
        if receipt not in self._receipts or request.query.get("readkey") != f"SCT{receipt}":
            return _json({"code": 40001, "message": "[PUSH]没有找到推送", "data": None})
        state = (
            {"errcode": 40037, "errmsg": "invalid template_id"} if self._receipts[receipt] else {"errcode": 0, "errmsg": "ok"}
        )
        return _json({"code": 0, "message": "", "data": {"id": receipt, "wxstatus": orjson.dumps(state).decode()}})

    async def _bark(self, request: web.Request, raw: bytes) -> tuple[Post | Verdict, Callable[..., Any]]:
        def reply(code: Any, text: str, _receipt: str | None) -> Any:
            return {"code": code or 200, "message": text or "success", "timestamp": int(clock.now().timestamp())}

        del request
        body = _read(raw)
        key = str(body.get("device_key") or "")
        title, content = str(body.get("title") or ""), str(body.get("body") or "")
        if not key.startswith("sandbox"):
            text = f"failed to get device token: failed to get [{key}] device token from database"
            return Verdict(400, text, "token"), reply
        if len(title.encode()) + len(content.encode()) > 4_096:
            return Verdict(500, "push failed: PayloadTooLarge", "parameters"), reply
        if not content:
            return Verdict(400, "body is empty", "parameters"), reply
        return Post(key, title, content), reply

    async def _telegram(self, request: web.Request, raw: bytes) -> tuple[Post | Verdict, Callable[..., Any]]:
        def reply(code: Any, text: str, receipt: str | None) -> Any:
            if code == 429:
                return {"ok": False, "error_code": 429, "description": text, "parameters": {"retry_after": 7}}
            if code:
                return {"ok": False, "error_code": code, "description": text}
            return {"ok": True, "result": {"message_id": int(str(receipt), 16)}}

        body, token = _read(raw), request.match_info["token"]
        chat, content = str(body.get("chat_id") or ""), str(body.get("text") or "")
        if not token.startswith("sandbox"):
            return Verdict(401, "Unauthorized", "token"), reply
        if not chat.startswith("sandbox"):
            return Verdict(400, "Bad Request: chat not found", "token"), reply
        html = body.get("parse_mode") == "HTML"
        if html and not _tags_are_right(content):
            return Verdict(400, "Bad Request: can't parse entities: unsupported start tag", "parameters"), reply
        if not content or len(re.sub("<[^>]*>", "", content) if html else content) > 4_096:
            return Verdict(400, "Bad Request: message is too long", "parameters"), reply
        if self._too_fast("telegram", chat):
            return _TOO_FAST["telegram"], reply
        shown = content.replace("\n", "<br>") if html else content  # Telegram's HTML keeps line ends
        return Post(chat, "", shown, "html" if html else "txt"), reply

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        """A program of the user's: it verifies the signature, and tells by the HTTP status."""
        raw = await request.read()
        call = self._calls.arrival(SERVER, "webhook", {"bytes": len(raw)})
        fault = self._faults.take(SERVER, "webhook")
        if fault is not None:
            call.answer = fault.kind.value
            interrupted = await interrupt(fault, request)
            if interrupted is not None:
                return interrupted
        parts = dict(each.partition("=")[::2] for each in request.headers.get("X-Signature", "").split(","))
        right = hmac.new(SECRET.encode(), f"{parts.get('t')}.".encode() + raw, hashlib.sha256).hexdigest()
        body = _read(raw)
        if not _recent(str(parts.get("t")), 1.0) or not hmac.compare_digest(str(parts.get("v1")), right):
            call.answer = "token"
            return _json({"ok": False, "error": "the signature does not match"}, 401)
        call.answer = "ok"
        content = str(body.get("content") or body.get("text") or raw.decode(errors="replace"))
        post = Post("webhook", str(body.get("title") or ""), content, "markdown" if "content" in body else "txt")
        self._deliver(_message("webhook", post, secrets.token_hex(8)))
        return _json({"ok": True})


_TOO_FAST = {
    "wecom": Verdict(45009, "api freq out of limit, hint: [1700000000]", "quota"),
    "dingtalk": Verdict(130101, "send too fast, exceed 20 times per minute", "quota"),
    "feishu": Verdict(11232, "frequency limited psm[lark.oapi.app_platform_runtime]", "quota"),
    "serverchan": Verdict(40001, "[AUTH]超过当天的发送次数限制[5]，请稍后再试", "quota"),
    "bark": Verdict(500, "push failed: TooManyRequests", "quota"),
    "telegram": Verdict(429, "Too Many Requests: retry after 7", "quota"),
}


def _dingtalk_sign(moment: str) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), f"{moment}\n{SECRET}".encode(), hashlib.sha256).digest()).decode()


def _feishu_sign(moment: str) -> str:
    return base64.b64encode(hmac.new(f"{moment}\n{SECRET}".encode(), b"", hashlib.sha256).digest()).decode()


def _recent(moment: str, a_second: float) -> bool:
    """Within an hour of the servers' clock; `a_second`: how many of the moment's units one has."""
    return moment.isdecimal() and abs(int(moment) / a_second - clock.now().timestamp()) <= _HOUR


def _tags_are_right(content: str) -> bool:
    """Whether Telegram would read it: known tags, each closed in its turn."""

    class Tags(HTMLParser):
        opened: list[str]
        right = True

        def handle_starttag(self, tag: str, _attributes: object) -> None:
            self.right &= tag in _TELEGRAM_TAGS
            self.opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            self.right &= bool(self.opened) and self.opened.pop() == tag

    parser = Tags()
    parser.opened = []
    parser.feed(content)
    parser.close()
    return parser.right and not parser.opened


def _message(robot: str, post: Post, receipt: str) -> Message:
    moment = clock.now().isoformat(sep=" ", timespec="seconds")[:19]
    return Message(receipt, post.title, post.content, post.template, moment, status=2, channel=robot)


def _read(body: bytes) -> Form:
    try:
        loaded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json", charset="utf-8")
