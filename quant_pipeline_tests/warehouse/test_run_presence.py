"""A run lives as long as its process, whatever becomes of the connection in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic, sleep

import pytest

from quant_pipeline.warehouse import run_presence
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import CLASS_OF_RUNS
from quant_pipeline.warehouse.run_presence import RunPresence, dead

RUN, OTHER = "0b5b7f4e-5b0c-4a55-9f5a-0d6c54a3d0f1", "6a1e0a2b-97c4-4f4f-8a4e-0c77a0a6f1de"
_CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"


@pytest.fixture
def presence(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPresence]:
    monkeypatch.setattr(run_presence, "_PULSE", 0.02)
    monkeypatch.setattr(run_presence, "_GRACE", 0.5)
    presence = RunPresence(warehouse)
    yield presence
    for run in (RUN, OTHER):
        presence.end(run)


def until(fulfilled: Callable[[], bool]) -> None:
    deadline = monotonic() + 30
    while not fulfilled():
        assert monotonic() < deadline
        sleep(0.01)


def test_of_several_runs_those_are_dead_that_nobody_carries_out(warehouse: Database, presence: RunPresence) -> None:
    presence.begin(RUN)
    assert dead(warehouse, [RUN, OTHER]) == {OTHER}
    presence.begin(OTHER)
    presence.end(RUN)
    assert dead(warehouse, [RUN, OTHER]) == {RUN}


def test_what_another_process_ends_goes_on_here(warehouse: Database, presence: RunPresence) -> None:
    presence.begin(RUN)
    RunPresence(warehouse).end(RUN)
    assert dead(warehouse, [RUN]) == set()


def test_a_cut_connection_is_no_death(warehouse: Database, presence: RunPresence) -> None:
    presence.begin(RUN)
    with warehouse.connect(autocommit=True) as connection:
        assert connection.execute(_CUT, (CLASS_OF_RUNS,)).fetchone() == (1,)
    assert dead(warehouse, [RUN]) == set(), "it took its lock again before it was looked for a second time"


def test_a_run_that_begins_on_a_cut_connection_is_seen(
    warehouse: Database, presence: RunPresence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_presence, "_PULSE", 1000.0)
    presence.begin(RUN)
    with warehouse.connect(autocommit=True) as connection:
        connection.execute(_CUT, (CLASS_OF_RUNS,))
    presence.begin(OTHER)
    assert dead(warehouse, [RUN, OTHER]) == set()
