"""What a route works with: the settings, the database and the calendar of this request."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from quant_pipeline.door.admission import Admission
from quant_pipeline.door.traffic import Traffic
from quant_pipeline.market.datasets import TRADE_CALENDAR
from quant_pipeline.settings import Settings

if TYPE_CHECKING:
    from quant_pipeline.market.calendar import Calendar
    from quant_pipeline.warehouse.database import Database

_logger = logging.getLogger(__name__)


class Access:
    """Opened at the first use, by whichever thread comes first; one for the life of the application."""

    def __init__(self, settings: Settings, database: Database | None = None, *, on_loopback: bool = True) -> None:
        """`database`: an upgraded one instead of the settings' · `on_loopback`: whether only this machine can reach it."""
        self.settings = settings
        self.admission = Admission(lambda: self.database, on_loopback=on_loopback)
        self.traffic = Traffic()
        self._database = database
        self._opening = threading.Lock()
        self._calendar: tuple[object, Calendar] | None = None

    @property
    def database(self) -> Database:
        """The database, its tables made. DatabaseError, ServerError, SchemaError when it cannot be had."""
        with self._opening:
            if self._database is None:
                from quant_pipeline.resources import opened

                self._database = opened.database(self.settings)
            return self._database

    def calendar(self) -> Calendar:
        """The exchange's calendar, as it is now: made again when the stored one changed, or the day."""
        from quant_pipeline.market import clock
        from quant_pipeline.resources import opened
        from quant_pipeline.warehouse.reads import read_sql
        from quant_pipeline.warehouse.table_changes import states_query

        state = (clock.today(), read_sql(self.database, states_query([TRADE_CALENDAR.name])).rows())
        if self._calendar is None or self._calendar[0] != state:
            self._calendar = state, opened.calendar(self.database)
        return self._calendar[1]

    def warm_up(self) -> None:
        """Loads and opens what the first page needs, beside the start; what fails is told by the page that meets it."""
        try:
            import quant_pipeline.overview.day  # noqa: F401

            self.calendar()
        except Exception as error:
            _logger.info("not warm: %s", error)

    def poll_quotes(self, stop: threading.Event) -> None:
        """Asks for live quotes until `stop` is set, where the settings want it and no other process does."""
        try:
            from quant_pipeline.resources import quotes

            quotes.poll(self.settings, lambda: self.database, self.calendar, stop)
        except Exception as error:
            _logger.warning("live quotes are not asked for: %s", error)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()


def _of(request: Request) -> Access:
    return cast(Access, request.app.state.access)


Reached = Annotated[Access, Depends(_of)]
"""A route's parameter: `def page(request: Request, access: Reached)`."""
