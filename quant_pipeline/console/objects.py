"""What the commands `export list`, `link` and `delete` do and show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import click
from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.words import moment
from quant_pipeline.exports import parquet
from quant_pipeline.exports.contract import ExportError, Origin, alone
from quant_pipeline.exports.objects import ObjectStore
from quant_pipeline.language import say, say_many
from quant_pipeline.market.search import Named, near
from quant_pipeline.resources import opened
from quant_pipeline.settings import Settings


def listed(settings: Settings, address: str) -> Output:
    """Every object that the manifest names, with what stands there now."""
    origin, store = _there(settings, address)
    files = parquet.files_of(store, origin)
    present = {each.name: each for each in store.list()}
    table = FittedTable(
        say("{place}: {count} objects", place=store.address, count=len(files)),
        (
            Column(say("object")),
            Column(say("rows"), figures=True),
            Column(say("MB"), figures=True),
            Column(say("last"), rank=1),
            Column(say("written at"), rank=2),
            Column(say("state")),
        ),
    )
    facts = []
    for name, each in files.items():
        there = present.get(name)
        whole = there is not None and there.etag == each["etag"]
        facts.append({"name": name, **each, "whole": whole, "at": there.at if there is not None else None})
        state = say("as the manifest says") if whole else say("missing") if there is None else say("another one")
        at = moment(there.at if there is not None else None)
        table.add(name, f"{each['rows']:,}", f"{each['bytes'] / 1e6:.1f}", each["last"] or "", at, state)
    ending = [] if all(fact["whole"] for fact in facts) else [Text(say("! `quant-pipeline export parquet` mends what differs"))]
    nothing = Text(
        say("Nothing is there yet: `quant-pipeline export parquet` sends the tables to {place}", place=store.address)
    )
    return Output({"place": store.address, "objects": facts}, [table, *ending] if files else [nothing])


def linked(settings: Settings, address: str, name: str, hours: float) -> Output:
    """A signed address. ExportError for a name that the manifest does not have, with the likely ones."""
    origin, store = _there(settings, address)
    files = parquet.files_of(store, origin)
    if name not in files:
        words = say("there is no object {name!r} in {place}.", name=name, place=store.address)
        if alike := near(name, [Named(each, "") for each in files]):
            words += " " + say("Did you mean {near}?", near=", ".join(each.code for each in alike))
        raise ExportError(words)
    url = store.link(name, dt.timedelta(hours=hours))
    return Output({"place": store.address, "name": name, "hours": hours, "url": url}, [Text(url)], as_written=True)


def deleted(settings: Settings, address: str, datasets: Sequence[str], *, sure: bool) -> Output:
    """Deletes; asks first unless one is `sure`."""
    origin, store = _there(settings, address)
    known = {each["dataset"] for each in parquet.files_of(store, origin).values()}
    if unknown := sorted(set(datasets) - known):
        names = ", ".join(unknown)
        raise ExportError(say("nothing of {names} is in {place}; nothing was deleted", names=names, place=store.address))
    if not sure:
        what = ", ".join(datasets) or say("all objects")
        click.confirm(say("Delete {what} in {place}?", what=what, place=store.address), abort=True, err=True)
    with alone(origin.database, parquet.NAME, store.address):
        gone = parquet.forget(store, origin, datasets)
    words = say_many("{count} object deleted", "{count:,} objects deleted", len(gone))
    return Output({"place": store.address, "deleted": gone}, [Text(f"{words}: {store.address}")], as_written=True)


def _there(settings: Settings, address: str) -> tuple[Origin, ObjectStore]:
    database = opened.database(settings)
    origin = Origin(settings, database, opened.calendar(database))
    return origin, parquet.store_of(origin, address)
