"""`Database`: the one door to PostgreSQL, embedded or given by QUANT_DATABASE_URL."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from quant_pipeline.settings import Mode, Settings
from quant_pipeline.warehouse import server
from quant_pipeline.warehouse.errors import Connection, DatabaseError, described, may_pass, refusals_in_words

if TYPE_CHECKING:
    import sqlalchemy as sa
    from psycopg_pool import ConnectionPool

    from quant_pipeline.warehouse.arrow import ArrowConnection, ArrowConnections

_ATTEMPTS = 5
_WAIT = 0.1
"""Seconds before the second attempt; twice as long before each further one."""
_POOL_SIZE = 16
_CONNECTION: dict[str, Any] = {
    "application_name": "quant-pipeline",
    "connect_timeout": 10,
    # A cut cable is noticed within a minute, and with it the locks that the lost process held.
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class Database:
    """A PostgreSQL database of one mode. Threads may share it; what it hands out, they may not.

    Nothing is connected until it is used, except that `from_settings` starts the embedded server.
    """

    def __init__(self, url: str, mode: Mode, *, home: Path | None = None) -> None:
        """`url`: a PostgreSQL URL. `home`: that of the embedded server, which is started again when it is found dead.

        DatabaseError when the URL cannot be read.
        """
        self.url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)
        """The plain URL, as psql and psycopg take it (with its password: not to be logged)."""
        self.mode = mode
        self._home = home
        self._password = _password_of(self.url)

    @classmethod
    def from_settings(cls, settings: Settings) -> Database:
        """The settings' database. The embedded server is started and the database made where they are not there yet.

        DatabaseError, ServerError when it cannot be had. Its tables are made by `upgrade`.
        """
        if settings.database_url is not None:
            return cls(settings.database_url.get_secret_value(), settings.mode)
        server_url = server.start(settings.home)
        url = server_url.replace("/postgres?", f"/{settings.database_name}?", 1)
        database = cls(url, settings.mode, home=settings.home)
        _make(settings.database_name, server_url)
        return database

    @property
    def name(self) -> str:
        """The database's name on its server."""
        return str(conninfo_to_dict(self.url).get("dbname", ""))

    @property
    def url_and_password(self) -> tuple[str, str]:
        """The URL without its password, fit for a command's arguments, and the password ("": there is none)."""
        parts = urlsplit(self.url)
        user, at, host = parts.netloc.rpartition("@")
        query = urlencode([each for each in parse_qsl(parts.query) if each[0] != "password"], quote_via=quote, safe="/")
        return parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}", query=query).geturl(), self._password

    @property
    def dagster_url(self) -> str:
        """The URL for dagster-postgres: psycopg 2, in the schema `dagster` of the same database (see `upgrade`).

        Dagster reads its own timestamps as UTC, whatever the server's time zone is.
        """
        base, _, query = self.url.replace("postgresql://", "postgresql+psycopg2://", 1).partition("?")
        parameters = dict(parse_qsl(query))
        parameters["options"] = f"{parameters.get('options', '')} -csearch_path=dagster -cTimeZone=UTC".strip()
        return f"{base}?{urlencode(parameters, quote_via=quote, safe='/')}"

    def connect(self, *, autocommit: bool = False) -> Connection:
        """A new connection; a `with` block commits at its end and closes it, and speaks in words of what the server refuses.

        A server that is just starting or restarting is waited for (about 3 s; the embedded one is started again if it
        died). DatabaseError after that, and where the database is not in UTF8.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return self._checked(Connection.connect(self.url, autocommit=autocommit, **_CONNECTION))
            except psycopg.OperationalError as error:
                text, hopeless = self._without_password(described(error) or str(error)), not may_pass(error)
            if self._home is not None:
                server.start(self._home)
            elif hopeless:
                break
            time.sleep(_WAIT * 2**attempt)
        raise DatabaseError(f"no connection to the database: {text}")

    def _checked(self, connection: Connection) -> Connection:
        """DatabaseError where the database cannot hold every text: SQL_ASCII takes any bytes, LATIN1 no Chinese."""
        encoding = connection.info.parameter_status("server_encoding")
        if encoding == "UTF8":
            return connection
        connection.close()
        raise DatabaseError(
            f"the database {self.name} is encoded in {encoding}, and names in Chinese need UTF8: make another one, "
            "CREATE DATABASE quant_utf8 ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0;, and name it in QUANT_DATABASE_URL"
        )

    @cached_property
    def pool(self) -> ConnectionPool[psycopg.Connection[tuple[Any, ...]]]:
        """Connections for many short transactions of many threads (opened on demand, checked before use)."""
        from psycopg_pool import ConnectionPool

        return ConnectionPool(
            self.url,
            connection_class=Connection,
            kwargs=_CONNECTION,
            min_size=0,
            max_size=_POOL_SIZE,
            open=True,
            check=ConnectionPool.check_connection,
            name=f"quant-{self.mode}",
        )

    @cached_property
    def engine(self) -> sa.Engine:
        """SQLAlchemy's engine over psycopg 3."""
        import sqlalchemy as sa

        return sa.create_engine(
            self.url.replace("postgresql://", "postgresql+psycopg://", 1), connect_args=_CONNECTION, pool_pre_ping=True
        )

    @contextmanager
    def connect_arrow(self, *, keep: bool = True) -> Iterator[ArrowConnection]:
        """An ADBC connection for reads in Arrow, `keep`: kept for the next one. DatabaseError when it cannot be had."""
        from quant_pipeline.warehouse import arrow

        with ExitStack() as stack:
            try:
                connection = stack.enter_context(self._arrow.one(keep=keep))
            except arrow.Error:  # the server is away: connect() waits for it, or says why not
                self.connect().close()
                connection = stack.enter_context(self._arrow.one(keep=keep))
            yield connection

    @cached_property
    def _arrow(self) -> ArrowConnections:
        from quant_pipeline.warehouse.arrow import ArrowConnections

        return ArrowConnections(self.url)

    async def connect_async(self) -> psycopg.AsyncConnection:
        """A new connection for an event loop, in autocommit; a server that is starting is waited for as in `connect`."""
        await asyncio.to_thread(lambda: self.connect().close())
        return await psycopg.AsyncConnection.connect(self.url, autocommit=True, **_CONNECTION)

    def upgrade(self, *, again: bool = False) -> None:
        """Makes or upgrades the tables; takes milliseconds when nothing is to do. Many processes may call it at once.

        `again`: looks at every table, also where the version is the same (the server may have got TimescaleDB since).

        SchemaError when the database holds the other mode's data, or was made by a newer version.
        """
        from quant_pipeline.warehouse import known_schema

        with self.connect() as connection:
            if not again and known_schema.is_current(connection, self.mode):
                return
            from quant_pipeline.warehouse import schema

            current = schema.is_current(connection, self.mode)
        if again or not current:
            with refusals_in_words():
                schema.upgrade(self.engine, self.mode, again=again)
        known_schema.remember(schema.fingerprint())

    def close(self) -> None:
        """Closes what is kept open (pool, engine, Arrow); the database can be used again afterwards."""
        if (pool := self.__dict__.pop("pool", None)) is not None:
            pool.close()
        if (arrow := self.__dict__.pop("_arrow", None)) is not None:
            arrow.close()
        if (engine := self.__dict__.pop("engine", None)) is not None:
            engine.dispose()

    def __repr__(self) -> str:
        return f"Database({self.name!r}, {self.mode})"

    def _without_password(self, text: str) -> str:
        return text.replace(self._password, "***") if self._password else text


def _password_of(url: str) -> str:
    if (parts := _readable(url)) is None:
        raise DatabaseError(
            "QUANT_DATABASE_URL cannot be read: write postgresql://user:password@host:5432/database, "
            "special characters of the password percent-encoded (@ is %40, / is %2F, : is %3A)"
        )
    return str(parts.get("password", ""))


def _readable(url: str) -> dict[str, Any] | None:
    """What the URL says; None where it cannot be read as it was meant.

    An unescaped @, /, ? or # in a password would make the rest of it part of the host's, the database's or an option's name,
    and these stand in error texts and in the arguments of commands.
    """
    try:
        parts, seen = conninfo_to_dict(url), urlsplit(url)
    except (psycopg.ProgrammingError, ValueError):  # ValueError: a bracket that is none of IPv6
        return None
    cut = "@" not in seen.netloc and "@" in url.partition("?")[2]
    return None if "@" in f"{parts.get('host', '')}{seen.path}" or seen.fragment or cut else parts


def _make(name: str, server_url: str) -> None:
    with Connection.connect(server_url, autocommit=True, **_CONNECTION) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return  # another process made it in this moment
