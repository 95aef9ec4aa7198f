"""Reconciliation: stored rows against a second source, each session, field and code by itself, and what differs as rows."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, MONTHLY_KLINE, WEEKLY_KLINE
from quant_pipeline.market.reports import RECONCILIATION
from quant_pipeline.sources.failures import SourceError
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.comparison import RATIOS, Comparison, compare, compared_fields
from quant_pipeline.sync.periods import closed_labels
from quant_pipeline.sync.roster import Roster
from quant_pipeline.sync.second_opinion import Witness, witnesses
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql
from quant_pipeline.warehouse.upsert import COMPUTED, upsert

COMPARED = (DAILY_KLINE, WEEKLY_KLINE, MONTHLY_KLINE, ADJ_FACTOR, DAILY_BASIC)
"""The data sets that are compared, where two sources have them."""
ROTATION = 55
"""Sessions in which every code comes round: no quarter since 2003 had fewer than 56."""
_ASKED_AGAIN = 100
"""So many codes with findings are asked again, beside the sample: a field that differs everywhere costs no more calls."""
_CODES_WITH_FINDINGS = """
SELECT ts_code FROM reconciliation WHERE dataset = %(dataset)s AND trade_date >= %(since)s
GROUP BY ts_code ORDER BY max(trade_date) DESC, ts_code LIMIT %(most)s
"""
_DELETE_AGREEING = """
DELETE FROM reconciliation AS found
WHERE dataset = %(dataset)s AND second_source = %(second)s AND ts_code = ANY(%(codes)s)
  AND trade_date = ANY(%(labels)s) AND NOT EXISTS (
    SELECT FROM unnest(%(days)s::date[], %(of)s::text[], %(fields)s::text[]) AS still (trade_date, ts_code, field)
    WHERE (still.trade_date, still.ts_code, still.field) = (found.trade_date, found.ts_code, found.field)
)
"""
_DELETE_MENDED = """
DELETE FROM reconciliation AS found
WHERE dataset = %(dataset)s AND field = %(field)s AND trade_date BETWEEN %(start)s AND %(end)s AND NOT EXISTS (
    SELECT FROM {table} AS now WHERE now.trade_date = found.trade_date AND now.ts_code = found.ts_code
      AND now.source = found.stored_source AND {same}
)
"""
_RECORD_RUN = """
INSERT INTO reconciliation_runs
    (sync_run, dataset, second_source, first_session, last_session, codes, compared, differing, failed, error)
VALUES (%(run)s, %(dataset)s, %(source)s, %(start)s, %(end)s, %(codes)s, %(compared)s, %(differing)s, %(failed)s, %(error)s)
ON CONFLICT (sync_run, dataset, second_source) DO UPDATE SET
    first_session = excluded.first_session, last_session = excluded.last_session, codes = excluded.codes,
    compared = excluded.compared, differing = excluded.differing, failed = excluded.failed, error = excluded.error,
    finished_at = clock_timestamp()
"""
_logger = logging.getLogger(__name__)


@dataclass
class Heard:
    """What was heard of one second source about one data set: how much was compared, how much differs, what failed."""

    dataset: str
    source: str
    codes: set[str] = field(default_factory=set)
    compared: int = 0
    differing: int = 0
    failed: int = 0
    error: str | None = None


def sample(codes: Iterable[str], day: int, rotation: int = ROTATION) -> list[str]:
    """The codes whose turn it is in the session numbered `day`, in order.

    In any `rotation` sessions that follow one another each code has its turn exactly once, whichever others come and go.
    """
    return sorted(code for code in codes if _place(code) % rotation == day % rotation)


def reconcile(
    database: Database,
    calendar: Calendar,
    router: Router,
    run: str,
    dataset: Dataset,
    sessions: Sequence[dt.date],
    rotation: int = ROTATION,
) -> list[Heard]:
    """Compares the stored rows with what second sources say, and writes down what differs.

    A source that answers for the whole market is asked about every session (week, month) given; of one that is asked code by
    code it is the turn of the last session's sample, over the whole rotation: a call brings it all. A site that bans is asked
    about what nobody else could be. What fails costs its own session or code.
    """
    start, end = calendar.shift(sessions[-1], -rotation), sessions[-1]
    since = min(start, sessions[0])
    _forget_mended(database, dataset, since, end)
    labels = closed_labels(dataset, calendar, sessions[0], end)
    quarter = closed_labels(dataset, calendar, since, end)
    heard: list[Heard] = []
    if not quarter:
        return heard
    codes = _codes(database, calendar, dataset, sessions[-1], since, rotation)
    asking = _Asking(database, calendar, dataset)
    known: set[str] = set()
    for witness in witnesses(router, dataset):
        told = Heard(dataset.name, witness.name)
        if witness.knows_markets and dataset.name not in RATIOS:
            units = [Unit.session(label) for label in labels]
        elif witness.knows_codes:
            left = codes if witness.source.shares else [code for code in codes if code not in known]
            units = [Unit.code(code, quarter[0], quarter[-1]) for code in left]
        else:
            continue
        for unit in units:
            asking.about(unit, witness, told)
        known |= told.codes
        if told.compared or told.failed:
            heard.append(told)
    _record(database, run, since, end, heard)
    return heard


@dataclass(frozen=True)
class _Asking:
    """Asks one witness about one unit, compares, and writes down what differs."""

    database: Database
    calendar: Calendar
    dataset: Dataset

    def about(self, unit: Unit, witness: Witness, told: Heard) -> None:
        if not witness.can_have(unit):
            return
        columns = ["ts_code", "trade_date", *compared_fields(self.dataset), "source"]
        of_code = None if unit.ts_code is None else [unit.ts_code]
        stored = read(self.database, self.dataset, start=unit.start, end=unit.end, codes=of_code, columns=columns)
        if (stored["source"] == witness.name).all():
            return  # nothing stored, or nothing that is not its own
        try:
            rows = witness.ask(unit, self.calendar)
        except SourceError as error:
            _logger.info("%s %s: no second opinion: %s", self.dataset.name, unit, error)
            told.failed += 1
            told.error = str(error)
            return
        comparison = compare(self.dataset, stored, rows.select(columns[:-1]), witness.name)
        told.codes.update(comparison.codes)
        told.compared += comparison.values.height
        told.differing += comparison.findings.height
        self._write(comparison, witness.name)

    def _write(self, comparison: Comparison, second: str) -> None:
        """What differs comes in; what was noted before and agrees now goes. A row that stands is left as it is."""
        found = comparison.findings
        values = {
            "dataset": self.dataset.name,
            "second": second,
            "codes": comparison.codes,
            "labels": comparison.values["trade_date"].unique().to_list(),
            "days": found["trade_date"].to_list(),
            "of": found["ts_code"].to_list(),
            "fields": found["field"].to_list(),
        }
        with self.database.connect() as connection, connection.transaction():
            upsert(connection, RECONCILIATION, found, source=COMPUTED)
            connection.execute(_DELETE_AGREEING, values)


def _codes(
    database: Database, calendar: Calendar, dataset: Dataset, session: dt.date, since: dt.date, rotation: int
) -> list[str]:
    """The session's sample of the codes that were listed, and those with findings, until they are mended."""
    listed = Roster.load(database, dataset, calendar).listed_between(since, session)
    day = len(calendar.between(calendar.first, session))
    values = {"dataset": dataset.name, "since": since, "most": _ASKED_AGAIN}
    doubted = read_sql(database, _CODES_WITH_FINDINGS, values)["ts_code"].to_list()
    return sorted({*sample(listed, day, rotation), *doubted})


def _forget_mended(database: Database, dataset: Dataset, start: dt.date, end: dt.date) -> None:
    """Deletes what was noted about rows that are gone, or are others by now."""
    for name in compared_fields(dataset):
        same = "true" if dataset.name in RATIOS else f"now.{name} = found.stored"
        values = {"dataset": dataset.name, "field": name, "start": start, "end": end}
        with database.connect() as connection:
            connection.execute(_DELETE_MENDED.format(table=dataset.name, same=same), values)


def _record(database: Database, run: str, start: dt.date, end: dt.date, heard: Sequence[Heard]) -> None:
    with database.connect() as connection, connection.transaction():
        for told in heard:
            values = {
                "run": run,
                "dataset": told.dataset,
                "source": told.source,
                "start": start,
                "end": end,
                "codes": len(told.codes),
                "compared": told.compared,
                "differing": told.differing,
                "failed": told.failed,
                "error": told.error,
            }
            connection.execute(_RECORD_RUN, values)


def _place(code: str) -> int:
    return int.from_bytes(hashlib.md5(code.encode(), usedforsecurity=False).digest()[:8])
