"""The BaoStock protocol over TCP, as the unmodified `baostock` client speaks it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from quant_pipeline.sandbox.control.calls import Call, CallLog
from quant_pipeline.sandbox.control.faults import Fault, Faults, Kind
from quant_pipeline.sandbox.servers import baostock_answers as answers
from quant_pipeline.sandbox.servers import baostock_forms as forms
from quant_pipeline.sandbox.servers import baostock_protocol as protocol
from quant_pipeline.sandbox.servers.baostock_protocol import PAGE, Refusal, Request
from quant_pipeline.sandbox.servers.faulty_rows import spoil
from quant_pipeline.sandbox.servers.lying_market import LyingMarket
from quant_pipeline.sandbox.servers.market_thread import MarketThread
from quant_pipeline.sandbox.simulation.interface import Market

SERVER = "baostock"
_ANSWERS_KEPT = 8
Rows = tuple[Sequence[str], list[tuple[str, ...]]]
"""The fields and the rows of an answer, as they are written."""


@dataclass
class _Session:
    """A connection: who is logged in on it, whether a query is under way, whether the next page gets lost."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    user: str | None = None
    busy: bool = False
    loses_next: bool = False


class BaostockServer:
    """Serves the simulated exchange (without the BSE, which BaoStock does not have).

    Any user may log in whose password is not empty. One user's queries must not overlap: the one that comes while another
    is under way gets 10001011.
    """

    def __init__(self, market_thread: MarketThread, calls: CallLog, faults: Faults) -> None:
        self._market_thread, self._calls, self._faults = market_thread, calls, faults
        self._server: asyncio.Server | None = None
        self._sessions: dict[asyncio.Task[None], _Session] = {}
        self._answers: OrderedDict[tuple[Any, ...], Rows] = OrderedDict()
        self._steps: dict[tuple[int, str], pl.DataFrame] = {}

    async def start(self, host: str, port: int = 0) -> int:
        """Listens; returns the port."""
        self._server = await asyncio.start_server(self._converse, host, port)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for conversation in self._sessions:
            conversation.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        session = self._sessions[conversation] = _Session(reader, writer)
        try:
            # a cancelled conversation ends here: asyncio would write its end to the log as an error
            with suppress(ConnectionError, asyncio.CancelledError):
                while not writer.is_closing() and (line := await reader.readline()):
                    session.busy = True
                    await self._answer(line, session)
                    session.busy = False
        finally:
            del self._sessions[conversation]
            writer.close()

    async def _answer(self, line: bytes, session: _Session) -> None:
        try:
            request = protocol.read_request(line)
        except Refusal as refusal:
            self._calls.arrival(SERVER, "?", {}).answer = "parameters"
            session.writer.write(protocol.refused(refusal.code))
            return
        call = self._calls.arrival(SERVER, request.api.name, request.logged)
        fault = self._faults.take(SERVER, request.api.name)
        if fault is not None:
            call.answer = fault.kind.value
        if session.loses_next or (fault is not None and fault.kind in (Kind.HANG, Kind.DISCONNECT)):
            await asyncio.sleep(fault.delay if fault is not None and fault.kind is Kind.HANG else 0.0)
            session.writer.transport.abort()
            return
        if fault is not None and fault.kind is Kind.SLOW:
            await asyncio.sleep(fault.delay)
        await _send(session, await self._reply(request, session, call, fault), fault)

    async def _reply(self, request: Request, session: _Session, call: Call, fault: Fault | None) -> bytes:
        try:
            if fault is not None and fault.kind is Kind.CODE:
                if fault.code == protocol.NOT_LOGGED_IN:
                    session.user = None
                raise Refusal(fault.code)
            if request.api.name in ("login", "logout"):
                reply = _admitted(request, session)
            else:
                self._refuse_strangers(session)
                fields, rows = await self._rows(request, fault)
                page = _page(request, rows)
                if fault is not None and fault.kind is Kind.WRONG_ROWS and len(page) < len(rows):
                    session.loses_next = True
                reply, call.rows = protocol.answered(request, fields, page), len(page)
        except Refusal as refusal:
            if fault is None:
                call.answer = _refused_as(refusal.code)
            return protocol.refused(refusal.code, request)
        if fault is None:
            call.answer = "empty" if not call.rows and request.api.name.startswith("query") else "ok"
        return reply

    def _refuse_strangers(self, session: _Session) -> None:
        """Refuses who is not logged in, and who asks while the same user's other query is under way."""
        if session.user is None:
            raise Refusal(protocol.NOT_LOGGED_IN)
        others = (other for other in self._sessions.values() if other is not session and other.user == session.user)
        if any(other.busy and not other.reader.at_eof() for other in others):
            raise Refusal(protocol.TOO_PARALLEL)

    async def _rows(self, request: Request, fault: Fault | None) -> Rows:
        """The whole answer; the latest ones are kept, for the next page will be asked for."""
        api, params = request.api.name, request.parameters
        key = (await self._market_thread.ask(lambda market: market.edition()), forms.ready_day(), api, tuple(params.items()))
        if fault is None and key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        steps = await self._factor_steps(request)

        def answered(market: Market) -> pl.DataFrame:
            return answers.answer(market if fault is None else LyingMarket(market, fault), api, params, steps)

        frame = await self._market_thread.ask(answered)
        if fault is not None and not (fault.kind is Kind.WRONG_ROWS and request.api.paged and len(frame) > PAGE):
            frame = _spoiled(fault, frame)
        rows = frame.columns, forms.texts(frame)
        if fault is None:
            self._answers[key] = rows
            if len(self._answers) > _ANSWERS_KEPT:
                self._answers.popitem(last=False)
        return rows

    async def _factor_steps(self, request: Request) -> pl.DataFrame:
        """The steps of the years that the query needs, each simulated once; other servers are answered in between."""
        years = await self._market_thread.ask(
            lambda market: answers.years_of_steps(market, request.api.name, request.parameters)
        )
        edition = await self._market_thread.ask(lambda market: market.edition())
        found = []
        for year in years:
            key = (year, edition if year >= forms.ready_day().year else "over")
            if key not in self._steps:
                self._steps[key] = await self._market_thread.ask(partial(answers.factor_steps, year=year))
            found.append(self._steps[key])
        return pl.concat(found) if found else pl.DataFrame()


def _admitted(request: Request, session: _Session) -> bytes:
    """Logs the session in or out."""
    if request.api.name == "login" and not (request.user and request.parameters["password"]):
        raise Refusal(protocol.WRONG_PASSWORD)
    session.user = request.user if request.api.name == "login" else None
    return protocol.accepted(request)


def _page(request: Request, rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return rows[(request.page - 1) * PAGE : request.page * PAGE] if request.api.paged else rows


def _spoiled(fault: Fault, frame: pl.DataFrame) -> pl.DataFrame:
    """The fault's work on the rows; it knows dates by the names that Tushare gives them."""
    spoiled = spoil(fault, frame.rename({"date": "trade_date"}, strict=False))
    return spoiled.rename({"trade_date": "date"}, strict=False)


def _refused_as(code: str) -> str:
    return {protocol.NOT_LOGGED_IN: "not_logged_in", protocol.TOO_PARALLEL: "parallel"}.get(code, "parameters")


async def _send(session: _Session, reply: bytes, fault: Fault | None) -> None:
    writer = session.writer
    if fault is not None and fault.kind is Kind.UNENDED:
        reply = reply.removesuffix(protocol.END)
    if fault is not None and fault.kind is Kind.HALF:
        reply = reply[: len(reply) // 2]
    writer.write(reply)
    await writer.drain()
    if fault is not None and fault.kind is Kind.HALF:
        writer.close()
