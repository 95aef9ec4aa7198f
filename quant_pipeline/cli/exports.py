"""The commands of the exports: one for each that is registered, made of what it says of itself; loaded when they are asked
for."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared, show, split
from quant_pipeline.cli.help import Command, Group, Option, option

if TYPE_CHECKING:
    from quant_pipeline.exports.contract import Export


class _Registered(MutableMapping[str, click.Command]):
    """The group's commands: those that are written here, and one per export."""

    def __init__(self) -> None:
        self._written: dict[str, click.Command] = {}
        self._made: dict[str, click.Command] | None = None

    def _all(self) -> dict[str, click.Command]:
        if self._made is None:
            from quant_pipeline.exports.registry import registered

            self._made = {name: _command(export) for name, export in registered().items()}
        return self._made | self._written

    def __getitem__(self, name: str) -> click.Command:
        return self._all()[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._written[name] = command

    def __delitem__(self, name: str) -> None:
        del self._written[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


class _Exports(Group):
    """A group whose commands are known when they are asked for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.commands = _Registered()

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)


@click.group(cls=_Exports)
def export() -> None:
    """Write the stored rows in the form of another tool: qlib, vnpy, CSV, Parquet in an object store.

    Only what changed is written; who reads sees the former state or the new one, never half of it. Run again without a
    change, it writes nothing and says so.

    \b
    quant-pipeline export qlib
    quant-pipeline export csv --datasets daily_kline,daily_basic
    quant-pipeline export parquet --json
    """


def _command(kind: type[Export]) -> click.Command:
    fields = kind.Parameters.model_fields

    @as_json
    def run(as_json: bool, **asked: str | None) -> None:
        with plain_errors():
            from quant_pipeline.console.exports import exported

            settings, console = prepared(as_json)
            given = kind.Parameters(**{name: value for name, value in asked.items() if value is not None})
            show(exported(settings, kind(given), console), settings, console, as_json)

    return Command(
        kind.name,
        callback=run,
        params=[
            *(Option([f"--{name.replace('_', '-')}", name], help=field.description) for name, field in fields.items()),
            *getattr(run, "__click_params__", []),
        ],
        help=f"{kind.doc}\n\n\b\n" + "\n".join(kind.examples),
    )


_TO = option("--to", default="", help="Address, s3://bucket/folder, oss:// or cos:// (default: QUANT_EXPORT_URL).")


@export.command("list")
@_TO
@as_json
def list_objects(to: str, as_json: bool) -> None:
    """What `export parquet` has put into the object store: each object with rows, size, and whether it is the one that the
    manifest means.

    \b
    quant-pipeline export list
    """
    with plain_errors():
        from quant_pipeline.console.objects import listed

        settings, console = prepared(as_json)
        show(listed(settings, to), settings, console, as_json)


@export.command()
@click.argument("name")
@_TO
@option("--hours", type=click.FloatRange(0, 168, min_open=True), default=24, show_default=True, help="How long it lasts.")
@as_json
def link(name: str, to: str, hours: float, as_json: bool) -> None:
    """A signed address of one object, for whoever has no keys: it can be read, until the link ends.

    \b
    quant-pipeline export link daily_kline/year=2026/data.parquet
    quant-pipeline export link stock_list/data.parquet --hours 1
    """
    with plain_errors():
        from quant_pipeline.console.objects import linked

        settings, console = prepared(as_json)
        show(linked(settings, to, name, hours), settings, console, as_json)


@export.command()
@_TO
@option("--datasets", default="", help="Comma-separated data sets (default: all).")
@option("--yes", is_flag=True, help="Do not ask.")
@as_json
def delete(to: str, datasets: str, yes: bool, as_json: bool) -> None:
    """Delete what `export parquet` has put into the object store. The tables and the lake stay as they are.

    Objects that the manifest does not name are somebody else's, and stay.

    \b
    quant-pipeline export delete --datasets auction
    quant-pipeline export delete --yes
    """
    with plain_errors():
        from quant_pipeline.console.objects import deleted

        settings, console = prepared(as_json)
        show(deleted(settings, to, split(datasets), sure=yes), settings, console, as_json)
