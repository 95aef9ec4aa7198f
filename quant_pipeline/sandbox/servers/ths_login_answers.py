"""What the THS login servers have in common: the log, faults, and how cookies are handed out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from quant_pipeline.sandbox.control.calls import Call, CallLog
from quant_pipeline.sandbox.control.faults import Faults
from quant_pipeline.sandbox.servers.faulty_transport import interrupt

SERVER = "ths_login"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answerer = Callable[[web.Request, Mapping[str, str], Call], Awaitable[web.Response]]


class Desk:
    """Where calls come in: each is logged (names of parameters, never values) and meets the fault that was ordered."""

    def __init__(self, calls: CallLog, faults: Faults) -> None:
        self._calls, self._faults = calls, faults

    def served(self, api: str, answer: Answerer) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            form = {**request.query, **({k: str(v) for k, v in (await request.post()).items()})}
            call = self._calls.arrival(SERVER, api, dict.fromkeys(form, ""))
            fault = self._faults.take(SERVER, api)
            if fault is not None:
                call.answer = fault.kind.value
                interrupted = await interrupt(fault, request)
                if interrupted is not None:
                    return interrupted
            answered = await answer(request, form, call)
            if call.answer == "unanswered":
                call.answer = "ok"
            return answered

        return handle


def json_of(content: Any) -> web.Response:
    return web.Response(body=orjson.dumps(content), content_type="application/json", charset="utf-8")


def with_cookies(response: web.Response, cookies: Mapping[str, str]) -> web.Response:
    """The answer, which sets the cookies for all THS hosts."""
    for name, value in cookies.items():
        response.headers.add("Set-Cookie", f"{name}={value}; Path=/")
    return response
