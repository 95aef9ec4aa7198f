"""What has to run for jobs to start by themselves: the daemon, and schedules that are switched on."""

from __future__ import annotations

import dagster as dg

from quant_pipeline import timetable
from quant_pipeline.console.doctor.findings import Finding, Patient, State, Unusable
from quant_pipeline.language import say
from quant_pipeline.resources.daemon_presence import running_daemon
from quant_pipeline.resources.dagster_private.switches import switched_by_hand
from quant_pipeline.resources.instance import prepare_environment
from quant_pipeline.warehouse.revisions import standing


def daemon(patient: Patient) -> Finding:
    """Whether Dagster's daemon works on this database."""
    running = running_daemon(patient.database.connect())
    if running is None:
        words = say("no daemon works on this database: nothing starts by itself, messages wait for the next command")
        return Finding("daemon", State.WARNING, words, say("`quant-pipeline ui` brings one"))
    return Finding("daemon", State.OK, say("alive ({process})", process=running), facts={"process": running})


def schedules(patient: Patient) -> Finding:
    """Which are off, by schedules.toml or by the UI's switch."""
    times = timetable.load(patient.settings.schedules)
    if not standing(patient.database).current:
        raise Unusable(say("the tables are not those of this version"))
    prepare_environment()
    with dg.DagsterInstance.get() as instance:
        by_hand = switched_by_hand(instance)
    on = {job: by_hand.get(f"{job}_schedule", when.on) for job, when in times.items()}
    off = [job for job, is_on in on.items() if not is_on]
    if off:
        words = say("off: {jobs}", jobs=", ".join(off))
        return Finding("schedules", State.WARNING, words, say("switch them on in the UI, or in schedules.toml"), {"off": off})
    return Finding("schedules", State.OK, say("all {count} are on", count=len(on)), facts={"off": []})
