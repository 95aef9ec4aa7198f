"""The forms that all answers share: the envelope, pages of lists, and ETags on what may be asked for again and again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from quant_pipeline.door.errors import Problem

Data = TypeVar("Data")
PageNumber = Annotated[int, Query(ge=1, le=1_000_000, description="Counts from 1.")]
PerPage = Annotated[int, Query(ge=1, le=1000, description="Rows of a page.")]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The request cannot be understood.",
        401: "A key is needed.",
        403: "The key may not do this.",
        404: "There is none of that name, or it is not stored.",
        413: "The body is too large.",
        429: "Too often, or another one is running.",
        500: "A fault of the program.",
        503: "The database is away.",
    }.items()
}
"""What any route may answer instead: one form for all."""
CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": Problem, "description": "Things stand so that it cannot be done."}}
NOT_HERE: dict[int | str, dict[str, Any]] = {501: {"model": Problem, "description": "Not done here: what stands in its place."}}


class Answer(BaseModel, Generic[Data]):
    """Every answer that is no error."""

    success: bool = True
    message: str = ""
    data: Data


class Listed(BaseModel, Generic[Data]):
    """A page of a list."""

    items: list[Data]
    page: int
    per_page: int
    total: int


class Tagged(APIRoute):
    """A GET route whose answers bear an ETag: who shows it again gets 304 while nothing changed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def tagged(request: Request) -> Response:
            response = await handle(request)
            if request.method != "GET" or response.status_code != 200:
                return response
            tag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
            if tag in request.headers.get("if-none-match", ""):
                response = Response(status_code=304)
            response.headers.update({"ETag": tag, "Cache-Control": "private, no-cache"})
            return response

        return tagged
