"""Reads of one moment: each year from the lake where it is current, from PostgreSQL where it is not."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
from psycopg import sql

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.market.stretches import BY_CODE, ByCode, Stretches, within
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import refusals_in_words
from quant_pipeline.warehouse.lake.files import Opened, file_of, kept_years, label_of, opened
from quant_pipeline.warehouse.lake.order import Part, part_of, steps_of, together, types_of
from quant_pipeline.warehouse.lake.statements import Statements, halves, one, steps
from quant_pipeline.warehouse.reads import Days, bound, named, spelled
from quant_pipeline.warehouse.table_changes import EVERY_YEAR, state_of, states_query

if TYPE_CHECKING:
    from quant_pipeline.warehouse.arrow import ArrowConnection

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_FEW_DAYS = dt.timedelta(days=3)
_logger = logging.getLogger(__name__)
Rows = TypeVar("Rows")


@contextmanager
def snapshot(database: Database, folder: Path | None) -> Iterator[Snapshot]:
    """The stored rows as they are at this moment: whatever is read in the block is of one state of the database.

    `folder`: the lake's (`folder_of`); None: everything is read from PostgreSQL.
    """
    with refusals_in_words(), database.connect_arrow() as connection:
        connection.execute(_BEGIN)
        try:
            yield Snapshot(database, connection, folder)
        finally:
            connection.execute("ROLLBACK")


class Snapshot:
    """One state of the database. One thread at a time; not to be used after its block."""

    def __init__(self, database: Database, connection: ArrowConnection, folder: Path | None) -> None:
        self._database = database
        self._connection = connection
        self._folder = folder
        # The first statement is what fixes the moment: the states are those of the rows that will be read.
        rows = connection.fetch(states_query(list(DATASETS))).iter_rows()
        self.sums = {(dataset, year): int(total) for dataset, year, total in rows}
        """Sums of the marks, see table_changes.py."""

    def read(
        self,
        dataset: Dataset,
        *,
        columns: Sequence[str] | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
        codes: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Rows of a data set, as `reads.read` gives them: sorted by its key, with the spec's types and units."""
        names = named(dataset, columns)

        def whole(parts: Sequence[Part]) -> pl.DataFrame:
            if len(parts) == 1:
                return parts[0].read(names)
            if dataset.key == BY_CODE:
                return together(parts, types_of(dataset, names)).frame().select(names)
            wanted = names + [name for name in dataset.key if name not in names]
            return pl.concat([part.read(wanted) for part in parts]).sort(dataset.key).select(names)

        return self._read(dataset, names, start, end, codes, whole)

    def read_by_code(
        self,
        dataset: Dataset,
        *,
        columns: Sequence[str],
        start: dt.date | None = None,
        end: dt.date | None = None,
        codes: Sequence[str] | None = None,
        wanted: Callable[[pl.Series], pl.Series] | None = None,
        since: Mapping[str, dt.date] | None = None,
    ) -> ByCode:
        """As `read`, of a data set by ts_code and trade_date, for whole markets over years: these columns, and trade_date.

        `wanted`: says of codes which ones are, true or false; the rows of others are left out · `since`: columns that nobody
        looks at before that day: they may be null there.
        """
        names = ["trade_date", *(name for name in named(dataset, columns) if name not in BY_CODE)]

        def whole(parts: Sequence[Part]) -> ByCode:
            return together(parts, types_of(dataset, names), wanted)

        return self._read(dataset, names, start, end, codes, whole, halves(since or {}))

    def read_steps(
        self,
        dataset: Dataset,
        column: str,
        *,
        start: dt.date | None = None,
        end: dt.date | None = None,
        codes: Sequence[str] | None = None,
    ) -> ByCode:
        """As `read_by_code`, of a column that seldom changes: only the rows from which on a code has another value than before.

        A row that says the same again may be among them. Whole markets' factors are a hundredth of their rows so.
        """
        names = ["trade_date", *named(dataset, [column])]

        def whole(parts: Sequence[Part]) -> ByCode:
            return together([steps_of(part, column) for part in parts], types_of(dataset, names))

        return self._read(dataset, names, start, end, codes, whole, steps)

    def _read(
        self,
        dataset: Dataset,
        names: Sequence[str],
        start: dt.date | None,
        end: dt.date | None,
        codes: Sequence[str] | None,
        whole: Callable[[Sequence[Part]], Rows],
        asked: Statements = one,
    ) -> Rows:
        """What `whole` makes of the parts, which follow each other in time; of a file that cannot be read the table is.

        `asked`: what the table is asked for."""
        if codes is not None:
            codes = [spelled(dataset, code) for code in codes]
        unreadable: set[int] = set()
        while True:
            with ExitStack() as stack:
                kept = self._current(stack, dataset, start, end) if self._kept(names, start, end) else {}
                parts = {year: _part(found, year, start, end, codes) for year, found in kept.items() if year not in unreadable}
                wanted = [*names, *(name for name in dataset.key if name not in names)]
                parts |= self._stored(dataset, wanted, _days(dataset, start, end, parts), codes, asked)
                try:
                    return whole([parts[year] for year in sorted(parts)])
                except _Unreadable as error:
                    _logger.warning(
                        "a file of %s in the lake cannot be read, the table is read instead: %s", dataset.name, error.why
                    )
                    unreadable.add(error.year)

    def _kept(self, names: Sequence[str], start: dt.date | None, end: dt.date | None) -> bool:
        """Whether the lake has it, and has it sooner than the table: a file is read through for any day of its year."""
        if self._folder is None or "updated_at" in names:
            return False
        return start is None or end is None or end - start >= _FEW_DAYS

    @contextmanager
    def twin(self) -> Iterator[Snapshot]:
        """The same state for another thread, while this one lasts."""
        (state,) = self._connection.fetch("SELECT pg_export_snapshot()").row(0)
        with self._database.connect_arrow() as connection:
            connection.execute(_BEGIN)
            try:
                connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(state).as_string())
                yield Snapshot(self._database, connection, self._folder)
            finally:
                connection.execute("ROLLBACK")

    def label(self, dataset: Dataset, year: int) -> str:
        """What a file says that is current (`year`: EVERY_YEAR of a list)."""
        return label_of(dataset, state_of(self.sums, dataset, year))

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The rows of any SELECT, of this state too; its parameters as in `reads.read_sql`."""
        return self._connection.fetch(bound(query, parameters))

    def _current(self, stack: ExitStack, dataset: Dataset, start: dt.date | None, end: dt.date | None) -> dict[int, Opened]:
        """The years within the range whose files are current, with these, open."""
        assert self._folder is not None
        years = kept_years(self._folder, dataset) if dataset.dated else [EVERY_YEAR]
        current = {}
        for year in years:
            if dataset.dated and ((start and year < start.year) or (end and year > end.year)):
                continue
            found = opened(file_of(self._folder, dataset, year))
            if found is not None:
                stack.enter_context(found.file)
                if found.held.label == self.label(dataset, year):
                    current[year] = found
        return current

    def _stored(
        self,
        dataset: Dataset,
        columns: Sequence[str],
        days: Sequence[Days],
        codes: Sequence[str] | None,
        asked: Statements,
    ) -> dict[int, Part]:
        """The rows of these days from PostgreSQL, under the year in which each range begins."""
        parts = {}
        for first, last in days:
            rows = self._rows(asked(dataset, columns, (first, last), codes))
            part = part_of(ByCode.sorted(rows)) if dataset.key == BY_CODE else Part(rows.sort(dataset.key).select)
            parts[first.year if first else EVERY_YEAR] = part
        return parts

    def _rows(self, statements: Sequence[str]) -> pl.DataFrame:
        """The rows of both, or the one; null in columns that only one has."""
        if len(statements) == 1:
            return self.sql(statements[0])
        with self.twin() as twin, ThreadPoolExecutor(1) as thread:
            second = thread.submit(twin.sql, statements[1])
            return pl.concat([self.sql(statements[0]), second.result()], how="diagonal")


class _Unreadable(Exception):
    """The file of a year."""

    def __init__(self, year: int, why: Exception) -> None:
        super().__init__(year, why)
        self.year, self.why = year, why


def _part(found: Opened, year: int, start: dt.date | None, end: dt.date | None, codes: Sequence[str] | None) -> Part:
    """The file's rows of these days and codes. The part raises _Unreadable."""
    days = []
    if start is not None and start > dt.date(year, 1, 1):
        days.append(pl.col("trade_date") >= start)
    if end is not None and end < dt.date(year, 12, 31):
        days.append(pl.col("trade_date") <= end)
    chosen = [] if codes is None else [pl.col("ts_code").is_in(list(codes))]

    def collect(query: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        try:
            found.file.seek(0)
            return query(pl.scan_parquet(found.file)).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _Unreadable(year, error) from None

    def read(columns: Sequence[str]) -> pl.DataFrame:
        conditions = [*days, *chosen]
        return collect(lambda rows: (rows.filter(conditions) if conditions else rows).select(columns))

    def counted() -> Stretches:
        """By the codes that the file tells, and its days: they are read in a fifth of the time of a code in each row."""
        assert found.stretches is not None
        kept = found.stretches
        if days:
            inside = collect(lambda rows: rows.select(within=pl.all_horizontal(days)))["within"]
            kept = within(kept, inside)
        return kept if codes is None else Stretches(*(each.filter(kept.codes.is_in(list(codes))) for each in kept))

    return Part(read, None if found.stretches is None else counted)


def _days(dataset: Dataset, start: dt.date | None, end: dt.date | None, without: Collection[int]) -> list[Days]:
    """The days of the range that lie in none of the years, as few ranges as there can be (None: without a bound)."""
    if not dataset.dated:
        return [] if EVERY_YEAR in without else [(None, None)]
    ranges: list[Days] = []
    first = start
    for year in sorted(without):
        last = dt.date(year - 1, 12, 31)
        if first is None or first <= last:
            ranges.append((first, last))
        first = dt.date(year + 1, 1, 1)
    if end is None or first is None or first <= end:
        ranges.append((first, end))
    return ranges
