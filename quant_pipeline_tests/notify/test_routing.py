"""Routes: who is told what over which channels, and what a mistake in the file does, which is to stop nothing else."""

from __future__ import annotations

import datetime as dt
import tomllib

import pytest

from quant_pipeline.market.clock import EXCHANGE_ZONE, NOW_VARIABLE
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.routing import Routes, routes_of
from quant_pipeline.notify.severity import Severity

CHANNELS = [PushPlus("t", name=name) for name in ("push", "desk", "mail")]


def routes(text: str) -> Routes:
    return routes_of(tomllib.loads(text), CHANNELS)


def test_without_a_file_one_receiver_has_every_channel_each_standing_in_for_the_one_before() -> None:
    found = routes("")
    assert list(found.receivers) == ["me"]
    assert found.channels("me", "screen", Severity.INFO) == ("push", "desk", "mail")
    assert found.mistakes == []


def test_the_first_route_that_fits_says_the_channels() -> None:
    found = routes(
        """
        [receivers.me]
        channels = ["push", "mail"]
        [receivers.desk]
        channels = ["desk"]
        severities = ["critical"]
        [[routes]]
        receiver = "me"
        kinds = ["screen"]
        channels = ["mail"]
        [[routes]]
        severities = ["info"]
        channels = []
        """
    )
    assert found.channels("me", "screen", Severity.INFO) == ("mail",)
    assert found.channels("me", "recovered", Severity.INFO) == (), "a route may say that nobody is told"
    assert found.channels("me", "run_failed", Severity.CRITICAL) == ("push", "mail")
    assert found.channels("desk", "run_failed", Severity.CRITICAL) == ("desk",)
    assert found.channels("desk", "checks_failed", Severity.WARNING) == ()
    assert found.channels("gone", "run_failed", Severity.CRITICAL) == ()


@pytest.mark.parametrize(
    ("now", "severity", "waits"),
    [
        ("2026-11-20T22:29", Severity.INFO, "0:00:00"),
        ("2026-11-20T22:30", Severity.INFO, "9:00:00"),
        ("2026-11-20T23:59", Severity.WARNING, "7:31:00"),
        ("2026-11-21T00:00", Severity.WARNING, "7:30:00"),
        ("2026-11-21T07:29", Severity.INFO, "0:01:00"),
        ("2026-11-21T07:30", Severity.INFO, "0:00:00"),
        ("2026-11-21T03:00", Severity.CRITICAL, "0:00:00"),
    ],
)
def test_in_quiet_hours_all_but_what_is_critical_waits_for_their_end(
    now: str, severity: Severity, waits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOW_VARIABLE, now)
    assert str(routes('[receivers.me]\nquiet = "22:30-07:30"').waits("me", severity)) == waits


def test_quiet_hours_within_a_day() -> None:
    noon = routes('[receivers.me]\nquiet = "12:00-13:00"').receivers["me"]
    at = dt.datetime(2026, 11, 20, 12, 59, tzinfo=EXCHANGE_ZONE)
    assert noon.waits(Severity.INFO, at) == dt.timedelta(minutes=1)
    assert noon.waits(Severity.INFO, at + dt.timedelta(minutes=1)) == dt.timedelta()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ('[receivers.me]\nquiet = "late"', "[receivers.me]: quiet: write quiet hours as 22:30-07:30"),
        ('[receivers.me]\nquiet = "22:30-07:30+08:00"', "[receivers.me]: quiet: write quiet hours as 22:30-07:30"),
        ('[receivers.me]\nquiet = "22:30Z-07:30"', "[receivers.me]: quiet: write quiet hours as 22:30-07:30"),
        ('[receivers.me]\nquiet = "08:00-08:00"', "[receivers.me]: quiet: write quiet hours as 22:30-07:30"),
        ('[receivers.me]\nsound = "loud"', "[receivers.me]: sound: there is no such field"),
        ('[receivers.me]\nchannels = ["psuh"]', "[receivers.me]: there is no channel 'psuh'; there are push, desk, mail"),
        ('[[routes]]\nkinds = ["screen"]', "[[routes]]: channels: it is missing"),
        ('[[routes]]\nchannels = ["gone"]', "[[routes]]: there is no channel 'gone'; there are push, desk, mail"),
        ('[[routes]]\nreceiver = "you"\nchannels = []', "[[routes]]: there is no receiver 'you'; there are me"),
    ],
)
def test_a_mistake_is_told_and_stops_nothing_else(text: str, mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_LANG", "en")
    found = routes(text)
    assert found.mistakes == [mistake]
    assert found.channels("me", "screen", Severity.INFO) == ("push", "desk", "mail")
