"""The HTTP(S) proxy: every web site that AKShare asks is answered here, over TLS, by the sandbox's own sites.

A host that no site has gets a page that says so: nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import trustme

from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Fault, Faults, Kind
from quant_pipeline.sandbox.servers.faulty_rows import spoil
from quant_pipeline.sandbox.servers.lying_market import LyingMarket
from quant_pipeline.sandbox.servers.market_thread import MarketThread
from quant_pipeline.sandbox.servers.web.site import Page, Request
from quant_pipeline.sandbox.servers.web.sites import site_of
from quant_pipeline.sandbox.simulation.interface import Market

SERVER = "akshare"
AUTHORITY = "quant_pipeline SANDBOX"
"""Who signs the sites: by this a pipeline knows that a proxy is a sandbox's, and not a way to the real web."""
_LONGEST_HEAD = 64 * 1024
_PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 502: "Bad Gateway"}
_BLOCK_PAGE = "<html><head><title>访问受限</title></head><body>您的访问过于频繁，请稍后再试</body></html>"


@dataclass(frozen=True)
class _Spoiled:
    """A market whose answers bear a fault."""

    market: Market
    fault: Fault

    def frame(self, api: str, params: Any, rows: int) -> pl.DataFrame:
        return spoil(self.fault, LyingMarket(self.market, self.fault).frame(api, params, rows))

    def edition(self) -> str:
        return self.market.edition()


class WebProxy:
    """Ends the TLS of a CONNECT with a certificate of the authority in `ca_file`, and lets a site answer."""

    def __init__(self, market_thread: MarketThread, calls: CallLog, faults: Faults, ca_file: Path) -> None:
        self._market_thread, self._calls, self._faults = market_thread, calls, faults
        self._ca_file = ca_file
        self._authority = trustme.CA(organization_name=AUTHORITY)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int = 0) -> int:
        """Writes the authority's certificate and listens; returns the port."""
        self._authority.cert_pem.write_to_path(str(self._ca_file))
        self._server = await asyncio.start_server(self._converse, host, port, limit=_LONGEST_HEAD)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def stop(self) -> None:
        """Ends listening, and every conversation that is still going on."""
        if self._server is not None:
            self._server.close()
        for talk in list(self._talks):
            talk.cancel()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            # a line that ends, or on which something else than HTTP is spoken, is hung up on
            with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
                await self._requests(reader, writer)
        finally:
            self._talks.discard(talk)
            writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The requests of a connection, one after the other; after a CONNECT, those inside the tunnel."""
        host = ""
        while True:
            method, target, headers, body = await _read(reader)
            if method == "CONNECT":
                host = target.rpartition(":")[0]
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                await writer.start_tls(self._context(host))
                continue
            request = Request.read(method, target, host or headers.get("host", ""), body)
            page = await self._page(request)
            if page is None:
                return  # a cut line
            writer.write(_encoded(page))
            await writer.drain()

    async def _page(self, request: Request) -> Page | None:
        site = site_of(request.host)
        if site is None:
            text = f"SANDBOX: no such site here: {request.host}"
            return Page(text.encode(), type="text/plain; charset=utf-8", status=502)
        call = self._calls.arrival(SERVER, site.name, {"host": request.host, "path": request.path, **request.asked})
        fault = self._faults.take(SERVER, site.name)
        if fault is not None:
            call.answer = fault.kind.value
            match fault.kind:
                case Kind.DISCONNECT:
                    return None
                case Kind.HANG:
                    await asyncio.sleep(fault.delay)
                    return None
                case Kind.SLOW:
                    await asyncio.sleep(fault.delay)
                case Kind.STATUS:
                    return Page(_BLOCK_PAGE.encode(), type="text/html; charset=utf-8", status=fault.status)
                case Kind.HTML:
                    return Page(_BLOCK_PAGE.encode(), type="text/html; charset=utf-8")

        def answer(market: Market) -> Page | None:
            return site.answer(market if fault is None else _Spoiled(market, fault), request)

        try:
            page = await self._market_thread.ask(answer)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            call.answer = "parameters"
            text = f"SANDBOX: {site.name} cannot answer this ({type(error).__name__}: {error})"
            return Page(text.encode(), type="text/plain; charset=utf-8", status=400)
        if page is None:
            call.answer = "unknown_api"
            return Page(b"SANDBOX: no such page here", type="text/plain", status=404)
        call.rows = page.rows
        if fault is None:
            call.answer = "ok" if page.rows else "empty"
        return page

    def _context(self, host: str) -> ssl.SSLContext:
        if host not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._authority.issue_cert(host).configure_cert(context)
            self._contexts[host] = context
        return self._contexts[host]


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    """The next request: method, target, headers (lower case), body. IncompleteReadError at the line's end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return method, target, headers, body


def _encoded(page: Page) -> bytes:
    phrase = _PHRASES.get(page.status, "Error")
    headers = {"Content-Type": page.type, "Content-Length": str(len(page.body)), "Connection": "keep-alive", **page.headers}
    lines = [f"HTTP/1.1 {page.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + page.body
