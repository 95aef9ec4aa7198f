"""What the commands `watchlist push|pull|groups` do with the groups of the THS account, and show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.language import say
from quant_pipeline.market import clock
from quant_pipeline.market.search import Named
from quant_pipeline.market.watchlists import WatchlistError
from quant_pipeline.resources.ths_groups import groups_of
from quant_pipeline.retelling import retold
from quant_pipeline.strategies.registry import registered
from quant_pipeline.switches import screens_on
from quant_pipeline.ths.errors import ThsError
from quant_pipeline.ths.groups import Group
from quant_pipeline.ths.market_ids import ts_code
from quant_pipeline.ths.planning import PushRefused
from quant_pipeline.ths.pushes import Push, load, push_of
from quant_pipeline.ths.pushing import Pushed, push, taken
from quant_pipeline.vault.errors import VaultError
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.listings import listings

_SHOWN = 8


def wanted(origin: str | None, **how: Any) -> list[Push]:
    """The push of this origin, or all that the project pushes by itself. ValueError, a sentence, for a slip."""
    screens = {name: each.zh for name, each in registered().strategies.items()}
    return load(screens, screens_on()) if origin is None else [push_of(origin, screens, **how)]


def pushed(database: Database, pushes: Sequence[Push], session: dt.date, *, dry: bool) -> tuple[Output, bool]:
    """Does the pushes, one after the other, whatever becomes of each; whether all went well."""
    done: list[Pushed] = []
    failed: dict[str, str] = {}
    for each in pushes:
        try:
            with groups_of(database, each.account) as (groups, logged):
                done.append(push(database, groups, logged.account, each, session, dry=dry))
        except (ThsError, VaultError, PushRefused, WatchlistError) as error:
            failed[f"{each.origin} → {each.group}"] = str(error)
    title = say("Would be pushed for {session}", session=session) if dry else say("Pushed for {session}", session=session)
    table = FittedTable(
        title,
        (
            Column(say("group")),
            Column(say("from"), rank=1),
            Column(say("added"), figures=True),
            Column(say("removed"), figures=True),
            Column(say("there"), figures=True),
            Column(say("refused"), figures=True),
        ),
    )
    for found in done:
        counts = (len(found.added), len(found.removed), len(found.there), len(found.refused))
        name = found.push.group if found.group is None else found.group.name
        table.add(name + (f" ({say('new')})" if found.made else ""), str(found.push.origin), *map(str, counts))
    notes = [*_notes(done), *(f"{what}: {retold(why)}" for what, why in failed.items())]
    facts = {"session": session, "dry": dry, "pushes": [_facts(found) for found in done], "failed": failed}
    lines: list[RenderableType] = [*([table] if done else []), *(Text(f"- {note}", "yellow") for note in notes)]
    return Output(facts, lines or [Text(say("Nothing is pushed by itself: watchlists.toml names no push."))]), not failed


def pulled(database: Database, name: str, *, into: str, replace: bool, account: str) -> Output:
    """Adds the codes of a group to a list (by default one of its name), or makes it hold just these."""
    with groups_of(database, account) as (groups, logged):
        group, codes, unknown = taken(groups, name)
    names = {each.code: each.name for each in listings(database)}
    named = [Named(each.code, names.get(each.code, "")) for each in codes]
    target = into or group.name
    change = watchlists.replace if replace else watchlists.add
    changed = change(database, target, named, origin=f"{logged.account}:{group.name}", day=clock.today())
    held = len(watchlists.lists(database).get(target, []))
    told = say(
        "{name}: added {added}, removed {removed}, unchanged {unchanged}; {held} codes now",
        name=target,
        added=len(changed.added),
        removed=len(changed.removed),
        unchanged=len(changed.unchanged),
        held=held,
    )
    notes = [say("left out, the platform has no such market: {entries}", entries=" ".join(unknown))] if unknown else []
    facts = {"group": group.name, "watchlist": target, "added": changed.added, "removed": changed.removed, "left_out": unknown}
    return Output(facts, [*(Text(f"- {note}", "yellow") for note in notes), Text(told)])


def shown(database: Database, account: str) -> Output:
    """The groups of the account, the default list first."""
    with groups_of(database, account) as (groups, logged):
        found = [groups.default(), *groups.all()]
    table = FittedTable(
        say("Groups of {account}", account=logged.account),
        (
            Column(say("name")),
            Column(say("codes"), figures=True),
            Column(say("kind"), rank=1),
            Column(say("first ones"), words=30),
        ),
    )
    names = {each.code: each.name for each in listings(database)}
    for group in found:
        kind = say("dynamic: read only") if group.dynamic else ""
        table.add(group.name, str(len(group.entries)), kind, _first(group, names))
    facts = {
        "account": logged.account,
        "groups": [
            {
                "id": each.id,
                "name": each.name,
                "dynamic": each.dynamic,
                "codes": [ts_code(entry) or str(entry) for entry in each.entries],
            }
            for each in found
        ],
    }
    return Output(facts, [table])


def _first(group: Group, names: Mapping[str, str]) -> str:
    codes = [ts_code(entry) or str(entry) for entry in group.entries[:_SHOWN]]
    return "、".join(names.get(code) or code for code in codes) + ("…" if len(group.entries) > _SHOWN else "")


def _notes(done: Sequence[Pushed]) -> list[str]:
    told = []
    for each in done:
        whys: dict[str, list[str]] = {}
        for code, why in each.refused.items():
            whys.setdefault(why, []).append(code)
        for why, codes in whys.items():
            more = f" … ({len(codes)})" if len(codes) > _SHOWN else ""
            told.append(f"{', '.join(codes[:_SHOWN])}{more}: {retold(why)}")
        told += [retold(text) for text in (*each.differs, *each.notes)]
    return told


def _facts(found: Pushed) -> dict[str, Any]:
    return {
        "from": str(found.push.origin),
        "group": found.push.group if found.group is None else found.group.name,
        "made": found.made,
        "added": found.added,
        "removed": found.removed,
        "there": found.there,
        "refused": found.refused,
        "differs": found.differs,
        "notes": found.notes,
    }
