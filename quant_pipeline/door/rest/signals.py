"""Signals: decide upon a session's, by the rules or by another policy; what was decided, and how signals fared."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from quant_pipeline.configuration import ConfigurationError
from quant_pipeline.door.access import Access, Reached
from quant_pipeline.door.days import session_of
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer, Listed, PageNumber, PerPage, Tagged
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.market.datasets import SIGNAL_STATISTICS
from quant_pipeline.signals import past
from quant_pipeline.signals.rules import Policy, Rules, load
from quant_pipeline.strategies.registry import registered
from quant_pipeline.warehouse.reads import read

router = APIRouter(
    prefix="/api/v1/signals", tags=["signals"], route_class=Tagged, dependencies=[needs(Scope.READ)], responses=PROBLEMS
)
Code = Annotated[str | None, Query(pattern=r"^[0-9A-Za-z]{1,9}\.[A-Z]{2}$", examples=["600000.SH"])]
Named = Annotated[str | None, Query(max_length=64)]


class ToRoute(BaseModel):
    session: dt.date | None = Field(None, description="None: the latest complete one.")


class ToResolve(ToRoute):
    policy: Policy = Field(description="Who wins where strategies contradict each other.")


class Routed(BaseModel):
    session: dt.date
    policy: str
    signals: int
    accepted: int
    refused: int
    conflicts: dict[str, int]
    failed: dict[str, str] = Field(description="Strategies whose screens could not be read, and why.")


class Cleaned(BaseModel):
    expired: int
    forgotten: int
    oldest: dt.date


class Decision(BaseModel):
    decided_on: dt.date
    trade_date: dt.date
    strategy: str
    ts_code: str
    direction: str
    decision: str = Field(description="accepted, refused or expired.")
    conflict: str | None = Field(description="opposite, duplicate, held, not_held; null: none.")
    against: str | None
    policy: str
    reason: str


class Fared(BaseModel):
    """Bought at the next open, valued `horizon` sessions after the signal; rates and returns in %."""

    trade_date: dt.date
    strategy: str
    direction: str
    horizon: int
    signals: int
    untradable: int
    hit_rate: float | None
    mean_return: float | None
    mean_excess: float | None
    benchmark: str


@router.post("/route", dependencies=[needs(Scope.RUN)])
def route(asked: ToRoute, access: Reached) -> Answer[Routed]:
    """Decides upon the session's signals by the rules of signals.toml, as the asset `signals` does."""
    return Answer(message="已决定 decided", data=_routed(access, asked.session, None))


@router.post("/resolve", dependencies=[needs(Scope.RUN)])
def resolve(asked: ToResolve, access: Reached) -> Answer[Routed]:
    """Decides anew, its contradictions resolved by this policy."""
    return Answer(message="已决定 decided", data=_routed(access, asked.session, asked.policy))


@router.post("/cleanup", dependencies=[needs(Scope.RUN)])
def cleanup(access: Reached) -> Answer[Cleaned]:
    """Marks signals whose validity has ended, and forgets those that signals.toml keeps no longer."""
    from quant_pipeline.signals.cleanup import clean

    done = clean(access.database, access.calendar(), _rules())
    return Answer(message="已清理 cleaned", data=Cleaned(expired=done.expired, forgotten=done.forgotten, oldest=done.oldest))


@router.get("/conflicts")
def conflicts(
    access: Reached,
    page: PageNumber = 1,
    per_page: PerPage = 50,
    start_date: dt.date | None = None,
    end_date: dt.date | None = None,
    ts_code: Code = None,
    strategy: Named = None,
) -> Answer[Listed[Decision]]:
    """Decisions on signals that something stood against, the newest first."""
    return _decisions(access, past.Wanted(start_date, end_date, ts_code, strategy, conflicts=True), page, per_page)


@router.get("/history")
def history(
    access: Reached,
    page: PageNumber = 1,
    per_page: PerPage = 50,
    start_date: dt.date | None = None,
    end_date: dt.date | None = None,
    ts_code: Code = None,
    strategy: Named = None,
) -> Answer[Listed[Decision]]:
    """Every decision, the newest first."""
    return _decisions(access, past.Wanted(start_date, end_date, ts_code, strategy), page, per_page)


@router.get("/stats")
def stats(access: Reached, session: dt.date | None = None) -> Answer[list[Fared]]:
    """How the signals of each strategy fared as of a session (none named: the last one that has figures)."""
    rows = read(access.database, SIGNAL_STATISTICS, start=session, end=session)
    latest = rows.filter(rows["trade_date"] == rows["trade_date"].max()) if rows.height else rows
    told = latest.sort("strategy", "direction", "horizon").iter_rows(named=True)
    return Answer(data=[Fared(**{name: row[name] for name in Fared.model_fields}) for row in told])


def _decisions(access: Access, wanted: past.Wanted, page: int, per_page: int) -> Answer[Listed[Decision]]:
    rows = past.decisions(access.database, wanted, limit=per_page, offset=(page - 1) * per_page)
    items = [Decision(**row) for row in rows.iter_rows(named=True)]
    return Answer(data=Listed(items=items, page=page, per_page=per_page, total=past.count(access.database, wanted)))


def _routed(access: Access, session: dt.date | None, policy: Policy | None) -> Routed:
    from quant_pipeline.signals.portfolio import held
    from quant_pipeline.signals.router import NotScreened
    from quant_pipeline.signals.router import route as routed

    database, calendar, rules = access.database, access.calendar(), _rules()
    day = session_of(calendar, str(session or calendar.latest()), under="/signals")
    ((_, done, news),) = routed(
        database, calendar, rules, [day], policy=policy, held=lambda each: held(database, calendar, each, rules.portfolio)
    )
    if isinstance(done, NotScreened):
        raise PageError(400, "未作决定 Nothing was decided", why=str(done), command=f"quant-pipeline run --date {day}")
    counts: dict[str, Any] = dict(done.decisions["decision"].value_counts().iter_rows())
    return Routed(
        session=day,
        policy=(rules.policy if policy is None else policy).value,
        signals=done.decisions.height,
        accepted=counts.get("accepted", 0),
        refused=counts.get("refused", 0),
        conflicts=done.conflicts,
        failed={name: str(why) for name, why in news.failed.items()},
    )


def _rules() -> Rules:
    try:
        return load(registered().strategies)
    except ConfigurationError as error:
        raise PageError(400, "signals.toml 无法使用 cannot be used", why=str(error)) from None
