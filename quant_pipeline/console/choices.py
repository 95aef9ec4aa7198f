"""The names that a person types: data sets, periods, codes and sources, each checked against what there is.

Names of data sets may be Chinese or pinyin (日线, rx), codes of any spelling, or names (贵州茅台). What was not typed as it
stands is said back: `Choice.notes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from quant_pipeline.language import marked, say
from quant_pipeline.market.codes import CodeError, spelled
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.market.listings import Kind, Listing, meant
from quant_pipeline.market.search import Named, meant_by, near
from quant_pipeline.switches import switched_on
from quant_pipeline.sync.symbols import codes_of

Chosen = TypeVar("Chosen")
PERIODS = {"daily": ["daily_kline", "adj_factor"], "weekly": ["weekly_kline"], "monthly": ["monthly_kline"]}
"""The data sets behind each K-line period."""
_EXAMPLES = 3
_UNKNOWN = {
    "data set": marked("unknown data set: {names}."),
    "period": marked("unknown period: {names}."),
    "source": marked("unknown source: {names}."),
}
_LISTED_BY = {
    "stock_list": Kind.STOCK,
    "index_list": Kind.INDEX,
    "etf_list": Kind.ETF,
    "convertible_bonds": Kind.CONVERTIBLE_BOND,
}
_K_LINES = re.compile("(?<=[日周月])[kKＫｋ]线?")
"""日K and 日K线 are what the names of data sets call 日线."""


@dataclass(frozen=True)
class Symbols:
    """Codes as the platform spells them, and in words what was taken for what."""

    codes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def chosen_datasets(names: Sequence[str], periods: Sequence[str]) -> list[Dataset]:
    """The data sets of these names and periods (default: all that are switched on), in the order of a sync.

    ValueError names those that do not exist, with what was perhaps meant, and those that are switched off.
    """
    wanted = known_datasets(names, SOURCED)
    _refuse_unknown("period", periods, [Named(name, "") for name in PERIODS])
    chosen, on = {*wanted, *(name for period in periods for name in PERIODS[period])}, switched_on()
    if off := sorted(chosen - on.keys()):
        raise ValueError(say("switched off: {datasets}. Take it out of QUANT_WITHOUT first", datasets=", ".join(off)))
    return [dataset for name, dataset in on.items() if not chosen or name in chosen]


def known_datasets(names: Sequence[str], among: Mapping[str, Dataset]) -> list[str]:
    """The data sets' names, of names that may be Chinese or pinyin. ValueError as `chosen_datasets`."""
    named = [Named(dataset.name, dataset.zh) for dataset in among.values()]
    found = {name: name if name in among else _code(meant_by(_K_LINES.sub("线", name), named)) for name in names}
    _refuse_unknown("data set", [name for name, code in found.items() if code is None], named)
    return [code for code in found.values() if code is not None]


def taken_for(names: Sequence[str], among: Mapping[str, Dataset]) -> list[str]:
    """In words, which data set each name that is not one's own was taken for."""
    pairs = zip(names, known_datasets(names, among), strict=True)
    return [_taken(name, Named(code, among[code].zh)) for name, code in pairs if name != code]


def with_symbols(datasets: Sequence[Dataset], symbols: Sequence[str]) -> list[Dataset]:
    """Those of the data sets that have rows of the symbols; all of them, where no symbol is named.

    CodeError for what is no code, ValueError when none of the data sets has any of them.
    """
    if not symbols:
        return list(datasets)
    concerned = [dataset for dataset in datasets if codes_of(dataset, symbols)]
    if not concerned:
        raise ValueError(
            say(
                "none of the data sets ({datasets}) has rows of {symbols}",
                datasets=", ".join(each.name for each in datasets),
                symbols=", ".join(symbols),
            )
        )
    return concerned


def known_symbols(
    symbols: Sequence[str], datasets: Sequence[Dataset], listings: Sequence[Listing], *, sandboxed: bool = False
) -> Symbols:
    """The codes that the symbols stand for, in what these data sets have rows of: 000001 is 平安银行, with index_daily
    alone the index. Before a list is synced, a symbol is what it is spelled like.

    ValueError for what is in no list, with what was perhaps meant: it is asked of nobody. `sandboxed`: the lists are the
    sandbox's, whose companies are not those of the market.
    """
    kinds = {_LISTED_BY[name] for dataset in datasets for name in dataset.universe if name in _LISTED_BY}
    known = [each for each in listings if each.kind in kinds]
    found = Symbols()
    for symbol in symbols:
        _resolve(symbol.strip(), datasets, known, listings, found, sandboxed)
    return found


def chosen_sources(names: Sequence[str]) -> list[str]:
    """The sources of these names, in that order; ValueError names those that do not exist."""
    from quant_pipeline.sources.registry import registered  # with all clients: only who names a source waits for them

    _refuse_unknown("source", names, [Named(name, "") for name in registered().sources])
    return list(names)


def _resolve(
    symbol: str,
    datasets: Sequence[Dataset],
    known: Sequence[Listing],
    listings: Sequence[Listing],
    found: Symbols,
    sandboxed: bool,
) -> None:
    candidates = meant(symbol, known)
    if not candidates and (named := meant_by(symbol, known)) is not None:
        candidates = [named]
    if candidates:
        first, *others = candidates
        found.codes.append(first.code)
        if others:
            found.notes.append(
                say(
                    "{symbol}: taken as {code} {name}; write {other} for {other_name}",
                    symbol=symbol,
                    code=first.code,
                    name=first.name,
                    other=others[0].code,
                    other_name=others[0].name,
                )
            )
        elif (symbol.upper() != first.code and not symbol.isdecimal()) or (symbol.isdecimal() and first.kind is Kind.INDEX):
            found.notes.append(_taken(symbol, first))
        return
    elsewhere = symbol.upper().endswith(".TI") or (meant(symbol, listings) and not _looks_like_theirs(symbol, datasets))
    if not known or elsewhere:
        found.codes.append(symbol)  # another data set's, a board's, or nobody knows yet: what is asked for says so
        return
    unknown = say("{symbol} is in no list.", symbol=symbol)
    if sandboxed:
        raise CodeError(unknown + of_the_sandbox(symbol, known))
    raise CodeError(
        unknown
        + _perhaps(near(symbol, known, limit=3))
        + say(" New since yesterday? quant-pipeline sync --datasets stock_list,index_list --force")
    )


def of_the_sandbox(typed: str, known: Sequence[Named]) -> str:
    """What to write instead of a text that means none of the sandbox's companies, for the end of a sentence: what it is like,
    or else a few that there are. A code of the market is like some of theirs by chance only."""
    if not _is_a_code(typed) and (alike := near(typed, known, limit=_EXAMPLES)):
        return _perhaps(alike)
    names = ", ".join(f"{each.code} {each.name}".strip() for each in known[:_EXAMPLES])
    return say(" The sandbox has companies of its own, not those of the market: {names}, …", names=names)


def _is_a_code(typed: str) -> bool:
    try:
        return bool(spelled(typed))
    except CodeError:
        return False


def _looks_like_theirs(symbol: str, datasets: Sequence[Dataset]) -> bool:
    """Whether the symbol is spelled like a code of one of the data sets."""
    try:
        return any(codes_of(dataset, [symbol]) for dataset in datasets)
    except CodeError:
        return False


def _refuse_unknown(kind: str, names: Iterable[str], known: Sequence[Named]) -> None:
    codes = [each.code for each in known]
    unknown = [name for name in names if name not in codes]
    if not unknown:
        return
    perhaps = list(dict.fromkeys(each for name in unknown for each in near(name, known, limit=3)))
    told = say(_UNKNOWN[kind], names=", ".join(unknown))
    raise ValueError(told + (_perhaps(perhaps) or say(" Known: {names}", names=", ".join(codes))))


def _perhaps(found: Sequence[Named]) -> str:
    if not found:
        return ""
    return say(" Did you mean {names}?", names=", ".join(f"{each.code} {each.name}".strip() for each in found))


def _taken(typed: str, found: Named) -> str:
    return say("{typed}: taken as {code} {name}", typed=typed, code=found.code, name=found.name)


def _code(found: Named | None) -> str | None:
    return None if found is None else found.code
