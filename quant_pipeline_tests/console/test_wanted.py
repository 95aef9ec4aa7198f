"""From which session on Dagster's pages count: the first that was asked for, or the one that is set."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quant_pipeline import settings
from quant_pipeline.console.wanted import FIRST_RUN_SESSIONS, widen
from quant_pipeline.market.calendar import FIRST_SESSION
from quant_pipeline.market.first_wanted import first_wanted, remembered
from quant_pipeline.market.xshg import xshg
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.console.ledger import record

CALENDAR = xshg()
LATEST = dt.date(2026, 11, 20)
NEWCOMER = CALENDAR.window(LATEST, FIRST_RUN_SESSIONS)[0]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


def test_a_newcomer_counts_what_the_first_run_brings_and_all_history_counts_all(warehouse: Database) -> None:
    assert first_wanted() == FIRST_SESSION, "nothing is known of what is wanted"
    widen(warehouse, CALENDAR)
    assert first_wanted() == NEWCOMER
    widen(warehouse, CALENDAR, dt.date(2026, 11, 2))
    assert first_wanted() == NEWCOMER, "less is asked for: what was wanted stays wanted"
    widen(warehouse, CALENDAR, dt.date(2020, 1, 2))
    assert first_wanted() == dt.date(2020, 1, 2)
    widen(warehouse, CALENDAR, FIRST_SESSION)
    assert first_wanted() == FIRST_SESSION


def test_what_an_earlier_version_stored_is_wanted(warehouse: Database) -> None:
    record(warehouse, ["daily_kline"], [dt.date(2019, 5, 6), LATEST])
    widen(warehouse, CALENDAR)
    assert first_wanted() == dt.date(2019, 5, 6)


def test_what_is_set_by_hand_stays_and_earlier_sessions_are_refused(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_PARTITIONS_START", "2024-01-02")
    widen(warehouse, CALENDAR)
    widen(warehouse, CALENDAR, dt.date(2024, 6, 3))
    assert (first_wanted(), remembered(settings.load())) == (dt.date(2024, 1, 2), None)
    with pytest.raises(ValueError, match="2020-01-02 lies before QUANT_PARTITIONS_START=2024-01-02"):
        widen(warehouse, CALENDAR, dt.date(2020, 1, 2))


def test_the_definitions_are_made_of_what_is_wanted(warehouse: Database) -> None:
    """In a process of its own: partitions are made when they are imported."""
    widen(warehouse, CALENDAR)
    script = (
        "from quant_pipeline.partitions import *; import datetime as dt\n"
        "print(*(each.get_first_partition_key() for each in (SESSIONS, WEEKS, MONTHS)))\n"
        "print(*range_tags(Partition.SESSION, dt.date(2019, 5, 6), dt.date(2026, 11, 20)).values())"
    )
    told = subprocess.run([sys.executable, "-c", script], env={**os.environ}, capture_output=True, text=True, check=True)
    monday = NEWCOMER - dt.timedelta(days=NEWCOMER.weekday())
    assert told.stdout.splitlines() == [f"{NEWCOMER} {monday} {NEWCOMER:%Y-%m}", f"{NEWCOMER} 2026-11-20"]
