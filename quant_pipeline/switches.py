"""Which data sets the jobs and commands fetch: those that have a source, without those that the user switched off; and which
screens run by themselves."""

from __future__ import annotations

import logging

from quant_pipeline import settings
from quant_pipeline.language import say
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.settings import SettingsError

ALL = "all"
_logger = logging.getLogger(__name__)


def switched_off() -> frozenset[str]:
    """The names in QUANT_WITHOUT; SettingsError for one that is no data set with a source."""
    names = settings.load().without
    if unknown := sorted(names - SOURCED.keys()):
        raise SettingsError(
            say("QUANT_WITHOUT: unknown data set: {names}. Known: {known}", names=", ".join(unknown), known=", ".join(SOURCED))
        )
    return names


def switched_on() -> dict[str, Dataset]:
    """name -> data set, in the order of a sync."""
    off = switched_off()
    return {name: dataset for name, dataset in SOURCED.items() if name not in off}


def screens_on() -> tuple[str, ...]:
    """The strategies whose screens the jobs run, in the registry's order: those in QUANT_SCREENS (`all`: every one); by default
    the dual moving average and the user's own.

    A name of none is told and left out: a broken strategy file of the user's is no reason to sync nothing.
    """
    from quant_pipeline.strategies.dual_ma import DualMovingAverage  # here: who asks for data sets needs no strategy
    from quant_pipeline.strategies.registry import registered

    known = registered()
    wanted = settings.load().screens or {DualMovingAverage.name, *known.own}
    if unknown := sorted(wanted - known.strategies.keys() - {ALL}):
        _logger.warning("QUANT_SCREENS: no strategy %s; there are %s", ", ".join(unknown), ", ".join(known.strategies))
    return tuple(name for name in known.strategies if ALL in wanted or name in wanted)
