"""The database, its tables, and the disk under the home."""

from __future__ import annotations

import shutil

from quant_pipeline.console.doctor.findings import Finding, Patient, State, Unusable
from quant_pipeline.language import say

_GIGABYTE = 1e9
_SCARCE = 5.0
"""Gigabytes: twenty years of the market take some ten, and an upgrade of PostgreSQL needs room beside them."""
_TOO_LITTLE = 1.0


def database(patient: Patient) -> Finding:
    """Whether it answers; which server it is, and how much it holds."""
    try:
        there = patient.has_a_server
    except Unusable as error:  # no command could make one; the words say what to set
        return Finding("database", State.FAILED, str(error))
    try:
        opened = patient.database
    except Unusable as error:
        advice = (
            say("check QUANT_DATABASE_URL, and that the server runs")
            if patient.settings.database_url is not None
            else say("`quant-pipeline db upgrade` starts the embedded one and says more; its log is {path}", path=_log(patient))
            if there
            else say("`quant-pipeline run` makes one in {home}", home=patient.settings.home)
        )
        return Finding("database", State.FAILED, str(error), advice)
    with opened.connect() as connection:
        row = connection.execute("SELECT current_setting('server_version'), pg_database_size(current_database())").fetchone()
    assert row is not None
    version, size = row
    kind = say("embedded") if patient.settings.database_url is None else say("given by QUANT_DATABASE_URL")
    words = say(
        "PostgreSQL {version} ({kind}), {name}, {size:,.1f} MB", version=version, kind=kind, name=opened.name, size=size / 1e6
    )
    return Finding("database", State.OK, words, facts={"version": version, "name": opened.name, "bytes": size})


def tables(patient: Patient) -> Finding:
    """Whether they are those of this version, of the mode that is set."""
    from quant_pipeline.warehouse.revisions import standing

    now = standing(patient.database)
    facts = {"revision": now.revision, "newest": now.newest, "mode": now.mode, "current": now.current}
    if now.mode not in (None, patient.settings.mode):
        words = say("the database holds {mode} data, and QUANT_MODE is {wanted}", mode=now.mode, wanted=patient.settings.mode)
        return Finding("tables", State.FAILED, words, say("give each mode a database of its own"), facts)
    if not now.current:
        words = say("the tables are not those of this version")
        if now.revision != now.newest:
            words = say("at revision {revision}, this version's is {newest}", revision=now.revision, newest=now.newest)
        return Finding("tables", State.WARNING, words, say("`quant-pipeline db upgrade`; every `run` does it too"), facts)
    return Finding("tables", State.OK, say("revision {revision}, as of this version", revision=now.revision), facts=facts)


def disk(patient: Patient) -> Finding:
    """The room under the home."""
    folder = next(path for path in (patient.home, *patient.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free / _GIGABYTE
    state = State.FAILED if free < _TOO_LITTLE else State.WARNING if free < _SCARCE else State.OK
    words = say("{free:,.1f} GB free at {path}", free=free, path=folder)
    advice = "" if state is State.OK else say("make room, or move QUANT_HOME to a larger disk")
    return Finding("disk", state, words, advice, {"free_bytes": int(free * _GIGABYTE)})


def _log(patient: Patient) -> str:
    return str(patient.settings.home / "pg" / "log")
