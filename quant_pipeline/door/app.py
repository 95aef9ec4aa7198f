"""The application: its pages, its files, its errors."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from quant_pipeline.door import callbacks, errors, plotly
from quant_pipeline.door.access import Access
from quant_pipeline.door.bounds import Bounds
from quant_pipeline.door.entry import KeyCheck
from quant_pipeline.door.feed import web_socket
from quant_pipeline.door.feed.feeds import Feeds
from quant_pipeline.door.feed.socket_io import SocketIo
from quant_pipeline.door.hosts import HostCheck, is_loopback, served_names
from quant_pipeline.door.pages import alerts, backtests, data, day, kline, quotes, screens, search, signals, sync, watchlists
from quant_pipeline.door.rendering import STATIC
from quant_pipeline.door.rest import described
from quant_pipeline.door.rest.paths import ROUTERS
from quant_pipeline.door.tushare import route as tushare
from quant_pipeline.look import environment
from quant_pipeline.settings import Settings

if TYPE_CHECKING:
    from quant_pipeline.warehouse.database import Database

_PATIENCE = 6.0
"""Seconds for the poll of quotes that is under way when the door is shut."""
_LONG = "public, max-age=31536000, immutable"
_SAFETY = {
    # Nothing is loaded from another host and no script runs but our files, whatever a name or a board may be called.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "base-uri 'none'; object-src 'none'; frame-ancestors 'self'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


_FOR_NAMED_SITES: dict[str, Any] = {
    # A page of such a site brings a key of its own: no cookie and no password of the browser's goes along.
    "allow_methods": ["GET", "POST", "PUT", "DELETE"],
    "allow_headers": ["Authorization", "X-API-Key", "Content-Type", "If-None-Match"],
    "expose_headers": ["ETag", "Retry-After"],
}


def create_app(settings: Settings, *, host: str = "127.0.0.1", database: Database | None = None) -> FastAPI:
    """The pages of these settings, served at `host`. `database`: an upgraded one instead of the settings'."""
    access = Access(settings, database, on_loopback=is_loopback(host))
    feeds = Feeds(settings, lambda: access.database, access.admission)
    socket_io = SocketIo(feeds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=access.warm_up, name="warm-up", daemon=True).start()
        stop = threading.Event()
        polling = threading.Thread(target=access.poll_quotes, args=(stop,), name="quotes", daemon=True)
        polling.start()
        yield
        await socket_io.close()
        await feeds.close()
        stop.set()
        await run_in_threadpool(polling.join, _PATIENCE)
        access.close()

    app = FastAPI(title="quant_pipeline", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.access, app.state.feeds = access, feeds
    app.add_middleware(Bounds)
    app.add_middleware(KeyCheck, admission=access.admission)
    if settings.serve_origins:  # else no page of another site reads an answer
        app.add_middleware(CORSMiddleware, allow_origins=sorted(settings.serve_origins), **_FOR_NAMED_SITES)
    app.add_middleware(HostCheck, names=served_names(settings, host), origins=settings.serve_origins)
    app.middleware("http")(_with_headers)
    errors.add_handlers(app)
    pages = (day, kline, quotes, screens, signals, watchlists, backtests, search, sync, alerts, data)
    for each in (*pages, plotly, callbacks, tushare):
        app.include_router(each.router)
    for router in (*ROUTERS, described.router):
        app.include_router(router)
    app.include_router(web_socket.router)
    app.mount("/socket.io", socket_io)
    app.mount("/look", StaticFiles(directory=environment.STATIC), name="look")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    began = time.monotonic()
    try:
        response = await call_next(request)
    except Exception as error:
        response = errors.unforeseen(request, error)
    access: Access = request.app.state.access
    access.traffic.note(request, response.status_code, time.monotonic() - began)
    response.headers.update(_SAFETY)
    ours = request.url.path.startswith(("/look/", "/static/")) and response.status_code == 200
    if ours and "v" in request.query_params:
        response.headers["Cache-Control"] = _LONG
    elif "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
