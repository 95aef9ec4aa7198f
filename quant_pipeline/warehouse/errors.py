"""What PostgreSQL refuses, in sentences: what happened, and what a person can do about it. The one place for every driver.

A server's own words stand in each of them; a statement, its values and a password in none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import psycopg

from quant_pipeline.language import marked, told

_DRIVERS = frozenset({"psycopg", "psycopg_pool", "psycopg2", "sqlalchemy", "adbc_driver_manager"})


class DatabaseError(RuntimeError):
    """The database cannot be reached or used; the text never holds the password."""


@dataclass(frozen=True)
class _Refusal:
    """One way in which a server refuses: `code` is the beginning of its SQLSTATE, `text` what its message says.

    A refused connection has no SQLSTATE in libpq, only a message. `passing`: it may be over in a moment.
    """

    words: str
    code: str | None = None
    text: str | None = None
    passing: bool = False

    def fits(self, code: str | None, text: str) -> bool:
        by_code = self.code is not None and code is not None and code.startswith(self.code)
        return by_code or (self.text is not None and re.search(self.text, text) is not None)


# In order: the first that fits. What nobody but a programmer can mend (a statement that is wrong) has none.
_REFUSALS = (
    _Refusal(
        marked("the password was not accepted: correct it in QUANT_DATABASE_URL (special characters percent-encoded)"),
        code="28P01",
        text="password authentication failed|no password supplied|empty password",
    ),
    _Refusal(
        marked(
            "the server does not let this user in from here: correct the user in QUANT_DATABASE_URL, or allow it in pg_hba.conf"
        ),
        code="28000",
        text=r"no pg_hba\.conf entry|role .* does not exist|is not permitted to log in|authentication failed",
    ),
    _Refusal(
        marked(
            "the database is not there: make it, CREATE DATABASE name ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0;, "
            "or correct its name in QUANT_DATABASE_URL"
        ),
        code="3D000",
        text=r"database .* does not exist",
    ),
    _Refusal(
        marked(
            "all of the server's connections are taken: close other programs that use it, or raise max_connections (or the "
            "user's CONNECTION LIMIT)"
        ),
        code="53300",
        text="too many (clients|connections)|remaining connection slots|couldn't get a connection after",
        passing=True,
    ),
    _Refusal(
        marked(
            "the disk of the database is full: make room (`quant-pipeline stats` shows what takes it) and run it again; "
            "nothing that was committed is lost"
        ),
        code="53100",
        text="No space left on device",
    ),
    _Refusal(
        marked("the server ran out of memory: lower work_mem or shared_buffers, or give the machine more"),
        code="53200",
        text=r"ERROR:\s+out of memory",
    ),
    _Refusal(
        marked(
            "the database user may not do that: give it the tables (ALTER TABLE … OWNER TO, or GRANT), or name in "
            "QUANT_DATABASE_URL the user that owns them"
        ),
        code="42501",
    ),
    _Refusal(
        marked(
            "the database may only be read: this is a standby, or default_transaction_read_only is on for this user or "
            "database; name one that may be written to in QUANT_DATABASE_URL"
        ),
        code="25006",
    ),
    _Refusal(
        marked(
            "a statement took longer than statement_timeout allows: ALTER ROLE … SET statement_timeout = 0 (or the ALTER "
            "DATABASE that set it)"
        ),
        code="57014",
        text="statement timeout",
    ),
    _Refusal(
        marked("another session holds a lock on the tables for longer than lock_timeout allows: end it, and run this again"),
        code="55P03",
    ),
    _Refusal(
        marked(
            "the transaction lay idle for longer than the server allows: ALTER ROLE … SET "
            "idle_in_transaction_session_timeout = 0, and transaction_timeout = 0"
        ),
        code="25P0",
    ),
    _Refusal(marked("two sessions stood in each other's way and this one was ended: run it again"), code="40"),
    _Refusal(
        marked(
            "the database's encoding cannot hold this text: it must be UTF8, made by CREATE DATABASE name ENCODING 'UTF8' "
            "LOCALE 'C' TEMPLATE template0;"
        ),
        code="22P05",
    ),
    _Refusal(
        marked("the database's files are damaged: stop, look at the server's log and at the disk, and restore a backup"),
        code="XX00",
        text="invalid page in block|could not read block",
    ),
    _Refusal(marked("the server is starting, or recovering from a crash: wait a moment"), code="57P03", passing=True),
    _Refusal(
        marked(
            "the server was stopped or crashed, and the connection is lost: run it again once it is back; what was committed "
            "is kept"
        ),
        code="57P0",
        text="server closed the connection|terminating connection|connection.*(lost|closed)|SSL connection has been closed",
        passing=True,
    ),
    _Refusal(
        marked("the server's name is not known: correct the host in QUANT_DATABASE_URL"),
        text="could not translate host name|failed to resolve host|Name or service not known",
    ),
    _Refusal(
        marked("nobody answers there: start the server, or correct host and port in QUANT_DATABASE_URL"),
        code="08",
        text="Connection refused|No such file or directory|timeout expired|connection timeout|Network is unreachable|No route",
        passing=True,
    ),
)


def in_words(error: BaseException) -> str | None:
    """A sentence for a database's refusal that the user can mend; None for any other error."""
    origin = _origin(error)
    if origin is None:
        return None
    code, text = _code(origin), _text(origin)
    for refusal in _REFUSALS:
        if refusal.fits(code, text):
            return told("{words}. PostgreSQL says: {text}", words=refusal.words, text=text)
    return None


def described(error: BaseException) -> str | None:
    """What to print of an error that nobody foresaw, where it is a database's: in words, or in the server's own."""
    if (words := in_words(error)) is not None:
        return words
    origin = _origin(error)
    if origin is None:
        return None
    return told("the database refused a statement, which it should not (please report it): {text}", text=_text(origin))


def refused_query(error: BaseException) -> str | None:
    """The server's own words about a query that somebody wrote (SQLSTATE class 42: syntax, unknown names; 22: a value that
    cannot be read); None for any other error."""
    origin = _origin(error)
    code = _code(origin) if origin is not None else None
    return _text(origin) if origin is not None and code is not None and code.startswith(("42", "22")) else None


def may_pass(error: BaseException) -> bool:
    """Whether a refused connection is worth another attempt: always, but where only a person can mend it."""
    code, text = _code(error), str(error)
    return next((refusal.passing for refusal in _REFUSALS if refusal.fits(code, text)), True)


@contextmanager
def refusals_in_words() -> Iterator[None]:
    """Turns the refusals of any driver within it into DatabaseError; other errors stay what they are."""
    try:
        yield
    except Exception as error:
        if (words := in_words(error)) is not None:
            raise DatabaseError(words) from None
        raise


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """psycopg's, whose `with` block leaves with DatabaseError where the server refused what the user can mend.

    Within the block errors are psycopg's own, for code that looks at them.
    """

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with refusals_in_words():
            super().__exit__(kind, error, trace)
            if isinstance(error, psycopg.Error) and in_words(error) is not None:
                raise error


def _origin(error: BaseException) -> BaseException | None:
    """The driver's error: itself, the one that SQLAlchemy wraps, or one that it was raised from."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if type(found).__module__.partition(".")[0] in _DRIVERS:
            inner = getattr(found, "orig", None)
            return inner if isinstance(inner, BaseException) else found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return None


def _code(error: BaseException) -> str | None:
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return str(code) if code else None


def _text(error: BaseException) -> str:
    """The server's own sentence, without the statement that stands behind it in some drivers' texts."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    if primary:
        return str(primary)
    text = str(error).strip()
    refused = re.search(r"(?:ERROR|FATAL|PANIC):\s*([^\n]+)", text)
    return " ".join((refused[1] if refused else text).split())
