"""A report for the eyes of a person at a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from quant_pipeline.console.report import Report
from quant_pipeline.sync.plan import Plan

_HITS_SHOWN = 15
_LIVE = "Go live 实盘: put QUANT_MODE=live and TUSHARE_TOKEN=… into .env (.env.example explains each), then run again."


def show(report: Report, console: Console, *, ui_url: str) -> None:
    """Prints the report as a short summary."""
    sandbox = report.mode == "sandbox"
    mark = "[bold yellow]SANDBOX 沙盒[/] simulated exchange, not the market · " if sandbox else ""
    console.rule(f"{mark}session {report.session}")
    if report.nothing_to_do:
        console.print(f"Nothing to do: everything up to {report.session} is synced, checked and screened. 已是最新，无需同步")
    else:
        _show_sync(report, console)
        _show_checks(report, console)
    if report.hits is not None:
        _show_hits(report, report.hits, console)
    for message in report.messages:
        error = f" ({escape(message['error'])})" if message["error"] else ""
        console.print(f"Message 消息: {escape(message['title'])} · [bold]{message['status']}[/]{error}")
    console.print(
        f'Took {report.seconds:.1f} s. Look around: [bold]make ui[/] → {ui_url}  SQL: psql "$(quant-pipeline db url)"'
    )
    if sandbox:
        console.print(_LIVE)


def plan_facts(plans: Sequence[Plan], problems: Sequence[str]) -> dict[str, Any]:
    """A plan's figures per data set, and in sum; what cannot be planned yet."""
    rows = [
        {
            "dataset": plan.dataset.name,
            "by": plan.grain.value,
            "units": len(plan.units),
            "calls": plan.calls,
            "source": plan.source,
            "minutes": round(plan.minutes, 2),
        }
        for plan in plans
    ]
    sums = {name: sum(row[name] for row in rows) for name in ("units", "calls", "minutes")}  # type: ignore[misc]
    return {"plan": rows, **sums, "problems": list(problems)}


def show_plan(plans: Sequence[Plan], problems: Sequence[str], console: Console) -> None:
    """Prints what a sync would fetch."""
    facts = plan_facts(plans, problems)
    table = Table(title="Plan 计划 (nothing was fetched)", title_justify="left", header_style="bold")
    for name in ("data set", "by", "units", "calls", "minutes", "source"):
        table.add_column(name, justify="left" if name in ("data set", "by", "source") else "right")
    for row in facts["plan"]:
        counts = [f"{row['units']:,}", f"{row['calls']:,}", f"{row['minutes']:.1f}"]
        table.add_row(row["dataset"], row["by"], *counts, row["source"] or "-")
    console.print(table)
    console.print(f"{facts['calls']:,} calls, at least {facts['minutes']:.1f} minutes at the sources' pace")
    for problem in problems:
        console.print(f"[yellow]![/] not planned 未计划: {escape(problem)}", highlight=False)


def _show_sync(report: Report, console: Console) -> None:
    table = Table(title=f"Synced 同步: {report.status}", title_justify="left", header_style="bold")
    for name in ("data set", "units", "sessions", "rows", "new", "changed", "rejected", "calls", "source"):
        table.add_column(name, justify="left" if name in ("data set", "sessions", "source") else "right")
    for row in report.datasets:
        sessions = f"{row['first']} .. {row['last']}" if row["first"] else "by code" if row["codes"] else "list"
        failed = f" [red]({row['failed']} failed)[/]" if row["failed"] else ""
        counts = [f"{row[name]:,}" for name in ("rows", "inserted", "updated", "rejected", "calls")]
        table.add_row(row["dataset"], f"{row['units']}{failed}", sessions, *counts, row["sources"] or "-")
    console.print(table)
    for failure in report.failures:
        console.print(f"[red]✗[/] {escape(failure['error'])}", highlight=False)
    for error in report.errors:
        console.print(f"[red]✗[/] {escape(error)}", highlight=False)
    for note in report.skipped:
        console.print(f"[yellow]![/] {escape(note)}", highlight=False)


def _show_checks(report: Report, console: Console) -> None:
    failed = len(report.checks_failed)
    console.print(f"Checks 检查: [green]{report.checks_passed} passed[/]" + (f", [red]{failed} failed[/]" if failed else ""))
    for check in report.checks_failed:
        console.print(
            f"  [red]✗[/] {check['asset']}.{check['check']} ({check['severity']}): {escape(check['text'])}",
            highlight=False,
        )


def _show_hits(report: Report, found: list[dict[str, Any]], console: Console) -> None:
    for screen in sorted({hit["screen"] for hit in found}):
        hits = [hit for hit in found if hit["screen"] == screen]
        table = Table(title=f"Screen 选股 {screen}: {len(hits)} hits", title_justify="left", header_style="bold")
        for name in ("ts_code", "name", "close", "pct_chg %", "score", "figures"):
            table.add_column(name, justify="left" if name in ("ts_code", "name", "figures") else "right")
        for hit in hits[:_HITS_SHOWN]:
            table.add_row(hit["ts_code"], escape(hit["name"] or ""), *_numbers(hit), _figures(hit["figures"]))
        console.print(table)
        if len(hits) > _HITS_SHOWN:
            more = f"SELECT * FROM screen_results WHERE trade_date = '{report.session}'"
            console.print(f"  … and {len(hits) - _HITS_SHOWN} more: {more}", highlight=False)
    if not found:
        console.print("Screen 选股: no hits in this session. 无命中")


def _numbers(hit: dict[str, Any]) -> list[str]:
    return [
        "" if hit[name] is None else f"{hit[name]:.{digits}f}" for name, digits in (("close", 2), ("pct_chg", 2), ("score", 3))
    ]


def _figures(text: str | None) -> str:
    return " ".join(f"{name}={value:.2f}" for name, value in json.loads(text or "{}").items())
