"""The keys of the door: made here, stored as digests, revocable. A key is shown once, when it is made."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

import psycopg
from psycopg.rows import class_row

from quant_pipeline.language import say
from quant_pipeline.warehouse.database import Database

_SHAPE = re.compile(r"qp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_NAME = re.compile(r"[\w.@-]{1,64}")
_COLUMNS = "id, name, scope, per_minute, created_at, last_used_at, revoked_at"
_MADE = "INSERT INTO door_keys (id, name, digest, scope, per_minute) VALUES (%s, %s, %s, %s, %s)"
_DIGEST = "SELECT digest FROM door_keys WHERE id = %s AND revoked_at IS NULL"
_KEY = f"SELECT {_COLUMNS} FROM door_keys WHERE id = %s"
_ALL = f"SELECT {_COLUMNS} FROM door_keys ORDER BY revoked_at IS NOT NULL, name, created_at"
_ANY = "SELECT EXISTS (SELECT FROM door_keys WHERE revoked_at IS NULL)"
_HOLDING = "SELECT id FROM door_keys WHERE revoked_at IS NULL"
_USED = "UPDATE door_keys SET last_used_at = clock_timestamp() WHERE id = %s"
_REVOKED = "UPDATE door_keys SET revoked_at = clock_timestamp() WHERE name = %s AND revoked_at IS NULL"
_USED_IS_OLD = dt.timedelta(minutes=1)
"""The last use is written down so often: a write per call would cost more than most answers."""


class KeyProblem(ValueError):
    """A key that cannot be made or revoked; the text says why."""


class Scope(StrEnum):
    """What a key may do; each includes those before it."""

    READ = "read"
    """Read what is stored."""
    RUN = "run"
    """Start syncs, screens and backtests."""
    ADMIN = "admin"
    """Change schedules, lists and settings of sources."""


@dataclass(frozen=True)
class Key:
    """A key without its secret. `per_minute` None: as many calls as it likes."""

    id: str
    name: str
    scope: str
    per_minute: int | None
    created_at: dt.datetime
    last_used_at: dt.datetime | None
    revoked_at: dt.datetime | None

    def may(self, scope: Scope) -> bool:
        order = list(Scope)
        return order.index(Scope(self.scope)) >= order.index(scope)


def add(database: Database, name: str, scope: Scope, per_minute: int | None) -> str:
    """Makes a key; its text, which is stored nowhere. KeyProblem for a name that is in use, or none."""
    if not _NAME.fullmatch(name):
        raise KeyProblem(say("{name!r} is no name for a key: letters, digits, . @ - and _, at most 64", name=name))
    key, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    try:
        with database.connect() as connection:
            connection.execute(_MADE, (key, name, _digest(secret), scope.value, per_minute))
    except psycopg.errors.UniqueViolation:
        raise KeyProblem(
            say(
                "there is a key {name} already: choose another name, or revoke it: {command}",
                name=name,
                command=_revoking(name),
            )
        ) from None
    return f"qp_{key}_{secret}"


def every(database: Database) -> list[Key]:
    """All keys, those that hold first."""
    with database.connect() as connection, connection.cursor(row_factory=class_row(Key)) as cursor:
        return cursor.execute(_ALL).fetchall()


def revoke(database: Database, name: str) -> None:
    """From now on the key opens nothing. KeyProblem where no key of that name holds."""
    with database.connect() as connection:
        if not connection.execute(_REVOKED, (name,)).rowcount:
            raise KeyProblem(say("no key {name} holds: see quant-pipeline serve token list", name=name))


def any_holds(database: Database) -> bool:
    """Whether a key was made that was not revoked."""
    with database.pool.connection() as connection:
        row = connection.execute(_ANY).fetchone()
    return bool(row and row[0])


def holding(database: Database) -> frozenset[str]:
    """The ids of the keys that hold."""
    with database.pool.connection() as connection:
        return frozenset(key for (key,) in connection.execute(_HOLDING))


def found(database: Database, text: str) -> Key | None:
    """The key of that text, which counts as used; None where none holds. The time that it takes tells nothing of a secret."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return None
    id_, secret = shape.groups()
    with database.pool.connection() as connection:
        row = connection.execute(_DIGEST, (id_,)).fetchone()
        if not hmac.compare_digest(_digest(secret), row[0] if row else _digest("")) or row is None:
            return None
        with connection.cursor(row_factory=class_row(Key)) as cursor:
            key = cursor.execute(_KEY, (id_,)).fetchone()
        if key and (key.last_used_at is None or key.last_used_at < dt.datetime.now(dt.UTC) - _USED_IS_OLD):
            connection.execute(_USED, (id_,))
    return key


def _digest(secret: str) -> str:
    """Of 256 random bits a plain digest tells nothing: what salts and slow digests are for, are words that people choose."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _revoking(name: str) -> str:
    return f"quant-pipeline serve token revoke {name}"
