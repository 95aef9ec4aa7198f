"""The pages /signals and /signals/<date>: what the screens came to, what the paper portfolio holds and trades next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from quant_pipeline.backtest.reasons import Reason, Status
from quant_pipeline.door.access import Reached
from quant_pipeline.door.days import session_of
from quant_pipeline.door.paging import Number
from quant_pipeline.door.rendering import page
from quant_pipeline.language import speaking
from quant_pipeline.overview.screens import screened_sessions
from quant_pipeline.signals.day import latest_day, signal_day
from quant_pipeline.strategies.registry import registered
from quant_pipeline.sync.insight.history import Page

router = APIRouter(default_response_class=HTMLResponse)

_DECISIONS = 50
_DIRECTIONS = {"buy": "买入", "sell": "卖出"}
_DECIDED = {"accepted": "采纳", "refused": "不采纳", "expired": "已过期"}
_CONFLICTS = {"opposite": "方向相反", "duplicate": "重复", "held": "已持有", "not_held": "未持有"}
_POLICIES = {"priority": "策略优先级", "strength": "信号强度", "majority": "多数", "veto": "卖出一票否决"}
_PLANNED = "待成交"


@router.get("/signals", response_model=None)
def latest(access: Reached) -> RedirectResponse:
    """The last session that was decided upon."""
    return RedirectResponse(f"/signals/{latest_day(access.database) or access.calendar().latest_known()}", 302)


@router.get("/signals/{date}")
def decisions(request: Request, access: Reached, date: str, number: Number = 1) -> HTMLResponse:
    day = signal_day(access.database, session_of(access.calendar(), date, under="/signals"))
    total = day.decisions.height
    number = min(number, -(-total // _DECISIONS) or 1)
    return page(
        request,
        "signals.html",
        day=day,
        shown=Page(day.decisions.slice((number - 1) * _DECISIONS, _DECISIONS), number, _DECISIONS, total),
        accepted=day.decisions.filter(pl.col("decision") == "accepted").height,
        strategies={name: strategy.zh for name, strategy in registered().strategies.items()},
        directions=_DIRECTIONS,
        decided=_DECIDED,
        screened=screened_sessions(access.database).filter(pl.col("trade_date") == day.session).height > 0,
        conflicts=_CONFLICTS,
        policies=_POLICIES,
        orders=[{**row, **_became(row)} for row in day.orders.to_dicts()],
    )


def _became(order: Mapping[str, Any]) -> dict[str, str]:
    """What became of the order and why, in the words of a backtest's orders."""
    with speaking("zh"):
        known = order["status"].upper() in Status.__members__
        return {
            "became": Status[order["status"].upper()].words if known else _PLANNED,
            "why": Reason[order["outcome"].upper()].words if order["outcome"] else "",
        }
