"""The parts of a day, as they are shown. What is not stored is `Lacking`, never a zero."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quant_pipeline.sync.insight.status import DatasetStatus


@dataclass(frozen=True)
class Lacking:
    """A part that cannot be shown: the data set or screen that is missing, in words, and the command that brings it ("":
    there is none)."""

    name: str
    what: str
    command: str = ""
    lacking: ClassVar[bool] = True


@dataclass(frozen=True)
class Part:
    """A part that can be shown."""

    lacking: ClassVar[bool] = False


@dataclass(frozen=True)
class Quote:
    """A share on the day: close [元], pct_chg [%], amount [千元]; null where it did not trade."""

    ts_code: str
    name: str
    close: float | None = None
    pct_chg: float | None = None
    amount: float | None = None


@dataclass(frozen=True)
class Bin:
    """How many shares changed so: `tone` is up, down or flat."""

    label: str
    count: int
    tone: str


@dataclass(frozen=True)
class Breadth(Part):
    """Of how many shares the price rose, fell, stayed. `unknown`: their former close is not known · mean, median [%]."""

    codes: int
    up: int
    down: int
    flat: int
    unknown: int
    mean: float | None
    median: float | None
    bins: Sequence[Bin]


@dataclass(frozen=True)
class Rung:
    """Shares that closed at their upper limit for `height` sessions of their own in a row (`at_least`: or more)."""

    height: int
    quotes: Sequence[Quote]
    at_least: bool = False


@dataclass(frozen=True)
class Limits(Part):
    """Who closed at a limit. `broken`: touched the upper one and closed below · `ruled`: how many limits were counted by the
    exchanges' rules, as the session's own are not stored · `unknown`: of how many shares the limit is not known at all."""

    up: int
    down: int
    broken: int
    ladder: Sequence[Rung]
    fallen: Sequence[Quote]
    ruled: int
    unknown: int

    @property
    def highest(self) -> int:
        """The longest row of upper limits; 0: nobody closed at one."""
        return max((rung.height for rung in self.ladder), default=0)

    @property
    def kept(self) -> float | None:
        """How many of those that touched the upper limit closed at it [%]."""
        touched = self.up + self.broken
        return self.up / touched * 100 if touched else None


@dataclass(frozen=True)
class IndexQuote:
    """An index on the day: points, pct_chg [%], amount [千元]."""

    ts_code: str
    name: str
    close: float
    pct_chg: float | None
    amount: float | None


@dataclass(frozen=True)
class Indexes(Part):
    quotes: Sequence[IndexQuote]


@dataclass(frozen=True)
class SessionTurnover:
    """A session's turnover [千元]; null where its bars are not stored. `whole`: nearly every share's is."""

    session: dt.date
    amount: float | None
    whole: bool


@dataclass(frozen=True)
class Turnover(Part):
    """The day's turnover [千元] and the sessions up to it. `mean`: of the `compared` whole sessions before it."""

    amount: float
    sessions: Sequence[SessionTurnover]
    mean: float | None
    compared: int

    @property
    def against_mean(self) -> float | None:
        """[%]"""
        return (self.amount / self.mean - 1) * 100 if self.mean else None


@dataclass(frozen=True)
class Board:
    """A board: mean pct_chg of its members that traded, how many those are and how many rose, and its leader (of a falling
    board the one that fell most)."""

    ts_code: str
    name: str
    kind: str
    pct_chg: float
    members: int
    up: int
    leader: Quote


@dataclass(frozen=True)
class Boards(Part):
    """The members are those of the last sync of the boards."""

    strongest: Sequence[Board]
    weakest: Sequence[Board]
    count: int


@dataclass(frozen=True)
class HotQuote:
    rank: int
    quote: Quote
    concept: str


@dataclass(frozen=True)
class Hot(Part):
    """The last list of the day; `kind` is whose."""

    kind: str
    at: str
    quotes: Sequence[HotQuote]


@dataclass(frozen=True)
class Hit:
    """`new`: not among the hits of the session before; null where that was not screened."""

    quote: Quote
    new: bool | None


@dataclass(frozen=True)
class ScreenHits(Part):
    """A screen's hits, best first, and those of the session before (`before`; null: it was not screened) that are gone."""

    screen: str
    zh: str
    hits: Sequence[Hit]
    gone: Sequence[Quote]
    before: dt.date | None


@dataclass(frozen=True)
class NotScreened(Lacking):
    """A screen that did not run for the session."""

    zh: str = ""

    @property
    def screen(self) -> str:
        return self.name


@dataclass(frozen=True)
class Halts(Part):
    """Who did not trade for the whole session, who for a part of it, who traded again."""

    whole: Sequence[Quote]
    intraday: Sequence[tuple[Quote, str]]
    resumed: Sequence[Quote]


@dataclass(frozen=True)
class Listings(Part):
    quotes: Sequence[Quote]


@dataclass(frozen=True)
class ExDate:
    """`step`: how the factor grew [%]; `former_close` [元] became the ex-rights `pre_close` [元]."""

    quote: Quote
    step: float
    former_close: float | None
    pre_close: float | None


@dataclass(frozen=True)
class ExDates(Part):
    dates: Sequence[ExDate]


@dataclass(frozen=True)
class Filled:
    """Who brought a data set's rows of the day: source -> rows, most first."""

    dataset: str
    zh: str
    rows: int
    sources: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Health:
    """How the sync stands now: what is late or has failed units; and whose rows the day's are."""

    late: Sequence[DatasetStatus]
    failed: Sequence[DatasetStatus]
    filled: Sequence[Filled]
    switched_off: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Day:
    """A session at a glance. `due`: how many shares owe a bar (null: the list of shares is not stored), `missing`: of how many
    none is stored; `before`, `after`: the neighbouring sessions that are stored."""

    session: dt.date
    before: dt.date | None
    after: dt.date | None
    codes: int
    due: int | None
    missing: Sequence[str]
    indexes: Indexes | Lacking
    breadth: Breadth
    turnover: Turnover | Lacking
    limits: Limits
    boards: Boards | Lacking
    hot: Hot | Lacking
    screens: Sequence[ScreenHits | NotScreened]
    halts: Halts | Lacking
    listings: Listings | Lacking
    ex_dates: ExDates | Lacking
    health: Health

    @property
    def whole(self) -> bool:
        """Whether nearly every share that owes a bar has one: where not, the day's sums say little."""
        return not self.missing or self.due is None or len(self.missing) <= 0.02 * self.due
