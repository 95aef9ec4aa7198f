"""Reads in Arrow, over ADBC's own interface: its DB-API would load pyarrow, and with it numpy, into every command."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import adbc_driver_manager as adbc
import adbc_driver_postgresql
import polars as pl
from adbc_driver_manager._lib import _blocking_call  # private: what lets Ctrl-C cancel a statement that is under way

Error = adbc.Error


class ArrowConnection:
    """A connection. What it is sent is a transaction of its own, unless one is begun. Error: what the server refuses."""

    def __init__(self, database: adbc.AdbcDatabase) -> None:
        self._connection = adbc.AdbcConnection(database)

    def fetch(self, query: str) -> pl.DataFrame:
        """The rows of a SELECT."""
        statement = adbc.AdbcStatement(self._connection)
        try:
            statement.set_sql_query(query)
            stream, _ = _blocking_call(statement.execute_query, (), {}, statement.cancel)
            return _blocking_call(pl.DataFrame, (stream,), {}, statement.cancel)
        except pl.exceptions.ComputeError as error:  # the server broke off in the midst of its answer: polars has its words
            raise adbc.OperationalError(str(error), status_code=adbc.AdbcStatusCode.IO) from None
        finally:
            statement.close()

    def execute(self, command: str) -> None:
        """A statement without rows."""
        statement = adbc.AdbcStatement(self._connection)
        try:
            statement.set_sql_query(command)
            statement.execute_update()
        finally:
            statement.close()

    def close(self) -> None:
        self._connection.close()


class ArrowConnections:
    """The connections to one database, kept for the next read: a new one costs more than most reads do.

    Threads share them, one at a time. What is kept is looked at before its use: the server may have been restarted since.
    """

    def __init__(self, url: str) -> None:
        self._database = adbc_driver_postgresql.connect(url)  # reads the server's types (50 ms), for all its connections
        self._idle: deque[ArrowConnection] = deque()

    @contextmanager
    def one(self, *, keep: bool = True) -> Iterator[ArrowConnection]:
        """A connection for the body alone. `keep`: whether it can be used again, unless the body raises."""
        connection = self._living() or ArrowConnection(self._database)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if keep:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Closes what is kept."""
        while self._idle:
            self._idle.pop().close()
        self._database.close()

    def _living(self) -> ArrowConnection | None:
        """A kept connection that still answers; None where there is none."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            try:
                connection.execute("SELECT 1")
            except adbc.Error:
                connection.close()
            else:
                return connection
