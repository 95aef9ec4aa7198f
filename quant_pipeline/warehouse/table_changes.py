"""Which years of a table have changed: a mark for every change, written in the transaction of the change.

The marks of a year are random numbers, and their sum is the year's state: whoever keeps it beside a copy knows later whether
the copy still is what the table holds. Another database, and a backup that was restored and written to since, has other sums.

No change goes without a mark. Deleted and updated rows name their years to a trigger. Inserted ones are too many to be looked
at twice: our own writes say which years they were (`noting`), and anybody else's (psql, a restored file) marks every year.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS

EVERY_YEAR = 0
"""In place of a year: all of them; and a list's rows, which are of no year."""

_FUNCTION = """
CREATE OR REPLACE FUNCTION note_table_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP IN ('INSERT', 'TRUNCATE') THEN
        INSERT INTO table_changes (dataset, year) VALUES (TG_TABLE_NAME, 0);
    ELSIF TG_ARGV[0] = 'list' THEN
        INSERT INTO table_changes (dataset, year) SELECT TG_TABLE_NAME, 0 FROM former LIMIT 1;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO table_changes (dataset, year)
        SELECT DISTINCT TG_TABLE_NAME, extract(year FROM trade_date)::integer FROM former;
    ELSE
        INSERT INTO table_changes (dataset, year)
        SELECT TG_TABLE_NAME, extract(year FROM trade_date)::integer FROM former
        UNION
        SELECT TG_TABLE_NAME, extract(year FROM trade_date)::integer FROM latter;
    END IF;
    RETURN NULL;
END
$$
"""
_TRIGGERS = {
    "note_insert": "AFTER INSERT ON {table} FOR EACH STATEMENT "
    "WHEN (current_setting('quant.noting', true) IS DISTINCT FROM {name})",
    "note_truncate": "AFTER TRUNCATE ON {table} FOR EACH STATEMENT",
    "note_delete": "AFTER DELETE ON {table} REFERENCING OLD TABLE AS former FOR EACH STATEMENT",
    "note_update": "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS former NEW TABLE AS latter FOR EACH STATEMENT",
}
DEFINITIONS = (_FUNCTION, *(f"CREATE TRIGGER {name} {when}" for name, when in _TRIGGERS.items()))
"""What `install` makes, for the fingerprint of the tables."""
_MARKED = "SELECT array_agg(tgname::text) FROM pg_trigger WHERE tgrelid = %s::regclass"
_MARK = "INSERT INTO table_changes (dataset, year) SELECT %(dataset)s, unnest(%(years)s::integer[])"
_NOTED = f"WITH noted AS ({_MARK}) SELECT set_config('quant.noting', '', true)"
_STATES = "SELECT dataset, year, sum(mark)::text FROM table_changes WHERE dataset IN ({}) GROUP BY dataset, year"
_FOLD = """
WITH several AS (
    SELECT dataset, year FROM table_changes GROUP BY dataset, year HAVING count(*) > 1
), gone AS (
    DELETE FROM table_changes t USING several s WHERE t.dataset = s.dataset AND t.year = s.year
    RETURNING t.dataset, t.year, t.mark
)
INSERT INTO table_changes (dataset, year, mark) SELECT dataset, year, sum(mark) FROM gone GROUP BY dataset, year
"""


def install(connection: psycopg.Connection[Any]) -> None:
    """Makes the triggers where they lack, in the caller's transaction. A table that had none is marked as changed."""
    connection.execute(_FUNCTION)
    for dataset in DATASETS.values():
        (standing,) = connection.execute(_MARKED, (dataset.name,)).fetchone() or (None,)
        if not standing or "note_insert" not in standing:
            connection.execute(_MARK, {"dataset": dataset.name, "years": [EVERY_YEAR]})
        for name, when in _TRIGGERS.items():
            if name not in (standing or ()):
                statement = f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION note_table_change({{kind}})"
                names = {
                    "table": sql.Identifier(dataset.name),
                    "name": sql.Literal(dataset.name),
                    "kind": sql.Literal("dated" if dataset.dated else "list"),
                }
                connection.execute(sql.SQL(statement).format(**names))


@contextmanager
def noting(cursor: psycopg.Cursor[Any], dataset: Dataset) -> Iterator[set[int]]:
    """Within the block, inserts into the data set's table mark those years only that are put into the set.

    In the caller's transaction. What fails in the block goes with its transaction, or its savepoint, as a whole.
    """
    years: set[int] = set()
    cursor.execute("SELECT set_config('quant.noting', %s, true)", (dataset.name,))
    yield years
    cursor.execute(_NOTED, {"dataset": dataset.name, "years": sorted(years)})


def states_query(datasets: list[str]) -> str:
    """The statement that tells the sums of the marks: dataset, year, sum."""
    return sql.SQL(_STATES).format(sql.SQL(", ").join(map(sql.Literal, datasets))).as_string()


def state_of(sums: Mapping[tuple[str, int], int], dataset: Dataset, year: int) -> int:
    """A year's state (a list's: EVERY_YEAR), from the sums that `states_query` tells."""
    every = sums.get((dataset.name, EVERY_YEAR), 0)
    return every if year == EVERY_YEAR else every + sums.get((dataset.name, year), 0)


def fold(connection: psycopg.Connection[Any]) -> None:
    """Makes one mark of many, with the same sum: no state changes, for nobody."""
    connection.execute(_FOLD)
