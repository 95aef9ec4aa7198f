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
from quant_pipeline.market.adjustment import adjust
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, SCREEN_RESULTS, STOCK_LIST
from quant_pipeline.strategies.base import Strategy, StrategyError
from quant_pipeline.strategies.registry import registered
from quant_pipeline.strategies.universe import Universe
from quant_pipeline.sync.insight.history import Page
from quant_pipeline.warehouse.reads import read, read_sql

if TYPE_CHECKING:
    from quant_pipeline.warehouse.database import Database

router = APIRouter(default_response_class=HTMLResponse)

_HITS = 50
"""Hits on a page, each with a line of its last closes."""
_CLOSES = 60
_RECENT = 40
_SESSIONS = """
SELECT screen, trade_date, count(hit.ts_code) AS hits
FROM (SELECT screen, trade_date FROM screenings UNION SELECT screen, trade_date FROM screen_results) AS screened
LEFT JOIN screen_results AS hit USING (screen, trade_date)
GROUP BY screen, trade_date ORDER BY trade_date
"""
"""Every session that a screen ran for, the oldest first; those without hits too."""


@router.get("/screens")
def every(request: Request, access: Reached) -> HTMLResponse:
    """Every screen that is registered or ever ran, with its last sessions."""
    strategies = registered().strategies
    sessions = read_sql(access.database, _SESSIONS)
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
    return page(request, "screens.html", screens=screens)


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
    found = _hits(access.database, name, session)
    former = max((each for each in sessions if each < session), default=None)
    before = _hits(access.database, name, former) if former else found.clear()
    number = min(number, -(-found.height // _HITS) or 1)
    first = (number - 1) * _HITS
    shown = Page(found.slice(first, _HITS), number, _HITS, found.height)
    figures = [json.loads(text or "{}") for text in shown.rows["figures"]]
    columns = list(dict.fromkeys(column for each in figures for column in each))
    parameters = json.loads(found["parameters"][0] or "{}") if found.height else {}
    known = set(before["ts_code"])
    return page(
        request,
        "screen.html",
        name=name,
        zh=strategy.zh if strategy else name,
        doc=strategy.doc if strategy else "",
        session=session,
        hits=[
            {
                **row,
                "figures": each,
                "concepts": (row["concepts"] or "").split("、") if row["concepts"] else [],
                "new": former is not None and row["ts_code"] not in known,
            }
            for row, each in zip(shown.rows.to_dicts(), figures, strict=True)
        ],
        gone=before.filter(~pl.col("ts_code").is_in(found["ts_code"].to_list())).to_dicts(),
        columns=columns,
        headings=_headings(strategy, parameters),
        parameters=_described(strategy, parameters),
        universe=_universe(found),
        lines=_closes(access.database, shown.rows["ts_code"].to_list(), session),
        closes=_CLOSES,
        first=first,
        shown=shown,
        fresh=found.filter(~pl.col("ts_code").is_in(list(known))).height,
        former=former,
        following=min((each for each in sessions if each > session), default=None),
        screened=session in sessions,
        stored=read(access.database, DAILY_KLINE, start=session, end=session, columns=["ts_code"]).height,
    )


def _known(name: str, sessions: Sequence[dt.date]) -> type[Strategy] | None:
    """The screen's strategy; None for one that is no longer installed but ran. PageError 404 for a name of nothing."""
    strategies = registered().strategies
    if name not in strategies and not sessions:
        raise PageError(
            404,
            f"没有选股策略“{name}” No such screen",
            why=f"已安装的策略 Installed: {'、'.join(f'{each.zh} {each.name}' for each in strategies.values())}。",
            to_do="全部策略见 /screens",
        )
    return strategies.get(name)


def _sessions_of(database: Database, name: str) -> list[dt.date]:
    """The sessions that the screen ran for, oldest first."""
    return read_sql(database, _SESSIONS).filter(pl.col("screen") == name)["trade_date"].to_list()


def _hits(database: Database, name: str, session: dt.date) -> pl.DataFrame:
    """The session's hits, the best first; of older rows, which have no industry of their own, today's."""
    rows = read(database, SCREEN_RESULTS, start=session, end=session).filter(pl.col("screen") == name)
    listed = read(database, STOCK_LIST, codes=rows["ts_code"].to_list(), columns=["ts_code", "industry"])
    known = rows.join(listed, on="ts_code", how="left", suffix="_today").sort("score", descending=True, nulls_last=True)
    return known.with_columns(pl.coalesce("industry", "industry_today").alias("industry"))


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


def _closes(database: Database, codes: Sequence[str], session: dt.date) -> dict[str, str]:
    """Code -> the points of a line through its last closes, adjusted."""
    start = session - dt.timedelta(days=2 * _CLOSES)
    bars = read(database, DAILY_KLINE, start=start, end=session, codes=codes, columns=["ts_code", "trade_date", "close"])
    factors = read(database, ADJ_FACTOR, start=start, end=session, codes=codes)
    adjusted = adjust(bars, factors, "qfq").drop_nulls("close")
    return {
        str(code): points(rows["close"].tail(_CLOSES).to_list())
        for (code,), rows in adjusted.group_by("ts_code", maintain_order=True)
    }
