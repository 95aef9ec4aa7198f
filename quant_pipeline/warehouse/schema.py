"""Brings a database to what this version of the code needs: revisions first, then what the specs have and it lacks."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment, SetTableComment

from quant_pipeline.settings import Mode
from quant_pipeline.warehouse import table_changes, timescale
from quant_pipeline.warehouse.tables import IDENTITY, metadata_of
from quant_pipeline.warehouse.views import DEFINITIONS, create_views

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.operations.ops import MigrateOperation
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).with_name("migrations")
VERSION_TABLE = "quant_alembic_version"
DAGSTER_SCHEMA = "dagster"
"""Dagster's tables stand in a schema of their own: its `alembic_version` and ours never meet."""

_LOCK = 0x51504C5550  # "QPLUP": one process upgrades, the others wait for it
_logger = logging.getLogger(__name__)


class SchemaError(RuntimeError):
    """The database cannot be used by this version or in this mode; the text says what to do."""


def is_current(connection: psycopg.Connection[Any], mode: Mode) -> bool:
    """Whether the database needs no upgrade. SchemaError when it holds the other mode's data."""
    known = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (IDENTITY.name,)).fetchone()
    if not known or not known[0]:
        return False
    row = connection.execute(f"SELECT mode, fingerprint FROM {IDENTITY.name}").fetchone()
    if row is None:
        return False
    if row[0] != mode:
        raise SchemaError(
            f"this database holds {row[0]} data, and QUANT_MODE is {mode}: they never share one. "
            f"Set QUANT_MODE={row[0]}, or give {mode} a database of its own in QUANT_DATABASE_URL."
        )
    return bool(row[1] == fingerprint())


def upgrade(engine: sa.Engine, mode: Mode, *, again: bool = False) -> None:
    """Upgrades the database in one transaction (`again`: also one that is current); rows survive.

    Processes that start at once do it one after the other.

    SchemaError when the database was made by a newer version, holds the other mode's data, or needs a revision that
    nobody wrote (a new required column, and rows that have no value for it).
    """
    with engine.begin() as connection:
        lock(connection)
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        if is_current(driver, mode) and not again:
            return
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {DAGSTER_SCHEMA}"))
        _revise(connection)
        try:
            _add_what_lacks(connection)
        except sa.exc.IntegrityError as error:
            raise SchemaError(f"a change of the tables needs a revision (warehouse/migrations): {error.orig}") from error
        create_views(driver)
        timescale.apply(driver)
        table_changes.install(driver)
        connection.execute(
            postgresql.insert(IDENTITY)
            .values(mode=mode.value, fingerprint=fingerprint())
            .on_conflict_do_update(index_elements=["one"], set_={"fingerprint": fingerprint()})
        )


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """A digest of all definitions (tables, views, triggers) and of every revision's name: equal means nothing to do."""
    digest = hashlib.sha256()
    for definition in _definitions(metadata_of()):
        digest.update(_in_any_order(definition).encode())
    for definition_text in (*DEFINITIONS, *table_changes.DEFINITIONS):
        digest.update(definition_text.encode())
    for revision in sorted(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")):
        digest.update(revision.encode())
    return digest.hexdigest()


def _definitions(metadata: sa.MetaData) -> Iterator[sa.schema.ExecutableDDLElement]:
    for table in metadata.sorted_tables:
        yield CreateTable(table)
        yield SetTableComment(table)
        yield from (SetColumnComment(column) for column in table.columns if column.comment)
        yield from (CreateIndex(index) for index in sorted(table.indexes, key=lambda index: str(index.name)))


def _in_any_order(definition: sa.schema.ExecutableDDLElement) -> str:
    """The definition's lines, sorted: SQLAlchemy copies a table's constraints out of a set, in another order each time."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return "\n".join(sorted(line.strip(", \t") for line in str(definition.compile(dialect=dialect)).splitlines()))


def lock(connection: sa.Connection) -> None:
    """One process at a time changes the tables, for the rest of its transaction."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def config_of(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration, for its commands over this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes.update(connection=connection, version_table=VERSION_TABLE)
    return config


def scripts() -> ScriptDirectory:
    """The revisions that this version has."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config_of())


def newest_revision() -> str:
    """Where a new database begins."""
    return str(scripts().get_current_head())


def revision_of(connection: sa.Connection) -> str | None:
    """Where the database stands; None when it has no tables of ours."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _revise(connection: sa.Connection) -> None:
    """Runs the revisions that the database has not seen; a new database begins at the newest."""
    from alembic import command
    from alembic.util import CommandError

    stands_at = revision_of(connection)
    try:
        (command.stamp if stands_at is None else command.upgrade)(config_of(connection), "head")
    except CommandError as error:
        raise SchemaError(
            f"the database stands at revision {stands_at}, which this version does not know: it was made by a newer "
            f"version of quant-pipeline; upgrade the package ({error})"
        ) from None


def _add_what_lacks(connection: sa.Connection) -> None:
    """Adds missing tables, columns and indexes and renews comments. Whatever is more in the database stays."""
    from alembic.autogenerate import produce_migrations
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    operations = Operations(context)
    difference = produce_migrations(context, metadata_of()).upgrade_ops
    for each in _flat(difference.ops if difference else ()):
        if _only_adds(each):
            operations.invoke(each)


def _flat(operations: Iterable[MigrateOperation]) -> Iterator[MigrateOperation]:
    from alembic.operations.ops import OpContainer

    for each in operations:
        if isinstance(each, OpContainer):
            yield from _flat(each.ops)
        else:
            yield each


def _only_adds(operation: MigrateOperation) -> bool:
    from alembic.operations import ops

    if isinstance(operation, ops.AlterColumnOp):
        return operation.modify_comment is not False and not (
            operation.modify_type is not None or operation.modify_nullable is not None
        )
    return isinstance(operation, ops.CreateTableOp | ops.AddColumnOp | ops.CreateIndexOp | ops.CreateTableCommentOp)
