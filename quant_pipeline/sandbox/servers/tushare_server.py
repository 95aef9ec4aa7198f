"""The Tushare protocol over HTTP: `POST {url}/{api_name}`, as the unmodified `tushare` client speaks it."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson
import polars as pl
from aiohttp import web

from quant_pipeline.sandbox.control.calls import Call, CallLog
from quant_pipeline.sandbox.control.faults import Fault, Faults, Kind
from quant_pipeline.sandbox.control.quotas import Per, Quotas
from quant_pipeline.sandbox.servers.faulty_rows import refilled, spoil
from quant_pipeline.sandbox.servers.faulty_transport import drip, interrupt
from quant_pipeline.sandbox.servers.lying_market import LyingMarket
from quant_pipeline.sandbox.servers.market_thread import MarketThread
from quant_pipeline.sandbox.servers.tushare_apis import APIS
from quant_pipeline.sandbox.simulation.interface import Market, ParameterError

SERVER = "tushare"
PREFIX = "/dataapi"
_DETAILS = "权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。"
_MORE = "具体频次详情：https://tushare.pro/document/1?doc_id=108。"
QUOTA_TEXTS = {
    "today": {
        Per.MINUTE: "抱歉，您访问接口({api})频率超限({calls}次/分钟)，" + _MORE,
        Per.HOUR: "抱歉，您访问接口({api})频率超限({calls}次/小时)，" + _MORE,
        Per.DAY: "抱歉，您访问接口({api})频率超限({calls}次/天)，" + _MORE,
    },
    "former": {
        Per.MINUTE: "抱歉，您每分钟最多访问该接口{calls}次，" + _DETAILS,
        Per.HOUR: "抱歉，您每小时最多访问该接口{calls}次，" + _DETAILS,
        Per.DAY: "抱歉，您每天最多访问该接口{calls}次，" + _DETAILS,
    },
}
"""The service's words by wording and window; the former ones still come from relays."""
PERMISSION_TEXT = "抱歉，您没有接口访问权限，" + _DETAILS
TOKEN_TEXT = "您的token不对，请确认。"
UNKNOWN_TEXT = "请指定正确的接口名"
_WRONG_TOKEN, _REFUSED, _WRONG_REQUEST = 40101, 40203, -2001
_NO_CAP = 1_000_000
_ENDLESS_PAGE = 5_000
"""Rows of an endless answer's page where the API has no cap."""
_ANSWERS_KEPT = 48
_NOT_PARAMETERS = frozenset({"ts_type_name", "offset", "limit"})


class TushareServer:
    """The server over a market. Tokens that begin with "sandbox" are accepted."""

    def __init__(self, market_thread: MarketThread, calls: CallLog, faults: Faults, quotas: Quotas) -> None:
        self.quotas = quotas
        self._market_thread, self._calls, self._faults = market_thread, calls, faults
        self._answers: OrderedDict[tuple[Any, ...], tuple[bytes, int]] = OrderedDict()

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PREFIX + "/{api}", self.answer), web.post(PREFIX, self.answer)]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        try:
            body = orjson.loads(await request.read())
            token, params = str(body.get("token") or ""), dict(body.get("params") or {})
        except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
            return _refused(_WRONG_REQUEST, "参数校验失败，请求不是JSON格式")
        api = request.match_info.get("api") or str(body.get("api_name") or "")
        asked = {name: str(value) for name, value in params.items() if name not in _NOT_PARAMETERS}
        call = self._calls.arrival(SERVER, api, {k: v for k, v in params.items() if k != "ts_type_name"})
        fault = self._faults.take(SERVER, api)
        if fault is not None:
            call.answer = fault.kind.value
            interrupted = await interrupt(fault, request) or self._ordered_refusal(fault, api)
            if interrupted is not None:
                return interrupted
        refusal = self._refusal(call, token, api)
        if refusal is not None:
            return refusal
        try:
            offset, limit = int(params.get("offset") or 0), int(params.get("limit") or 0)
            fields = str(body.get("fields") or "")
            payload, call.rows = await self._market_thread.ask(
                lambda market: self._encoded(market, api, asked, fields, offset, limit, fault)
            )
        except ValueError as error:
            call.answer = "parameters"
            text = str(error) if isinstance(error, ParameterError) else "参数校验失败，offset和limit须为整数"
            return _refused(_WRONG_REQUEST, text)
        if fault is None:
            call.answer = "ok" if call.rows else "empty"
        if fault is not None and fault.kind is Kind.DRIP:
            return await drip(fault, request, payload)
        return web.Response(body=payload, content_type="application/json", charset="utf-8")

    def _ordered_refusal(self, fault: Fault, api: str) -> web.Response | None:
        match fault.kind:
            case Kind.QUOTA:
                return _quota_refusal(api, fault.per, self.quotas.limit(api, fault.per) or 500, fault.wording)
            case Kind.PERMISSION:
                return _refused(_REFUSED, PERMISSION_TEXT)
            case Kind.TOKEN:
                return _refused(_WRONG_TOKEN, TOKEN_TEXT)
        return None

    def _refusal(self, call: Call, token: str, api: str) -> web.Response | None:
        if not token.startswith("sandbox"):
            call.answer = "token"
            return _refused(_WRONG_TOKEN, TOKEN_TEXT)
        if api not in APIS:
            call.answer = "unknown_api"
            return _refused(_WRONG_REQUEST, UNKNOWN_TEXT)
        broken = self.quotas.take(token, api)
        if broken is not None:
            call.answer = "quota"
            return _quota_refusal(api, broken.per, broken.calls)
        return None

    def _encoded(
        self, market: Market, api: str, params: Mapping[str, str], fields: str, offset: int, limit: int, fault: Fault | None
    ) -> tuple[bytes, int]:
        """The answer's bytes and its number of rows; the latest answers are kept."""
        columns = APIS[api].selected(fields)
        key = (market.edition(), api, tuple(sorted(params.items())), columns, offset, limit)
        kept = fault is None and not APIS[api].live
        if kept and key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        cap = APIS[api].cap or _NO_CAP
        size = min(limit, cap) if limit > 0 else cap
        if fault is not None:
            market = LyingMarket(market, fault)
        frame = market.frame(api, params, offset + size + 1)
        page = frame.slice(offset, size).select(columns)
        more = len(frame) > offset + size
        if fault is not None and fault.kind is Kind.ENDLESS:
            page, more = refilled(fault, frame.select(columns), offset, min(size, APIS[api].cap or _ENDLESS_PAGE)), True
        elif fault is not None:
            page = spoil(fault, page)
        answer = _accepted(page, more), len(page)
        if kept:
            self._answers[key] = answer
            if len(self._answers) > _ANSWERS_KEPT:
                self._answers.popitem(last=False)
        return answer


def _accepted(page: pl.DataFrame, more: bool) -> bytes:
    items = list(zip(*(column.to_list() for column in page.get_columns()), strict=True))
    data = {"fields": page.columns, "items": items, "has_more": more, "count": -1}
    return orjson.dumps({"request_id": secrets.token_hex(16), "code": 0, "msg": "", "data": data})


def _refused(code: int, text: str) -> web.Response:
    body = orjson.dumps({"request_id": secrets.token_hex(16), "code": code, "msg": text, "data": None})
    return web.Response(body=body, content_type="application/json", charset="utf-8")


def _quota_refusal(api: str, per: Per, calls: int, wording: str = "today") -> web.Response:
    return _refused(_REFUSED, QUOTA_TEXTS[wording][per].format(api=api, calls=calls))
