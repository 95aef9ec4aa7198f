"""The pages /watchlists and /watchlists/<name>: the user's own lists, and what was pushed into groups of 同花顺."""

from __future__ import annotations

import polars as pl
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from quant_pipeline.charts.sparkline import points
from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.paging import Number
from quant_pipeline.door.rendering import page
from quant_pipeline.overview.watchlists import lines, pushed, watched
from quant_pipeline.strategies.registry import registered
from quant_pipeline.sync.insight.history import Page

router = APIRouter(default_response_class=HTMLResponse)

_SHOWN = 24
"""Codes of a list beside the other lists."""
_ITEMS = 100
_CLOSES = 60
_OUTCOMES = {"added": "加入", "removed": "移出", "there": "原已在内"}


@router.get("/watchlists")
def every(request: Request, access: Reached) -> HTMLResponse:
    """All lists, each with its first codes and how they did; the last pushes."""
    latest = access.calendar().latest_known()
    known, last = watched(access.database, latest)
    session, groups = pushed(access.database)
    screens = {f"screen:{name}": f"选股 {each.zh}" for name, each in registered().strategies.items()}
    cards = []
    for name, items in known.items():
        changes = [bar.pct_chg for each in items if (bar := last.get(each.code)) is not None and bar.pct_chg is not None]
        cards.append(
            {
                "name": name,
                "count": len(items),
                "chosen": [(each, last.get(each.code)) for each in items[:_SHOWN]],
                "up": sum(change > 0 for change in changes),
                "down": sum(change < 0 for change in changes),
                "mean": sum(changes) / len(changes) if changes else None,
            }
        )
    return page(
        request,
        "watchlists.html",
        cards=cards,
        latest=max((bar.trade_date for bar in last.values()), default=None),
        session=session,
        groups=groups,
        origins={**screens, "signals": "交易信号", **{f"watchlist:{name}": f"自选 {name}" for name in known}},
        outcomes=_OUTCOMES,
    )


@router.get("/watchlists/{name}")
def one(request: Request, access: Reached, name: str, number: Number = 1) -> HTMLResponse:
    """A list with every code of it."""
    latest = access.calendar().latest_known()
    known, last = watched(access.database, latest)
    if name not in known:
        raise PageError(
            404,
            f"没有自选列表“{name}” No such watchlist",
            why=f"现有列表 Lists: {'、'.join(known)}。" if known else "还没有自选列表 There is none yet.",
            command="quant-pipeline watchlist list" if known else "quant-pipeline watchlist add core 600519",
            links={"/watchlists": "全部自选 All watchlists"},
        )
    items = known[name]
    number = min(number, -(-len(items) // _ITEMS) or 1)
    shown = items[(number - 1) * _ITEMS : number * _ITEMS]
    return page(
        request,
        "watchlist.html",
        name=name,
        total=len(items),
        items=[(each, last.get(each.code)) for each in shown],
        lines={code: points(values) for code, values in lines(access.database, shown, latest, _CLOSES).items()},
        closes=_CLOSES,
        first=(number - 1) * _ITEMS,
        shown=Page(pl.DataFrame(), number, _ITEMS, len(items)),
    )
