"""Strategies and backtests."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer, Listed, PageNumber, PerPage, Tagged
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.door.rest.sync import Symbol
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.registry import registered

router = APIRouter(prefix="/api", tags=["research"], route_class=Tagged, dependencies=[needs(Scope.READ)], responses=PROBLEMS)
_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}


class Parameter(BaseModel):
    type: str
    default: Any
    description: str


class StrategyTold(BaseModel):
    id: str = Field(examples=["dual_ma"])
    name: str
    description: str
    parameters: dict[str, Parameter]


class Asked(BaseModel):
    """A backtest to be run."""

    strategy_id: str = Field(max_length=64, examples=["dual_ma"])
    stock_codes: list[Symbol] = Field([], max_length=1000, description="None: the market.")
    start_date: dt.date | None = None
    end_date: dt.date | None = None
    initial_capital: Annotated[float, Field(gt=0, le=1e12)] = 1_000_000
    parameters: dict[str, Any] = Field({}, description="Of the strategy, or of the account: fast, fill, max_positions …")


class Backtest(BaseModel):
    id: str
    strategy_id: str
    parameters: dict[str, Any]
    settings: dict[str, Any]
    universe: str
    start_date: dt.date
    end_date: dt.date
    created_at: dt.datetime
    figures: dict[str, Any]
    notes: list[str]


class Day(BaseModel):
    trade_date: dt.date
    equity: float
    drawdown: float | None
    benchmark: float | None
    positions: int


class Whole(Backtest):
    """With its equity, day by day."""

    equity: list[Day]


@router.get("/strategies")
def strategies() -> Answer[list[StrategyTold]]:
    """Every strategy, built in or the user's own, with its parameters."""
    return Answer(data=[_told(each) for each in registered().strategies.values()])


@router.get("/strategies/{strategy_id}")
def strategy(strategy_id: str) -> Answer[StrategyTold]:
    """One strategy."""
    found = registered().strategies.get(strategy_id)
    if found is None:
        known = ", ".join(registered().strategies)
        raise PageError(404, f"没有这个策略 No such strategy: {strategy_id[:64]}", why=f"已有 Known: {known}")
    return Answer(data=_told(found))


@router.post("/backtests", status_code=201, dependencies=[needs(Scope.RUN)])
def run(asked: Asked, access: Reached) -> Answer[Whole]:
    """Runs a backtest under the exchange's rules and stores it, as `quant-pipeline backtest` does; answers when it is done."""
    from quant_pipeline.backtest.asked import Asked as Wanted
    from quant_pipeline.backtest.asked import backtested, sorted_out, strategy_named
    from quant_pipeline.backtest.settings import Settings as Account
    from quant_pipeline.backtest.store import store
    from quant_pipeline.warehouse.lake import folder_of

    try:
        kind = strategy_named(asked.strategy_id)
        own, engine = sorted_out(kind, asked.parameters)
        account = Account.of({**engine, "capital": asked.initial_capital})
        universe = ",".join(asked.stock_codes) or "all"
        wanted = Wanted(kind.with_parameters(own), account, asked.start_date, asked.end_date, universe)
        number = store(access.database, backtested(access.database, folder_of(access.settings), access.calendar(), wanted))
    except ValueError as error:  # sentences of backtest and strategies
        raise PageError(400, "回测未运行 The backtest was not run", why=str(error)) from None
    return Answer(message="回测完成 done", data=_whole(access, number))


@router.get("/backtests")
def backtests(access: Reached, page: PageNumber = 1, per_page: PerPage = 20) -> Answer[Listed[Backtest]]:
    """The stored backtests, the newest first."""
    from quant_pipeline.backtest import archive

    found = archive.runs(access.database, limit=per_page, offset=(page - 1) * per_page)
    total = archive.count(access.database)
    return Answer(data=Listed(items=[Backtest(**_row(each)) for each in found], page=page, per_page=per_page, total=total))


@router.get("/backtests/{backtest_id}")
def backtest(backtest_id: str, access: Reached) -> Answer[Whole]:
    """One backtest: settings, figures, equity."""
    return Answer(data=_whole(access, backtest_id))


def _told(kind: type[Strategy]) -> StrategyTold:
    described = kind.Parameters.model_json_schema().get("properties", {})
    parameters = {
        name: Parameter(
            type=_TYPES.get(each.get("type", ""), "any"), default=each.get("default"), description=each.get("description", "")
        )
        for name, each in described.items()
    }
    return StrategyTold(id=kind.name, name=kind.zh, description=kind.doc, parameters=parameters)


def _whole(access: Reached, number: str) -> Whole:
    from quant_pipeline.backtest import archive

    found = archive.some(access.database, [number])
    if not found:
        raise PageError(404, f"没有这次回测 No such backtest: {number[:64]}")
    days = [Day(**row) for row in archive.equity(access.database, number).iter_rows(named=True)]
    return Whole(**_row(found[0]), equity=days)


def _row(run: Any) -> dict[str, Any]:
    return {
        "id": run.id,
        "strategy_id": run.name,
        "parameters": dict(run.parameters),
        "settings": dict(run.settings),
        "universe": run.universe,
        "start_date": run.start_date,
        "end_date": run.end_date,
        "created_at": run.created_at,
        "figures": dict(run.figures),
        "notes": list(run.notes),
    }
