"""What the commands `status`, `history`, `sources` and `stats` tell: facts for --json, tables for a person."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl
from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from quant_pipeline.sync.insight.health import SLOW_ABOVE, UNHEALTHY_BELOW
from quant_pipeline.sync.insight.history import Page
from quant_pipeline.sync.insight.running import RunningSync
from quant_pipeline.sync.insight.status import DatasetStatus, Status

_GAPS_SHOWN = 3
_STATUS_STYLES = {
    "success": "green",
    "success_with_errors": "yellow",
    "failed": "red",
    "died": "red",
    "running": "cyan",
}


@dataclass(frozen=True)
class Told:
    """What a command tells, in both forms."""

    facts: dict[str, Any]
    shown: Sequence[RenderableType]


def told_status(status: Status) -> Told:
    """Each data set's watermark, holes and age; above them the syncs that are going on."""
    facts = {
        "at": status.at,
        "latest_session": status.latest,
        "running": [_running_facts(each) for each in status.running],
        "stale": [each.dataset for each in status.datasets if each.stale],
        "datasets": [asdict(each) for each in status.datasets],
    }
    table = _table(f"Status 数据状态, latest session 最新交易日 {status.latest or '?'}")
    for left in ("data set\n数据集", "\n名称", "first\n起始", "last\n最新"):
        table.add_column(left)
    for right in ("missing\n缺失", "failed\n失败", "rows\n行数"):
        table.add_column(right, justify="right")
    for left in ("source\n来源", "synced at\n同步时间", "age\n滞后"):
        table.add_column(left)
    for each in status.datasets:
        table.add_row(*_status_cells(each))
    return Told(facts, [*(_running_line(each) for each in status.running), table, *_hints(status.datasets)])


def told_history(page: Page, facts: Mapping[str, Any] | None = None) -> Told:
    """A page of the last syncs."""
    rows = [row | {"by_source": json.loads(row["by_source"])} for row in page.rows.iter_rows(named=True)]
    table = _table("History 同步历史")
    for left in ("run\n运行", "trigger\n触发", "status\n状态", "started\n开始"):
        table.add_column(left)
    for right in ("s\n耗时", "done/plan\n完成", "failed\n失败", "new\n新增", "changed\n更新", "rejected\n拒收", "calls\n调用"):
        table.add_column(right, justify="right")
    table.add_column("sources\n来源")
    for row in rows:
        style = _STATUS_STYLES.get(row["status"], "")
        table.add_row(
            row["run"][:8],
            escape(row["trigger"]),
            Text(row["status"], style),
            f"{row['started_at']:%m-%d %H:%M:%S}",
            f"{row['seconds']:.0f}",
            f"{row['units_done'] + row['units_skipped']}/{row['units_planned']}",
            Text(str(row["units_failed"]), "red" if row["units_failed"] else ""),
            *(f"{row[name]:,}" for name in ("rows_inserted", "rows_updated", "rows_rejected", "calls")),
            " ".join(source for source in row["by_source"] if source != "-"),
        )
    errors = [Text(f"✗ {row['run'][:8]}: {row['error']}", "red") for row in rows if row["error"]]
    return Told(_paged(page) | {"runs": rows} | dict(facts or {}), [table, *errors, _page_line(page, "quant-pipeline history")])


def told_run(run: str, page: Page) -> Told:
    """A page of one run's units: failed ones first."""
    table = _table(f"Run 运行 {run}")
    for left in ("data set 数据集", "unit 单元", "status 状态", "source 来源"):
        table.add_column(left)
    for right in ("rows 行", "new 新增", "changed 更新", "missing 缺", "calls 调用", "s 耗时"):
        table.add_column(right, justify="right")
    rows = page.rows.to_dicts()
    for row in rows:
        table.add_row(
            row["dataset"],
            row["unit"],
            Text(row["status"], _STATUS_STYLES.get(row["status"], "")),
            row["source"] or "-",
            *(f"{row[name]:,}" for name in ("rows", "inserted", "updated", "missing", "calls")),
            f"{row['seconds']:.1f}",
        )
    errors = [Text(f"✗ [{row['error_class'] or '-'}] {row['error']}", "red") for row in rows if row["error"]]
    shown = [table, *errors, _page_line(page, f"quant-pipeline history --run {run[:8]}")]
    return Told({"run": run} | _paged(page) | {"items": rows}, shown)


def told_sources(health: pl.DataFrame, troubles: Mapping[str, str], done: Sequence[str] = ()) -> Told:
    """Each source's and API's health; above it what was just `done` by hand, below it what deserves a look."""
    rows = health.to_dicts()
    table = _table("Sources 数据源 (rate and times: last 50 calls 最近 50 次)")
    for left in ("source 来源", "API", "priority\n优先级", "circuit\n熔断"):
        table.add_column(left)
    for right in ("quota used\n配额(次/分)", "1 h\n次数", "24 h\n次数", "ok %\n成功率", "avg s\n平均", "p95 s"):
        table.add_column(right, justify="right")
    table.add_column("since, until 起止")
    for row in rows:
        table.add_row(*_health_cells(row), end_section=False)
    whys = {f"{row['source']}.{row['api']}": row["reason"] for row in rows if row["reason"]} | dict(troubles)
    notes = [Text(f"! {name}: {why}", "yellow") for name, why in whys.items()]
    facts = {"sources": rows, "unhealthy": dict(troubles), "done": list(done)}
    return Told(facts, [*(Text(f"✓ {each}", "green") for each in done), table, *notes])


def told_events(events: pl.DataFrame) -> Told:
    """The last moves and changes of circuits."""
    table = _table("Events 变动记录 (moves of priority, circuits 优先级与熔断)")
    for name in ("at 时间", "source 来源", "API", "event 事件", "reason 原因"):
        table.add_column(name)
    rows = events.to_dicts()
    for row in rows:
        table.add_row(f"{row['at']:%m-%d %H:%M:%S}", row["source"], row["api"], row["kind"], escape(row["reason"]))
    return Told({"events": rows}, [table])


def told_stats(stats: pl.DataFrame) -> Told:
    """What the tables hold."""
    rows = stats.to_dicts()
    total, size = int(stats["rows"].sum()), int(stats.unique("dataset")["bytes"].sum())
    table = _table(f"Statistics 数据统计: {total:,} rows 行, {_megabytes(size)} MB")
    for left in ("data set 数据集", "名称", "source 来源"):
        table.add_column(left)
    for right in ("rows 行数", "first 起始", "latest 最新", "codes 代码数", "MB"):
        table.add_column(right, justify="right")
    before = None
    for row in rows:
        first = row["dataset"] != before
        before = row["dataset"]
        table.add_row(
            row["dataset"] if first else "",
            row["zh"] if first else "",
            row["source"] or "-",
            f"{row['rows']:,}",
            str(row["first"] or ""),
            str(row["latest"] or ""),
            f"{row['codes']:,}" if row["codes"] else "",
            _megabytes(row["bytes"]) if first else "",
        )
    return Told({"stats": rows, "rows": total, "bytes": size}, [table])


def known_apis(called: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """source -> the names of its APIs: those that serve a data set, those with a pace of their own, those `called` before."""
    from quant_pipeline.console.catalogue import SOURCES
    from quant_pipeline.sources.policy import DEFAULT_POLICIES

    served = {source.name: {serving.api for serving in source.servings.values()} for source in SOURCES}
    return {
        name: served.get(name, set()) | {*policies} - {"*"} | set(called.get(name, ()))
        for name, policies in DEFAULT_POLICIES.items()
    }


def _running_facts(sync: RunningSync) -> dict[str, Any]:
    return asdict(sync) | {
        "done": sync.done,
        "share": round(sync.share, 4),
        "rows_per_second": round(sync.rows_per_second, 1),
        "seconds_left": None if sync.seconds_left is None else round(sync.seconds_left, 1),
    }


def _running_line(sync: RunningSync) -> Text:
    left = f", {sync.seconds_left:.0f} s left 剩余" if sync.seconds_left is not None else ""
    failed = f", {sync.failed} failed 失败" if sync.failed else ""
    return Text(
        f"▶ Running 同步中: {sync.trigger} (run {sync.run[:8]}, since {sync.started_at:%H:%M:%S}) "
        f"{sync.dataset or 'starting'}: {sync.done} of {sync.planned} units ({sync.share:.0%}), {sync.rows:,} rows, "
        f"{sync.rows_per_second:,.0f} rows/s{failed}{left}",
        "cyan",
    )


def _status_cells(each: DatasetStatus) -> list[RenderableType]:
    age = "?" if each.behind is None else str(each.behind)
    return [
        each.dataset,
        each.zh,
        str(each.first or "-"),
        str(each.last or "-"),
        Text(str(each.missing or ""), "yellow"),
        Text(str(each.failed or ""), "red"),
        f"{each.rows:,}",
        ", ".join(each.sources) or "-",
        f"{each.synced_at:%m-%d %H:%M}" if each.synced_at else "-",
        Text(f"{age} stale 陈旧" if each.stale else age, "yellow" if each.stale else "green"),
    ]


def _hints(datasets: Sequence[DatasetStatus]) -> list[Text]:
    """In words: what is old, what lacks, and how to mend it."""
    hints = [Text(f"! {each.dataset}: {each.words}", "yellow") for each in datasets if each.stale and each.last]
    never = [each.dataset for each in datasets if each.last is None]
    if never:
        hints.append(Text(f"! nothing is synced yet 尚未同步: {', '.join(never)}", "yellow"))
    for each in datasets:
        if each.gaps:
            spans = ", ".join(f"{start} .. {end}" for start, end in each.gaps[:_GAPS_SHOWN])
            more = f", and {len(each.gaps) - _GAPS_SHOWN} more" if len(each.gaps) > _GAPS_SHOWN else ""
            hints.append(Text(f"! {each.dataset} lacks 缺 {each.missing}: {spans}{more}", "yellow"))
    if any(each.failed for each in datasets):
        hints.append(Text("Try the failed units again 重试失败部分: quant-pipeline sync --retry-failed"))
    return hints


def _health_cells(row: Mapping[str, Any]) -> list[RenderableType]:
    whole = row["api"] == "*"
    priority = "off 关" if row["priority"] == 0 else str(row["priority"])
    marks = [*(["set 已设"] if row["set"] else []), *(["demoted 降级"] if row["demoted_at"] else [])]
    state = "blocked 限流" if row["circuit"] == "closed" and row["blocked_until"] else row["circuit"]
    begins, ends = row["open_since"] or row["demoted_at"], row["retry_at"] or row["blocked_until"]
    quota = f"{row['calls_minute']}/{row['quota']} ({row['quota_used']:.0f} %)" if row["quota"] else str(row["calls_minute"])
    return [
        Text(row["source"], "bold") if whole else "",
        "all 全部" if whole else row["api"],
        " ".join([priority, *marks]) if whole or marks else "",
        "" if whole and state == "closed" else Text(state, "green" if state == "closed" else "red"),
        "" if whole else quota,
        f"{row['calls_hour']:,}",
        f"{row['calls_day']:,}",
        _figure(row["success_rate"], ".0f", bad=(row["success_rate"] or 0) < UNHEALTHY_BELOW),
        _figure(row["seconds_avg"], ".2f", bad=(row["seconds_avg"] or 0) > SLOW_ABOVE),
        _figure(row["seconds_p95"], ".2f", bad=False),
        " .. ".join(f"{each:%H:%M:%S}" if each else "" for each in (begins, ends)) if begins or ends else "",
    ]


def _figure(value: float | None, form: str, *, bad: bool) -> Text:
    return Text("") if value is None else Text(f"{value:{form}}", "red" if bad else "")


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _paged(page: Page) -> dict[str, int]:
    return {"page": page.page, "pages": page.pages, "per_page": page.per_page, "total": page.total}


def _page_line(page: Page, command: str) -> Text:
    following = f", next 下一页: {command} --page {page.page + 1}" if page.page < page.pages else ""
    return Text(f"page 第 {page.page} of {page.pages} 页, {page.total} in all{following}", "dim")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"
