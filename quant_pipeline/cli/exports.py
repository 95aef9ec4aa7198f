"""The commands of the exports: one for each that is registered, made of what it says of itself; loaded when they are asked
for."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

import click

from quant_pipeline.cli.command import as_json, plain_errors, prepared, show
from quant_pipeline.cli.help import Command, Group, Option

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
