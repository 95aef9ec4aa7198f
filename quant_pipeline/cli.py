"""The console command `quant-pipeline`: doors to the jobs that the UI runs too. Heavy imports wait for their command."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from quant_pipeline.console.insight import Told
    from quant_pipeline.console.report import Report
    from quant_pipeline.settings import Settings
    from quant_pipeline.sync.plan import Plan

Command = TypeVar("Command", bound=Callable[..., Any])
_WIDTH = 120
"""Of the output where it is no terminal (a file, CI)."""
_DAY = click.DateTime(["%Y-%m-%d", "%Y%m%d"])


def as_json(command: Command) -> Command:
    """The option that every command has."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON. 以 JSON 输出")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="quant-pipeline")
def main() -> None:
    """A-share data platform: sync, check, screen, and tell. A 股数据平台：同步、检查、选股、通知.

    \b
    First steps 快速开始:
      quant-pipeline run          sync the latest session, check it, screen it, notify
      quant-pipeline ui           the Dagster web UI on http://127.0.0.1:3000
      quant-pipeline db url       the address for psql, notebooks, BI tools

    Without any setting it works on the SANDBOX, a simulated exchange. Settings: environment or .env (see .env.example).
    """


@main.command()
@click.option("--date", type=_DAY, help="Session to end with (default: the latest complete one). 截止交易日")
@as_json
def run(date: dt.datetime | None, as_json: bool) -> None:
    """The main job: sync what is missing, check, screen, notify. 主任务.

    The first time it takes the latest session and the 120 before it; after that only what is missing. Running it again
    is safe: what is complete is not fetched twice, and a broken-off run goes on from where it stopped.
    """
    with _told_plainly():
        from quant_pipeline.console import commands

        settings, console = _prepared(as_json)
        _finish(commands.run(settings, console, date=date.date() if date else None), settings, console, as_json)


@main.command()
@click.option("--datasets", help="Comma-separated data sets (default: all). 数据集")
@click.option("--periods", help="Comma-separated K-line periods: daily,weekly,monthly. K 线周期")
@click.option("--symbols", help="Comma-separated codes: 000001,600000 or 000001.SZ. 股票代码")
@click.option("--sources", help="Only these sources, in this order: tushare,baostock,akshare,ths,derived. 数据源")
@click.option("--start", type=_DAY, help="First day. 起始日")
@click.option("--end", type=_DAY, help="Last day (default: the latest complete session). 截止日")
@click.option("--days-back", type=click.IntRange(min=1), help="The last N sessions. 最近 N 个交易日")
@click.option("--all-history", is_flag=True, help="Every session since 1990-12-19. 全部历史")
@click.option("--force", is_flag=True, help="Fetch again what is there, and queue behind a running sync. 强制刷新并排队")
@click.option("--retry-failed", is_flag=True, help="Only what failed at its last attempt. 仅重试失败的部分")
@click.option("--repair", is_flag=True, help="Only what is short, breaks a check or was restated. 仅修复有问题的数据")
@click.option("--dry-run", is_flag=True, help="Print the plan (calls, minutes at the quota), fetch nothing. 仅显示计划")
@as_json
def sync(
    datasets: str | None,
    periods: str | None,
    symbols: str | None,
    sources: str | None,
    start: dt.datetime | None,
    end: dt.datetime | None,
    days_back: int | None,
    all_history: bool,
    force: bool,
    retry_failed: bool,
    repair: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Sync chosen data sets for chosen sessions and codes. 按需同步.

    Without a window it takes the latest session; --retry-failed and --repair take all that was ever synced.

    \b
    quant-pipeline sync --datasets daily_kline,adj_factor --start 2026-01-01
    quant-pipeline sync --symbols 000001,600000 --days-back 60
    quant-pipeline sync --periods weekly,monthly --start 2020-01-01 --dry-run
    quant-pipeline sync --retry-failed
    """
    if sum((start is not None, days_back is not None, all_history)) > 1:
        raise click.UsageError("--start, --days-back and --all-history exclude each other")
    if sum((force, retry_failed, repair)) > 1:
        raise click.UsageError("--force, --retry-failed and --repair exclude each other")
    with _told_plainly():
        from quant_pipeline.console import commands, window
        from quant_pipeline.resources.warehouse import WarehouseResource

        settings, console = _prepared(as_json)
        warehouse = WarehouseResource()
        windowless = start is None and end is None and days_back is None and not all_history
        order = commands.Order(
            datasets=window.with_symbols(window.chosen_datasets(_split(datasets), _split(periods)), _split(symbols)),
            window=window.stored_window(warehouse.database, warehouse.calendar())
            if windowless and (retry_failed or repair)
            else window.asked_window(
                warehouse.calendar(),
                start=start.date() if start else None,
                end=end.date() if end else None,
                days_back=days_back,
                all_history=all_history,
            ),
            symbols=_split(symbols),
            sources=window.chosen_sources(_split(sources)),
            force=force,
            retry_failed=retry_failed,
            repair=repair,
        )
        if dry_run:
            _show_plan(commands.plan(order), console, as_json)
        else:
            _finish(commands.sync(settings, console, order=order), settings, console, as_json)


@main.command()
@as_json
def status(as_json: bool) -> None:
    """How far each data set is synced, and how the running sync comes along. 同步状态.

    Per data set: first and last synced session, what lacks in between, what failed, and the age of its last good data.

    \b
    quant-pipeline status
    quant-pipeline status --json | jq -r '.datasets[] | select(.stale) | .words'
    """
    with _told_plainly():
        from quant_pipeline.console.insight import told_status
        from quant_pipeline.resources.warehouse import WarehouseResource
        from quant_pipeline.sync.insight.status import status_of

        settings, console = _prepared(as_json)
        warehouse = WarehouseResource()
        _tell(told_status(status_of(warehouse.database, warehouse.calendar())), settings, console, as_json)


@main.command()
@click.option(
    "--run", "begins", metavar="ID", help="The units of that run, failed ones first (the id's beginning will do). 运行详情"
)
@click.option("--page", default=1, show_default=True, type=click.IntRange(min=1), help="Page, the latest first. 页码")
@click.option("--per-page", type=click.IntRange(1, 1000), help="Rows a page (default: 20 runs, 100 units). 每页行数")
@as_json
def history(begins: str | None, page: int, per_page: int | None, as_json: bool) -> None:
    """The last syncs: what each did, wrote and cost, and why it failed. 同步历史.

    \b
    quant-pipeline history
    quant-pipeline history --page 2 --per-page 50
    quant-pipeline history --run 3f2a91c0
    """
    with _told_plainly():
        from quant_pipeline.console import insight
        from quant_pipeline.sync.insight import history as ledger

        settings, console = _prepared(as_json)
        database = _upgraded()
        if begins is None:
            told = insight.told_history(ledger.runs(database, page=page, per_page=per_page or ledger.PER_PAGE))
        else:
            run = ledger.run_of(database, begins)
            count = per_page or ledger.PER_PAGE_OF_ITEMS
            told = insight.told_run(run, ledger.items(database, run, page=page, per_page=count))
        _tell(told, settings, console, as_json)


@main.command()
@click.option("--events", is_flag=True, help="The last moves of priority and changes of circuits, with reasons. 变动记录")
@click.option("--reset", metavar="SOURCE[.API]", help="Close its circuit, lift its wait and demotion. 复位熔断")
@click.option("--priority", metavar="SOURCE[.API]=N", help="1 is asked first, 0 is off, empty: as the environment says. 优先级")
@as_json
def sources(events: bool, reset: str | None, priority: str | None, as_json: bool) -> None:
    """Health of each source and API: calls, success rate, times, quota, circuit, priority. 数据源状态.

    A priority set here overrules the environment's, and a running sync follows it. Nothing is called: no quota is spent.

    \b
    quant-pipeline sources
    quant-pipeline sources --events
    quant-pipeline sources --reset akshare.eastmoney
    quant-pipeline sources --priority baostock=1
    quant-pipeline sources --priority tushare.daily=       (back to TUSHARE_PRIORITY)
    """
    with _told_plainly():
        from quant_pipeline.console import sources as desk

        settings, console = _prepared(as_json)
        _tell(desk.sources(_upgraded(), settings, events=events, reset=reset, priority=priority), settings, console, as_json)


@main.command()
@click.option("--datasets", help="Comma-separated data sets (default: all). 数据集")
@as_json
def stats(datasets: str | None, as_json: bool) -> None:
    """What the tables hold: rows, dates and codes per data set and source, size on disk. 数据统计.

    \b
    quant-pipeline stats
    quant-pipeline stats --datasets daily_kline,adj_factor --json
    """
    with _told_plainly():
        from quant_pipeline.console.insight import told_stats
        from quant_pipeline.sync.insight import stats as tables

        settings, console = _prepared(as_json)
        chosen = tables.chosen(_split(datasets))
        _tell(told_stats(tables.stats_of(_upgraded(), chosen)), settings, console, as_json)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. 监听地址")
@click.option("--port", default=3000, show_default=True, help="Port. 端口")
@click.option("--json", "as_json", is_flag=True, help="Log as JSON lines. 以 JSON 输出日志")
def ui(host: str, port: int, as_json: bool) -> None:
    """The Dagster web UI with daemon, schedules and sensors. Dagster 网页界面."""
    with _told_plainly():
        from quant_pipeline.console.instance import prepare_environment
        from quant_pipeline.resources.warehouse import WarehouseResource

        prepare_environment()
        _ = WarehouseResource().database
        dg = Path(sys.executable).with_name("dg")
        if not dg.exists():
            raise click.ClickException("the UI is not installed: pip install 'quant-pipeline[ui]'")
        arguments = ["dev", "--host", host, "--port", str(port), "--log-format", "json" if as_json else "colored"]
        click.echo(f"Dagster UI: http://{host}:{port} (Ctrl-C stops it)", err=True)
        os.chdir(os.environ["DAGSTER_HOME"])
        os.execv(dg, [str(dg), *arguments])  # takes over this process, and with it Ctrl-C and signals


@main.command()
@click.option("--port", default=0, help="Port to listen on (0: any free one). 端口")
@as_json
def sandbox(port: int, as_json: bool) -> None:
    """Serve the sandbox alone: simulated exchange, Tushare and PushPlus servers. 单独运行沙盒."""
    with _told_plainly():
        from quant_pipeline.sandbox import __main__ as service

        service.foreground(_settings().home, port=port, as_json=as_json)


@main.group()
def db() -> None:
    """The database: PostgreSQL, embedded or given by QUANT_DATABASE_URL. 数据库."""


@db.command()
@as_json
def upgrade(as_json: bool) -> None:
    """Make or upgrade the tables (every start does it too). 升级表结构."""
    with _told_plainly():
        database = _database()
        database.upgrade()
        _say({"database": database.name, "upgraded": True}, f"{database.name} is up to date.", as_json)


@db.command()
@as_json
def url(as_json: bool) -> None:
    """Print the database's URL, for psql, psycopg, notebooks. 打印连接地址."""
    with _told_plainly():
        database = _database()
        database.upgrade()
        _say({"url": database.url}, database.url, as_json)


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@as_json
def psql(arguments: tuple[str, ...], as_json: bool) -> None:
    """Open psql on the database; further ARGUMENTS go to it (-c 'SELECT 1'). 打开 psql."""
    with _told_plainly():
        from quant_pipeline.warehouse.server import program

        database = _database()
        database.upgrade()
        output = ["--csv"] if as_json else []
        sys.exit(subprocess.run([program("psql"), database.url, *output, *arguments], check=False).returncode)


@db.command()
@as_json
def stop(as_json: bool) -> None:
    """Stop the embedded server (it starts again when it is needed). 停止内置数据库."""
    with _told_plainly():
        from quant_pipeline.warehouse import server

        server.stop(_settings().home)
        _say({"stopped": True}, "The embedded PostgreSQL is stopped.", as_json)


class _told_plainly:  # noqa: N801
    """Turns the errors that a user can mend into one readable line and exit code 1 (2: another sync is running)."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyboardInterrupt):
            _stop("Stopped. What was committed is kept; run the command again to go on. 已中断，重新运行即可继续", 130)
        if kind is not None and isinstance(error, ValueError | RuntimeError):
            from quant_pipeline.sync.slot import SyncRunning

            _stop(str(error), 2 if isinstance(error, SyncRunning) else 1)


def _stop(text: str, code: int) -> NoReturn:
    click.echo(f"quant-pipeline: {text}", err=True)
    sys.exit(code)


def _settings() -> Settings:
    from quant_pipeline import settings

    return settings.load()


def _database() -> Any:
    from quant_pipeline.warehouse.database import Database

    return Database.from_settings(_settings())


def _upgraded() -> Any:
    database = _database()
    database.upgrade()
    return database


def _prepared(as_json: bool) -> tuple[Settings, Any]:
    from rich.console import Console

    settings = _settings()
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console = Console(stderr=as_json, width=_WIDTH)
    if settings.sandboxed:
        console.print("[bold yellow]SANDBOX 沙盒[/]: a simulated exchange; no token, no network. 模拟行情，非真实数据")
    return settings, console


def _finish(report: Report, settings: Settings, console: Any, as_json: bool) -> NoReturn:
    from quant_pipeline.console.render import show

    if as_json:
        click.echo(json.dumps(report.as_dict(), default=str, ensure_ascii=False, indent=2))
    else:
        show(report, console, ui_url=settings.ui_url)
    sys.exit(0 if report.status == "success" else 1)


def _tell(told: Told, settings: Settings, console: Any, as_json: bool) -> None:
    if as_json:
        facts = {"mode": settings.mode.value, **told.facts}
        click.echo(json.dumps(facts, default=lambda day: day.isoformat(), ensure_ascii=False, indent=2))
    else:
        console.print(*told.shown, sep="\n")


def _show_plan(plans: list[Plan], console: Any, as_json: bool) -> None:
    from quant_pipeline.console.render import plan_facts, show_plan

    if as_json:
        click.echo(json.dumps(plan_facts(plans), ensure_ascii=False, indent=2))
    else:
        show_plan(plans, console)


def _say(facts: dict[str, Any], text: str, as_json: bool) -> None:
    click.echo(json.dumps(facts) if as_json else text)


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


if __name__ == "__main__":
    main()
