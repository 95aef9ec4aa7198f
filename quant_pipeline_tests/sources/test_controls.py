"""Source controls: circuits, waits and priorities set by hand, each move written down; and how they are typed."""

from __future__ import annotations

from typing import Any

import pytest

from quant_pipeline.sources import controls
from quant_pipeline.sources.controls import SourceApi
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

KNOWN = {"tushare": {"daily", "adj_factor"}, "baostock": set[str]()}
BRITTLE = RatePolicy(per_minute=None, per_second=None, trip=2, cool_down=3600)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]


def told(database: Database) -> list[tuple[Any, ...]]:
    return [(row["source"], row["api"], row["kind"], row["reason"]) for row in controls.events(database)]


def test_a_reset_lets_calls_through_again_and_is_written_down(warehouse: Database) -> None:
    presence = Presence(warehouse.connect())
    limiter = Limiter(warehouse.pool, presence)
    for _ in range(2):
        with pytest.raises(SourceError), limiter.call("tushare", "daily", BRITTLE, patience=5):
            raise SourceError(FailureClass.RETRYABLE, "tushare", "daily", "HTTP 502")
    with pytest.raises(SourceError, match="left alone"), limiter.call("tushare", "daily", BRITTLE, patience=5):
        pass
    freed = ["tushare.daily: by hand, was: circuit open, 2 failed calls in a row"]
    assert controls.reset(warehouse, SourceApi("tushare", "daily")) == freed
    with limiter.call("tushare", "daily", BRITTLE, patience=5):
        pass
    assert told(warehouse)[0] == ("tushare", "daily", "reset", freed[0].partition(": ")[2])
    presence.close()


def test_a_whole_source_is_reset_with_all_its_apis_and_no_other(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO source_state (source, api, circuit, failures, blocked_until, demoted_at, reason) VALUES "
            "('tushare', '*', 'closed', 0, now() + interval '1 hour', NULL, 'points'),"
            "('tushare', 'daily', 'half_open', 3, NULL, now(), 'cut'),"
            "('tushare', 'weekly', 'closed', 0, now() - interval '1 hour', NULL, 'long ago'),"
            "('baostock', 'daily', 'open', 5, NULL, NULL, 'hung')"
        )
    assert sorted(controls.reset(warehouse, SourceApi("tushare"))) == [
        "tushare.daily: by hand, was: circuit half_open, 3 failed calls in a row, put behind the next source",
        "tushare: by hand, was: asked to wait",
    ]
    state = "SELECT source, api, circuit, failures, blocked_until > now(), demoted_at FROM source_state ORDER BY 1, 2"
    assert rows(warehouse, state) == [
        ("baostock", "daily", "open", 5, None, None),
        ("tushare", "*", "closed", 0, None, None),
        ("tushare", "daily", "closed", 0, None, None),
        ("tushare", "weekly", "closed", 0, False, None),
    ]
    assert controls.reset(warehouse, SourceApi("tushare")) == [], "there is nothing left to reset, and nothing to write down"
    assert len(told(warehouse)) == 2


def test_a_priority_is_set_changed_and_taken_away_again(warehouse: Database) -> None:
    api = SourceApi("tushare", "daily")
    assert [controls.set_priority(warehouse, api, wanted) for wanted in (2, 2, 0, None, None)] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert [(kind, reason) for _, _, kind, reason in reversed(told(warehouse))] == [
        ("priority_set", "by hand: 2, was as the environment says"),
        ("priority_set", "by hand: 0, was 2"),
        ("priority_set", "by hand: as the environment says, was 0"),
    ]
    assert rows(warehouse, "SELECT source, api, priority FROM source_state ORDER BY api") == [
        ("tushare", "*", None),
        ("tushare", "daily", None),
    ], "the row of the whole source stands, which the limiter locks"


def test_setting_a_priority_leaves_the_rest_of_the_row_alone(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        connection.execute("INSERT INTO source_state (source, api, circuit, failures) VALUES ('tushare', 'daily', 'open', 7)")
    assert controls.set_priority(warehouse, SourceApi("tushare", "daily"), 3)
    assert rows(warehouse, "SELECT circuit, failures, priority FROM source_state WHERE api = 'daily'") == [("open", 7, 3)]
    assert controls.called_apis(warehouse) == {"tushare": ["daily"]}


def test_taking_away_what_was_never_set_is_no_event(warehouse: Database) -> None:
    assert not controls.set_priority(warehouse, SourceApi("ths"), None)
    assert told(warehouse) == []


def test_events_are_the_latest_first_and_no_more_than_asked_for(warehouse: Database) -> None:
    for wanted in range(1, 6):
        controls.set_priority(warehouse, SourceApi("ths"), wanted)
    assert [row["reason"][9] for row in controls.events(warehouse, 3)] == ["5", "4", "3"]


def test_places_are_typed_as_a_source_or_one_of_its_apis() -> None:
    assert controls.source_api_of(" tushare ", KNOWN) == SourceApi("tushare", "*")
    assert controls.source_api_of("tushare.*", KNOWN) == SourceApi("tushare", "*")
    assert controls.source_api_of("tushare.daily", KNOWN) == SourceApi("tushare", "daily")
    assert controls.priority_of("tushare.daily=0", KNOWN) == (SourceApi("tushare", "daily"), 0)
    assert controls.priority_of("baostock=", KNOWN) == (SourceApi("baostock"), None)


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [
        ("tushar", r"unknown source: 'tushar'\. Did you mean tushare\?"),
        ("tushare.dayly", r"unknown API of tushare: 'dayly'\. Did you mean tushare\.daily\?"),
        ("baostock.x", r"unknown API of baostock: 'x'\. Known: none"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(typed: str, refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        controls.source_api_of(typed, KNOWN)


@pytest.mark.parametrize(
    "typed", ["tushare", "tushare=first", "tushare=-1", "tushare=1.5", "tushare=1001", "tushare=99999999999"]
)
def test_what_is_no_priority_is_refused_with_how_to_write_it(typed: str) -> None:
    with pytest.raises(ValueError, match="write tushare=1"):
        controls.priority_of(typed, KNOWN)
