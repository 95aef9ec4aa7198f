"""The page /search: by code, name or pinyin; a single hit is gone to at once."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from quant_pipeline.door.access import Reached
from quant_pipeline.door.rendering import page
from quant_pipeline.market.listings import meant
from quant_pipeline.market.search import near, search
from quant_pipeline.warehouse.listings import listings

router = APIRouter(default_response_class=HTMLResponse)

_SHOWN = 50


@router.get("/search", response_model=None)
def found(request: Request, access: Reached, q: str = "") -> HTMLResponse | RedirectResponse:
    asked = q.strip()[:100]
    everything = listings(access.database)
    exact = meant(asked, everything)
    hits = exact + [each for each in search(asked, everything, limit=_SHOWN) if each not in exact]
    if len(hits) == 1 or exact:
        return RedirectResponse(f"/k/{hits[0].code}", 302)
    return page(
        request,
        "search.html",
        hits=hits,
        near=[] if hits or not asked else near(asked, everything),
        known=len(everything),
        more=len(hits) == _SHOWN,
    )
