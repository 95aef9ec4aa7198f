"""The commands of research: screen, backtest."""

from __future__ import annotations

import datetime as dt
import time

import click

from quant_pipeline.cli import completing
from quant_pipeline.cli.command import DAY, as_json, finish, plain_errors, prepared, show
from quant_pipeline.cli.help import Command, option
from quant_pipeline.loading import uncollected


@click.command(cls=Command)
@click.argument("name", shell_complete=completing.strategies)
@option("--date", type=DAY, help="Session to screen (default: the latest complete one).")
@as_json
def screen(name: str, date: dt.datetime | None, as_json: bool) -> None:
    """Run one strategy's screen over what is stored of a session; nothing is synced.

    `run` and the daily job run the screens that QUANT_SCREENS names (by default dual_ma and your own); this runs any. It
    materializes the asset screen_NAME in Dagster, where its launchpad takes other parameters and a universe.

    \b
    quant-pipeline screen macd
    quant-pipeline screen macd --date 2026-11-18
    """
    began = time.monotonic()
    with plain_errors():
        from quant_pipeline.backtest.asked import strategy_named
        from quant_pipeline.console.interruption import interruptible
        from quant_pipeline.console.wanted import widen
        from quant_pipeline.resources import opened

        settings, console = prepared(as_json)
        strategy_named(name)
        database = opened.database(settings)
        calendar, session = opened.calendar(database), date.date() if date else None
        widen(database, calendar, session)
        with uncollected():
            from quant_pipeline.console import commands  # with Dagster's definitions, which are made of what is wanted
            from quant_pipeline.resources.warehouse import WarehouseResource

        with interruptible():
            done = commands.screen(settings, console, WarehouseResource(), calendar, name, date=session, began=began)
        finish(done, settings, console, as_json)


@click.command(cls=Command)
@click.argument("name", shell_complete=completing.strategies)
@option("--start", type=DAY, help="First session (default: the first one that is stored).")
@option("--end", type=DAY, help="Last session (default: the last one that is stored).")
@option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy, or of the account.")
@option("--universe", default="all", show_default=True, help="all, an index (hs300 …), boards, watchlist:NAME or codes.")
@option("--capital", type=float, help="Cash at the beginning, in yuan (default: 1,000,000).")
@as_json
def backtest(
    name: str,
    start: dt.datetime | None,
    end: dt.datetime | None,
    changes: tuple[str, ...],
    universe: str,
    capital: float | None,
    as_json: bool,
) -> None:
    """Trade a strategy's signals under the exchange's rules, store every order with what became of it, and save a report.

    Signals of a close trade at the next open: limits, halts, T+1, lots, costs and dividend tax as they were on each date, in
    whole cents. --set changes the strategy's parameters and the account's: fill, max_positions, sizing, slippage_bp,
    volume_share, commission, minimum_commission, rounding, benchmark and others.

    The report stands under QUANT_HOME/reports, and among our own pages under /backtests.

    \b
    quant-pipeline backtest dual_ma --start 2025-01-01
    quant-pipeline backtest dual_ma --set fast=10 --set slow=60 --set max_positions=20
    quant-pipeline backtest dual_ma --universe main --set fill=close --set commission=0 --json
    """
    with plain_errors():
        from quant_pipeline.console.backtest import backtest_output, underway
        from quant_pipeline.resources import opened

        settings, console = prepared(as_json)
        database = opened.database(settings)
        with console.status(underway(name)):
            output = backtest_output(
                settings,
                database,
                opened.calendar(database),
                name,
                start=start.date() if start else None,
                end=end.date() if end else None,
                changes=changes,
                universe=universe,
                capital=capital,
            )
        show(output, settings, console, as_json)
