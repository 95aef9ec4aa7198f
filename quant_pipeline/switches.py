"""Which data sets the jobs and commands fetch: those that have a source, without those that the user switched off."""

from __future__ import annotations

from quant_pipeline import settings
from quant_pipeline.language import say
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.settings import SettingsError


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
