"""The vault: secrets by kind and name in the table `vault_records`, each sealed (Fernet) under a key and a salt of its own.

One record that is nobody's, the seal, is made with the first; whoever writes must be able to open it, so that no two keys
ever meet in one vault. Writers hold it shared, a rotation alone: they follow one another.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from cryptography.fernet import InvalidToken
from psycopg.types.json import Jsonb

from quant_pipeline.language import told
from quant_pipeline.vault import keys
from quant_pipeline.vault.errors import Damaged, NoRecord, VaultError, WrongKey
from quant_pipeline.vault.keys import Key
from quant_pipeline.warehouse.database import Database

Secret = str | dict[str, Any]
_SEAL = ("vault", "seal")
_PUT = """
INSERT INTO vault_records (kind, name, salt, iterations, sealed, about, expires_at)
VALUES (%(kind)s, %(name)s, %(salt)s, %(iterations)s, %(sealed)s, %(about)s, clock_timestamp() + %(lives)s)
ON CONFLICT (kind, name) DO UPDATE SET salt = excluded.salt, iterations = excluded.iterations, sealed = excluded.sealed,
    about = excluded.about, expires_at = excluded.expires_at, changed_at = clock_timestamp()
"""
_SET_SEAL = """
INSERT INTO vault_records (kind, name, salt, iterations, sealed)
VALUES (%(kind)s, %(name)s, %(salt)s, %(iterations)s, %(sealed)s) ON CONFLICT DO NOTHING
"""
_RESEAL = """
UPDATE vault_records SET salt = %(salt)s, iterations = %(iterations)s, sealed = %(sealed)s
WHERE (kind, name) = (%(kind)s, %(name)s)
"""
_LIVING = "(expires_at IS NULL OR expires_at > clock_timestamp())"
_READ = "SELECT salt, iterations, sealed FROM vault_records WHERE (kind, name) = (%s, %s)"
_RECORDS = f"""
SELECT kind, name, about, created_at, changed_at, expires_at FROM vault_records
WHERE (kind, name) <> (%s, %s) AND {_LIVING} ORDER BY kind, name
"""


@dataclass(frozen=True)
class Record:
    """What may be known of a record by everybody."""

    kind: str
    name: str
    about: dict[str, Any]
    created_at: dt.datetime
    changed_at: dt.datetime
    expires_at: dt.datetime | None


class Vault:
    """A database's vault. The keys are those of the settings, read anew at each use: a rotation reaches running processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time makes a key or goes over to another: two would each write theirs over the other's."""
        with self._database.connect(autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(hashtext('vault_key'))")
            yield  # the lock ends with the connection

    def check(self) -> None:
        """VaultError says why the vault cannot be used: no key, a weak one, another one than it was made with."""
        with self._database.connect() as connection:
            self._key(connection)

    def put(
        self,
        kind: str,
        name: str,
        secret: str | Mapping[str, Any],
        *,
        about: Mapping[str, Any] | None = None,
        lives: dt.timedelta | None = None,
    ) -> None:
        """Keeps a secret, in the place of the former one of that kind and name. VaultError, and nothing was changed.

        `about` is kept readable, for lists: it must hold nothing secret. `lives`: how long it may be had (None: for ever).
        """
        if (kind, name) == _SEAL:
            raise VaultError(told("{kind} {name} is the vault's own record: take another name", kind=kind, name=name))
        with self._database.connect() as connection:
            _clear(connection)
            row = _sealed(self._key(connection, writing=True), kind, name, secret)
            connection.execute(_PUT, {**row, "about": Jsonb(dict(about or {})), "lives": lives})

    def get(self, kind: str, name: str) -> Secret:
        """The secret, as it was given: a text or a mapping. NoRecord where there is none (any more); VaultError."""
        with self._database.connect() as connection:
            key = self._key(connection)
            return _opened(key, kind, name, connection.execute(f"{_READ} AND {_LIVING}", (kind, name)).fetchone())

    def take(self, kind: str, name: str) -> Secret:
        """As `get`, once: it is forgotten with that."""
        with self._database.connect() as connection:
            key = self._key(connection)
            statement = (
                f"DELETE FROM vault_records WHERE (kind, name) = (%s, %s) AND {_LIVING} RETURNING salt, iterations, sealed"
            )
            return _opened(key, kind, name, connection.execute(statement, (kind, name)).fetchone())

    def holds(self, kind: str, name: str) -> bool:
        """Whether there is such a secret. It takes no key."""
        with self._database.connect() as connection:
            return connection.execute(f"{_READ} AND {_LIVING}", (kind, name)).fetchone() is not None

    def records(self) -> list[Record]:
        """Of all secrets what is no secret, by kind and name. It takes no key."""
        with self._database.connect() as connection:
            return [Record(*row) for row in connection.execute(_RECORDS, _SEAL)]

    def forget(self, kind: str, name: str) -> bool:
        """Removes a secret; False where there was none. It takes no key."""
        if (kind, name) == _SEAL:
            return False
        with self._database.connect() as connection:
            return bool(connection.execute("DELETE FROM vault_records WHERE (kind, name) = (%s, %s)", (kind, name)).rowcount)

    def forget_all(self) -> int:
        """Empties the vault, its seal too: the next secret may come under another key. How many there were."""
        with self._database.connect() as connection:
            count = connection.execute("DELETE FROM vault_records").rowcount
            return max(0, count - 1)  # the seal is none

    def rotate(self, new_key: Key) -> int:
        """Seals everything anew under the new key, in one transaction: all of it or nothing. How many records.

        0 where that was done before. VaultError, and nothing was changed: also where a single record does not open.
        """
        with self._database.connect() as connection:
            former = self._key(connection, alone=True, also=new_key)
            if former == new_key:
                return 0
            _clear(connection)
            names = connection.execute("SELECT kind, name FROM vault_records ORDER BY kind, name").fetchall()
            for kind, name in names:
                row = connection.execute(f"{_READ} FOR UPDATE", (kind, name)).fetchone()
                if row is not None:  # else it was forgotten in this moment
                    connection.execute(_RESEAL, _sealed(new_key, kind, name, _opened(former, kind, name, row)))
            return max(0, len(names) - 1)

    def _key(
        self, connection: psycopg.Connection[Any], *, writing: bool = False, alone: bool = False, also: Key | None = None
    ) -> Key:
        """The key that the vault is under, its seal held until the transaction ends. The first to write sets the seal."""
        ring = keys.known()
        statement = f"{_READ} FOR {'UPDATE' if alone else 'SHARE'}"
        row = connection.execute(statement, _SEAL).fetchone()
        if row is None and writing:
            connection.execute(_SET_SEAL, _sealed(ring[0], *_SEAL, ""))
            row = connection.execute(statement, _SEAL).fetchone()
        if row is None:
            return ring[0]
        for key in ring if also is None else [*ring, also]:
            if _opens(key, row):
                return key
        raise WrongKey


def _sealed(key: Key, kind: str, name: str, secret: str | Mapping[str, Any]) -> dict[str, Any]:
    salt = secrets.token_bytes(keys.SALT_BYTES)
    held = json.dumps({"of": [kind, name], "secret": secret if isinstance(secret, str) else dict(secret)}).encode()
    fernet = key.fernet(salt, keys.ITERATIONS)
    return {"kind": kind, "name": name, "salt": salt, "iterations": keys.ITERATIONS, "sealed": fernet.encrypt(held)}


def _opened(key: Key, kind: str, name: str, row: Sequence[Any] | None) -> Secret:
    if row is None:
        raise NoRecord(kind, name)
    salt, iterations, sealed = row
    try:
        held = json.loads(key.fernet(salt, iterations).decrypt(sealed))
    except InvalidToken:
        held = {}
    if held.get("of") != [kind, name]:
        raise Damaged(kind, name)
    secret: Secret = held["secret"]
    return secret


def _opens(key: Key, row: Sequence[Any] | None) -> bool:
    try:
        _opened(key, *_SEAL, row)
    except VaultError:
        return False
    return True


def _clear(connection: psycopg.Connection[Any]) -> None:
    """Nothing that has had its time lies about."""
    connection.execute("DELETE FROM vault_records WHERE expires_at <= clock_timestamp()")
