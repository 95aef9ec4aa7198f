"""What is asked of PostgreSQL for the days that the lake has not: one statement, or two that are answered beside each other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.warehouse.reads import Days, statement_of, steps_statement

Statements = Callable[[Dataset, Sequence[str], Days, Sequence[str] | None], list[str]]
"""Of a data set these columns, of these days and codes (None: all): each statement's rows are of other days."""
_LONG, _DAY = dt.timedelta(days=90), dt.timedelta(days=1)


def one(dataset: Dataset, columns: Sequence[str], days: Days, codes: Sequence[str] | None) -> list[str]:
    """The rows."""
    return [statement_of(dataset, columns, days, codes)]


def steps(dataset: Dataset, columns: Sequence[str], days: Days, codes: Sequence[str] | None) -> list[str]:
    """The rows that say something else than the code's row before, and few others."""
    return [steps_statement(dataset, columns, days, codes)]


def halves(since: Mapping[str, dt.date]) -> Statements:
    """The rows in two, where these are so many that it is faster; of columns that nobody looks at before some day the earlier
    rows are not asked for."""

    def statements(dataset: Dataset, columns: Sequence[str], days: Days, codes: Sequence[str] | None) -> list[str]:
        first, last = days
        if codes is not None or first is None or last is None or last - first < _LONG:
            return one(dataset, columns, days, codes)
        earlier, second = columns, first + (last - first) / 2
        if since and first < (day := min(since.values())) <= last:
            earlier, second = [name for name in columns if name not in since], day
        parts = ((earlier, (first, second - _DAY)), (columns, (second, last)))
        return [statement_of(dataset, names, part, codes) for names, part in parts]

    return statements
