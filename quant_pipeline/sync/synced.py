"""What was synced before and need not be again: as the ledger says, as long as the lists say no more than they did then."""

from __future__ import annotations

from collections.abc import Sequence

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.ledger import Item, Ledger
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database


def synced_before(
    database: Database, calendar: Calendar, ledger: Ledger, dataset: Dataset, units: Sequence[Unit]
) -> dict[Unit, Item]:
    """Those of the units that were, by whichever run, with their last result.

    A session that has no row, because nobody owed one when it was recorded, is not among them once somebody does: a list that
    was short then is longer now.
    """
    known = ledger.done(dataset, units)
    done = {unit: known[str(unit)] for unit in units if str(unit) in known}
    empty = [unit for unit, item in done.items() if unit.grain is Grain.SESSION and not item.rows and not item.missing]
    if not empty or dataset.coverage is Coverage.ANY:
        return done
    owed = Roster.load(database, dataset, calendar).rows_on([unit.start for unit in empty])
    late = {unit for unit, codes in zip(empty, owed, strict=True) if codes}
    return {unit: item for unit, item in done.items() if unit not in late}
