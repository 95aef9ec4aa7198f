"""What a fault does to an HTTP answer before a row of it is made, and while it is sent."""

from __future__ import annotations

import asyncio

from aiohttp import web

from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Fault, Kind

ELSEWHERE = "elsewhere"
"""The server under which the calls are logged that followed a redirect."""
_GATEWAY_PAGE = "<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n</body>\n</html>\n"
_TITLES = {
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    504: "504 Gateway Time-out",
}
_MEGABYTE = 2**20


async def interrupt(fault: Fault, request: web.Request) -> web.StreamResponse | None:
    """Carries out what a fault does in place of an answer. None: the server goes on (perhaps late) with its answer."""
    match fault.kind:
        case Kind.SLOW:
            await asyncio.sleep(fault.delay)
        case Kind.DISCONNECT | Kind.HANG:
            if fault.kind is Kind.HANG:
                await asyncio.sleep(fault.delay)
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        case Kind.STATUS:
            return _page(fault.status, _TITLES.get(fault.status, f"{fault.status} Error"))
        case Kind.HTML:
            return _page(200, "系统维护中")
        case Kind.BOMB:
            return await _bomb(fault, request)
        case Kind.REDIRECT:
            elsewhere = request.url.with_host("localhost").with_path(f"/{ELSEWHERE}/{request.path.rsplit('/', 1)[-1]}")
            return web.Response(status=307, headers={"Location": fault.url or str(elsewhere)})
    return None


async def drip(fault: Fault, request: web.Request, body: bytes) -> web.StreamResponse:
    """Sends an answer byte by byte, for as long as the client listens."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    for place in range(len(body)):
        await response.write(body[place : place + 1])
        await asyncio.sleep(fault.delay)
    return response


def elsewhere(calls: CallLog) -> web.RouteDef:
    """The place that redirected calls come to; it logs whether they brought a token, never which."""

    async def answer(request: web.Request) -> web.Response:
        brought = b"token" in await request.read() or "X-api-key" in request.headers
        calls.arrival(ELSEWHERE, request.match_info["api"], {"token": brought}).answer = "ok"
        return web.json_response({"code": 0, "msg": "", "data": {"fields": [], "items": []}})

    return web.post(f"/{ELSEWHERE}/{{api}}", answer)


async def _bomb(fault: Fault, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"code": 0, "msg": "')
    for _ in range(round(fault.megabytes)):
        await response.write(b" " * _MEGABYTE)
    await response.write(b'", "data": {"fields": [], "items": []}}')
    return response


def _page(status: int, title: str) -> web.Response:
    return web.Response(status=status, text=_GATEWAY_PAGE.format(title=title), content_type="text/html")
