"""PushPlus's friends: a code that one scans (by opening the address in it), the list, the callbacks (not signed)."""

from __future__ import annotations

import asyncio
import html
import io
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from quant_pipeline.market import clock
from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.guard import guarded

_SERVER = "pushplus"
_OK, _UNAUTHORISED, _NOT_THERE = 200, 401, 600
_PATIENCE = aiohttp.ClientTimeout(total=5)
_SCANNED = """<!DOCTYPE html><html lang="zh-CN"><meta charset="utf-8"><title>SANDBOX 沙盒 · 扫码</title>
<body style="font:18px/1.6 sans-serif;margin:3rem;max-width:32rem"><p><b>SANDBOX 沙盒</b></p><p>{text}</p></body></html>"""


@dataclass
class Code:
    """A code that binds who scans it, for `seconds` from `made`, so often as `left` says."""

    nonce: str
    made: float
    seconds: float
    left: int


@dataclass(frozen=True)
class Friend:
    """Somebody who has scanned a code."""

    id: int
    token: str
    name: str
    time: str


@dataclass
class PushPlusFriends:
    """`admitted` says whether a request has a good access key; `token` is the control endpoint's."""

    calls: CallLog
    prefix: str
    admitted: Callable[[web.Request], bool]
    token: str
    callback: str | None = None
    """Where friends and deliveries are reported to: what a user writes into his account's settings."""
    codes: dict[str, Code] = field(default_factory=dict)
    friends: dict[int, Friend] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(self.prefix + "/api/open/friend/getQrCode", self._qr_code, allow_head=False),
            web.post(self.prefix + "/api/open/friend/list", self._list),
            web.get(self.prefix + "/api/open/friend/deleteFriend", self._delete, allow_head=False),
            web.get(self.prefix + "/qr/{code}.png", self._picture, allow_head=False),
            web.get(self.prefix + "/scan/{code}", self._scan, allow_head=False),
            web.post(self.prefix + "/callback", guarded(self._set_callback, self.token)),
        ]

    def known(self, tokens: str) -> list[Friend] | None:
        """The friends of comma-joined tokens; None where one is nobody's."""
        by_token = {friend.token: friend for friend in self.friends.values()}
        asked = [each for each in tokens.split(",") if each]
        return [by_token[each] for each in asked] if all(each in by_token for each in asked) else None

    def scanned(self, code: str, name: str) -> Friend | None:
        """Somebody scans a code; None where it is not good (any more)."""
        known = self.codes.get(code)
        if known is None or known.left <= 0 or time.monotonic() > known.made + known.seconds:
            return None
        known.left -= 1
        moment = clock.now().isoformat(sep=" ", timespec="seconds")[:19]
        friend = Friend(1_000 + len(self.friends) + 1, f"friend-{secrets.token_hex(12)}", name, moment)
        self.friends[friend.id] = friend
        self.report({"event": "add_friend", "friendInfo": _row(friend), "qrCode": known.nonce})
        return friend

    def report(self, event: dict[str, Any]) -> None:
        """Sends a callback, if the account has an address for them."""
        if self.callback is not None:
            task = asyncio.get_running_loop().create_task(self._post(self.callback, event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _post(self, url: str, event: dict[str, Any]) -> None:
        call = self.calls.arrival(_SERVER, "callback", {"event": event["event"]})
        try:
            async with aiohttp.ClientSession(timeout=_PATIENCE) as session, session.post(url, json=event) as answer:
                call.answer = str(answer.status)
        except (aiohttp.ClientError, TimeoutError):
            call.answer = "unanswered"

    async def _qr_code(self, request: web.Request) -> web.Response:
        call = self.calls.arrival(_SERVER, "getQrCode", {})
        if not self.admitted(request):
            call.answer = "token"
            return _reply(_UNAUTHORISED, "请求未授权")
        asked = request.query
        code = secrets.token_hex(8)
        seconds, left = float(asked.get("second") or 604_800), int(asked.get("scanCount") or 1)
        self.codes[code] = Code(asked.get("content", ""), time.monotonic(), seconds, left)
        call.answer = "ok"
        return _reply(
            _OK, "请求成功", {"qrCodeImgUrl": str(request.url.with_path(f"{self.prefix}/qr/{code}.png").with_query(None))}
        )

    async def _list(self, request: web.Request) -> web.Response:
        call = self.calls.arrival(_SERVER, "friendList", {})
        if not self.admitted(request):
            call.answer = "token"
            return _reply(_UNAUTHORISED, "请求未授权")
        body = orjson.loads(await request.read() or b"{}")
        size, page = int(body.get("pageSize") or 20), int(body.get("current") or 1)
        rows = [_row(friend) for friend in self.friends.values()]
        call.answer = "ok"
        listed = rows[(page - 1) * size : page * size]
        return _reply(_OK, "请求成功", {"pageNum": page, "pageSize": size, "total": len(rows), "list": listed})

    async def _delete(self, request: web.Request) -> web.Response:
        call = self.calls.arrival(_SERVER, "deleteFriend", {})
        if not self.admitted(request):
            call.answer = "token"
            return _reply(_UNAUTHORISED, "请求未授权")
        gone = self.friends.pop(int(request.query.get("friendId") or 0), None)
        call.answer = "ok" if gone else "parameters"
        return _reply(_OK, "请求成功", "删除成功") if gone else _reply(_NOT_THERE, "数据异常，操作失败")

    async def _picture(self, request: web.Request) -> web.Response:
        import segno

        code = request.match_info["code"]
        if code not in self.codes:
            raise web.HTTPNotFound
        picture = io.BytesIO()
        address = request.url.with_path(f"{self.prefix}/scan/{code}")
        segno.make(str(address), error="h").save(picture, kind="png", scale=6)
        return web.Response(body=picture.getvalue(), content_type="image/png")

    async def _scan(self, request: web.Request) -> web.Response:
        """What a phone does that scans the code: open the address in it. `?name=` is the friend's."""
        friend = self.scanned(request.match_info["code"], request.query.get("name") or "沙盒好友")
        await asyncio.gather(*self._tasks)  # the page tells of what is through: whoever sees it need not wait
        text = f"{friend.name} 已绑定。Bound." if friend else "二维码已失效。The code is no longer good."
        return web.Response(
            text=_SCANNED.format(text=html.escape(text)), content_type="text/html", status=200 if friend else 410
        )

    async def _set_callback(self, request: web.Request) -> web.Response:
        self.callback = orjson.loads(await request.read()).get("url")
        return web.json_response({"url": self.callback})


def _row(friend: Friend) -> dict[str, Any]:
    return {
        "friendId": friend.id,
        "token": friend.token,
        "nickName": friend.name,
        "headImgUrl": "",
        "isFollow": 1,
        "createTime": friend.time,
    }


def _reply(code: int, text: str, data: Any = None) -> web.Response:
    body = orjson.dumps({"code": code, "msg": text, "data": data, "count": None})
    return web.Response(body=body, content_type="application/json", charset="utf-8")
