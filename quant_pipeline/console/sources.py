"""What the command `sources` shows: the health of each source and API, and the record of their moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from quant_pipeline.console.insight import Output, table_titled
from quant_pipeline.settings import Settings
from quant_pipeline.sources import controls
from quant_pipeline.sources.controls import WHOLE
from quant_pipeline.sources.registry import policies, priorities, registered
from quant_pipeline.sync.insight.health import SLOW_ABOVE, UNHEALTHY_BELOW, health_of, troubles
from quant_pipeline.warehouse.database import Database


def sources(database: Database, settings: Settings, *, events: bool, reset: str | None, priority: str | None) -> Output:
    """Does what was asked for by hand, then shows. ValueError names what does not exist."""
    done = []
    if reset is not None:
        target = controls.source_api_of(reset, known_apis(database))
        done += controls.reset(database, target) or [f"{target}: nothing to reset 无需复位"]
    if priority is not None:
        target, wanted = controls.priority_of(priority, known_apis(database))
        written = "as the environment says" if wanted is None else "off 关" if wanted == 0 else wanted
        changed = "" if controls.set_priority(database, target, wanted) else " already 未变"
        done.append(f"{target}: priority 优先级 {written}{changed}")
    if events:
        return events_output(controls.events(database), done)
    health = health_of(database, policies(settings.rate_limits), priorities())
    return sources_output(health, troubles(health), done)


def sources_output(health: pl.DataFrame, troubles: Mapping[str, str], done: Sequence[str] = ()) -> Output:
    """Each source's and API's health; above it what was just `done` by hand, below it what deserves a look."""
    rows = health.to_dicts()
    table = table_titled(
        "Sources 数据源 (rate and times of the last 50 calls 最近 50 次调用)",
        ("source\n数据源", "API\n接口", "priority\n优先级", "circuit\n熔断"),
        ("a minute\n次/分", "of quota\n配额", "1 h\n次数", "24 h\n次数", "ok %\n成功率", "avg s\n平均", "p95 s\n"),
    )
    for row in rows:
        table.add_row(*_health_cells(row))
    whys = {f"{row['source']}.{row['api']}": _why(row) for row in rows if row["reason"]} | dict(troubles)
    notes = [Text(f"! {name}: {why}", "yellow") for name, why in whys.items()]
    facts = {"sources": rows, "unhealthy": dict(troubles), "done": list(done)}
    return Output(facts, [*_ticked(done), table, *notes])


def events_output(events: pl.DataFrame, done: Sequence[str] = ()) -> Output:
    """The last moves and changes of circuits."""
    table = table_titled(
        "Events 变动记录 (priorities, circuits 优先级与熔断)",
        ("at 时间", "source 数据源", "API 接口", "event 事件"),
        last=("reason 原因",),
    )
    rows = events.to_dicts()
    for row in rows:
        table.add_row(f"{row['at']:%m-%d %H:%M:%S}", row["source"], row["api"], row["kind"], escape(row["reason"]))
    return Output({"events": rows, "done": list(done)}, [*_ticked(done), table])


def known_apis(database: Database) -> dict[str, set[str]]:
    """source -> the names of its APIs: those that serve a data set, have a pace of their own, or were called before."""
    called = controls.called_apis(database)
    return {
        name: {serving.api for serving in source.servings.values()}
        | {*source.default_policies} - {WHOLE}
        | set(called.get(name, ()))
        for name, source in registered().sources.items()
    }


def _ticked(done: Sequence[str]) -> list[Text]:
    return [Text(f"✓ {each}", "green") for each in done]


def _health_cells(row: Mapping[str, Any]) -> list[RenderableType]:
    whole = row["api"] == WHOLE
    marks = [*(["set 已设"] if row["set"] else []), *(["demoted 降级"] if row["demoted_at"] else [])]
    priority = " ".join(["off 关" if row["priority"] == 0 else str(row["priority"]), *marks])
    state = "blocked 限流" if row["circuit"] == "closed" and row["blocked_until"] else row["circuit"]
    return [
        Text(row["source"], "bold") if whole else "",
        "all 全部" if whole else row["api"],
        priority if whole or marks else "",
        "" if whole and state == "closed" else Text(state, "green" if state == "closed" else "red"),
        f"{row['calls_minute']:,}",
        f"{row['quota_used']:.0f} % / {row['quota']}" if row["quota"] else "",
        f"{row['calls_hour']:,}",
        f"{row['calls_day']:,}",
        _figure(row["success_rate"], ".0f", bad=(row["success_rate"] or 0) < UNHEALTHY_BELOW),
        _figure(row["seconds_avg"], ".2f", bad=(row["seconds_avg"] or 0) > SLOW_ABOVE),
        _figure(row["seconds_p95"], ".2f", bad=False),
    ]


def _why(row: Mapping[str, Any]) -> str:
    """Why it is left alone, waited for or put back, since when and until when."""
    begins, ends = row["open_since"] or row["demoted_at"], row["retry_at"] or row["blocked_until"]
    since = f"since {begins:%m-%d %H:%M:%S}, " if begins else ""
    return f"{since}until {ends:%m-%d %H:%M:%S}: {row['reason']}" if ends else f"{since}{row['reason']}"


def _figure(value: float | None, form: str, *, bad: bool) -> Text:
    return Text("") if value is None else Text(f"{value:{form}}", "red" if bad else "")
