"""One sync at a time: the slot that named jobs take, and asset-page runs do not."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from quant_pipeline.resources.sync import QUEUE_TAG
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.slot import SyncRunning, SyncSlot, held
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.console.commanded import checkout, interrupt, started, until


@pytest.fixture
def holder(platform: Platform) -> Iterator[Presence]:
    """Another process's presence, which holds the slot, as a sync under way does."""
    presence = Presence(platform.database.connect())
    SyncSlot(platform.database, presence).take(queue=True)  # the server takes a moment to miss the test before
    Ledger(platform.database, presence).begin("0123456789ab", "nightly", {})
    yield presence
    presence.close()


def cause(result: dg.ExecuteInProcessResult) -> str:
    """The first cause of the run's failure."""
    (failure,) = [event for event in result.all_events if event.event_type is dg.DagsterEventType.PIPELINE_FAILURE]
    error = failure.job_failure_data.error
    while error.cause is not None:
        error = error.cause
    return str(error.message)


def test_a_second_sync_is_refused_and_told_who_is_at_work(platform: Platform, holder: Presence) -> None:
    before = platform.asked()
    result = platform.run((), "name_history")
    assert not result.success
    assert f"Another sync is running: nightly (run 01234567, process {holder.process}, since " in cause(result)
    assert platform.asked() == before
    assert platform.rows("SELECT count(*) FROM sync_runs WHERE id = %s", result.run_id) == [(0,)]


@pytest.mark.usefixtures("holder")
def test_a_run_from_an_asset_s_page_goes_beside_it(platform: Platform) -> None:
    assert platform.alone((), "name_history").success


def test_a_killed_holder_gives_its_place_back(platform: Platform, holder: Presence) -> None:
    holder.close()  # what the server does for a process that is gone
    assert platform.run((), "stock_list", tags={QUEUE_TAG: "true"}).success, "as soon as the server has missed it"
    ((status, error),) = platform.rows("SELECT status, error FROM sync_runs WHERE id = '0123456789ab'")
    assert status == "failed"
    assert "the process died" in error


def test_the_slot_is_free_again_after_a_run_whether_it_succeeded_or_not(platform: Platform) -> None:
    platform.sandbox.order_fault("permission", api="namechange", times=1)
    assert not platform.run((), "name_history", config={"name_history": {"force": True}}).success
    assert platform.run((), "name_history", config={"name_history": {"force": True}}).success
    presence = Presence(platform.database.connect())
    assert presence.claim(1)
    presence.close()


def test_a_queued_run_says_so_waits_and_goes_on_when_the_slot_is_given_back(platform: Platform, holder: Presence) -> None:
    queued = threading.Event()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Queued: Another sync is running: nightly" in record.getMessage():
                queued.set()

    logger, heard = logging.getLogger("quant_pipeline.sync.slot"), Heard()
    logger.addHandler(heard)
    before, level = platform.asked(), logger.level
    logger.setLevel(logging.INFO)
    results: list[dg.ExecuteInProcessResult] = []
    run = threading.Thread(
        target=lambda: results.append(
            platform.run((), "trade_calendar", tags={QUEUE_TAG: "true"}, config={"trade_calendar": {"force": True}})
        )
    )
    run.start()
    try:
        assert queued.wait(30)
        assert platform.asked() == before, "it waits before it asks"
        SyncSlot(platform.database, holder).give_back()
        run.join(30)
    finally:
        logger.removeHandler(heard)
        logger.setLevel(level)
        holder.close()
        run.join(30)
    assert results[0].success
    assert platform.asked() > before


def test_the_runs_of_one_call_of_a_command_go_side_by_side_and_no_other_beside_them(platform: Platform) -> None:
    with held(platform.database, "this", queue=True) as first:
        with held(platform.database, "this", queue=False) as second:
            assert second.id == first.id
        with pytest.raises(SyncRunning), held(platform.database, "another", queue=False):
            pass
        assert first.lasts()
    with held(platform.database, "another", queue=True) as presence:
        assert presence.id != first.id


def test_one_that_still_makes_its_plan_is_told_by_its_name(platform: Platform) -> None:
    with held(platform.database, "this", queue=True, trigger="quant-pipeline run"):
        presence = Presence(platform.database.connect())
        with pytest.raises(SyncRunning, match=r"running: quant-pipeline run \(it makes its plan, since \d\d:"):
            SyncSlot(platform.database, presence).demand_free()
        presence.close()


def test_of_two_runs_that_are_started_at_once_one_says_in_a_line_who_is_at_work(platform: Platform, tmp_path: Path) -> None:
    platform.sandbox.order_fault("hang", api="*", times=None)  # what has begun goes on until it is stopped
    with checkout(tmp_path):
        both = [started("run"), started("run")]
        until(lambda: any(each.poll() is not None for each in both), "the refusal of one of them")
        (loser,) = [each for each in both if each.poll() is not None]
        (winner,) = [each for each in both if each is not loser]
        output, error = loser.communicate()
        interrupt(winner)
    platform.sandbox.clear_faults()
    assert (loser.returncode, winner.returncode) == (2, 130), (output, error)
    assert [line for line in output.splitlines() if not line.startswith("SANDBOX")] == [], "nothing half-printed"
    (line,) = error.splitlines()
    assert re.search(r"Another sync is running: quant-pipeline run \(.*since \d\d:\d\d:\d\d\)", line), line
    assert "Wait for it to end, or use `sync --force`" in line
