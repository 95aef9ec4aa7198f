"""The simulated exchange: a whole market from its seed, year by year.

The same (seed, codes, first_year) gives the same numbers for a session, whatever was asked before and whatever day it
is. The state at each year's beginning is kept (in memory, and as a small file in `cache`), so that a year costs a
fraction of a second wherever it lies.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quant_pipeline.sandbox.simulation.bars import Bars, bars, float_share
from quant_pipeline.sandbox.simulation.events import Events, Forces, events
from quant_pipeline.sandbox.simulation.listing_boards import Regime
from quant_pipeline.sandbox.simulation.securities import Register, register
from quant_pipeline.sandbox.simulation.sessions import SandboxTimeError, Sessions, all_sessions
from quant_pipeline.sandbox.simulation.walk import State, Walk, walk

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FIRST_YEAR = 2005
_VERSION = 3
"""To be raised with every change of the numbers: snapshots of another version are not read."""
_YEARS_IN_MEMORY = 6
"""A year of 5,400 codes takes about 35 MB."""


@dataclass(frozen=True)
class Year:
    """A simulated year. The rows of its matrices are its sessions, the columns the codes `events.codes`."""

    number: int
    ordinals: range
    events: Events
    walk: Walk
    bars: Bars
    float_share: Floats
    """The float as a part of all shares, per column."""

    @cached_property
    def trading(self) -> npt.NDArray[np.bool_]:
        """Which codes have a bar in which session."""
        trading: npt.NDArray[np.bool_] = self.events.listed & ~self.events.halted
        return trading

    @cached_property
    def resumed(self) -> npt.NDArray[np.bool_]:
        """The first sessions after a halt."""
        before = np.vstack([self.walk.before.halted[self.events.codes], self.events.halted[:-1]])
        resumed: npt.NDArray[np.bool_] = before & self.trading
        return resumed

    @cached_property
    def interrupted(self) -> npt.NDArray[np.bool_]:
        """Sessions without limits in which a code leapt, so that its trading was interrupted for some minutes."""
        leapt = np.abs(self.walk.close - self.walk.pre_close) > self.walk.pre_close * 0.5
        interrupted: npt.NDArray[np.bool_] = leapt & (self.events.regime == Regime.FREE) & self.trading
        return interrupted


class Exchange:
    """The market of a seed: `codes` alive at the end of 2026, from the first session of `first_year` on.

    `cache` is a folder for the snapshots; None keeps them in memory only.
    """

    def __init__(
        self, *, seed: int = 20050104, codes: int = 5_400, first_year: int = FIRST_YEAR, cache: Path | None = None
    ) -> None:
        self.seed, self.first_year = seed, first_year
        self.sessions: Sessions = all_sessions()
        self.register: Register = register(seed, codes, self.sessions)
        self._states: dict[int, State] = {}
        self._years: OrderedDict[int, Year] = OrderedDict()
        self._folder: Path | None = None
        if cache is not None:
            calendar = hashlib.sha256(self.sessions.days.tobytes()).hexdigest()[:8]
            self._folder = cache / f"exchange-v{_VERSION}-{seed}-{codes}-{first_year}-{calendar}"
            self._folder.mkdir(parents=True, exist_ok=True)

    def year(self, number: int) -> Year:
        """A year of the market. SandboxTimeError before `first_year` and after the last simulated year."""
        if number not in self._years:
            before = self.state_before(number)
            planned, forces, walked = self._walk(number, before)
            self._years[number] = Year(
                number=number,
                ordinals=planned.ordinals,
                events=planned,
                walk=walked,
                bars=bars(self.seed, number, self.register, self.sessions, planned, forces, walked),
                float_share=float_share(number, self.register, self.sessions, planned.codes),
            )
            if len(self._years) > _YEARS_IN_MEMORY:
                self._years.popitem(last=False)
        self._years.move_to_end(number)
        return self._years[number]

    def state_before(self, number: int) -> State:
        """What a year begins with; cheaper than the year, whose bars are not made. SandboxTimeError before `first_year`."""
        if number < self.first_year:
            raise SandboxTimeError(f"the simulated exchange begins with {self.first_year}, not {number}")
        known = number
        while known > self.first_year and (state := self._known(known)) is None:
            known -= 1
        if known == self.first_year:
            state = State.beginning(self.seed, self.register, self.sessions.of_year(self.first_year).start)
        assert state is not None
        for year in range(known, number):
            state = self._walk(year, state)[-1].after
        return state

    def _walk(self, number: int, before: State) -> tuple[Events, Forces, Walk]:
        planned, forces = events(self.seed, number, self.register, self.sessions, before.halt_left)
        walked = walk(self.seed, number, self.register, planned, forces, before)
        if number + 1 not in self._states:
            self._keep(number + 1, walked.after)
        return planned, forces, walked

    def _known(self, number: int) -> State | None:
        if number not in self._states and self._folder is not None:
            path = self._folder / f"{number}.npz"
            try:
                with np.load(path) as stored:
                    self._states[number] = State(**{field.name: stored[field.name] for field in fields(State)})
            except (FileNotFoundError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
                return None  # absent or torn: computed again
        return self._states.get(number)

    def _keep(self, number: int, state: State) -> None:
        self._states[number] = state
        if self._folder is not None:
            path = self._folder / f"{number}.npz"
            unfinished = path.with_suffix(f".{os.getpid()}.tmp")
            with unfinished.open("wb") as file:
                np.savez(file, **{field.name: getattr(state, field.name) for field in fields(State)})
            unfinished.replace(path)
