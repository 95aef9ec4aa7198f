"""Which codes a client means: as everywhere in the door, but for hundreds of clients with hundreds of codes each."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from quant_pipeline.market.codes import CodeError, parse, spelled
from quant_pipeline.market.datasets import BSE_MAPPING, CONVERTIBLE_BONDS, ETF_LIST, INDEX_LIST, STOCK_LIST
from quant_pipeline.market.listings import Listing, meant
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.listings import listings
from quant_pipeline.warehouse.reads import read, read_sql
from quant_pipeline.warehouse.table_changes import states_query

LONGEST = 20
"""Characters of a text that may be a code."""
_DIGITS = 6
_HOLDS = 10.0
"""Seconds until it is asked whether the lists have changed."""
_LISTS = [dataset.name for dataset in (STOCK_LIST, INDEX_LIST, ETF_LIST, CONVERTIBLE_BONDS, BSE_MAPPING)]


@dataclass(frozen=True)
class Meant:
    """ts_codes in the order in which they were asked for, each once; and the texts that no list has."""

    codes: tuple[str, ...]
    unknown: tuple[str, ...]


class Codes:
    """The lists, kept until they change. Threads may share it."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database
        self._reading = threading.Lock()
        self._state: object = None
        self._until = 0.0
        self._by_digits: dict[str, list[Listing]] = {}
        self._renamed: dict[str, str] = {}

    def meant(self, texts: Collection[str]) -> Meant:
        """What the texts mean. DatabaseError, psycopg.Error where the lists cannot be read."""
        self._renew()
        found: dict[str, None] = {}
        unknown: dict[str, None] = {}
        for text in texts:
            if (code := self._one(text)) is None:
                unknown[text[:LONGEST]] = None
            else:
                found[code] = None
        return Meant(tuple(found), tuple(unknown))

    def listing(self, code: str) -> Listing | None:
        """What the lists say of a ts_code that `meant` gave."""
        return next((each for each in self._by_digits.get(code[:_DIGITS], ()) if each.code == code), None)

    def _one(self, text: str) -> str | None:
        if len(text) > LONGEST:
            return None
        if hits := meant(text, self._candidates(text)):
            return hits[0].code
        code = _as_written(text)
        if code in self._renamed:
            return self._renamed[code]
        return None if self._by_digits else code  # no list is synced: whoever is asked for the quote knows the code or not

    def _candidates(self, text: str) -> Sequence[Listing]:
        heads = {text.strip().upper()[:_DIGITS]}
        with suppress(CodeError):
            heads.add(spelled(text)[0])
        return [each for head in sorted(heads) for each in self._by_digits.get(head, ())]

    def _renew(self) -> None:
        with self._reading:
            if time.monotonic() < self._until:
                return
            database = self._database()
            state = sorted(read_sql(database, states_query(_LISTS)).rows())
            if state != self._state:
                by_digits = defaultdict(list)
                for each in listings(database):
                    by_digits[each.code[:_DIGITS]].append(each)
                mapping = read(database, BSE_MAPPING, columns=["o_code", "n_code"])
                self._by_digits, self._renamed, self._state = dict(by_digits), dict(mapping.iter_rows()), state
            self._until = time.monotonic() + _HOLDS


def _as_written(text: str) -> str | None:
    """The ts_code that the text alone gives: of an index where its market is written."""
    try:
        return parse(text)
    except CodeError:
        pass
    try:
        digits, markets = spelled(text)
    except CodeError:
        return None
    return f"{digits}.{markets[0]}" if len(markets) == 1 else None
