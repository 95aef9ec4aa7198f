"""The groups of the user's THS account, opened for a while: an expiry that is met in use is reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from quant_pipeline import settings
from quant_pipeline.resources import upstream
from quant_pipeline.ths.groups import Groups, SessionExpired
from quant_pipeline.ths.sessions import Session, Sessions
from quant_pipeline.warehouse.database import Database


@contextmanager
def groups_of(database: Database, account: str = "") -> Iterator[tuple[Groups, Session]]:
    """The groups of that account ("": the only one), with its session. ThsError where it is not logged in, VaultError."""
    sessions = Sessions(database)
    session = sessions.session(account or None)
    try:
        yield Groups(session, upstream.ths(settings.load())), session
    except SessionExpired as error:
        sessions.report_expired(session, error.answer)
        raise
