"""Where a database stands among the revisions of its tables, and the way back to an earlier one."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from quant_pipeline.warehouse import schema
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import refusals_in_words
from quant_pipeline.warehouse.schema import SchemaError
from quant_pipeline.warehouse.tables import IDENTITY

_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""
_DELETED = "SELECT relname FROM pg_stat_xact_user_tables WHERE schemaname = 'public' AND n_tup_del > 0"


@dataclass(frozen=True)
class Standing:
    """`revision`: None for a database without tables. `current`: whether its tables are those of this version."""

    revision: str | None
    newest: str
    fingerprint: str | None
    mode: str | None
    current: bool


@dataclass(frozen=True)
class Revision:
    """One revision, and whether the database has it."""

    revision: str
    words: str
    applied: bool


def standing(database: Database) -> Standing:
    """Where the database stands; nothing is upgraded."""
    with refusals_in_words(), database.engine.connect() as connection:
        identity = None
        if sa.inspect(connection).has_table(IDENTITY.name):
            identity = connection.execute(sa.select(IDENTITY.c.fingerprint, IDENTITY.c.mode)).one_or_none()
        fingerprint, mode = identity or (None, None)
        return Standing(
            schema.revision_of(connection), schema.newest_revision(), fingerprint, mode, fingerprint == schema.fingerprint()
        )


def revisions(database: Database) -> list[Revision]:
    """All revisions that this version knows, the newest first."""
    stands_at = standing(database).revision
    scripts = list(schema.scripts().walk_revisions())
    names = [each.revision for each in scripts]
    applied = names[names.index(stands_at) :] if stands_at in names else []
    return [Revision(each.revision, (each.doc or "").strip().splitlines()[0], each.revision in applied) for each in scripts]


def downgrade(database: Database, to: str, *, even_if_rows_are_lost: bool = False) -> list[str]:
    """Takes the revisions after `to` back, in one transaction; what was lost with them (tables, columns, rows).

    SchemaError, with nothing changed, where `to` is not behind the database, a revision cannot be taken back, or values
    would be lost and that was not said to be wanted.
    """
    from alembic import command

    with refusals_in_words(), database.engine.begin() as connection:
        schema.lock(connection)
        undone = _to_undo(schema.revision_of(connection), to)
        if not undone:
            return []
        before = set(connection.execute(sa.text(_COLUMNS)).tuples())
        attempt = connection.begin_nested()
        command.downgrade(schema.config_of(connection), to)
        gone = before - set(connection.execute(sa.text(_COLUMNS)).tuples())
        deleted = [f"rows of {name}" for (name,) in connection.execute(sa.text(_DELETED)).tuples()]
        attempt.rollback()
        lost = sorted([f"{table}.{column}" for table, column in gone if _holds_a_value(connection, table, column)] + deleted)
        if lost and not even_if_rows_are_lost:
            raise SchemaError(
                f"the way back to {to} would lose {', '.join(lost)}: make a backup, and say --yes to do it all the same"
            )
        command.downgrade(schema.config_of(connection), to)
        connection.execute(sa.update(IDENTITY).values(fingerprint=f"downgraded to {to}"))
    return lost


def _holds_a_value(connection: sa.Connection, table: str, column: str) -> bool:
    quoted = connection.dialect.identifier_preparer.quote
    query = f"SELECT EXISTS (SELECT FROM {quoted(table)} WHERE {quoted(column)} IS NOT NULL)"
    return bool(connection.execute(sa.text(query)).scalar())


def _to_undo(stands_at: str | None, to: str) -> list[str]:
    scripts = list(schema.scripts().walk_revisions())
    names = [each.revision for each in scripts]
    if to not in names:
        raise SchemaError(f"there is no revision {to!r}; there are {', '.join(reversed(names))}")
    if stands_at not in names or names.index(to) < names.index(stands_at):
        raise SchemaError(f"the database stands at revision {stands_at}, which is not after {to}")
    undone = scripts[names.index(stands_at) : names.index(to)]
    for each in undone:
        if not hasattr(each.module, "downgrade"):
            raise SchemaError(f"revision {each.revision} cannot be taken back: restore a backup that was made before it")
    return [each.revision for each in undone]
