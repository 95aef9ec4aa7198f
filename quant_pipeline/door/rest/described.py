"""The description of the REST paths: OpenAPI as text, and the Swagger page over it."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse

from quant_pipeline.door.errors import PageError
from quant_pipeline.door.rendering import page
from quant_pipeline.door.rest.paths import ROUTERS

TEXT = "/api/openapi.json"
_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_KEPT = {"Cache-Control": "public, max-age=86400"}

router = APIRouter(include_in_schema=False)


@router.get("/api/doc")
def swagger(request: Request) -> HTMLResponse:
    return page(request, "swagger.html", text=TEXT)


@router.get("/api/doc/{name}")
def file(name: str) -> FileResponse:
    """Swagger's own files, out of a package: no page loads them from another host."""
    if name not in _FILES:
        raise PageError(404, "没有这个文件 No such file")
    found = find_spec("fastapi_offline")
    assert found is not None
    assert found.origin is not None
    return FileResponse(Path(found.origin).parent / "static" / name, media_type=_FILES[name], headers=_KEPT)


@router.get(TEXT)
def text() -> dict[str, Any]:
    """The OpenAPI text of the REST paths; pages and Tushare's calls are not among them."""
    described = get_openapi(
        title="quant_pipeline",
        version=version("quant-pipeline"),
        description="A-share data platform. 接口返回 success、message、data；出错时 data 为 null，error 说明原因与做法。",
        routes=[route for router in ROUTERS for route in router.routes],
    )
    described.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"key": []}, {}]
    return described
