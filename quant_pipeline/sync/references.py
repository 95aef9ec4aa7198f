"""References before what leans on them: the lists and halts that an answer is judged against."""

from __future__ import annotations

import datetime as dt

from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.datasets import BSE_MAPPING, DATASETS, NAME_HISTORY, PRICE_LIMITS, STOCK_LIST, SUSPENSIONS
from quant_pipeline.market.trading_rules import st_limits_differ

_JUDGED_BY_HALTS = (Coverage.MARKET, Coverage.MOST)


def lists_of(dataset: Dataset) -> list[Dataset]:
    """The lists that must be there first, in the order of a sync: who owes rows, what old codes are called now, who was ST."""
    found = [DATASETS[name] for name in dataset.universe]
    if STOCK_LIST in found:
        found.append(BSE_MAPPING)
    if dataset is PRICE_LIMITS:
        found.append(NAME_HISTORY)
    return found


def needs_halts(dataset: Dataset) -> bool:
    """Whether its answers are judged by who was suspended."""
    by_session = dataset.dated and dataset is not SUSPENSIONS
    return by_session and STOCK_LIST.name in dataset.universe and dataset.coverage in _JUDGED_BY_HALTS


def needs_marks(dataset: Dataset, session: dt.date) -> bool:
    """Whether its rows of the session, where they have to be counted, depend on who was under special treatment (ST) then."""
    return dataset is PRICE_LIMITS and st_limits_differ(session)
