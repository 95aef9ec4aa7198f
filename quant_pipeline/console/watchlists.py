"""What the commands `watchlist add|remove|list|import|export` do to the user's own lists, and show."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal, get_args

from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.console.typed_codes import TypedError, among, typed
from quant_pipeline.language import say
from quant_pipeline.market import clock
from quant_pipeline.market.code_files import codes_in_file
from quant_pipeline.market.watchlists import WatchlistError
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.watchlists import Changed, Item

Format = Literal["codes", "csv", "ths"]
FORMATS: tuple[Format, ...] = get_args(Format)
_TYPED = "typed"
_SHOWN = 6


def added(database: Database, name: str, texts: Sequence[str]) -> Output:
    """Adds what is typed; nothing where one of the texts means no code (TypedError)."""
    found = typed(database, texts)
    changed = watchlists.add(database, name, found.known(), origin=_TYPED, day=clock.today())
    return _changed(database, watchlists.usable(name), changed, found.notes)


def removed(database: Database, name: str, texts: Sequence[str], *, whole: bool) -> Output:
    """Takes out what is typed, or the whole list. What does not stand in it is no error."""
    if whole == bool(texts):
        raise WatchlistError(say("name the codes that go, or write --all for the whole list"))
    codes = None if whole else among(texts, watchlists.one(database, name), database)
    return _changed(database, name.strip(), watchlists.remove(database, name, codes), [])


def imported(database: Database, name: str, path: Path, *, replace: bool, skip_unknown: bool) -> Output:
    """Adds the codes of a file, or makes the list hold just them (`replace`). A line that means no code stops it, or is left
    out and told (`skip_unknown`)."""
    found = typed(database, codes_in_file(path))
    codes = found.codes if skip_unknown else found.known()
    if not codes:
        raise TypedError(say("{path} holds no code that is known: the list stays as it is", path=path))
    change = watchlists.replace if replace else watchlists.add
    changed = change(database, name, codes, origin=path.name, day=clock.today())
    return _changed(database, watchlists.usable(name), changed, [*found.notes, *found.unknown.values()], list(found.unknown))


def listed(database: Database, name: str | None) -> Output:
    """One list with its codes, or every list."""
    if name is not None:
        items = watchlists.one(database, name)
        table = FittedTable(
            say("Watchlist {name}: {count} codes", name=name.strip(), count=len(items)),
            (Column("#", figures=True), Column(say("code")), Column(say("name")), Column(say("added")), Column(say("from"))),
        )
        for at, each in enumerate(items, start=1):
            table.add(str(at), each.code, each.name, each.added_on.isoformat(), _origin(each))
        return Output({"watchlist": name.strip(), "codes": [asdict(each) for each in items]}, [table])
    known = watchlists.lists(database)
    facts = {"watchlists": [{"watchlist": each, "codes": [item.code for item in items]} for each, items in known.items()]}
    if not known:
        made = say("There is no watchlist yet. Make one: {command}", command="quant-pipeline watchlist add NAME 600519")
        return Output(facts, [Text(made)])
    table = FittedTable(
        say("Watchlists"), (Column(say("name")), Column(say("codes"), figures=True), Column(say("first ones"), words=30))
    )
    for watchlist, held in known.items():
        first = "、".join(item.name or item.code for item in held[:_SHOWN])
        table.add(watchlist, str(len(held)), first + ("…" if len(held) > _SHOWN else ""))
    return Output(facts, [table])


def exported(database: Database, name: str, form: Format) -> str:
    """The list as a text: a code a line, a CSV with names, or as 同花顺 imports it (SH600519, a line each)."""
    items = watchlists.one(database, name)
    if form == "csv":
        written = io.StringIO()
        rows = csv.writer(written, lineterminator="\n")
        rows.writerow(["ts_code", "name", "added_on", "origin"])
        rows.writerows([each.code, each.name, each.added_on, each.origin] for each in items)
        return written.getvalue()
    spelled = [f"{each.code[7:]}{each.code[:6]}" if form == "ths" else each.code for each in items]
    return "\n".join(spelled) + "\n"


def written(text: str, path: Path) -> Output:
    """Writes the text into the file, in UTF-8. WatchlistError where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WatchlistError(say("{path} cannot be written: {why}", path=path, why=error.strerror or error)) from None
    return Output({"path": str(path.resolve())}, [Text(say("Written: {path}", path=path))])


def _changed(database: Database, name: str, changed: Changed, notes: Sequence[str], left_out: Sequence[str] = ()) -> Output:
    held = len(watchlists.lists(database).get(name, []))
    told = [
        say(
            "{name}: added {added}, removed {removed}, unchanged {unchanged}; {held} codes now",
            name=name,
            added=len(changed.added),
            removed=len(changed.removed),
            unchanged=len(changed.unchanged),
            held=held,
        )
    ]
    facts = {"watchlist": name, **asdict(changed), "held": held, "notes": list(notes), "left_out": list(left_out)}
    return Output(facts, [*(Text(f"- {note}", "yellow") for note in notes), *(Text(each) for each in told)])


def _origin(item: Item) -> str:
    return say("typed") if item.origin == _TYPED else item.origin
