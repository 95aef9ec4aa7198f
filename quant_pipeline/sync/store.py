"""Writes what was fetched: good rows to their table, refused ones beside it, in the caller's transaction."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import psycopg
from psycopg import sql

from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import TRADE_CALENDAR
from quant_pipeline.market.validation import keys_of
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sources.failures import Unanswered
from quant_pipeline.sources.router import Answer
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.code_changes import SHOWN_BY, CodeChange, follow, shown_in
from quant_pipeline.sync.ledger import Item, ItemStatus, Shortfall, item_of
from quant_pipeline.sync.periods import span_of
from quant_pipeline.warehouse.rejected import store_rejected
from quant_pipeline.warehouse.upsert import Upserted, replace_rows, upsert, upsert_each

_logger = logging.getLogger(__name__)
_WHOLE = (Grain.SNAPSHOT, Grain.MEMBERS)
"""The grains whose answer is a whole list: of everything, or of a board."""


@dataclass(frozen=True)
class Fetched:
    """A unit, and its answer or why there is none."""

    unit: Unit
    answer: Answer | None
    error: Unanswered | None


@dataclass(frozen=True)
class Store:
    """Writes rows of one data set over one connection. `priority`: the sources, best first, by which rows are owned."""

    connection: psycopg.Connection
    dataset: Dataset
    calendar: Calendar
    priority: Sequence[str]
    force: bool

    def write(self, group: Sequence[Fetched]) -> dict[Unit, Item]:
        """Writes each unit's good rows, its refused rows, or its failure; the items to be recorded."""
        answers = {each.unit: each.answer for each in group if each.answer is not None}
        written = self._write_rows(answers)
        for unit, answer in answers.items():
            store_rejected(self.connection, self.dataset, answer.checked.bad, source=answer.source, unit=str(unit))
        return {
            each.unit: _failed(each.unit, each.error)
            if each.answer is None
            else _item(each.unit, each.answer, each.answer.checked.good.height, written[each.unit])
            for each in group
        }

    def fill(self, unit: Unit, answer: Answer, rows: pl.DataFrame) -> Item:
        """Writes those rows of an answer that fill gaps."""
        written = upsert(self.connection, self.dataset, rows, source=answer.source, priority=self.priority)
        return _item(unit, answer, rows.height, written)

    def _write_rows(self, answers: Mapping[Unit, Answer]) -> dict[Unit, Upserted]:
        """Sessions and codes in one go; whole lists and periods one by one, for they put an end to what stood before."""
        counted = any(answer.source == DerivedSource.name for answer in answers.values())
        one_by_one = self.dataset.periodic or self.dataset.whole
        if one_by_one or (self.force and counted) or any(unit.grain in _WHOLE for unit in answers):
            return {unit: self._put_in_place(unit, answer) for unit, answer in answers.items()}
        frames = [(answer.checked.good, answer.source) for answer in answers.values()]
        written = upsert_each(self.connection, self.dataset, frames, priority=self.priority, force=self.force)
        return dict(zip(answers, written, strict=True))

    def _put_in_place(self, unit: Unit, answer: Answer) -> Upserted:
        rows = answer.checked.good
        # A calendar is judged by what is known, not by who says it: what stands there may be what was not believed.
        # What we count ourselves takes no upstream's place, by force neither: an exchange's limit stays its own.
        force = (self.force and answer.source != DerivedSource.name) or self.dataset is TRADE_CALENDAR
        if unit.grain in _WHOLE:
            # A list is whole: what it no longer holds is gone. What came and was refused is lacking, not gone.
            where = {"ts_code": unit.ts_code} if unit.grain is Grain.MEMBERS else None
            kept = self._stored_though_refused(answer)
            rows = pl.concat([rows, kept if where is None else kept.filter(pl.col("ts_code") == unit.ts_code)])
            changes = self._code_changes(answer)
            written = replace_rows(
                self.connection, self.dataset, rows, where=where, source=answer.source, priority=self.priority, force=force
            )
            follow(self.connection, changes, self.calendar, unit.start)
            return written
        if self.dataset.periodic:
            self._drop_running(unit, rows)
        if self.dataset.whole and unit.grain is Grain.SESSION:
            return self._replace_session(unit.start, answer, force=force)
        return upsert(self.connection, self.dataset, rows, source=answer.source, priority=self.priority, force=force)

    def _replace_session(self, session: dt.date, answer: Answer, *, force: bool) -> Upserted:
        """Puts the answer in the place of all that is stored of the session: answers of two sources are not mixed."""
        query = sql.SQL("SELECT DISTINCT source FROM {} WHERE trade_date = %s").format(sql.Identifier(self.dataset.name))
        others = {source for (source,) in self.connection.execute(query, (session,))} - {answer.source}
        rank = [*self.priority, answer.source].index(answer.source)
        if not force and others & {*self.priority[:rank]}:
            return Upserted(kept=answer.checked.good.height)
        where = {"trade_date": session}
        kept = self._stored_though_refused(answer).filter(pl.col("trade_date") == session)
        rows = pl.concat([answer.checked.good, kept])
        for other in others:
            replace_rows(self.connection, self.dataset, rows.clear(), where=where, source=other)
        return replace_rows(self.connection, self.dataset, rows, where=where, source=answer.source, force=True)

    def _code_changes(self, answer: Answer) -> list[CodeChange]:
        if self.dataset not in SHOWN_BY:
            return []
        return shown_in(self.connection, self.dataset, answer.checked.good, answer.source)

    def _stored_though_refused(self, answer: Answer) -> pl.DataFrame:
        """The stored rows of the source whose new ones were refused, and not replaced by other good ones."""
        keys = keys_of(self.dataset, answer.checked.bad).join(answer.checked.good, on=self.dataset.key, how="anti")
        statement = sql.SQL("SELECT {} FROM {} WHERE source = %s").format(
            sql.SQL(", ").join(map(sql.Identifier, self.dataset.column_names)), sql.Identifier(self.dataset.name)
        )
        schema = {column.name: column.type.polars for column in self.dataset.columns}
        if keys.is_empty():
            return pl.DataFrame(schema=schema)
        stored = self.connection.execute(statement, (answer.source,)).fetchall()
        frame = pl.DataFrame(stored, schema=schema, orient="row")
        return frame.join(keys, on=self.dataset.key, how="semi")

    def _drop_running(self, unit: Unit, rows: pl.DataFrame) -> None:
        """Deletes the rows of the same weeks or months that bear an earlier label: they were those of a running period."""
        labels: list[dt.date] = rows["trade_date"].unique().to_list()
        former = [day for label in labels for day in span_of(self.dataset, self.calendar, label)[:-1]]
        of_code = sql.SQL(" AND ts_code = {}").format(unit.ts_code) if unit.grain is Grain.CODE else sql.SQL("")
        statement = sql.SQL("DELETE FROM {} WHERE trade_date = ANY(%s)").format(sql.Identifier(self.dataset.name))
        self.connection.execute(statement + of_code, (former,))


def _item(unit: Unit, answer: Answer, rows: int, written: Upserted) -> Item:
    unreadable = ", ".join(f"{name} {count}" for name, count in answer.checked.unreadable.items())
    if unreadable:
        _logger.warning(
            told(
                "{unit}: values of {source} cannot be read, they are null now: {columns}",
                unit=unit,
                source=answer.source,
                columns=unreadable,
            )
        )
    doubted = {"status": ItemStatus.PARTIAL, "error_class": Shortfall.IMPLAUSIBLE.value, "error": answer.doubt}
    return item_of(
        unit,
        source=answer.source,
        rows=rows,
        inserted=written.inserted,
        updated=written.updated,
        unchanged=written.unchanged,
        rejected=answer.checked.bad.height,
        unreadable=unreadable or None,
        attempts=answer.attempts,
        calls=answer.calls,
        seconds=answer.seconds,
        **(doubted if answer.doubt else {}),
    )


def _failed(unit: Unit, error: Unanswered | None) -> Item:
    assert error is not None
    last = error.decisive
    return item_of(
        unit,
        source=last.source if last else None,
        status=ItemStatus.FAILED,
        attempts=error.attempts,
        calls=error.calls,
        error_class=last.failure.value if last else None,
        error=str(error),
    )
