"""What the platform depends upon: its sources, and the services and channels of QUANT_CHANNELS. How each does, how it is set
(never a secret), one question to a source, and its circuit closed by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from quant_pipeline.door.access import Access, Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer, Tagged
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.language import chinese, speaking
from quant_pipeline.market import clock
from quant_pipeline.retelling import retold

if TYPE_CHECKING:
    from quant_pipeline.notify.channels.configured import Configured
    from quant_pipeline.services.manager import Manager

router = APIRouter(
    prefix="/api/v1/services",
    tags=["services"],
    route_class=Tagged,
    dependencies=[needs(Scope.READ)],
    responses=PROBLEMS,
)
Name = Annotated[str, Path(max_length=64, description="GET /api/v1/services lists them.", examples=["tushare"])]
_FORMER = {
    "macro": ("宏观数据由数据源同步。Its data come from the sources.", "GET /api/v1/services, GET /api/v1/status"),
    "portfolio": (
        "组合由策略、信号与回测得出。Portfolios are strategies, signals, backtests.",
        "GET /api/strategies, /api/backtests",
    ),
    "execution": (
        "本平台不下单：决定在信号里，成交只在回测里模拟。No orders are placed: decisions are signals, fills are simulated.",
        "GET /api/v1/signals/history, POST /api/backtests",
    ),
    "flowhub": ("数据流即同步。The flow of data is the sync.", "GET /api/v1/dataflow/status, POST /api/sync/trigger"),
}
"""The services of the former system that are none here: what stands in their place, and where."""
Kind = Literal["source", "service", "channel"]


class Service(BaseModel):
    name: str
    kind: Kind
    about: str
    priority: int | None = Field(description="1 is asked first, 0 is off; null: channels have routes.")
    available: bool = Field(description="Whether it can be asked now.")
    why: str = Field(description="Why not.")


class ApiState(BaseModel):
    api: str
    circuit: str = Field(description="closed, open or half_open.")
    failures: int = Field(description="In a row.")
    held_until: dt.datetime | None = Field(description="Until then it is left alone.")
    reason: str
    calls_day: int
    success_rate: float | None = Field(description="% of the last day's calls.")
    seconds_avg: float | None


class ServiceState(Service):
    apis: list[ApiState] = Field(description="Those that were ever called.")


class Pace(BaseModel):
    per_minute: int | None
    per_second: float | None
    concurrency: int
    retries: int
    timeout: float
    trip: int = Field(description="Failed calls in a row that open the circuit.")
    cool_down: float = Field(description="Seconds that it then stays open.")


class ServiceConfig(BaseModel):
    name: str
    kind: Kind
    provider: str
    priority: int | None
    enabled: bool
    settings: dict[str, bool] = Field(description="Variables or options that it needs -> whether each is set. Never a value.")
    pace: dict[str, Pace] = Field(description="API -> its pace; *: all others.")


class HealthCheck(BaseModel):
    name: str
    healthy: bool | None = Field(description="null: it cannot be asked without doing something.")
    words: str
    api: str | None = None
    calls: int = 0
    seconds: float = 0.0
    rows: int | None = None


class Reconnected(BaseModel):
    name: str
    freed: list[str] = Field(description="What was closed or lifted; empty: nothing was in the way.")


@router.get("")
def every(access: Reached) -> Answer[list[Service]]:
    """All sources, services and channels. `message` tells those of the file that cannot be used as they are written."""
    from quant_pipeline.resources import channels

    manager, found = channels.services(access.settings, access.database), channels.found(access.settings, access.database)
    listed = list(_services(access, manager, found))
    return Answer(message="; ".join(map(_zh, {**manager.mistakes, **found.mistakes}.values())), data=listed)


@router.get("/{service}/status")
def status(service: Name, access: Reached) -> Answer[ServiceState]:
    """How it does: its circuits, and the calls of the last day."""
    from quant_pipeline.services.health import health_of

    known = _found(access, service)
    apis = [
        ApiState(
            api=each.api,
            circuit=each.circuit,
            failures=each.failures,
            held_until=clock.now() + dt.timedelta(seconds=each.held) if each.held else None,
            reason=_zh(each.reason or "") if each.held else "",
            calls_day=each.calls,
            success_rate=None if each.success_rate is None else each.success_rate * 100,
            seconds_avg=each.seconds,
        )
        for each in health_of(access.database, [service])
    ]
    return Answer(data=ServiceState(**known.model_dump(), apis=apis))


@router.get("/{service}/config")
def config(service: Name, access: Reached) -> Answer[ServiceConfig]:
    """How it is set: priority, pace, and which of the variables that it needs are set. No value of them is shown."""
    known = _found(access, service)
    told = {"source": _of_source, "service": _of_service, "channel": _of_channel}[known.kind](access, known)
    return Answer(data=told)


@router.post("/{service}/health-check", dependencies=[needs(Scope.RUN)])
def health_check(service: Name, access: Reached) -> Answer[HealthCheck]:
    """Puts one cheap question to it, as `quant-pipeline doctor` does. What cannot be asked without sending something is not."""
    known = _found(access, service)
    if known.kind == "source":
        return Answer(data=_asked(access, known))
    if known.kind == "channel":
        return Answer(data=_polled(access, known))
    words = "不发出请求无法得知；这是它最近的状态。It cannot be asked without using it; its state is that of its last calls."
    return Answer(data=HealthCheck(name=service, healthy=None, words=f"{words} {known.why}".strip()))


@router.post("/{service}/reconnect", dependencies=[needs(Scope.ADMIN)])
def reconnect(service: Name, access: Reached) -> Answer[Reconnected]:
    """Closes its circuits and lifts the wait that it asked for, as `--reset` of the commands `sources` and `services`: the
    next call is made at once. Connections need no renewal: each call makes its own."""
    from quant_pipeline.sources import controls

    _found(access, service)
    freed = controls.reset(access.database, controls.SourceApi(service))
    message = "已恢复 reset" if freed else "没有需要恢复的 nothing to reset"
    return Answer(message=message, data=Reconnected(name=service, freed=[_zh(each) for each in freed]))


def _found(access: Access, name: str) -> Service:
    """PageError 404 names those that there are; of a service of the former system what stands in its place."""
    from quant_pipeline.resources import channels

    manager, found = channels.services(access.settings, access.database), channels.found(access.settings, access.database)
    services = {each.name: each for each in _services(access, manager, found)}
    if name in services:
        return services[name]
    if name in _FORMER:
        why, where = _FORMER[name]
        raise PageError(404, f"没有服务 {name} There is no service {name} here", why=why, to_do=where)
    why = f"服务有 The services are: {', '.join(services)}"
    raise PageError(404, f"没有服务 {name[:64]} There is no such service", why=why, to_do="GET /api/v1/services")


def _services(access: Access, manager: Manager, found: Configured) -> Iterator[Service]:
    """Each name once: a source before a service, a service before a channel."""
    from quant_pipeline.resources import upstream
    from quant_pipeline.services.health import health_of
    from quant_pipeline.sources import registry

    database, settings = access.database, access.settings
    ranks, lacking, kinds = _ranks(access), upstream.lacking(settings), registry.registered().sources
    names = [*kinds, *(each for each in manager.all() if each not in kinds)]
    names += [each for each in found.channels if each not in names]
    held: dict[str, str] = {}
    for each in health_of(database, names):
        if not each.available:
            held.setdefault(each.name, f"{each.api}: {_zh(each.reason or '')}")
    service_ranks = manager.ranks()
    for name in names:
        if name in kinds:
            about = (kinds[name].__doc__ or name).strip().splitlines()[0]
            kind: Kind = "source"
            rank: int | None = ranks[name]
            why = chinese(lacking[name]) if name in lacking else held.get(name, "")
        elif name in manager.all():
            setup = manager.all()[name].setup
            about, kind, rank, why = f"{setup.kind}/{setup.provider}", "service", service_ranks[name], held.get(name, "")
            rank = rank if setup.enabled else 0
        else:
            about, kind, rank, why = found.channels[name].kind, "channel", None, held.get(name, "")
        if rank == 0:
            why = "已关闭（优先级 0）off"
        yield Service(name=name, kind=kind, about=about, priority=rank, available=not why, why=why)


def _ranks(access: Access) -> dict[str, int]:
    """Source -> its priority: that set by hand, else the environment's."""
    from quant_pipeline.sources import registry
    from quant_pipeline.sources.controls import WHOLE
    from quant_pipeline.sync.insight.health import health_of

    health = health_of(access.database, registry.policies(access.settings.rate_limits), registry.priorities())
    return {row["source"]: row["priority"] for row in health if row["api"] == WHOLE}


def _of_source(access: Access, known: Service) -> ServiceConfig:
    from quant_pipeline.settings import read
    from quant_pipeline.sources import registry

    kind = registry.registered().sources[known.name]
    values = read(kind.settings).model_dump(by_alias=True)
    return ServiceConfig(
        name=known.name,
        kind=known.kind,
        provider=known.name,
        priority=known.priority,
        enabled=bool(known.priority),
        settings={variable: value is not None for variable, value in values.items()},
        pace={
            api: Pace(**policy.model_dump(include=set(Pace.model_fields)))
            for api, policy in registry.policies(access.settings.rate_limits).get(known.name, {}).items()
        },
    )


def _of_service(access: Access, known: Service) -> ServiceConfig:
    from quant_pipeline.resources import channels

    adapter = channels.services(access.settings, access.database).all()[known.name]
    setup = adapter.setup
    pace = adapter.policy.model_dump(include=set(Pace.model_fields))
    by_hand = {"timeout": setup.timeout, "retries": setup.retry_times}
    return ServiceConfig(
        name=known.name,
        kind=known.kind,
        provider=setup.provider,
        priority=known.priority,
        enabled=setup.enabled,
        settings={name: bool(setup.options.get(name)) for name in (*adapter.needs, *adapter.takes)},
        pace={"*": Pace(**pace | {name: value for name, value in by_hand.items() if value is not None})},
    )


def _of_channel(access: Access, known: Service) -> ServiceConfig:
    del access
    return ServiceConfig(
        name=known.name, kind=known.kind, provider=known.about, priority=None, enabled=True, settings={}, pace={}
    )


def _asked(access: Access, known: Service) -> HealthCheck:
    from quant_pipeline.resources.source_check import ask, opened

    if known.priority == 0:
        return HealthCheck(name=known.name, healthy=None, words=known.why)
    calendar = access.calendar()
    with opened(access.database, calendar, access.settings) as sources:
        source = next((each for each in sources if each.name == known.name), None)
        if source is None:
            return HealthCheck(name=known.name, healthy=None, words="未配置，可不用 It is not set up; it is optional")
        answer = ask(source, calendar)
    if answer.api is None and answer.well:
        return HealthCheck(name=known.name, healthy=True, words="只用已存数据，不发请求 It works from what is stored")
    why = answer.unavailable or answer.problem
    words = _zh(why) if why is not None else f"{answer.api} {answer.seconds:.1f} s"
    return HealthCheck(
        name=known.name, healthy=answer.well, words=words, api=answer.api, calls=answer.calls, seconds=answer.seconds,
        rows=answer.rows,
    )  # fmt: skip


def _polled(access: Access, known: Service) -> HealthCheck:
    from quant_pipeline.notify.channels.pushplus import PushPlus
    from quant_pipeline.resources import channels

    channel: Any = channels.found(access.settings, access.database).channels[known.name]
    if not isinstance(channel, PushPlus) or not channel.polls:
        words = f"不发消息无法得知。Without a message it cannot be known: quant-pipeline notify test {known.name}"
        return HealthCheck(name=known.name, healthy=None, words=words)
    asked = channel.poll(_NOBODYS)
    words = "token 与 secret key 有效 they are accepted" if asked.reached else _zh(asked.reason)
    return HealthCheck(name=known.name, healthy=asked.reached, words=words, calls=1)


_NOBODYS = "door"
"""A message that was never sent: asking for it costs none."""


def _zh(words: str) -> str:
    with speaking("zh"):
        return retold(words)
