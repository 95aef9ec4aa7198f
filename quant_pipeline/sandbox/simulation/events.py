"""What a year has in store: halts, limit-up runs, dividends, and the price-limit regime of every code and session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.sandbox.simulation.listing_boards import (
    CHANGES,
    CHINEXT_REFORM,
    DELISTING_REFORM,
    LEFT_OUT_OF_REFORM,
    LONGEST_DELISTING,
    MOST_FREE_SESSIONS,
    ListingBoard,
    Regime,
    free_sessions,
    st_regime,
    usual_regime,
)
from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.securities import Register, RiskWarning
from quant_pipeline.sandbox.simulation.sessions import Days, Sessions

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_HALTS_A_YEAR = 0.12
_LONGEST_HALT = 60
_RUNS_A_YEAR = 0.35
_RUN = 0.35
"""The return that a run asks for in each of its sessions: beyond every limit."""
_ST_PULL, _LEAVING_PULL = 0.4, 0.12
"""What an ST company's price is drawn to, as a part of its anchor."""


@dataclass(frozen=True)
class Events:
    """A year's events for the codes that are listed in some of its sessions. Matrices are sessions x codes."""

    ordinals: range
    """The year's sessions."""
    codes: Ints
    """Which of the register's codes: the columns."""
    listed: Mask
    """Whether the code is listed in the session."""
    halted: Mask
    halt_left: Ints
    """Sessions of a halt that reach into the next year, per column."""
    regime: npt.NDArray[np.int8]
    ex_session: Ints
    """Row of the ex-date per column; -1: none this year."""
    cash_yield: Floats
    """Cash as a part of the price."""
    bonus: Ints
    """Bonus and transferred shares for 10 held."""


@dataclass(frozen=True)
class Forces:
    """What moves the prices beside the market, the sector and chance: sessions x codes, needed for the walk only."""

    pull: Floats
    """The anchor's multiple towards which the price is drawn."""
    runs: npt.NDArray[np.float32]
    """Returns that news force, 0 where there are none."""


def events(seed: int, year: int, register: Register, sessions: Sessions, halt_left: Ints) -> tuple[Events, Forces]:
    """The events of a year; `halt_left` (per code of the register) are halts that began the year before."""
    generator = stream(seed, Purpose.EVENTS, year)
    ordinals = sessions.of_year(year)
    codes = np.flatnonzero((register.listed < ordinals.stop) & (register.delisted > ordinals.start))
    count, days = len(codes), len(ordinals)
    first, last = register.listed[codes] - ordinals.start, register.delisted[codes] - ordinals.start
    row = np.arange(days)[:, None]
    listed = (row >= first) & (row < last)

    halted, left = _halts(generator, days, first, last, halt_left[codes])
    runs = _runs(generator, days, count)
    _listings(generator, runs, first, register.board[codes])
    ex_session = np.clip(np.round(generator.normal(0.46, 0.09, count) * days), 20, days - 5).astype(np.int64)
    column = np.arange(count)
    pays = (generator.random(count) < 0.62) & (first < ex_session - 60) & (last > ex_session + 30)
    # an ex-date that falls into a halt is not held
    ex_session = np.where(pays & ~halted[ex_session, column], ex_session, -1)
    regime, pull = _regime_and_pull(register, sessions, ordinals, codes)
    planned = Events(
        ordinals=ordinals,
        codes=codes,
        listed=listed,
        halted=halted & listed,
        halt_left=left,
        regime=regime,
        ex_session=ex_session,
        cash_yield=generator.uniform(0.002, 0.035, count),
        bonus=np.where(generator.random(count) < 0.12, generator.choice([2, 3, 4, 5, 10], count), 0),
    )
    return planned, Forces(pull=pull, runs=runs)


def _halts(generator: np.random.Generator, days: int, first: Ints, last: Ints, carried: Ints) -> tuple[Mask, Ints]:
    count = len(first)
    many = generator.poisson(_HALTS_A_YEAR * count)
    column = generator.integers(0, count, many)
    start = generator.integers(0, days, many)
    length = np.minimum(1 + (generator.exponential(13.0, many)).astype(np.int64), _LONGEST_HALT)
    # neither among the first sessions of a listing nor near its end
    fits = (start > first[column] + 10) & (start + length < last[column] - LONGEST_DELISTING)
    # one halt at a time: the first of a code, and only when none was carried over
    column, start, length = column[fits], start[fits], length[fits]
    column, kept = np.unique(column, return_index=True)
    start, length = start[kept], length[kept]
    alone = carried[column] == 0
    column, start, length = column[alone], start[alone], length[alone]
    begin = np.zeros(count, dtype=np.int64)
    stop = carried.copy()
    begin[column], stop[column] = start, start + length
    row = np.arange(days)[:, None]
    return (row >= begin) & (row < stop), np.maximum(stop - days, 0)


def _runs(generator: np.random.Generator, days: int, count: int) -> npt.NDArray[np.float32]:
    many = generator.poisson(_RUNS_A_YEAR * count)
    column = generator.integers(0, count, many)
    start = generator.integers(0, days, many)
    length = generator.geometric(0.45, many)
    sign = np.where(generator.random(many) < 0.75, _RUN, -_RUN)
    return _spread(days, count, column, start, length, sign)


def _spread(days: int, count: int, column: Ints, start: Ints, length: Ints, value: Floats) -> npt.NDArray[np.float32]:
    """A matrix with `value` in the `length` sessions from `start` on, zero elsewhere."""
    matrix = np.zeros((days, count), dtype=np.float32)
    rows = np.repeat(start, length) + np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    inside = rows < days
    matrix[rows[inside], np.repeat(column, length)[inside]] = np.repeat(value, length)[inside]
    return matrix


def _listings(generator: np.random.Generator, runs: npt.NDArray[np.float32], first: Ints, board: npt.NDArray[np.int8]) -> None:
    """The first day's leap and the limit-up run that may follow it, written into `runs`."""
    new = np.flatnonzero(first >= 0)
    leap = generator.lognormal(-0.6, 0.8, len(new)).clip(-0.1, 3.0)
    length = generator.geometric(0.25, len(new))
    follow = np.where(np.isin(board[new], [ListingBoard.MAIN, ListingBoard.CHINEXT]), _RUN, 0.0)
    after = _spread(runs.shape[0], runs.shape[1], new, first[new] + 1, length, follow)
    np.copyto(runs, after, where=after != 0)
    runs[first[new], new] = leap


def _regime_and_pull(
    register: Register, sessions: Sessions, ordinals: range, codes: Ints
) -> tuple[npt.NDArray[np.int8], Floats]:
    board = register.board[codes]
    days = sessions.days[ordinals.start : ordinals.stop]
    shape = (len(ordinals), len(codes))
    regime, warned = np.empty(shape, dtype=np.int8), np.empty(shape, dtype=np.int8)
    for rows in _unchanged(days):
        day = days[rows.start].astype(object)
        regime[rows], warned[rows] = usual_regime(board, day), st_regime(board, day)

    place = np.full(len(register), -1)
    place[codes] = np.arange(len(codes))
    pull = np.ones(shape)
    for warning, strength in (
        (RiskWarning.ST, _ST_PULL),
        (RiskWarning.STAR_ST, _ST_PULL),
        (RiskWarning.LEAVING, _LEAVING_PULL),
    ):
        column, start, stop = _periods(register, warning, ordinals, place)
        spell = np.zeros((shape[0] + 1, shape[1]), dtype=np.int8)
        np.add.at(spell, (np.maximum(start, 0), column), 1)
        np.add.at(spell, (stop, column), -1)
        inside = np.cumsum(spell, axis=0, dtype=np.int8)[:-1] > 0
        pull[inside] = strength
        if warning is RiskWarning.LEAVING:
            freed = (start >= 0) & (days[np.maximum(start, 0)] >= np.datetime64(DELISTING_REFORM))
            regime[start[freed], column[freed]] = Regime.FREE
        else:
            np.copyto(regime, warned, where=inside)
    kept = np.flatnonzero(np.isin(register.ts_code[codes], LEFT_OUT_OF_REFORM))
    regime[np.ix_((days >= np.datetime64(CHINEXT_REFORM)) & (days < np.datetime64(DELISTING_REFORM)), kept)] = Regime.TEN

    listed = register.listed[codes]
    new = np.flatnonzero(listed > ordinals.start - MOST_FREE_SESSIONS)
    free = free_sessions(board[new], sessions.days[listed[new]])
    age = np.arange(shape[0])[:, None] + ordinals.start - listed[new]
    beginning = regime[:, new]
    beginning[(age >= 0) & (age < free)] = Regime.FREE
    beginning[(age == 0) & (free == 0)] = Regime.FIRST_DAY
    regime[:, new] = beginning
    return regime, pull


def _unchanged(days: Days) -> Iterator[slice]:
    """Rows of the year between which no board's regime changes."""
    changes = np.searchsorted(days, np.array(CHANGES, dtype="datetime64[D]"))
    edges = np.unique([0, *changes, len(days)]).tolist()
    return (slice(start, stop) for start, stop in pairwise(edges))


def _periods(register: Register, warning: RiskWarning, ordinals: range, place: Ints) -> tuple[Ints, Ints, Ints]:
    """Columns, first rows (negative: in a former year) and end rows, cut to the year, of the name periods with that warning."""
    following = pl.when(pl.col("code") == pl.col("code").shift(-1)).then(pl.col("start").shift(-1))
    spells = (
        register.name_rows.select("code", "start", "warning", stop=following.fill_null(2**31))
        .filter((pl.col("warning") == warning) & (pl.col("start") < ordinals.stop) & (pl.col("stop") > ordinals.start))
        .to_dict()
    )
    column = place[spells["code"].to_numpy()]
    start = spells["start"].to_numpy() - ordinals.start
    stop = np.minimum(spells["stop"].to_numpy(), ordinals.stop) - ordinals.start
    kept = column >= 0
    return column[kept], start[kept], stop[kept]
