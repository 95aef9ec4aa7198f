"""Dagster's storage keeps its connections: an event costs no new server process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from quant_pipeline.resources.dagster_private.storage import QuantStorage
from quant_pipeline_tests.assets.platform import Platform

_WHO = sa.text("SELECT pg_backend_pid()")


@pytest.fixture
def storage(platform: Platform) -> Iterator[QuantStorage]:
    made = QuantStorage(platform.database)
    yield made
    made.event_log_storage.dispose()


def servers(storage: QuantStorage) -> set[int]:
    """The server processes that answer the storages of runs, events and schedules."""
    connects = (storage._runs.connect, storage._events.index_connection, storage._schedules.connect)
    found = set()
    for connect in connects:
        with connect() as connection:
            found.add(int(connection.execute(_WHO).scalar_one()))
    return found


def test_all_storages_share_a_connection_that_is_kept(storage: QuantStorage) -> None:
    first = servers(storage)
    assert len(first) == 1
    assert servers(storage) == first


def test_a_connection_that_the_server_has_dropped_is_not_used_again(platform: Platform, storage: QuantStorage) -> None:
    (former,) = servers(storage)
    platform.execute("SELECT pg_terminate_backend(%s, 5000)", former)
    assert storage.run_storage.get_runs_count() == 0
    assert former not in servers(storage)


def test_tables_are_made_where_one_of_them_is_missing(platform: Platform, storage: QuantStorage) -> None:
    del storage
    platform.execute("DROP TABLE dagster.event_logs CASCADE")
    again = QuantStorage(platform.database)
    assert again.event_log_storage.get_maximum_record_id() is None
    again.event_log_storage.dispose()
