"""Operations: what the platform tells of itself, as reports in the UI. They write no rows."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from quant_pipeline import settings
from quant_pipeline.alerts import book
from quant_pipeline.alerts.rules import RULES
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.events import NOTHING
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.metadata import origin, page_link, table
from quant_pipeline.language import chinese, told
from quant_pipeline.notify import listing
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.sources import controls, registry
from quant_pipeline.switches import switched_off
from quant_pipeline.sync.insight import history, stats
from quant_pipeline.sync.insight.health import health_of, prune, troubles
from quant_pipeline.sync.insight.status import DatasetStatus, status_of
from quant_pipeline.sync.progress import tell_step
from quant_pipeline.warehouse.rows import Row

_STATUSES = {status: chinese(words) for status, words in history.STATUSES.items()}
_CIRCUITS = {state: chinese(words) for state, words in controls.CIRCUITS.items()}
# In the first minute of `ui`, before their schedule's first quarter past; one that failed is left to that.
_WHEN_THERE_IS_NONE = (
    dg.AutomationCondition.missing() & ~dg.AutomationCondition.in_progress() & ~dg.AutomationCondition.execution_failed()
).with_label("when_there_is_none")
_Teller = Callable[[WarehouseResource], dict[str, Any]]


def report(zh: str, en: str) -> Callable[[_Teller], dg.AssetsDefinition]:
    """A report: the decorated function gives the metadata that it consists of."""

    def declare(tell: _Teller) -> dg.AssetsDefinition:
        @dg.asset(
            name=tell.__name__,
            group_name="operations",
            description=f"{zh}\n\n{en}",
            kinds={"postgres"},
            owners=["team:market-data"],
            automation_condition=_WHEN_THERE_IS_NONE,
            dagster_type=NOTHING,
            hooks={tell_failure},
        )
        def told_of(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
            tell_step(told("the report {name}", name=tell.__name__))
            return dg.MaterializeResult(metadata=labelled(origin() | tell(warehouse)))

        return told_of

    return declare


@report(
    "同步状态 · 各数据集同步到哪一天、缺什么、该做什么，以及正在进行的同步；同命令 quant-pipeline status",
    "How far each data set is synced, what lacks, what to do, and the syncs that are going on: as `quant-pipeline status`.",
)
def sync_status(warehouse: WarehouseResource) -> dict[str, Any]:
    status = status_of(warehouse.database, warehouse.calendar(), off=switched_off())
    going_on = (f"{each.trigger}: {each.done} of {each.planned} units, {each.share:.0%}" for each in status.running)
    return {
        "page": page_link("sync"),
        "latest_session": str(status.latest),
        "running": "; ".join(going_on) or "no 无",
        "stale": sum(each.stale for each in status.datasets),
        "missing": sum(each.missing for each in status.datasets),
        "failed": sum(each.failed for each in status.datasets),
        "data_sets": table(pl.DataFrame([_standing(each, status.latest) for each in status.datasets])),
        "contents": table(pl.DataFrame([_contents(each, status.latest) for each in status.datasets])),
    }


@report(
    "同步历史 · 最近的同步：要求了什么、写入多少、耗费多少；同命令 quant-pipeline history",
    "The last syncs: what each was asked for, wrote and cost: as `quant-pipeline history`.",
)
def sync_history(warehouse: WarehouseResource) -> dict[str, Any]:
    page = history.runs(warehouse.database)
    rows = [
        {
            "运行 run": row["run"][:8],
            "开始 at": f"{row['started_at']:%m\u2011%d %H:%M}",
            "来自 by": row["trigger"].replace("quant-pipeline ", ""),
            "结果": _STATUSES.get(row["status"], row["status"]),
            "新增 new": row["rows_inserted"],
            "秒 s": round(row["seconds"], 1),
        }
        for row in page.rows
    ]
    return {"page": page_link("sync"), "syncs": page.total, "last_syncs": table(pl.DataFrame(rows))}


@report(
    "数据源健康 · 各数据源与接口的调用、成功率、用时、配额、熔断与优先级；同命令 quant-pipeline sources",
    "Calls, success rate, times, quota, circuit and priority of each source and API: as `quant-pipeline sources`.",
)
def source_health(warehouse: WarehouseResource) -> dict[str, Any]:
    current = settings.load()
    health = health_of(warehouse.database, registry.policies(current.rate_limits), registry.priorities())
    found = troubles(health)
    by_api = [row for row in health if row["api"] != controls.WHOLE]
    forgotten = prune(warehouse.database)
    return {
        "page": page_link("sync"),
        "unhealthy": len(found),
        "troubles": "; ".join(f"{name}: {for_readers(words)}" for name, words in found.items()) or "none 无",
        "calls_last_hour": sum(row["calls_hour"] for row in by_api),
        "calls_last_day": sum(row["calls_day"] for row in by_api),
        "pruned_calls": forgotten,
        "sources": table(_of_sources(_frame(health, _HEALTH))),
        "quotas": table(_quotas(_frame(health, _HEALTH))),
        "events": table(_moves(_frame(controls.events(warehouse.database), _EVENTS))),
    }


@report(
    "数据统计 · 各数据集按来源的行数、日期、代码数与占用；同命令 quant-pipeline stats",
    "Rows, dates and codes per data set and source, and size on disk: as `quant-pipeline stats`.",
)
def data_stats(warehouse: WarehouseResource) -> dict[str, Any]:
    found = stats.stats_of(warehouse.database, stats.chosen([]))
    rows = dict(found.group_by("dataset", maintain_order=True).agg(pl.sum("rows")).iter_rows())
    return {
        "rows": sum(rows.values()),
        "megabytes": round(int(found.unique("dataset")["bytes"].sum()) / 1e6, 1),
        "by_source": table(_amounts(found)),
        **{f"rows_{name}": count for name, count in rows.items()},
    }


@report(
    "告警 · 未恢复的告警、规则，以及各渠道的待发消息；同命令 quant-pipeline alerts list、messages",
    "Open alerts, their rules, and what waits for each channel: as `quant-pipeline alerts list` and `messages`.",
)
def alerts(warehouse: WarehouseResource) -> dict[str, Any]:
    found, channels = book.alerts(warehouse.database), listing.channels(warehouse.database)
    listing.prune(warehouse.database)
    return {
        "page": page_link("alerts"),
        "open_alerts": found.height,
        "acknowledged": found.filter(pl.col("state") == "acknowledged").height,
        "messages_waiting": int(channels["waiting"].sum()),
        "alerts": table(_of_alerts(found)),
        "rules": table(_of_rules(book.rules(warehouse.database))),
        "channels": table(_of_channels(channels)),
    }


REPORTS = [sync_status, sync_history, source_health, data_stats, alerts]


def _standing(status: DatasetStatus, latest: dt.date | None) -> dict[str, Any]:
    """What a person looks for first. Three columns: wider tables are cut at the pane's edge."""
    return {
        "数据集 data set": f"{status.dataset} {status.zh}",
        "最新 last": _day(status.last, latest),
        "状态 state": _state(status),
    }


def _contents(status: DatasetStatus, latest: dt.date | None) -> dict[str, Any]:
    return {
        "数据集 data set": f"{status.dataset} {status.zh}",
        "自 from": _day(status.first, latest),
        "行 rows": status.rows,
        "来源 source": ", ".join(status.sources),
    }


def _state(status: DatasetStatus) -> str:
    """What is the matter, and what to do: the command is `quant-pipeline sync`."""
    if status.dataset in switched_off():
        return "停用 off"
    told = [
        "未同步" if status.last is None else f"滞后 {status.behind}" if status.stale else "",
        f"缺 {status.missing}" if status.missing else "",
        f"失败 {status.failed}" if status.failed else "",
    ]
    matters = "，".join(each for each in told if each)
    return f"{matters} → sync" if matters else "正常 ok"


def _day(day: dt.date | None, latest: dt.date | None) -> str:
    """Short, and not broken at its hyphens; the year only where it is another one than the latest session's."""
    if day is None:
        return "—"
    written = f"{day:%m-%d}" if latest is not None and day.year == latest.year else f"{day}"
    return written.replace("-", "\u2011")


# Cells break at blanks alone: long names may break after their underscores too.
def _api() -> "pl.Expr":
    return pl.concat_str("source", pl.lit(" "), pl.col("api").str.replace_all("_", "_\u200b")).alias("数据源 API")


_HEALTH = {
    **dict.fromkeys(("source", "api", "circuit"), "String"),
    **dict.fromkeys(("priority", "calls_day", "calls_minute", "quota"), "Int64"),
    **dict.fromkeys(("success_rate", "quota_used"), "Float64"),
}
"""Of what is shown of each: a column that is empty has its type all the same."""
_EVENTS = {**dict.fromkeys(("source", "api", "kind", "reason"), "String"), "at": "Datetime"}


def _frame(rows: Sequence[Row], types: Mapping[str, str]) -> "pl.DataFrame":
    return pl.DataFrame({name: pl.Series([row[name] for row in rows], dtype=getattr(pl, kind)) for name, kind in types.items()})


def _of_sources(health: "pl.DataFrame") -> "pl.DataFrame":
    return health.select(
        _api(),
        pl.col("priority").alias("优先"),
        pl.col("circuit").replace_strict(_CIRCUITS, default=pl.col("circuit")).alias("熔断"),
        pl.col("success_rate").round(0).alias("成功 %"),
        pl.col("calls_day").alias("24h 调用"),
    )


def _quotas(health: "pl.DataFrame") -> "pl.DataFrame":
    """Of those that have one."""
    return health.filter((pl.col("api") != controls.WHOLE) & pl.col("quota").is_not_null()).select(
        _api(),
        pl.col("calls_minute").alias("本分钟"),
        pl.col("quota").alias("配额/分"),
        pl.col("quota_used").round(0).alias("已用 %"),
    )


def _moves(events: "pl.DataFrame") -> "pl.DataFrame":
    return events.select(
        pl.col("at").dt.strftime("%m\u2011%d %H:%M").alias("时间"),
        _api(),
        _in_words("kind", lambda kind: chinese(controls.EVENTS.get(kind, kind))).alias("变动"),
        _in_words("reason", for_readers).str.slice(0, 60).str.replace_all("_", "_\u200b").alias("原因 why"),
    )


def _of_alerts(found: "pl.DataFrame") -> "pl.DataFrame":
    return found.select(
        pl.col("id"),
        _in_words("rule", lambda name: chinese(RULES[name].title) if name in RULES else name).alias("告警 alert"),
        pl.col("subject").str.slice(0, 40).str.replace_all("_", "_\u200b").alias("对象 about"),
        _in_words("cause", for_readers).str.slice(0, 60).str.replace_all("_", "_\u200b").alias("原因 why"),
        pl.col("acknowledged_by").fill_null("—").alias("知悉 by"),
    )


def _of_rules(found: "pl.DataFrame") -> "pl.DataFrame":
    return found.select(
        pl.col("rule").str.replace_all("_", "_\u200b").alias("规则 rule"),
        pl.when("enabled").then(pl.lit("启用 on")).otherwise(pl.lit("停用 off")).alias("状态"),
        pl.col("threshold").alias("阈值 threshold"),
        pl.col("severity").alias("级别 severity"),
    )


def _of_channels(found: "pl.DataFrame") -> "pl.DataFrame":
    states = {"well": "正常 ok", "resting": "暂停 resting", "day": "今日用尽 used up"}
    return found.select(
        pl.col("channel").alias("渠道"),
        pl.col("state").replace_strict(states, default=pl.col("state"), return_dtype=pl.String).alias("状态"),
        pl.col("waiting").alias("待发"),
        pl.col("sent_day").alias("24h 已发"),
        pl.col("failed_day").alias("24h 失败"),
    )


def _in_words(column: str, words: Callable[[str], str]) -> "pl.Expr":
    return pl.col(column).map_elements(words, return_dtype=pl.String)


def _amounts(found: "pl.DataFrame") -> "pl.DataFrame":
    return found.select(
        pl.concat_str("dataset", pl.lit(" "), "zh").alias("数据集 data set"),
        pl.col("source").fill_null("—").alias("来源"),
        pl.col("rows").alias("行 rows"),
        pl.col("latest").dt.strftime("%y\u2011%m\u2011%d").fill_null("—").alias("最新 last"),
    )
