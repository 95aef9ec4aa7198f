"""The clock, its zone, and the end of the exchange's calendar."""

from __future__ import annotations

import datetime as dt
import os

from quant_pipeline.console.doctor.findings import Finding, Patient, State
from quant_pipeline.language import say
from quant_pipeline.market import clock as platform_clock

_FAR = dt.timedelta(seconds=5)
"""Between this machine and the database's: quotas and schedules are counted by both."""
_SOON = dt.timedelta(days=30)
_SHANGHAI = dt.timedelta(hours=8)


def clock(patient: Patient) -> Finding:
    """This machine's clock against PostgreSQL's; and whether it is set by hand."""
    with patient.database.connect() as connection:
        before = dt.datetime.now(dt.UTC)
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        after = dt.datetime.now(dt.UTC)
    assert row is not None
    apart = max(before - row[0], row[0] - after, dt.timedelta())
    now, facts = platform_clock.now(), {"now": platform_clock.now(), "seconds_from_the_database": apart.total_seconds()}
    if apart > _FAR:
        words = say("this machine and the database's are {seconds:,.0f} s apart", seconds=apart.total_seconds())
        return Finding("clock", State.FAILED, words, say("set both by a time server (NTP)"), facts)
    if os.environ.get(platform_clock.NOW_VARIABLE):
        words = say("it is set by hand: {now:%Y-%m-%d %H:%M} (QUANT_NOW)", now=now)
        return Finding("clock", State.WARNING, words, say("take QUANT_NOW out unless this is a rehearsal"), facts)
    return Finding("clock", State.OK, say("{now:%Y-%m-%d %H:%M:%S} in Shanghai, as the database has it", now=now), facts=facts)


def zone(patient: Patient) -> Finding:
    """Whether Asia/Shanghai is known, and is what it should be."""
    del patient
    offset = dt.datetime(2026, 7, 1, tzinfo=platform_clock.EXCHANGE_ZONE).utcoffset()
    if offset != _SHANGHAI:
        words = say("Asia/Shanghai is {offset} from UTC on this machine, not 8 hours", offset=offset)
        return Finding("zone", State.FAILED, words, say("install the time zones anew: pip install tzdata"))
    return Finding("zone", State.OK, say("Asia/Shanghai, 8 hours ahead of UTC"))


def calendar(patient: Patient) -> Finding:
    """How far it reaches: past its end nothing can be synced or scheduled."""
    known, today = patient.calendar, platform_clock.today()
    facts = {"last_known_day": known.last, "doubted_days": len(known.doubted)}
    advice = say("`quant-pipeline sync --datasets trade_calendar`, and upgrade the package")
    if known.last < today:
        return Finding("calendar", State.FAILED, say("it ended on {last}", last=known.last), advice, facts)
    if known.last < today + _SOON:
        words = say("it ends on {last}; the next year's is published in December", last=known.last)
        return Finding("calendar", State.WARNING, words, advice, facts)
    if known.doubted:
        words = say("{count} days of the stored one are not believed", count=len(known.doubted))
        return Finding("calendar", State.WARNING, words, advice, facts)
    words = say("known to {last}, the latest session is {latest}", last=known.last, latest=known.latest())
    return Finding("calendar", State.OK, words, facts=facts)
