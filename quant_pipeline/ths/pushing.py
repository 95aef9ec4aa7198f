"""A push: the group is read, planned for, written, read again; what became of each code is recorded.

A re-run changes nothing: what stands in the group is left, and what was pushed for the session is not pushed for it again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from quant_pipeline.language import told
from quant_pipeline.market.datasets import THS_WATCHLIST
from quant_pipeline.market.search import Named
from quant_pipeline.ths.errors import Failure, ThsError
from quant_pipeline.ths.groups import DEFAULT_NAMES, Became, Group, Groups, Outcome, named
from quant_pipeline.ths.market_ids import ts_code
from quant_pipeline.ths.origins import Kind, codes_of
from quant_pipeline.ths.planning import Plan, PushRefused, allowed, planned
from quant_pipeline.ths.pushes import Push
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.upsert import COMPUTED, upsert

_PUSHED = """
SELECT ts_code FROM ths_watchlist
WHERE trade_date = %s AND account = %s AND group_id = %s AND origin = %s AND action = 'add' AND outcome IN ('done', 'there')
"""
_LAST_GROUP = """
SELECT group_id FROM ths_watchlist WHERE account = %s AND group_name = %s ORDER BY trade_date DESC, updated_at DESC LIMIT 1
"""
_ADD, _REMOVE = "add", "remove"


@dataclass(frozen=True)
class Pushed:
    """What became of a push. `differs`: in words, what the group holds afterwards other than it should; `notes`: what else its
    owner should know."""

    push: Push
    session: dt.date
    group: Group | None = None
    """As it is afterwards; None: nothing was to be pushed, and none was made."""
    made: bool = False
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    """Code -> THS's words, or why it was not sent."""
    differs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return self.made or bool(self.added or self.removed)


def push(database: Database, groups: Groups, account: str, wanted: Push, session: dt.date, *, dry: bool = False) -> Pushed:
    """Does the push for the session; `dry`: only looks what it would do.

    PushRefused where it may not be done, SessionExpired where the login is over, ThsError where THS does not answer. What
    was done before is recorded all the same.
    """
    codes = codes_of(database, wanted.origin, session)
    if not codes:
        note = told("there is nothing to push: the group {group} stays as it is", group=wanted.group)
        return Pushed(wanted, session, notes=(note,))
    group, notes = _found(database, groups, account, wanted.group)
    if wanted.origin.kind is not Kind.WATCHLIST and len(codes) > wanted.most:
        notes.append(told("the first {most} of {count} codes are pushed", most=wanted.most, count=len(codes)))
        codes = codes[: wanted.most]
    if group is not None and group.dynamic:
        raise PushRefused(
            told("{group} is a dynamic group, which fills itself: name another one, nothing was changed", group=group.name)
        )
    done = () if group is None else _pushed(database, account, group, wanted, session)
    before = group or Group("", wanted.group)
    plan = planned([each.code for each in codes], before, wanted.mode, done=done)
    allowed(plan, before, confirmed=wanted.confirmed)
    if dry:
        return _foreseen(wanted, session, group, plan, notes)
    made = group is None and bool(plan.add)
    target = groups.make(wanted.group) if made else group
    if target is None:
        return Pushed(wanted, session, refused=dict(plan.left), notes=tuple(notes))
    return _done(database, groups, account, wanted, session, target, plan, codes, made=made, notes=notes)


def _done(
    database: Database,
    groups: Groups,
    account: str,
    wanted: Push,
    session: dt.date,
    target: Group,
    plan: Plan,
    codes: Sequence[Named],
    *,
    made: bool,
    notes: Sequence[str],
) -> Pushed:
    """Writes, reads again, records: also of what was done before something stopped it."""
    came: list[tuple[str, Became]] = []
    after: Group | None = None
    try:
        for action, entries, write in ((_REMOVE, plan.remove, groups.remove), (_ADD, plan.add, groups.add)):
            for became in write(target, entries):
                came.append((action, became))
        after = groups.read(target.id) if came or made else target
    finally:
        outcomes = _judged(came, after)
        _record(database, account, wanted, session, after or target, codes, outcomes, plan)
    if after is None:
        raise ThsError(Failure.UNREADABLE, told("the group {group} is gone after it was written into", group=target.name))
    return Pushed(
        wanted,
        session,
        after,
        made,
        added=tuple(code for code, (action, outcome, _) in outcomes.items() if (action, outcome) == (_ADD, Outcome.DONE)),
        removed=tuple(code for code, (action, outcome, _) in outcomes.items() if (action, outcome) == (_REMOVE, Outcome.DONE)),
        there=plan.there
        + tuple(code for code, (action, outcome, _) in outcomes.items() if (action, outcome) == (_ADD, Outcome.THERE)),
        refused={code: said for code, (_, outcome, said) in outcomes.items() if outcome is Outcome.REFUSED} | dict(plan.left),
        differs=tuple(_differences(came, after)),
        notes=tuple(notes),
    )


def _found(database: Database, groups: Groups, account: str, name: str) -> tuple[Group | None, list[str]]:
    """The group of that name, or the one that had it when it was pushed into last: its owner may have renamed it."""
    if name in DEFAULT_NAMES:
        return groups.default(), []
    listed = groups.all()
    if (group := named(listed, name)) is not None:
        return group, []
    with database.connect() as connection:
        last = connection.execute(_LAST_GROUP, (account, name)).fetchone()
    renamed = next((each for each in listed if last is not None and each.id == last[0]), None)
    if renamed is None:
        return None, []
    return renamed, [told("the group {former} is called {name} now: it was taken", former=name, name=renamed.name)]


def _pushed(database: Database, account: str, group: Group, wanted: Push, session: dt.date) -> frozenset[str]:
    with database.connect() as connection:
        rows = connection.execute(_PUSHED, (session, account, group.id, str(wanted.origin))).fetchall()
    return frozenset(code for (code,) in rows)


def _judged(came: Iterable[tuple[str, Became]], after: Group | None) -> dict[str, tuple[str, Outcome, str]]:
    """Code -> action, outcome, THS's words. What the group holds afterwards counts more than an answer: one that was lost on
    the way may have been done."""
    held = None if after is None else set(after.entries)
    judged = {}
    for action, became in came:
        code = ts_code(became.entry) or became.entry.code
        outcome = became.outcome
        if outcome is Outcome.REFUSED and held is not None and (became.entry in held) == (action == _ADD):
            outcome = Outcome.DONE
        judged[code] = (action, outcome, became.said if outcome is Outcome.REFUSED else "")
    return judged


def _differences(came: Iterable[tuple[str, Became]], after: Group) -> Iterable[str]:
    """Writes that THS confirmed and that are not to be seen afterwards."""
    held = set(after.entries)
    for action, became in came:
        if became.outcome is not Outcome.REFUSED and (became.entry in held) != (action == _ADD):
            code = ts_code(became.entry) or str(became.entry)
            if action == _ADD:
                yield told("{code} was added and is not in the group", code=code)
            else:
                yield told("{code} was removed and is still in the group", code=code)


def _record(
    database: Database,
    account: str,
    wanted: Push,
    session: dt.date,
    group: Group,
    codes: Sequence[Named],
    outcomes: dict[str, tuple[str, Outcome, str]],
    plan: Plan,
) -> None:
    names = {each.code: each.name for each in codes}
    there = dict.fromkeys(plan.there, (_ADD, Outcome.THERE, ""))
    left = {code: (_ADD, Outcome.REFUSED, said) for code, said in plan.left.items()}
    rows = [
        {
            "trade_date": session,
            "account": account,
            "group_id": group.id,
            "origin": str(wanted.origin),
            "ts_code": code,
            "group_name": wanted.group,
            "name": names.get(code) or None,
            "action": action,
            "outcome": outcome.value,
            "said": said or None,
        }
        for code, (action, outcome, said) in {**there, **left, **outcomes}.items()
    ]
    frame = pl.DataFrame(rows, schema={column.name: column.type.polars for column in THS_WATCHLIST.columns})
    with database.connect() as connection:
        known = connection.execute(_PUSHED, (session, account, group.id, str(wanted.origin))).fetchall()
        # what was pushed stays recorded as pushed, though it is there already the next time
        frame = frame.filter(~(pl.col("outcome") == Outcome.THERE) | ~pl.col("ts_code").is_in([code for (code,) in known]))
        upsert(connection, THS_WATCHLIST, frame, source=COMPUTED)


def _foreseen(wanted: Push, session: dt.date, group: Group | None, plan: Plan, notes: Sequence[str]) -> Pushed:
    added, removed = ([ts_code(each) or each.code for each in entries] for entries in (plan.add, plan.remove))
    return Pushed(
        wanted,
        session,
        group,
        group is None and bool(plan.add),
        tuple(added),
        tuple(removed),
        plan.there,
        dict(plan.left),
        notes=tuple(notes),
    )


def taken(groups: Groups, name: str) -> tuple[Group, list[Named], list[str]]:
    """The group of that name, its codes from the top, and the entries that the platform does not know. ThsError where there
    is none."""
    if name.strip() in DEFAULT_NAMES:
        group = groups.default()
    else:
        listed = groups.all()
        found = named(listed, name)
        if found is None:
            names = ", ".join([DEFAULT_NAMES[0], *(each.name for each in listed)])
            raise ThsError(
                Failure.UNKNOWN, told("the account has no group {name}: it has {names}", name=name.strip(), names=names)
            )
        group = found
    codes = [(each, ts_code(each)) for each in group.entries]
    known = [Named(code, "") for _, code in codes if code is not None]
    return group, known, [str(each) for each, code in codes if code is None]
