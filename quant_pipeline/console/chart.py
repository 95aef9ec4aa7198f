"""The command `chart`: the page of a K-line, or its picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from quant_pipeline.answering import pages_answer
from quant_pipeline.charts.kline import AVERAGES, Shown, kline, table_of
from quant_pipeline.charts.lookup import by_code, fetching
from quant_pipeline.charts.periods import Frequency
from quant_pipeline.charts.picture import picture
from quant_pipeline.console.choices import of_the_sandbox
from quant_pipeline.language import say
from quant_pipeline.market import clock
from quant_pipeline.market.listings import Listing
from quant_pipeline.market.search import near, search
from quant_pipeline.settings import Settings
from quant_pipeline.sync.calendar_acceptance import stored_calendar
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.listings import listings
from quant_pipeline.warehouse.reads import read

_DRAWN = 160
"""Bars of a picture."""
_LISTED = 6
_ADJUSTED = {"qfq": "前复权", "hfq": "后复权", "raw": "不复权"}
_SIMULATED = "SANDBOX 沙盒：模拟行情，非真实数据"


class ChartError(ValueError):
    """A chart that cannot be had; the text says why and what to do."""


@dataclass(frozen=True)
class Chart:
    """What became of it.

    `url`: the page's address; `served`: that at which it answers now (None: nothing serves it) · `namesakes`: what else the
    code could mean · `bars`: how many daily ones there are of it · `fetch`: the command that fetches them.
    """

    mode: str
    code: str
    name: str
    freq: str
    adjust: str
    bars: int
    url: str
    served: str | None
    out: str | None
    namesakes: list[str]
    fetch: str

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def chart_of(settings: Settings, database: Database, text: str, *, freq: str, adjust: str, out: Path | None) -> Chart:
    """Finds the code and its page; writes the picture where `out` names a file. ChartError when it cannot be had."""
    found = _found(settings, database, text)
    address = _address(found[0], freq, adjust)
    if out is not None:
        _write(database, found[0], out, freq=freq, adjust=adjust, note=_SIMULATED if settings.sandboxed else "")
    return Chart(
        mode=settings.mode.value,
        code=found[0].code,
        name=found[0].name,
        freq=freq,
        adjust=adjust,
        bars=read(database, table_of(found[0].kind), codes=[found[0].code], columns=["ts_code"]).height,
        url=f"{settings.pages_url}{address}",
        served=_served(settings, address),
        out=None if out is None else str(out.resolve()),
        namesakes=[f"{each.code} {each.name}" for each in found[1:]],
        fetch=fetching(found[0]),
    )


def told(chart: Chart, settings: Settings) -> Iterator[str]:
    """The lines that a person reads."""
    mark = say("SANDBOX · ") if settings.sandboxed else ""
    yield f"{mark}{chart.name} {chart.code}"
    for each in chart.namesakes:
        yield say("The same digits: {listing}", listing=each)
    if not chart.bars:
        yield say("No bars of it are stored. Fetch them: {command}", command=chart.fetch)
    if chart.out is not None:
        yield say("Picture: {path}", path=chart.out)
    if chart.served is not None:
        yield say("Page: {url}", url=chart.served)
    elif chart.out is None:
        yield say("Page: {url} (nothing serves it now: start `quant-pipeline ui` or `quant-pipeline serve`)", url=chart.url)


def _found(settings: Settings, database: Database, text: str) -> list[Listing]:
    """What the text means, by code or else by the one name that it finds; the likeliest first."""
    everything = listings(database)
    if found := by_code(database, text, everything):
        return found
    hits = search(text, everything)
    if len(hits) == 1:
        return hits
    if hits:
        raise ChartError(say("{text} could be {hits}: write its code", text=text, hits=_listed(hits)))
    if not everything:
        raise ChartError(say("{text}: no list of codes is synced yet; run `quant-pipeline run` first", text=text))
    if settings.sandboxed:
        raise ChartError(say("There is no code or name {text}.", text=text) + of_the_sandbox(text, everything))
    if alike := near(text, everything):
        raise ChartError(say("There is no code or name {text}. Did you mean {near}?", text=text, near=_listed(alike)))
    raise ChartError(say("There is no code or name {text}", text=text))


def _listed(found: Sequence[Listing]) -> str:
    return ", ".join(f"{each.code} {each.name}" for each in found[:_LISTED])


def _address(listing: Listing, freq: str, adjust: str) -> str:
    differing = {name: value for name, value, usual in (("freq", freq, "D"), ("adjust", adjust, "qfq")) if value != usual}
    return f"/k/{listing.code}{f'?{urlencode(differing)}' if differing else ''}"


def _write(database: Database, listing: Listing, out: Path, *, freq: str, adjust: str, note: str) -> None:
    if out.suffix.lower() != ".png":
        raise ChartError(say("The picture is a PNG: write --out {name}.png", name=out.stem))
    from quant_pipeline.market.xshg import xshg  # a second, with pandas

    calendar = stored_calendar(database, xshg(), clock.today())
    line = kline(database, calendar, listing, frequency=Frequency(freq), adjustment=cast(Shown, adjust))
    if line.traded.is_empty():
        command = fetching(listing)
        raise ChartError(say("No bars of {code} are stored. Fetch them: {command}", code=listing.code, command=command))
    drawn = picture(
        line.bars.tail(_DRAWN),
        code=listing.code,
        name=listing.name,
        caption=f"{line.frequency.zh} {_ADJUSTED[line.shown]}",
        lines={f"ma{window}": f"MA{window}" for window in AVERAGES},
        note=note,
    )
    try:
        out.write_bytes(drawn)
    except OSError as error:
        raise ChartError(say("{path} cannot be written: {why}", path=out, why=error.strerror)) from None


def _served(settings: Settings, address: str) -> str | None:
    """Where the page answers: beside `ui`, or by `serve`."""
    alone = f"http://{settings.serve_host}:{settings.serve_port}"
    return next((f"{base}{address}" for base in (settings.pages_url, alone) if pages_answer(base)), None)
