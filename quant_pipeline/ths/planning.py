"""What a push would do to a group: what comes in, what goes, and what is never done without being asked for twice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from quant_pipeline.language import told
from quant_pipeline.ths.market_ids import Entry, MarketIdError, entry, ts_code

if TYPE_CHECKING:
    from quant_pipeline.ths.groups import Group  # with the client: not for who only reads what is to be pushed

MOST_REMOVED = 0.3
"""Of a group, that may go without `--confirm`."""


class Mode(StrEnum):
    """What becomes of the other codes of a group."""

    ADD = "add"
    """They stay."""
    MIRROR = "mirror"
    """They go: the group holds what was pushed, and what the platform does not know (Hong Kong, New York)."""


class PushRefused(RuntimeError):
    """A push that is not done; the text says why and what to do. Nothing was changed."""


@dataclass(frozen=True)
class Plan:
    """Of one group. `left`: wanted codes that are not written, with the reason; `foreign`: entries that nobody here knows,
    which stay in any case."""

    add: tuple[Entry, ...] = ()
    remove: tuple[Entry, ...] = ()
    there: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict)
    foreign: tuple[Entry, ...] = ()


def planned(wanted: Sequence[str], group: Group, mode: Mode, *, done: Collection[str] = ()) -> Plan:
    """What it takes that the group holds the wanted codes; the best is added first, where there may not be room for all.

    `done`: codes that were pushed before for the same reason: what its owner took out by hand is not put back. In mode
    `mirror` they are: the group is to be like the list. Nothing wanted: nothing is done, whatever the mode.
    """
    if not wanted:
        return Plan()
    held = {ts_code(each): each for each in group.entries}
    foreign = tuple(each for each in group.entries if ts_code(each) is None)
    add: list[Entry] = []
    left: dict[str, str] = {}
    for code in dict.fromkeys(wanted):
        if code in held or (mode is Mode.ADD and code in done):
            continue
        try:
            add.append(entry(code))
        except MarketIdError as error:
            left[code] = str(error)
    gone = () if mode is Mode.ADD else tuple(each for code, each in held.items() if code is not None and code not in wanted)
    there = tuple(code for code in dict.fromkeys(wanted) if code in held)
    return Plan(tuple(add), gone, there, left, foreign)


def allowed(plan: Plan, group: Group, *, confirmed: bool) -> None:
    """PushRefused where more of the group would go than may without being confirmed."""
    if confirmed or len(plan.remove) <= MOST_REMOVED * len(group.entries):
        return
    raise PushRefused(
        told(
            "{remove} of the {count} codes of {group} would be removed, more than {most:.0%}: nothing was changed. "
            "If that is meant, say so with --confirm",
            remove=len(plan.remove),
            count=len(group.entries),
            group=group.name,
            most=MOST_REMOVED,
        )
    )
