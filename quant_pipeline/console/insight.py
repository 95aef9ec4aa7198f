"""What the commands `status`, `history` and `stats` show: facts for --json, tables for a person."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

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
class Output:
    """What a command shows, in both forms."""

    facts: dict[str, Any]
    shown: Sequence[RenderableType]


def status_output(status: Status) -> Output:
    """Each data set's watermark, holes and age; above them the syncs that are going on."""
    facts = {
        "at": status.at,
        "latest_session": status.latest,
        "running": [_running_facts(each) for each in status.running],
        "stale": [each.dataset for each in status.datasets if each.stale],
        "datasets": [asdict(each) for each in status.datasets],
    }
    table = table_titled(
        f"Status 数据状态, latest session 最新交易日 {status.latest or '?'}",
        ("data set\n数据集", "\n名称", "first\n起始", "last\n最新"),
        ("missing\n缺失", "failed\n失败", "rows\n行数"),
        ("synced at\n同步时间", "age\n滞后", "source\n来源"),
    )
    for each in status.datasets:
        table.add_row(*_status_cells(each))
    return Output(facts, [*(_running_line(each) for each in status.running), table, *_hints(status.datasets)])


def log_output(folder: Path, lines: Sequence[str]) -> Output:
    """The end of the log file, as it was written."""
    shown = [Text(line) for line in lines] or [Text(f"nothing was logged yet in {folder} 暂无日志")]
    return Output({"folder": str(folder), "lines": list(lines)}, shown)


def history_output(page: Page) -> Output:
    """A page of the last syncs."""
    rows = [row | {"by_source": json.loads(row["by_source"])} for row in page.rows.iter_rows(named=True)]
    table = table_titled(
        "History 同步历史",
        ("run\n运行", "trigger\n触发", "status\n状态", "started\n开始"),
        ("s\n耗时", "done/plan\n完成", "failed\n失败", "new\n新增", "changed\n更新", "rejected\n拒收", "calls\n调用"),
        ("sources\n来源",),
    )
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
    return Output(_paged(page) | {"runs": rows}, [table, *errors, _page_line(page, "quant-pipeline history")])


def run_output(run: str, page: Page) -> Output:
    """A page of one run's units: failed ones first."""
    table = table_titled(
        f"Run 运行 {run}",
        ("data set\n数据集", "unit\n单元", "status\n状态"),
        ("rows\n行数", "new\n新增", "changed\n更新", "missing\n缺失", "calls\n调用", "s\n耗时"),
        ("source\n来源",),
    )
    rows = page.rows.to_dicts()
    for row in rows:
        table.add_row(
            row["dataset"],
            row["unit"],
            Text(row["status"], _STATUS_STYLES.get(row["status"], "")),
            *(f"{row[name]:,}" for name in ("rows", "inserted", "updated", "missing", "calls")),
            f"{row['seconds']:.1f}",
            row["source"] or "-",
        )
    errors = [Text(f"✗ [{row['error_class'] or '-'}] {row['error']}", "red") for row in rows if row["error"]]
    more = _page_line(page, f"quant-pipeline history --run {run[:8]}")
    return Output({"run": run} | _paged(page) | {"items": rows}, [table, *errors, more])


def stats_output(stats: pl.DataFrame) -> Output:
    """What the tables hold."""
    rows = stats.to_dicts()
    total, size = int(stats["rows"].sum()), int(stats.unique("dataset")["bytes"].sum())
    table = table_titled(
        f"Statistics 数据统计: {total:,} rows 行, {_megabytes(size)} MB",
        ("data set\n数据集", "\n名称", "source\n来源"),
        ("rows\n行数", "first\n起始", "latest\n最新", "codes\n代码数", "MB"),
    )
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
    return Output({"stats": rows, "rows": total, "bytes": size}, [table])


def table_titled(title: str, left: Sequence[str], right: Sequence[str] = (), last: Sequence[str] = ()) -> Table:
    """A table in the style of these pages: columns of words, of figures, and of words that may be long."""
    table = Table(
        title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    for name in last:
        table.add_column(name, overflow="fold")
    return table


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
        f"{each.synced_at:%m-%d %H:%M}" if each.synced_at else "-",
        Text(f"{age} stale 陈旧" if each.stale else age, "yellow" if each.stale else "green"),
        ", ".join(each.sources) or "-",
    ]


def _hints(datasets: Sequence[DatasetStatus]) -> list[Text]:
    """In words: what is old, what lacks, and how to mend it."""
    hints = [Text(f"! {each.dataset}: {each.words}", "yellow") for each in datasets if each.stale and each.last]
    never = [each.dataset for each in datasets if each.last is None]
    if never:
        hints.append(Text(f"! nothing is synced yet 尚未同步: {', '.join(never)}", "yellow"))
    for each in datasets:
        if each.gaps:
            spans = ", ".join(_span(*gap) for gap in each.gaps[:_GAPS_SHOWN])
            more = f", and {len(each.gaps) - _GAPS_SHOWN} more" if len(each.gaps) > _GAPS_SHOWN else ""
            hints.append(Text(f"! {each.dataset} lacks 缺 {each.missing}: {spans}{more}", "yellow"))
    if any(each.failed for each in datasets):
        hints.append(Text("Try the failed units again 重试失败部分: quant-pipeline sync --retry-failed"))
    return hints


def _span(start: dt.date, end: dt.date) -> str:
    return str(start) if start == end else f"{start} .. {end}"


def _paged(page: Page) -> dict[str, int]:
    return {"page": page.page, "pages": page.pages, "per_page": page.per_page, "total": page.total}


def _page_line(page: Page, command: str) -> Text:
    following = f", next 下一页: {command} --page {page.page + 1}" if page.page < page.pages else ""
    return Text(f"page 第 {page.page} of {page.pages} 页, {page.total} in all{following}", "dim")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"
