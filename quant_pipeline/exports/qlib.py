"""qlib's bin format, by a writer of our own: qlib itself is not needed to write it.

    calendars/day.txt          the sessions, a day a line; day_future.txt: with those that are still to come
    instruments/all.txt        code, first and last bar of every share; etf.txt, index.txt the same of funds and indexes
    instruments/csi300.txt     code, first and last session of a membership: a line for each spell
    features/sh600000/close.day.bin     little-endian float32: the number of the first session in the calendar, then a value
                               for each session to the code's last bar, NaN where it has none

Prices are raw x factor, volume is raw [股] / factor, and factor is adj_factor over the code's first one: `$close/$factor` is
the traded price, `$volume*$factor` the traded shares. amount is in 元 as traded, vwap is amount / shares x factor, change is
close over pre_close - 1. Layout of qlib 0.9 (scripts/dump_bin.py and its data layer).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.exports.contract import Export, ExportError, Origin, Parameters, Progress, Told, Written
from quant_pipeline.exports.folders import Folder, Generation
from quant_pipeline.exports.memberships import Spell, spells
from quant_pipeline.exports.states import state_of
from quant_pipeline.exports.traded import KINDS, codes_and_days_of, factored_bars_of, read_by
from quant_pipeline.language import marked, say, told
from quant_pipeline.market import clock
from quant_pipeline.market.datasets import INDEX_WEIGHTS
from quant_pipeline.market.index_members import INDEX_UNIVERSES
from quant_pipeline.market.listings import Kind
from quant_pipeline.warehouse.lake import Snapshot

if TYPE_CHECKING:
    import numpy as np

FIELDS = ("open", "high", "low", "close", "volume", "amount", "vwap", "change", "factor")
_LAYOUT = "1"
"""Of fields and units: another one makes every file out of date."""
_POOLS = {Kind.STOCK: "all", Kind.ETF: "etf", Kind.INDEX: "index"}
_MEMBERSHIPS = {"csi300": "hs300", "csi500": "zz500", "csi1000": "zz1000", "sse50": "sz50"}
"""qlib's names for the indexes whose members are kept."""
_AT_ONCE = 400
"""Codes read together: it bounds the memory."""
_NAMED = 10


class QlibParameters(Parameters):
    """Where it goes."""

    to: str = Field("", description=marked("Folder to write to, new or an export's (default: QUANT_HOME/exports/<mode>/qlib)."))


class Qlib(Export):
    """Shares, funds and indexes by day, memberships of indexes by spell."""

    name = "qlib"
    zh = "qlib 数据"
    doc = marked(
        "Daily bars in qlib's own format (calendar, instruments, features): shares, ETFs, indexes, and the members of SSE 50, "
        "CSI 300, CSI 500, CSI 1000 spell by spell. Only codes that changed are written; who reads sees one state."
    )
    examples = (
        "quant-pipeline export qlib",
        "quant-pipeline export qlib --to ~/.qlib/qlib_data/cn_data",
    )
    kinds = frozenset({"file", "numpy"})
    reading = "qlib.init(provider_uri='{place}', region='cn')"
    Parameters: ClassVar = QlibParameters

    def place(self, origin: Origin) -> str:
        return str(origin.folder(self.name, self.asked.to))

    def write(self, origin: Origin, progress: Told) -> Written:
        folder = Folder(origin.folder(self.name, self.asked.to), self.name, origin)
        with origin.rows() as stored:
            known = hashlib.sha256(repr(origin.calendar.sessions).encode()).hexdigest()[:16]
            state = {"layout": _LAYOUT, "sessions": known, **state_of(stored, [*read_by(), INDEX_WEIGHTS])}
            former = folder.manifest
            if former.get("state") == state:
                return Written(str(folder.place), unchanged=former["codes"], notes=former["notes"])
            with folder.renewed() as generation:
                writing = _Writing(stored, origin, generation, progress)
                writing.everything()
                removed = generation.removed()
                generation.finish({"export": self.name, **origin.of, **writing.facts(), "state": state})
        return Written(
            str(folder.place),
            [*writing.written, *writing.lists],
            writing.unchanged,
            removed,
            writing.rows,
            writing.bytes,
            writing.notes,
        )


class _Writing:
    """One export under way."""

    def __init__(self, stored: Snapshot, origin: Origin, generation: Generation, progress: Told) -> None:
        self._stored, self._origin, self._generation, self._progress = stored, origin, generation, progress
        self.written: list[str] = []
        """Codes."""
        self.lists: list[str] = []
        """Calendars and pools."""
        self.unchanged = self.rows = self.bytes = 0
        self.notes: list[str] = []
        self._lives: dict[Kind, list[Spell]] = {}
        self._days: list[dt.date] = []

    def everything(self) -> None:
        """Calendar, features and instruments. ExportError where no bars are stored."""
        having = {kind: codes_and_days_of(self._stored, kind) for kind in KINDS}
        traded = sorted({day for _, days in having.values() for day in days})
        if not traded:
            raise ExportError(say("no bars are stored yet: `quant-pipeline run` fetches the first ones"))
        calendar = self._origin.calendar
        self._days = sorted({*traded, *calendar.between(traded[0], traded[-1])})
        coming = [day for day in calendar.sessions if day > traded[-1]]
        self._put_lines("calendars/day.txt", [f"{day}" for day in self._days])
        self._put_lines("calendars/day_future.txt", [f"{day}" for day in (*self._days, *coming)])
        done, total = 0, sum(len(codes) for codes, _ in having.values())
        left_out: list[str] = []
        for kind, (codes, _) in having.items():
            self._lives[kind] = []
            for first in range(0, len(codes), _AT_ONCE):
                chunk = codes[first : first + _AT_ONCE]
                self._progress(Progress(done, total, f"{chunk[0]} … {chunk[-1]}"))
                left_out += self._features(kind, chunk)
                done += len(chunk)
        self._progress(Progress(done, total, "instruments"))
        if left_out:
            named = ", ".join(left_out[:_NAMED]) + (" …" if len(left_out) > _NAMED else "")
            note = told("{count} codes are left out, they have bars but no factor: {codes}", count=len(left_out), codes=named)
            self.notes.append(note)
        self._instruments()

    def facts(self) -> dict[str, Any]:
        """What the manifest says."""
        return {
            "written_at": clock.now().isoformat(timespec="seconds"),
            "first": f"{self._days[0]}",
            "last": f"{self._days[-1]}",
            "sessions": len(self._days),
            "codes": self.unchanged + len(self.written),
            "fields": list(FIELDS),
            "prices": "raw x factor, 元; factor = adj_factor / the code's first; volume = raw 股 / factor; amount 元",
            "notes": self.notes,
        }

    def _features(self, kind: Kind, codes: Sequence[str]) -> list[str]:
        """Writes the files of these codes; those that have no factor at all, for which none can be written."""
        rows = factored_bars_of(self._stored, kind, codes).filter(pl.col("adj_factor").is_not_null())
        for code, first, values, bars in blocks(rows, self._days):
            spelled = to_qlib(code)
            new = [
                self._generation.put(f"features/{spelled.lower()}/{field}.day.bin", _bin(first, values[:, number]))
                for number, field in enumerate(FIELDS)
            ]
            if any(new):
                self.written.append(code)
                self.rows += bars
                self.bytes += sum(new) * 4 * (len(values) + 1)
            else:
                self.unchanged += 1
            self._lives[kind].append((spelled, self._days[first], self._days[first + len(values) - 1]))
        return sorted(set(codes) - set(rows["ts_code"].unique()))

    def _instruments(self) -> None:
        for kind, pool in _POOLS.items():
            self._put_spells(pool, self._lives[kind])
        members = self._stored.read(INDEX_WEIGHTS, columns=("trade_date", "index_code", "con_code"))
        for pool, universe in _MEMBERSHIPS.items():
            found = spells(members, INDEX_UNIVERSES[universe], self._days)
            if found:
                self._put_spells(pool, [(to_qlib(code), first, last) for code, first, last in found])
        if members.is_empty():
            command = "quant-pipeline sync --datasets index_weights"
            self.notes.append(told("no members of indexes are stored, so there is no csi300.txt: {command}", command=command))

    def _put_spells(self, pool: str, found: Sequence[Spell]) -> None:
        self._put_lines(f"instruments/{pool}.txt", [f"{code}\t{first}\t{last}" for code, first, last in found])

    def _put_lines(self, name: str, lines: Sequence[str]) -> None:
        if self._generation.put(name, "".join(f"{line}\n" for line in lines).encode()):
            self.lists.append(name)


def to_qlib(ts_code: str) -> str:
    """qlib's spelling: SH600000."""
    digits, _, market = ts_code.partition(".")
    return f"{market}{digits}"


def blocks(rows: pl.DataFrame, days: Sequence[dt.date]) -> Iterator[tuple[str, int, np.ndarray[Any, Any], int]]:
    """Per code: the place of its first bar among the days, and float32 (sessions to its last bar x FIELDS), NaN where it has
    no bar; and how many bars it has. `rows`: as `factored_bars_of` gives them, each with a factor."""
    import numpy as np  # here: every code location loads this file, to declare its asset

    if rows.is_empty():
        return
    figures = rows.select(_figures()).cast(pl.Float32).to_numpy()
    places = np.searchsorted(np.array(days, "datetime64[D]"), rows["trade_date"].to_numpy())
    codes = rows["ts_code"]
    starts = (codes != codes.shift()).fill_null(True).arg_true().to_list()
    for start, end in zip(starts, [*starts[1:], rows.height], strict=True):
        own = places[start:end]
        values = np.full((own[-1] - own[0] + 1, len(FIELDS)), np.nan, np.float32)
        values[own - own[0]] = figures[start:end]
        yield codes[start], int(own[0]), values, end - start


def _figures() -> list[pl.Expr]:
    factor = pl.col("adj_factor") / pl.col("adj_factor").first().over("ts_code")
    traded, before = pl.col("volume") > 0, pl.col("pre_close") != 0
    return [
        *((pl.col(name) * factor).alias(name) for name in ("open", "high", "low", "close")),
        (pl.col("volume") / factor).alias("volume"),
        pl.col("amount"),
        pl.when(traded).then(pl.col("amount") / pl.col("volume") * factor).alias("vwap"),
        pl.when(before).then(pl.col("close") / pl.col("pre_close") - 1).alias("change"),
        factor.alias("factor"),
    ]


def _bin(first: int, values: np.ndarray[Any, Any]) -> bytes:
    import numpy as np

    return np.concatenate(([first], values)).astype("<f4").tobytes()
