"""What a watchman asks: figures, alerts and the rules that make them, how fast the sources are, whether all is well."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from quant_pipeline.door import metrics as figures
from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer, Listed, PageNumber, PerPage, Tagged
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.language import chinese
from quant_pipeline.notify.severity import Severity

router = APIRouter(
    prefix="/api/v1/monitoring",
    tags=["monitoring"],
    route_class=Tagged,
    dependencies=[needs(Scope.READ)],
    responses=PROBLEMS,
)
_UNCHANGED = "告警未改动 Nothing was changed"


class Figure(BaseModel):
    name: str = Field(description="As /metrics names it.")
    labels: dict[str, str]
    value: float | None = Field(description="null: there is none.")


class Alert(BaseModel):
    id: int
    rule: str
    subject: str
    severity: str
    cause: str = Field(description="English; the page /alerts tells it in Chinese.")
    link: str | None
    state: str = Field(description="open, acknowledged or resolved.")
    opened_at: dt.datetime
    seen_at: dt.datetime
    told_at: dt.datetime | None
    acknowledged_at: dt.datetime | None
    acknowledged_by: str | None
    resolved_at: dt.datetime | None


class Acknowledged(BaseModel):
    """Alerts of which somebody knows: they are told no more."""

    ids: list[Annotated[int, Field(ge=1, le=2**62)]] = Field(min_length=1, max_length=1000)
    by: str = Field("api", min_length=1, max_length=64, pattern=r"^[^\x00]+$")


class RuleTold(BaseModel):
    rule: str
    title: str
    doc: str
    enabled: bool
    threshold: float | None
    unit: str
    severity: str
    open: int = Field(description="Alerts of it that are open.")
    changed_by: str | None
    changed_at: dt.datetime | None


class Rule(BaseModel):
    """What is to be set of one rule; what is left out stays as it is."""

    rule: str = Field(max_length=64, examples=["slow"])
    enabled: bool | None = None
    threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    severity: Literal["critical", "warning", "info"] | None = None
    by: str = Field("api", min_length=1, max_length=64, pattern=r"^[^\x00]+$")


class Speed(BaseModel):
    source: str
    api: str = Field(description="*: the source as a whole.")
    circuit: str | None
    calls_minute: int | None
    quota: int | None
    calls_hour: int | None
    calls_day: int | None
    judged: int | None = Field(description="Calls that the next three are counted over.")
    success_rate: float | None = Field(description="%")
    seconds_avg: float | None
    seconds_p95: float | None


class Wellbeing(BaseModel):
    status: Literal["ok", "degraded"] = Field(description="degraded: one of the lists below is not empty.")
    stale: list[str] = Field(description="Data sets behind their time.")
    circuits_open: list[str]
    alerts_critical: list[str] = Field(description="Open critical alerts: rule and subject.")
    messages_failed: int = Field(description="Messages that no channel took.")


@router.get("/metrics")
def metrics(access: Reached) -> Answer[list[Figure]]:
    """The figures of /metrics, as JSON."""
    return Answer(
        data=[
            Figure(name=sample.name, labels=dict(sample.labels), value=None if sample.value != sample.value else sample.value)
            for family in figures.collected(access)
            for sample in family.samples
        ]
    )


@router.get("/alerts")
def alerts(access: Reached, page: PageNumber = 1, per_page: PerPage = 50, resolved: bool = False) -> Answer[Listed[Alert]]:
    """The open alerts, the gravest first; `resolved`: after them those that are over."""
    from quant_pipeline.alerts import book

    database = access.database
    rows = book.alerts(database, everything=resolved, limit=per_page, offset=(page - 1) * per_page)
    items = [Alert(**row) for row in rows.iter_rows(named=True)]
    return Answer(data=Listed(items=items, page=page, per_page=per_page, total=book.count(database, everything=resolved)))


@router.post("/alerts/ack", dependencies=[needs(Scope.RUN)])
def acknowledge(asked: Acknowledged, access: Reached) -> Answer[list[int]]:
    """Somebody knows of these alerts, as `quant-pipeline alerts ack` says it. All of them, or (400) none."""
    from quant_pipeline.alerts import book

    try:
        book.acknowledge(access.database, asked.ids, asked.by)
    except book.AlertError as error:
        raise PageError(400, _UNCHANGED, why=chinese(str(error)), command="quant-pipeline alerts list") from None
    return Answer(message="已知悉 acknowledged", data=asked.ids)


@router.get("/rules")
def rules(access: Reached) -> Answer[list[RuleTold]]:
    """Every rule as it is set."""
    return Answer(data=_rules(access))


@router.post("/rules", dependencies=[needs(Scope.ADMIN)])
def change(asked: Rule, access: Reached) -> Answer[RuleTold]:
    """Sets switch, threshold or severity of a rule, as `quant-pipeline alerts rules` does."""
    from quant_pipeline.alerts import book

    severity = None if asked.severity is None else Severity(asked.severity)
    try:
        book.change_rule(
            access.database, asked.rule, by=asked.by, enabled=asked.enabled, threshold=asked.threshold, severity=severity
        )
    except book.AlertError as error:
        raise PageError(400, _UNCHANGED, why=str(error), command="quant-pipeline alerts rules") from None
    return Answer(message="规则已保存 saved", data=next(each for each in _rules(access) if each.rule == asked.rule))


@router.get("/performance")
def performance(access: Reached) -> Answer[list[Speed]]:
    """Calls, success rate and times of each source and its APIs, as `quant-pipeline sources` tells them."""
    return Answer(data=[Speed(**{name: row[name] for name in Speed.model_fields}) for row in figures.health(access)])


@router.get("/health")
def health(access: Reached) -> Answer[Wellbeing]:
    """Whether anything needs a person: stale data, open circuits, critical alerts, messages that went nowhere."""
    from quant_pipeline.alerts import book
    from quant_pipeline.notify import listing
    from quant_pipeline.sync.insight.health import open_circuits
    from quant_pipeline.sync.insight.status import status_of

    database = access.database
    now = status_of(database, access.calendar(), off=access.settings.without)
    critical = [row for row in book.alerts(database).iter_rows(named=True) if row["severity"] == "critical"]
    told = Wellbeing(
        status="ok",
        stale=[each.dataset for each in now.datasets if each.stale],
        circuits_open=[f"{row['source']}/{row['api']}" for row in open_circuits(figures.health(access))],
        alerts_critical=[f"{row['rule']}: {row['subject']}" for row in critical],
        messages_failed=listing.count(database, status="failed"),
    )
    troubled = told.stale or told.circuits_open or told.alerts_critical or told.messages_failed
    return Answer(data=told.model_copy(update={"status": "degraded" if troubled else "ok"}))


def _rules(access: Reached) -> list[RuleTold]:
    from quant_pipeline.alerts import book

    return [
        RuleTold(**row | {"title": chinese(row["title"]), "doc": chinese(row["doc"])})
        for row in book.rules(access.database).iter_rows(named=True)
    ]
