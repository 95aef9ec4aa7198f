"""The checks of a data set: what must hold in the warehouse, beyond what a single row can show."""

from __future__ import annotations

from collections.abc import Iterator

from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.rules import unit_of_volume
from quant_pipeline.sync.checks import (
    bars,
    boards,
    calendar,
    chain,
    completeness,
    dividends,
    freshness,
    funds,
    known_boards,
    limits,
    periods,
    rows,
)
from quant_pipeline.sync.checks.base import Check, Scope, Verdict

_OWN: dict[str, tuple[Check, ...]] = {
    "trade_calendar": (calendar.CALENDAR_BELIEVED,),
    "stock_list": (known_boards.KNOWN_BOARDS,),
    "daily_kline": (known_boards.KNOWN_BOARDS, limits.WITHIN_PRICE_LIMITS, bars.NO_REPEATED_SESSION, chain.PRE_CLOSE_CHAIN),
    "adj_factor": (chain.FACTOR_JUMPS,),
    "dividends": (dividends.EXPLAIN_EX_PRICES,),
    "index_daily": (bars.NO_REPEATED_SESSION,),
    "etf_daily": (bars.NO_REPEATED_SESSION, funds.CODES_KNOWN, funds.ETF_MOVES, chain.ETF_CHAIN),
    "cb_daily": (bars.NO_REPEATED_SESSION, funds.CODES_KNOWN, funds.BOND_PRICES_PLAUSIBLE, funds.BOND_VALUES),
    "ths_members": (boards.MEMBERS_KNOWN, boards.ALL_MEMBERS_KNOWN),
}
"""What only these data sets have, beyond what their specs call for."""


def checks_of(dataset: Dataset) -> tuple[Check, ...]:
    """The checks that the data set's spec calls for."""
    return (*_of_any(dataset), *_OWN.get(dataset.name, ()))


def _of_any(dataset: Dataset) -> Iterator[Check]:
    if dataset.rules:
        yield rows.ROWS_SANE
    if unit_of_volume in dataset.rules and "stock_list" in dataset.universe:
        yield rows.EARLY_VOLUME_FITS
    if not dataset.dated:
        yield freshness.FRESH_LIST
        return
    yield from (freshness.NO_CLOSED_DAY, freshness.NO_FUTURE_ROW, freshness.FRESH)
    if dataset.sourced:
        yield completeness.NOTHING_UNREPLACED
    if dataset.coverage in (Coverage.MARKET, Coverage.MOST, Coverage.EVERY):
        yield completeness.ROW_COUNT
    if dataset.coverage in (Coverage.MARKET, Coverage.EVERY):
        yield completeness.EVERY_ROW
    if dataset.periodic and "close" in dataset.column_names:
        yield from (periods.ONE_BAR_PER_PERIOD, periods.AS_DAILY_BARS)


__all__ = ["Check", "Scope", "Verdict", "checks_of"]
