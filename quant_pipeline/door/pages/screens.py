"""The pages /screens, /screens/<name>, /screens/<name>/<date>: what a screen hit, what is new and what is gone."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from quant_pipeline.charts.sparkline import points
from quant_pipeline.door.access import Reached
from quant_pipeline.door.days import session_of
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.paging import Number
from quant_pipeline.door.rendering import page
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.search import Named, near
from quant_pipeline.overview.screens import last_closes, screen_session, screened_sessions
from quant_pipeline.overview.stored import latest_stored
from quant_pipeline.strategies.base import Strategy, StrategyError
from quant_pipeline.strategies.registry import registered
from quant_pipeline.strategies.universe import Universe
from quant_pipeline.switches import screens_on
from quant_pipeline.sync.insight.history import Page
from quant_pipeline.warehouse.reads import read

if TYPE_CHECKING:
    from quant_pipeline.warehouse.database import Database

router = APIRouter(default_response_class=HTMLResponse)

_HITS = 50
"""Hits on a page, each with a line of its last closes."""
_CLOSES = 60
_RECENT = 40


@router.get("/screens")
def every(request: Request, access: Reached) -> HTMLResponse:
    """Every screen that is registered or ever ran, with its last sessions."""
    strategies = registered().strategies
    sessions = screened_sessions(access.database)
    names = list(dict.fromkeys([*strategies, *sessions["screen"].unique().sort()]))
    screens = [
        {
            "name": name,
            "zh": strategies[name].zh if name in strategies else name,
            "doc": strategies[name].doc if name in strategies else "",
            "sessions": sessions.filter(pl.col("screen") == name).tail(_RECENT).to_dicts(),
        }
        for name in names
    ]
    stored = latest_stored(access.database, access.calendar().latest_known()) is not None
    return page(request, "screens.html", screens=screens, stored=stored, on=screens_on())


@router.get("/screens/{name}", response_model=None)
def latest(access: Reached, name: str) -> HTMLResponse | RedirectResponse:
    """The last session that it ran for."""
    sessions = _sessions_of(access.database, name)
    if sessions:
        return RedirectResponse(f"/screens/{name}/{sessions[-1]}", 302)
    _known(name, sessions)
    return RedirectResponse(f"/screens/{name}/{access.calendar().latest_known()}", 302)


@router.get("/screens/{name}/{date}")
def hits(request: Request, access: Reached, name: str, date: str, number: Number = 1) -> HTMLResponse:
    session = session_of(access.calendar(), date, under=f"/screens/{quote(name)}")
    sessions = _sessions_of(access.database, name)
    strategy = _known(name, sessions)
    screening = screen_session(access.database, access.calendar(), name, session, sessions)
    found, compared = screening.hits, screening.compared
    number = min(number, -(-found.height // _HITS) or 1)
    first = (number - 1) * _HITS
    shown = Page(found.slice(first, _HITS), number, _HITS, found.height)
    figures = [json.loads(text or "{}") for text in shown.rows["figures"]]
    columns = list(dict.fromkeys(column for each in figures for column in each))
    parameters = json.loads(found["parameters"][0] or "{}") if found.height else {}
    closes = last_closes(access.database, shown.rows["ts_code"].to_list(), session, _CLOSES)
    return page(
        request,
        "screen.html",
        name=name,
        zh=strategy.zh if strategy else name,
        doc=strategy.doc if strategy else "",
        installed=strategy is not None,
        setting=_setting(name),
        session=session,
        hits=[
            {
                **row,
                "figures": each,
                "concepts": (row["concepts"] or "").split("、") if row["concepts"] else [],
                "new": compared is not None and row["ts_code"] in compared.new,
            }
            for row, each in zip(shown.rows.to_dicts(), figures, strict=True)
        ],
        columns=columns,
        headings=_headings(strategy, parameters),
        parameters=_described(strategy, parameters),
        universe=_universe(found),
        lines={code: points(values) for code, values in closes.items()},
        closes=_CLOSES,
        first=first,
        shown=shown,
        screening=screening,
        stored=read(access.database, DAILY_KLINE, start=session, end=session, columns=["ts_code"]).height,
    )


def _known(name: str, sessions: Sequence[dt.date]) -> type[Strategy] | None:
    """The screen's strategy; None for one that is no longer installed but ran. PageError 404 for a name of nothing."""
    strategies = registered().strategies
    if name not in strategies and not sessions:
        alike = near(name, [Named(each, strategy.zh) for each, strategy in strategies.items()], limit=3)
        raise PageError(
            404,
            f"没有选股策略“{name}” No such screen",
            why="" if alike else f"已安装 Installed: {'、'.join(f'{each.zh} {each.name}' for each in strategies.values())}。",
            to_do="是不是要找 Did you mean:" if alike else "",
            links={f"/screens/{each.code}": f"{each.name} {each.code}" for each in alike}
            | {"/screens": "全部策略 All screens"},
        )
    return strategies.get(name)


def _setting(name: str) -> str:
    """What QUANT_SCREENS is to be so that this screen runs by itself beside those that do; empty where it does."""
    on = screens_on()
    return "" if name in on else ",".join((*on, name))


def _sessions_of(database: Database, name: str) -> list[dt.date]:
    """The sessions that the screen ran for, oldest first."""
    return screened_sessions(database).filter(pl.col("screen") == name)["trade_date"].to_list()


def _headings(strategy: type[Strategy] | None, parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """What the strategy calls its figures under the parameters that it ran with; nothing where it no longer takes them."""
    if strategy is None:
        return {}
    try:
        return strategy.with_parameters(parameters).headings
    except StrategyError:
        return {}


def _described(strategy: type[Strategy] | None, parameters: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(name, value), the name with the strategy's own words for it."""
    fields = strategy.Parameters.model_fields if strategy else {}
    words = {name: (field.description or "").rpartition(" ")[2] for name, field in fields.items()}
    return [(words.get(name) or name, value) for name, value in parameters.items()]


def _universe(found: pl.DataFrame) -> list[tuple[str, Any]]:
    """(words, value) of the filters that chose among which shares it looked."""
    text = found["universe"][0] if found.height else None
    words = {name: (field.description or "").rpartition(" ")[2] for name, field in Universe.model_fields.items()}
    filters = json.loads(text or "{}").items()
    return [(words.get(name) or name, "、".join(value) if isinstance(value, list) else value) for name, value in filters]
