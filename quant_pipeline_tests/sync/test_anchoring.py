"""Factors of a second source join the stored ones without a step: only their ratios are taken."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quant_pipeline.market.datasets import ADJ_FACTOR
from quant_pipeline.sources.failures import Incomplete
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.anchoring import anchored
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.upsert import upsert

CODE = "600000.SH"
DAYS = [dt.date(2026, 11, day) for day in (16, 17, 18, 19, 20)]


def _factors(days: list[dt.date], values: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"ts_code": [CODE] * len(days), "trade_date": days, "adj_factor": values})


def _store(database: Database, days: list[dt.date], values: list[float]) -> None:
    with database.connect() as connection:
        upsert(connection, ADJ_FACTOR, _factors(days, values), source="tushare")


@given(base=st.floats(0.01, 500), other=st.floats(0.01, 500), step=st.floats(1.0, 3.0))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_joined_series_has_the_second_source_s_ratios_on_the_first_one_s_base(
    warehouse: Database, base: float, other: float, step: float
) -> None:
    with warehouse.connect() as connection:
        connection.execute("TRUNCATE adj_factor")
    _store(warehouse, DAYS[:2], [base, base])
    answer = _factors(DAYS[1:], [other, other, other * step, other * step])
    joined = anchored(warehouse, Unit.code(CODE, DAYS[2], DAYS[4]), answer)
    assert joined["trade_date"].to_list() == DAYS[2:], "the session before served to anchor on, and is not the unit's"
    assert joined["adj_factor"].to_list() == pytest.approx([base, base * step, base * step], rel=1e-4, abs=1e-6)


def test_a_code_without_any_stored_factor_keeps_the_source_s_base(warehouse: Database) -> None:
    joined = anchored(warehouse, Unit.code(CODE, DAYS[1], DAYS[2]), _factors(DAYS[:3], [7.0, 7.0, 8.0]))
    assert joined["adj_factor"].to_list() == [7.0, 8.0]


def test_what_has_no_session_in_common_cannot_be_joined(warehouse: Database) -> None:
    _store(warehouse, DAYS[:1], [2.0])
    with pytest.raises(Incomplete, match="no session in common"):
        anchored(warehouse, Unit.code(CODE, DAYS[3], DAYS[4]), _factors(DAYS[3:], [7.0, 7.0]))


def test_of_two_sessions_before_the_unit_the_later_one_is_joined_on_and_else_the_first_within_it(warehouse: Database) -> None:
    _store(warehouse, DAYS, [1.0, 4.0, 6.0, 9.0, 9.0])
    unit = Unit.code(CODE, DAYS[2], DAYS[4])
    assert anchored(warehouse, unit, _factors(DAYS[:3], [10.0, 10.0, 10.0]))["adj_factor"].to_list() == [4.0]
    assert anchored(warehouse, unit, _factors(DAYS[2:], [10.0, 10.0, 20.0]))["adj_factor"].to_list() == [6.0, 6.0, 12.0]
