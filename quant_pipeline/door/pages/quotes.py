"""The page /quotes: a watchlist, or codes as typed, that move while the exchange is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from quant_pipeline.charts.kline import digits_of, hand_of
from quant_pipeline.door.access import Reached
from quant_pipeline.door.feed.client import texts_in
from quant_pipeline.door.feed.feeds import Feeds
from quant_pipeline.door.rendering import page
from quant_pipeline.market import clock
from quant_pipeline.market.bars import CORE_INDEXES
from quant_pipeline.market.calendar import Calendar, CalendarError
from quant_pipeline.market.listings import Kind
from quant_pipeline.overview.watchlists import Last, last_bars
from quant_pipeline.quotes.hours import is_due
from quant_pipeline.quotes.hub import MOST_CODES
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.store import Store
from quant_pipeline.warehouse.watchlists import lists

router = APIRouter(default_response_class=HTMLResponse)

SOURCES = {"tencent": "腾讯", "sina": "新浪", "tushare": "Tushare"}


@dataclass(frozen=True)
class _Row:
    """A code, what the lists call it, and its last quote; without one its last bar, so that a night shows the closes."""

    code: str
    name: str
    digits: int
    hand: int
    quote: Quote | None
    bar: Last | None


@router.get("/quotes")
def quotes(
    request: Request,
    access: Reached,
    codes: Annotated[str, Query(max_length=20 * MOST_CODES)] = "",
    watchlist: Annotated[str, Query(alias="list", max_length=40)] = "",
) -> HTMLResponse:
    """`codes`, with commas or blanks; else the watchlist; else the first one; else the indexes."""
    feeds = cast(Feeds, request.app.state.feeds)
    known = lists(access.database)
    typed = texts_in(" ".join(codes.replace("，", " ").replace(",", " ").split()).replace(" ", ","))[:MOST_CODES]
    taken = watchlist if watchlist in known else "" if typed or watchlist else next(iter(known), "")
    wanted = typed or [each.code for each in known.get(taken, ())] or list(CORE_INDEXES)
    meant = feeds.codes.meant(wanted[:MOST_CODES])
    store = Store(access.database)
    last = store.latest(meant.codes)
    bars = last_bars(access.database, [code for code in meant.codes if code not in last], access.calendar().latest_known())
    names = {each.code: each.name for each in known.get(taken, ())}
    rows = []
    for code in meant.codes:
        listing, quote = feeds.codes.listing(code), last.get(code)
        name = (listing.name if listing else "") or names.get(code) or (quote.name if quote else None) or code
        kind = listing.kind if listing else Kind.STOCK
        rows.append(_Row(code, name, digits_of(kind), hand_of(kind), quote, bars.get(code)))
    return page(
        request,
        "quotes.html",
        off=feeds.off(),
        rows=rows,
        unknown=meant.unknown,
        more=max(0, len(wanted) - MOST_CODES),
        typed=", ".join(typed),
        lists={name: f"/quotes?{urlencode({'list': name})}" for name in known},
        taken=taken if not typed else "",
        missing=watchlist if watchlist and watchlist not in known else "",
        indexes=not typed and not taken,
        state=store.state(),
        sources=SOURCES,
        closes=max((bar.trade_date for bar in bars.values()), default=None),
        due=any(_is_due(code, access.calendar()) for code in meant.codes),
    )


def _is_due(code: str, calendar: Calendar) -> bool:
    try:
        return is_due(code, clock.now(), calendar)
    except CalendarError:  # it has no word on today: a quote may come
        return True
