"""What a command reports, as the tables have it."""

from __future__ import annotations

import datetime as dt

from quant_pipeline.console import report
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.screenings import note_screening

SESSION = dt.date(2026, 11, 20)


def test_a_screen_without_hits_has_looked_and_one_whose_data_failed_has_not(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        note_screening(connection, "dual_ma", SESSION, 0)
        note_screening(connection, "macd", SESSION - dt.timedelta(days=1), 7)
    assert report.unscreened(warehouse, SESSION, ["dual_ma", "macd"]) == ["macd"]
