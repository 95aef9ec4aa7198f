"""Which concept each of THS's web pages is about. A page has a number (301558) and hides the code (885558): it is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import Connection

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

_KEEP = "INSERT INTO concept_pages (page, ts_code) VALUES (%s, %s) ON CONFLICT (page) DO UPDATE SET ts_code = excluded.ts_code"


class ConceptPages:
    """The pages that were read, by any process: what was read before a ban or a kill need not be read again."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def known(self) -> dict[str, str]:
        """Page number -> ts_code."""
        with self._pool.connection() as connection:
            return dict(connection.execute("SELECT page, ts_code FROM concept_pages").fetchall())

    def keep(self, page: str, ts_code: str) -> None:
        """Remembers what a page is about."""
        with self._pool.connection() as connection:
            connection.execute(_KEEP, (page, ts_code))
