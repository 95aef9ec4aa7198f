"""The pages /k and /k/<code>: a K-line, its last bars, its halts, ex-dates and the screens that hit it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import urlencode

import polars as pl
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from quant_pipeline.charts.interactive import figure, line_colour
from quant_pipeline.charts.kline import AVERAGES, Indicator, Shown, can_be_adjusted, hand_of, kline, table_of
from quant_pipeline.charts.lookup import by_code, fetching
from quant_pipeline.charts.periods import Frequency
from quant_pipeline.door.access import Reached
from quant_pipeline.door.feed.feeds import Feeds
from quant_pipeline.door.rendering import page
from quant_pipeline.market import clock
from quant_pipeline.market.codes import board
from quant_pipeline.market.datasets import CB_DAILY, DAILY_BASIC
from quant_pipeline.market.listings import Kind, Listing
from quant_pipeline.market.search import near
from quant_pipeline.strategies.registry import registered
from quant_pipeline.sync.insight.history import bringer_of
from quant_pipeline.warehouse.listings import listings
from quant_pipeline.warehouse.reads import read

if TYPE_CHECKING:
    from quant_pipeline.market.calendar import Calendar
    from quant_pipeline.warehouse.database import Database

router = APIRouter(default_response_class=HTMLResponse)

_TABLED = 20
_PLACES = 750
"""Places on the axis unless all are asked for: three years of days; more than a browser draws at once with ease."""
_CHOICES: dict[str, dict[str, str]] = {
    "freq": {frequency.value: frequency.zh for frequency in Frequency},
    "adjust": {"qfq": "前复权", "hfq": "后复权", "raw": "不复权"},
    "indicator": {"macd": "MACD", "kdj": "KDJ"},
    "span": {"recent": "近期", "all": "全部历史"},
}
"""Each choice of the page: its values and their names; the first is taken where none is given."""
_SPANS: dict[Frequency, dict[str, int]] = {
    Frequency.DAY: {"1月": 22, "3月": 65, "半年": 125, "1年": 250, "3年": 750},
    Frequency.WEEK: {"半年": 26, "1年": 52, "3年": 156, "5年": 260},
    Frequency.MONTH: {"1年": 12, "3年": 36, "5年": 60, "10年": 120},
}
"""The buttons over the chart: how many places of the axis each shows."""


@dataclass(frozen=True)
class _Choice:
    """A value of a choice: its name, the address that takes it, whether it is taken."""

    name: str
    address: str
    taken: bool


@router.get("/k")
def search_first(request: Request, access: Reached) -> HTMLResponse:
    """The indexes, and what was traded most: somewhere to begin."""
    from quant_pipeline.market.bars import CORE_INDEXES

    known = {each.code: each for each in listings(access.database)}
    indexes = [known[code] for code in CORE_INDEXES if code in known]
    return page(request, "klines.html", indexes=indexes, traded=_most_traded(access.database, known), known=len(known))


@router.get("/k/{code}", response_model=None)
def shown(
    request: Request,
    access: Reached,
    code: str,
    freq: Annotated[str, Query()] = "",
    adjust: Annotated[str, Query()] = "",
    indicator: Annotated[str, Query()] = "",
    span: Annotated[str, Query()] = "",
) -> HTMLResponse | RedirectResponse:
    """A value of a choice that there is not counts as none given: an old or mistyped address still shows the K-line."""
    everything = listings(access.database)
    found = by_code(access.database, code, everything)
    if not found:
        return _unknown(request, code, everything)
    listing = found[0]
    if listing.code != code:
        query = request.url.query
        return RedirectResponse(f"/k/{listing.code}{f'?{query}' if query else ''}", 302)
    given = {"freq": freq.upper(), "adjust": adjust, "indicator": indicator, "span": span}
    taken = {name: given[name] if given[name] in values else next(iter(values)) for name, values in _CHOICES.items()}
    how: Shown = "raw" if taken["adjust"] == "raw" else "hfq" if taken["adjust"] == "hfq" else "qfq"
    frequency, lowest = Frequency(taken["freq"]), Indicator(taken["indicator"])
    line = kline(access.database, access.calendar(), listing, frequency=frequency, adjustment=how)
    head = line.traded.tail(1).to_dicts()[0] if line.traded.height else None
    dataset = table_of(listing.kind)
    names = {name: strategy.zh for name, strategy in registered().strategies.items()}
    same = [each for each in everything if each.kind is listing.kind]
    return page(
        request,
        "kline.html",
        listing=listing,
        kind=Kind,
        line=line,
        table=line.traded.tail(_TABLED).reverse().to_dicts(),
        head=head,
        basics=_basics(access.database, listing),
        figure=figure(line, lowest, names, last=None if taken["span"] == "all" else _PLACES),
        legend=[(f"MA{window}", line_colour(place), f"ma{window}") for place, window in enumerate(AVERAGES)],
        choices=_choices(listing, taken),
        taken={name: _CHOICES[name][value] for name, value in taken.items()},
        more=line.bars.height > _PLACES,
        spans=_SPANS[frequency],
        names=names,
        board=_board(listing),
        namesakes=[each for each in everything if each.code[:6] == listing.code[:6] and each.code != listing.code],
        before=_beside(listing, same, -1),
        after=_beside(listing, same, +1),
        dataset=dataset,
        run=bringer_of(access.database, dataset.name, listing.code, head["trade_date"]) if head else None,
        fetch=fetching(listing),
        bond=line.dataset is CB_DAILY,
        today=clock.today(),
        moves=_moves(request, access.calendar(), listing, head["trade_date"] if head else None),
        hand=hand_of(listing.kind),
    )


def _moves(request: Request, calendar: Calendar, listing: Listing, last: dt.date | None) -> bool:
    """Whether today's live quote can follow the last bar: none is missing between them."""
    feeds = cast(Feeds, request.app.state.feeds)
    if last is None or listing.delisted or feeds.off() is not None:
        return False
    return last >= calendar.on_or_before(clock.today() - dt.timedelta(days=1))


def _choices(listing: Listing, taken: dict[str, str]) -> dict[str, list[_Choice]]:
    offered = {name: values for name, values in _CHOICES.items() if name != "adjust" or can_be_adjusted(listing.kind)}
    return {
        name: [_Choice(text, _address(listing, {**taken, name: value}), taken[name] == value) for value, text in values.items()]
        for name, values in offered.items()
    }


def _address(listing: Listing, taken: dict[str, str]) -> str:
    """With those choices alone that differ from what is taken anyway."""
    differing = {name: value for name, value in taken.items() if value != next(iter(_CHOICES[name]))}
    return f"/k/{listing.code}{f'?{urlencode(differing)}' if differing else ''}"


def _unknown(request: Request, code: str, everything: Sequence[Listing]) -> HTMLResponse:
    return page(request, "unknown.html", status_code=404, code=code, near=near(code, everything), known=len(everything))


def _board(listing: Listing) -> str:
    """Of a share; funds, bonds and indexes are of no board but their kind."""
    if listing.kind is not Kind.STOCK:
        return ""
    return board(listing.code).value.rpartition(" ")[2]


def _beside(listing: Listing, same: Sequence[Listing], step: int) -> Listing | None:
    """The one of its kind before or after it, by code."""
    ordered = sorted(same, key=lambda each: each.code)
    place = next((place for place, each in enumerate(ordered) if each.code == listing.code), None)
    if place is None or not 0 <= place + step < len(ordered):
        return None
    return ordered[place + step]


def _basics(database: Database, listing: Listing) -> dict[str, Any] | None:
    """The code's latest valuation: turnover_rate, pe_ttm, pb, total_mv [万元] … of trade_date."""
    if listing.kind is not Kind.STOCK:
        return None
    columns = ["trade_date", "turnover_rate", "volume_ratio", "pe_ttm", "pb", "total_mv", "circ_mv"]
    rows = read(database, DAILY_BASIC, codes=[listing.code], columns=columns).tail(1)
    return rows.to_dicts()[0] if rows.height else None


def _most_traded(database: Database, known: dict[str, Listing]) -> list[dict[str, Any]]:
    """The dozen shares of the greatest turnover of the newest session."""
    from quant_pipeline.market.datasets import DAILY_KLINE
    from quant_pipeline.warehouse.reads import read_sql

    newest: dt.date | None = read_sql(database, "SELECT max(trade_date) AS day FROM daily_kline")["day"][0]
    if newest is None:
        return []
    rows = read(
        database, DAILY_KLINE, start=newest, end=newest, columns=["ts_code", "trade_date", "close", "pct_chg", "amount"]
    )
    top = rows.sort("amount", descending=True, nulls_last=True).head(12)
    names = {code: each.name for code, each in known.items()}
    return top.with_columns(name=pl.col("ts_code").replace_strict(names, default="", return_dtype=pl.String)).to_dicts()
