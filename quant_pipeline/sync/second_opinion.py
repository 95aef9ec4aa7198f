"""What other sources say of rows that are stored: asked for to be compared, never to be stored."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl
import psycopg

from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.validation import validate
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.errors import DatabaseError

_FOR_GOOD = frozenset({FailureClass.PERMANENT_API, FailureClass.PERMANENT_SOURCE})
_logger = logging.getLogger(__name__)


@dataclass
class Witness:
    """A second source for a data set. One that failed for good (`silent`) is asked nothing more."""

    source: Source
    dataset: Dataset
    silent: bool = False

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def knows_markets(self) -> bool:
        """Whether it says in a call or two what the whole market did in a session."""
        return self.source.shares and self.source.can_serve(self.dataset, Grain.SESSION)

    @property
    def knows_codes(self) -> bool:
        return self.source.can_serve(self.dataset, Grain.CODE)

    def can_have(self, unit: Unit) -> bool:
        """Whether the unit is worth a call."""
        of_code = unit.ts_code is None or not self.source.lacks(self.dataset, unit.ts_code)
        return not self.silent and of_code and self.source.reaches(self.dataset, unit)

    def ask(self, unit: Unit, calendar: Calendar) -> pl.DataFrame:
        """The unit's rows in the data set's types; those that cannot be read or contradict each other are left out.

        No rule is asked of them: a row that breaks one is a row that differs, and is to be seen. SourceError says why there
        are none.
        """
        try:
            frame = self.source.fetch(self.dataset, unit, Tally())
            rows = validate(
                replace(self.dataset, rules=()), frame, expected_session=None, sessions=frozenset(calendar.sessions)
            )
        except SourceError as error:
            self.silent = error.failure in _FOR_GOOD
            raise
        except (psycopg.Error, DatabaseError):
            raise  # the platform's own database is no source
        except Exception as error:
            _logger.debug("%s %s could not be read", self.dataset.name, unit, exc_info=True)
            api = self.source.servings[self.dataset.name].api
            raise SourceError(
                FailureClass.EMPTY, self.name, api, told("its answer cannot be read: {error}", error=error)
            ) from None
        return rows.good


def witnesses(router: Router, dataset: Dataset) -> Sequence[Witness]:
    """The sources that can be asked about the data set: first those that bear many calls, then those that ban.

    What is derived from the warehouse's own rows is no second voice.
    """
    found = [
        Witness(source, dataset)
        for source in router.in_use(dataset)
        if dataset.name in source.servings and source.name != DerivedSource.name and source.unavailable() is None
    ]
    return sorted(found, key=lambda witness: not witness.source.shares)
