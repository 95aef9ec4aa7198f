"""The pages /backtests, /backtests/compare?id=…&id=…, /backtests/<id>: what was run, beside each other, and one's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import polars as pl
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from quant_pipeline.backtest import archive
from quant_pipeline.charts.equity import compared_figure
from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.paging import Number
from quant_pipeline.door.rendering import page
from quant_pipeline.look import figures
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.strategies.registry import registered
from quant_pipeline.sync.insight.history import Page

if TYPE_CHECKING:
    from quant_pipeline.backtest.archive import Run
    from quant_pipeline.warehouse.database import Database

router = APIRouter(default_response_class=HTMLResponse)

_LISTED = 50
_COMPARED = 8
"""Runs that still have room beside each other."""
_PARTS = {
    "total_return": "总收益 Total return",
    "annual_return": "年化收益 Annual",
    "excess": "超额收益 Excess",
    "max_drawdown": "最大回撤 Max drawdown",
    "volatility": "年化波动 Volatility",
    "alpha": "α",
    "win_rate": "胜率 Win rate",
    "exposure": "仓位 Exposure",
}
_NUMBERS = {
    "sharpe": "夏普比率 Sharpe",
    "sortino": "Sortino",
    "calmar": "Calmar",
    "beta": "β",
    "profit_factor": "盈亏比 Profit factor",
    "turnover": "换手率 Turnover, yearly",
}
_COUNTS = {"orders": "委托 Orders", "orders_refused": "未成交委托 Refused", "sales": "卖出 Sales"}


@router.get("/backtests")
def every(request: Request, access: Reached, name: str = "", series: str = "", number: Number = 1) -> HTMLResponse:
    """The newest first, of all, of one strategy, or of one grid or walk-forward (`series`)."""
    total = archive.count(access.database, name=name, series=series)
    number = min(number, -(-total // _LISTED) or 1)
    found = archive.runs(access.database, name=name, series=series, limit=_LISTED, offset=(number - 1) * _LISTED)
    asked = urlencode({key: value for key, value in (("name", name), ("series", series)) if value})
    return page(
        request,
        "backtests.html",
        runs=[replace(run, created_at=run.created_at.astimezone(EXCHANGE_ZONE)) for run in found],
        total=total,
        name=name,
        series=series,
        strategies=_names(),
        ran=archive.names(access.database),
        shown=Page(pl.DataFrame(), number, _LISTED, total),
        link=f"/backtests?{asked}&" if asked else "/backtests?",
    )


@router.get("/backtests/compare")
def compared(request: Request, access: Reached, ids: Annotated[list[str], Query(alias="id")] = []) -> HTMLResponse:  # noqa: B006
    found = archive.some(access.database, ids)
    if len(found) < 2:
        raise PageError(
            400,
            "请选择两个及以上的回测 Choose two or more",
            why="在列表中勾选要对比的回测。Tick them in the list.",
            links={"/backtests": "全部回测 All backtests"},
        )
    found = found[:_COMPARED]
    names = _names()
    labels = [f"{place}. {names.get(run.name, run.name)}" for place, run in enumerate(found, 1)]
    curves = {label: _returns(access.database, run) for label, run in zip(labels, found, strict=True)}
    return page(
        request, "backtests_compared.html", runs=found, strategies=names, rows=_rows(found), figure=compared_figure(curves)
    )


@router.get("/backtests/{number}")
def one(request: Request, access: Reached, number: str) -> HTMLResponse:
    from quant_pipeline.backtest_report.made import report_of

    report = report_of(access.database, number)
    if report is None:
        raise PageError(
            404,
            f"没有回测“{number}” No such backtest",
            why="没有以此编号保存的回测。No backtest is stored under this number.",
            links={"/backtests": "全部回测 All backtests"},
        )
    return page(request, "backtest.html", report=report, base="")


def _names() -> dict[str, str]:
    return {name: strategy.zh for name, strategy in registered().strategies.items()}


def _returns(database: Database, run: Run) -> pl.DataFrame:
    equity = archive.equity(database, run.id)
    return equity.select("trade_date", result=pl.col("equity") / run.figures["capital"] - 1)


def _rows(runs: Sequence[Run]) -> list[Mapping[str, Any]]:
    """A row per figure, parameter and setting that differs; the same in all is marked so."""
    rows = [
        ("区间 Range", [f"{run.start_date} – {run.end_date}" for run in runs]),
        ("股票池 Universe", [run.universe for run in runs]),
        *_of_mappings([run.parameters for run in runs], always=True),
        *_of_mappings([run.settings for run in runs], always=False),
        *((words, [figures.percent(_hundredfold(run.shown[name])) for run in runs]) for name, words in _PARTS.items()),
        *((words, [figures.number(run.shown[name]) for run in runs]) for name, words in _NUMBERS.items()),
        *((words, [figures.count(run.figures[name]) for run in runs]) for name, words in _COUNTS.items()),
        ("交易成本 Costs 元", [figures.count(sum(run.figures["costs"].values())) for run in runs]),
    ]
    return [{"name": name, "cells": cells, "same": len(set(cells)) == 1} for name, cells in rows]


def _of_mappings(mappings: Sequence[Mapping[str, Any]], *, always: bool) -> list[tuple[str, list[str]]]:
    names = list(dict.fromkeys(name for each in mappings for name in each))
    rows = [(name, [str(each.get(name, "–")) for each in mappings]) for name in names]
    return [row for row in rows if always or len(set(row[1])) > 1]


def _hundredfold(value: float | None) -> float | None:
    return None if value is None else value * 100
