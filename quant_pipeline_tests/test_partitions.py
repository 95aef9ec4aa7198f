"""Sessions as Dagster partitions, against the exchange's calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.partitions import SESSIONS, session_partitions, sessions_of


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=EXCHANGE_ZONE)


def test_the_keys_are_the_exchange_s_sessions_and_nothing_else() -> None:
    keys = SESSIONS.get_partition_keys(current_time=at("2026-11-20T18:00"))
    assert keys == [f"{day}" for day in xshg().sessions if day <= dt.date(2026, 11, 20)]
    assert keys[0] == "1990-12-19"
    assert len(keys) == len(set(keys)) > 8_700


@pytest.mark.parametrize("day", ["2026-10-01", "2026-11-14", "2026-11-15", "2020-01-31", "2015-09-03", "1990-12-18"])
def test_a_closed_day_has_no_partition(day: str) -> None:
    assert not SESSIONS.has_partition_key(day)


def test_a_session_s_partition_appears_at_its_midnight() -> None:
    assert SESSIONS.get_partition_keys(current_time=at("2026-11-19T23:59"))[-1] == "2026-11-19"
    assert SESSIONS.get_partition_keys(current_time=at("2026-11-20T00:01"))[-1] == "2026-11-20"


def test_it_is_one_definition_for_all_assets_however_often_it_is_made() -> None:
    """Another identity would make Dagster forget what was materialized."""
    assert session_partitions(xshg()) == SESSIONS
    assert session_partitions(xshg()).get_serializable_unique_identifier() == SESSIONS.get_serializable_unique_identifier()


def test_a_range_spans_the_sessions_over_a_holiday() -> None:
    with dg.DagsterInstance.ephemeral():
        keys = SESSIONS.get_partition_keys_in_range(dg.PartitionKeyRange("2026-09-30", "2026-10-09"))
    assert keys == ["2026-09-30", "2026-10-08", "2026-10-09"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, []),
        ({"dagster/partition": "2026-11-20"}, ["2026-11-20"]),
        ({"dagster/partition": "2026-11-14"}, []),
        (
            {"dagster/asset_partition_range_start": "2026-09-29", "dagster/asset_partition_range_end": "2026-10-08"},
            ["2026-09-29", "2026-09-30", "2026-10-08"],
        ),
        ({"dagster/asset_partition_range_start": "2026-11-14", "dagster/asset_partition_range_end": "2026-11-15"}, []),
        (
            # a range run of a job carries both: the range is meant
            {
                "dagster/partition": "2026-11-20",
                "dagster/asset_partition_range_start": "2026-11-19",
                "dagster/asset_partition_range_end": "2026-11-20",
            },
            ["2026-11-19", "2026-11-20"],
        ),
    ],
)
def test_the_sessions_of_a_run_are_read_from_its_tags(tags: dict[str, str], expected: list[str]) -> None:
    assert [f"{day}" for day in sessions_of(tags, xshg())] == expected


def test_the_synced_calendar_may_close_a_day_that_is_a_partition() -> None:
    calendar = xshg().overruled_by({dt.date(2026, 11, 19): False})
    tags = {"dagster/asset_partition_range_start": "2026-11-18", "dagster/asset_partition_range_end": "2026-11-20"}
    assert [f"{day}" for day in sessions_of(tags, calendar)] == ["2026-11-18", "2026-11-20"]


def test_all_keys_are_worked_out_once_until_the_next_session_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, asked = dg.TimeWindowPartitionsDefinition.get_partition_keys, []

    def counting(definition: dg.TimeWindowPartitionsDefinition, *given: Any) -> Sequence[str]:
        asked.append(given)
        return plain(definition, *given)

    monkeypatch.setattr(dg.TimeWindowPartitionsDefinition, "get_partition_keys", counting)
    made = session_partitions(xshg())
    for now, last, times in (
        ("2026-11-19T23:59", "2026-11-19", 1),
        ("2026-11-20T00:01", "2026-11-20", 2),
        ("2026-11-20T18:00", "2026-11-20", 2),
    ):
        with partition_loading_context(at(now)):
            keys = made.get_partition_keys()
        assert (keys[-1], len(asked)) == (last, times)
        assert keys == plain(made, at(now))
