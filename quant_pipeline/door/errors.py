"""Errors: what happened, why, and what to do, with the status that says the same to a program: as a page for people, as JSON
under the paths for programs."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from quant_pipeline.door.rendering import page

_logger = logging.getLogger(__name__)
_FOR_PROGRAMS = ("/api/", "/health", "/metrics")
MOST_BYTES = 1_000_000
"""Of a request's body: a thousand codes take 12 kB."""
_ENGLISH = {"请求": "request", "地址": "address"}


class PageError(Exception):
    """A page that cannot be shown. `what` happened, `why`, and what `to_do`: by a `command`, or on other pages.

    `links`: address -> text.
    """

    def __init__(
        self,
        status: int,
        what: str,
        *,
        why: str = "",
        to_do: str = "",
        command: str = "",
        links: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.status, self.what, self.why, self.to_do, self.command = status, what, why, to_do, command
        self.links = links or {}


class Reason(BaseModel):
    """Why, and what to do: by a command, where one helps."""

    why: str
    to_do: str
    command: str


class Problem(BaseModel):
    """An error, as programs get it: the form of every answer, with `error` in the place of data."""

    success: bool = False
    message: str
    data: None = None
    error: Reason


def add_handlers(app: FastAPI) -> None:
    """The errors that FastAPI and the pages raise become pages; for others see `unforeseen`."""
    app.add_exception_handler(PageError, told)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_address)


def told(request: Request, error: Exception) -> Response:
    """A PageError as the answer: a page, or JSON for programs."""
    assert isinstance(error, PageError)
    return _page(request, error)


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _page(request, PageError(404, "没有这个页面 No such page", why=f"地址 {request.url.path} 不存在。"))
    if error.status_code == 413:
        why = f"请求体最多 {MOST_BYTES:,} 字节。A body holds so many bytes at most."
        return _page(request, PageError(413, "请求过大 The request is too large", why=why))
    if error.status_code == 405 and request.url.path.startswith(_FOR_PROGRAMS):
        return _page(request, PageError(405, f"{request.method} 不可用于此路径 This path does not take it"), error.headers)
    if error.status_code == 405:
        return PlainTextResponse("read-only 只读: these pages are only looked at (GET)", 405, error.headers)
    return _page(request, PageError(error.status_code, str(error.detail)))


def _of_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    what = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    written = "请求" if request.url.path.startswith(_FOR_PROGRAMS) else "地址"
    return _page(request, PageError(400, f"{written}写法有误 The {_ENGLISH[written]} cannot be read", why=what))


def unforeseen(request: Request, error: Exception) -> Response:
    """A page for any other error: the database's and the calendar's in their words, the rest logged."""
    from quant_pipeline.market.calendar import CalendarError
    from quant_pipeline.warehouse.errors import DatabaseError, described
    from quant_pipeline.warehouse.schema import SchemaError
    from quant_pipeline.warehouse.server import ServerError

    if isinstance(error, psycopg.DataError):
        bad = PageError(400, "请求中有数据库存不了的内容 The request holds what no text or number can", why=str(error)[:200])
        return _page(request, bad)
    if isinstance(error, DatabaseError | ServerError | SchemaError) or described(error) is not None:
        away = PageError(
            503,
            "数据库不可用 The database is away",
            why=described(error) or str(error),
            to_do="恢复后刷新本页即可，已提交的数据不会丢失。检查 Check:",
            command="quant-pipeline status",
        )
        return _page(request, away)
    if isinstance(error, CalendarError):
        return _page(request, PageError(404, "交易日历没有这一天 The calendar does not know this day", why=str(error)))
    _logger.error("the page %s failed", request.url.path, exc_info=error)
    failed = PageError(
        500,
        "页面出错了 This page failed",
        why="这是程序的错误，详情已写入日志。A fault of the program; the log file has the details.",
        to_do="查看日志 See the log:",
        command="quant-pipeline history --logs",
    )
    return _page(request, failed)


def _page(request: Request, error: PageError, headers: Mapping[str, str] | None = None) -> Response:
    if not request.url.path.startswith(_FOR_PROGRAMS):
        return page(request, "error.html", status_code=error.status, error=error)
    problem = Problem(message=error.what, error=Reason(why=error.why, to_do=error.to_do, command=error.command))
    return JSONResponse(problem.model_dump(), error.status, headers=dict(headers or {}))
