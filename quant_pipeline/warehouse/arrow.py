"""Reads in Arrow, over ADBC's own interface: its DB-API would load pyarrow, and with it numpy, into every command."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial

import adbc_driver_manager as adbc
import adbc_driver_postgresql
import polars as pl

Error = adbc.Error
_GLANCE = 0.2
"""Seconds after which a wait lets signals be raised: polars' handler of SIGINT has the system go on with a wait by itself."""


class ArrowConnection:
    """A connection. What it is sent is a transaction of its own, unless one is begun. Error: what the server refuses."""

    def __init__(self, database: adbc.AdbcDatabase) -> None:
        self._connection = adbc.AdbcConnection(database)

    def fetch(self, query: str) -> pl.DataFrame:
        """The rows of a SELECT."""
        statement = adbc.AdbcStatement(self._connection)
        try:
            statement.set_sql_query(query)
            return _interruptible(partial(_rows, statement), statement.cancel)
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


def _rows(statement: adbc.AdbcStatement) -> pl.DataFrame:
    stream, _ = statement.execute_query()
    return pl.DataFrame(stream)


def _interruptible(read: Callable[[], pl.DataFrame], cancel: Callable[[], None]) -> pl.DataFrame:
    """What `read` gives. Ctrl-C cancels it, and is raised where a signal is raised at all: in the main thread.

    There the driver's DB-API takes the process's SIGINT for itself for the length of each read, and keeps it: of twelve that
    met short reads ten were lost (a `run` that made its plan went on), and a long read ended in "canceling statement due to
    user request". So the read goes on in a thread beside, and this one waits where signals find it.
    """
    if threading.current_thread() is not threading.main_thread():
        return read()
    with ThreadPoolExecutor(1, "read") as beside:
        try:
            reading = beside.submit(read)
            while not wait([reading], _GLANCE).done:
                pass
            return reading.result()
        except KeyboardInterrupt:
            with suppress(Error):
                cancel()
            raise


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
