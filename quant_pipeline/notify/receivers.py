"""The people bound to a PushPlus account as its friends: who they are, and how the routes see them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quant_pipeline.language import say
from quant_pipeline.notify.channels.contract import Channel
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.routing import SOMEBODY, in_turn
from quant_pipeline.notify.severity import Severity
from quant_pipeline.warehouse.database import Database

_COLUMNS = "receiver, channel, friend, nickname, severities, bound_by, bound_at"
_BOUND = f"SELECT {_COLUMNS} FROM receivers ORDER BY bound_at"
_UNBIND = f"DELETE FROM receivers WHERE receiver = %s RETURNING {_COLUMNS}"
_SEVERITIES = "UPDATE receivers SET severities = %s WHERE receiver = %s"


class NoReceiver(ValueError):
    """Nobody of that name is bound; the text says who is."""


@dataclass(frozen=True)
class Bound:
    """A person bound to an account, and the severities that he is told."""

    receiver: str
    channel: str
    friend: int
    nickname: str
    severities: Sequence[str]
    bound_by: str
    bound_at: dt.datetime

    @property
    def way(self) -> str:
        """The name of the channel that reaches him: mother@pushplus."""
        return f"{self.receiver}@{self.channel}"


def bound(database: Database) -> list[Bound]:
    """All of them, the first bound first."""
    with database.connect() as connection:
        return [Bound(*row) for row in connection.execute(_BOUND).fetchall()]


def unbind(database: Database, receiver: str) -> Bound:
    """Takes the person out of the table: nothing is sent to him from now on. NoReceiver."""
    with database.connect() as connection:
        row = connection.execute(_UNBIND, (receiver,)).fetchone()
    return Bound(*row) if row is not None else _nobody(database, receiver)


def tell_only(database: Database, receiver: str, severities: Collection[Severity]) -> None:
    """Of which severities he is told from now on. NoReceiver."""
    with database.connect() as connection:
        if not connection.execute(_SEVERITIES, (sorted(severities), receiver)).rowcount:
            _nobody(database, receiver)


def ways_to(people: Sequence[Bound], channels: Mapping[str, Channel]) -> dict[str, Channel]:
    """Name -> the channel of each person whose account is set up."""
    accounts = {name: each for name, each in channels.items() if isinstance(each, PushPlus)}
    return {each.way: accounts[each.channel].for_friend(each.way, each.friend) for each in people if each.channel in accounts}


def with_people(tables: Mapping[str, Any], own: Sequence[Channel], people: Sequence[Bound]) -> dict[str, Any]:
    """The tables of receivers and routes with the bound people in them: each is told over his own way.

    Who is written in the file without channels, and you yourself where nobody is, keep the file's: nobody's messages go to
    somebody else. What the file says of a bound person's severities and quiet hours holds.
    """
    if not people:
        return dict(tables)
    ours = [channel.name for channel in in_turn(own)]
    written = tables.get("receivers")
    listed: dict[str, Any] = dict(written) if isinstance(written, Mapping) and written else {SOMEBODY: {}}
    by_name = {each.receiver: each for each in people}
    for name, fields in listed.items():
        if isinstance(fields, Mapping) and not fields.get("channels"):
            listed[name] = {**fields, "channels": [by_name[name].way] if name in by_name else ours}
    for name, person in by_name.items():
        if name in listed and isinstance(listed[name], Mapping):
            listed[name] = {"severities": list(person.severities), **listed[name]}
        else:
            listed[name] = {"channels": [person.way], "severities": list(person.severities)}
    return {**tables, "receivers": listed}


def _nobody(database: Database, receiver: str) -> Any:
    known = ", ".join(each.receiver for each in bound(database)) or say("none")
    raise NoReceiver(say("nobody is bound as {name!r}; there are {known}", name=receiver, known=known))
