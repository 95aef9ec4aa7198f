"""The commands of the lake: sync, path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared, print_facts, read_settings, upgraded
from quant_pipeline.cli.help import Group
from quant_pipeline.language import say

if TYPE_CHECKING:
    from quant_pipeline.warehouse.lake import Written


@click.group(cls=Group)
def lake() -> None:
    """The lake: the tables as Parquet, for fast reads, DuckDB, polars and pandas."""


@lake.command()
@as_json
def sync(as_json: bool) -> None:
    """Write the years whose rows changed; the others stay as they are.

    The asset `lake` does the same after each day's sync while the UI runs.
    """
    with plain_errors():
        from quant_pipeline.warehouse.lake import folder_of
        from quant_pipeline.warehouse.lake import sync as write

        settings, console = prepared(as_json)
        folder = folder_of(settings)

        def told(file: Written) -> None:
            if not as_json:
                of = f"{file.dataset} {file.year or ''}".strip()
                console.print(say("{of}: {rows} rows, {size} MB", of=of, rows=f"{file.rows:,}", size=f"{file.bytes / 1e6:.1f}"))

        written = write(upgraded(), folder, told=told)
        if as_json:
            files = [vars(file) | {"path": str(file.path)} for file in written]
            click.echo(json.dumps({"path": str(folder), "written": files}, ensure_ascii=False, indent=2))
        else:
            nothing = say("The lake is current: {folder}", folder=folder)
            console.print(say("{count} files written: {folder}", count=len(written), folder=folder) if written else nothing)


@lake.command()
@as_json
def path(as_json: bool) -> None:
    """Print the lake's folder: it holds <data set>/year=<year>/data.parquet.

    \b
    duckdb -c "SELECT count(*) FROM '$(quant-pipeline lake path)/daily_kline/*/*.parquet'"
    """
    with plain_errors():
        from quant_pipeline.warehouse.lake import folder_of

        folder = folder_of(read_settings())
        print_facts({"path": str(folder)}, str(folder), as_json)
