"""The paths of the stock scan: shares, their daily bars, what collects them, and the user's own lists."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer, Listed, PageNumber, PerPage, Tagged
from quant_pipeline.door.rest.held import demand
from quant_pipeline.door.rest.launching import start
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.door.rest.sync import Job, Symbol, job_of
from quant_pipeline.market.adjustment import adjust
from quant_pipeline.market.codes import CodeError, parse
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, STOCK_LIST
from quant_pipeline.warehouse.reads import read, read_sql

router = APIRouter(prefix="/api", tags=["stocks"], route_class=Tagged, dependencies=[needs(Scope.READ)], responses=PROBLEMS)
Text = Annotated[str, Query(max_length=40)]
_COLUMNS = ("ts_code", "symbol", "name", "area", "industry", "market", "exchange", "list_status", "list_date", "delist_date")
_CHOSEN = """
FROM stock_list
WHERE list_status = ANY(%(status)s)
  AND (%(market)s = '' OR market = %(market)s) AND (%(industry)s = '' OR industry = %(industry)s)
  AND (%(keyword)s = '' OR strpos(ts_code || ' ' || coalesce(name, '') || ' ' || coalesce(cnspell, ''), %(keyword)s) > 0)
"""


class Stock(BaseModel):
    ts_code: str
    symbol: str | None
    name: str | None
    area: str | None
    industry: str | None
    market: str | None
    exchange: str | None
    list_status: str = Field(description="L listed, D delisted, P paused.")
    list_date: dt.date | None
    delist_date: dt.date | None


class Bar(BaseModel):
    """Prices in 元, vol in 手, amount in 千元, pct_chg in %."""

    trade_date: dt.date
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    pre_close: float | None
    change: float | None
    pct_chg: float | None
    vol: float
    amount: float | None


class Bars(BaseModel):
    ts_code: str
    adjust: str
    bars: list[Bar] = Field(description="The oldest first.")


class Collection(BaseModel):
    """Whose history is to be collected, and from when to when."""

    stock_codes: list[Symbol] = Field([], max_length=1000, description="None: the market.")
    start_date: dt.date
    end_date: dt.date | None = None


@router.get("/stocks")
def stocks(
    access: Reached,
    page: PageNumber = 1,
    per_page: PerPage = 50,
    market: Text = "",
    industry: Text = "",
    keyword: Text = "",
    status: Annotated[list[Literal["L", "D", "P"]], Query()] = ["L"],  # noqa: B006
) -> Answer[Listed[Stock]]:
    """The shares by code; `keyword` is part of a code, a name or its pinyin's initials."""
    chosen = {"market": market, "industry": industry, "keyword": keyword, "status": list(status)}
    total = read_sql(access.database, f"SELECT count(*) {_CHOSEN}", chosen).item()
    window = {"limit": per_page, "offset": (page - 1) * per_page}
    query = f"SELECT {', '.join(_COLUMNS)} {_CHOSEN} ORDER BY ts_code LIMIT %(limit)s OFFSET %(offset)s"
    found = read_sql(access.database, query, chosen | window)
    items = [Stock(**row) for row in found.iter_rows(named=True)]
    return Answer(data=Listed(items=items, page=page, per_page=per_page, total=total))


@router.get("/stocks/{code}")
def stock(code: str, access: Reached) -> Answer[Stock]:
    """One share, by its code in any usual spelling."""
    return Answer(data=Stock(**_listed(access, code)))


@router.get("/stocks/{code}/daily")
def daily(
    code: str,
    access: Reached,
    start_date: dt.date | None = None,
    end_date: dt.date | None = None,
    adjust_as: Annotated[Literal["raw", "qfq", "hfq"], Query(alias="adjust")] = "raw",
) -> Answer[Bars]:
    """Daily bars of one share, as traded or adjusted. 404 where some that were asked for are not stored, or the factors of
    some are not; without a beginning all that is stored, and `message` says since when it is."""
    ts_code = _listed(access, code)["ts_code"]
    note = demand(access, DAILY_KLINE, ts_code, start_date, end_date)
    bars = read(access.database, DAILY_KLINE, start=start_date, end=end_date, codes=[ts_code])
    if adjust_as != "raw":
        if bars.height:
            demand(access, ADJ_FACTOR, ts_code, bars["trade_date"].min(), bars["trade_date"].max())
        bars = adjust(bars, read(access.database, ADJ_FACTOR, codes=[ts_code]), adjust_as)
    told = [Bar(**row) for row in bars.sort("trade_date").drop("ts_code").iter_rows(named=True)]
    return Answer(message=note, data=Bars(ts_code=ts_code, adjust=adjust_as, bars=told))


@router.post("/data-collection/stocks", dependencies=[needs(Scope.RUN)])
def collect_stocks(access: Reached) -> Answer[Job]:
    """Syncs the list of shares, as `quant-pipeline sync --datasets stock_list` does."""
    return job_of(start(access.database, ["sync", "--datasets", STOCK_LIST.name]), {})


@router.post("/data-collection/history", dependencies=[needs(Scope.RUN)])
def collect_history(asked: Collection, access: Reached) -> Answer[Job]:
    """Syncs daily bars and factors of these codes, or of the market."""
    options = ["--datasets", f"{DAILY_KLINE.name},{ADJ_FACTOR.name}", "--start", str(asked.start_date)]
    options += ["--end", str(asked.end_date)] if asked.end_date else []
    options += ["--symbols", ",".join(asked.stock_codes)] if asked.stock_codes else []
    return job_of(start(access.database, ["sync", *options]), asked.model_dump(mode="json"))


def _listed(access: Reached, code: str) -> dict[str, Any]:
    """The share's row of the list. PageError 404 where there is none."""
    try:
        ts_code = parse(code)
    except CodeError as error:
        raise PageError(404, f"没有这个代码 No such code: {code[:20]}", why=str(error)) from None
    found = read(access.database, STOCK_LIST, codes=[ts_code], columns=_COLUMNS)
    if found.is_empty():
        command = "quant-pipeline sync --datasets stock_list"
        raise PageError(404, f"股票列表没有 {ts_code} The list has none", why="代码有误，或列表尚未同步。", command=command)
    row: dict[str, Any] = found.row(0, named=True)
    return row
