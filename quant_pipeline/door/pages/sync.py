"""The page /sync."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from quant_pipeline.door.rendering import page

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/sync")
def sync(request: Request) -> HTMLResponse:
    return page(request, "sync.html")
