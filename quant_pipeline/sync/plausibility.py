"""Lies that validate: a session's rows that keep every rule and contradict what is known.

A row that cannot be true is refused, and so lacking. An answer that cannot be true, or hardly, goes to the next source.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import DAILY_BASIC, DAILY_KLINE, PRICE_LIMITS
from quant_pipeline.market.validation import REASON, Checked
from quant_pipeline.sources.failures import Implausible
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

REPEATS = 0.01
"""Share of the codes whose whole bar may equal the former session's: chance gives none."""
OTHER_SCALE = 20.0
"""A price this many times the last close (or a part of it) is no price of that share: the largest splits are 1 to 10."""
OTHER_VOLUME = 30.0
"""Volume and turnover of one code may well be so many times yesterday's; those of many codes at once are not."""
STEADY_VOLUME_FROM = dt.date(1997, 1, 1)
"""Shares' volumes are compared since then: the young market's leapt, and those of funds and bonds do to this day."""
MANY = 0.05
"""Share of the codes that is many at once."""
OUTSIDE_LIMITS = 0.02
"""Share of the closes that may lie outside the session's limits: what is odd is named by the check."""
OTHER_CLOSES = 0.02
"""Share of the closes of daily_basic that may differ from the stored bars'."""
UNKNOWN_CODES = 20
"""So many codes may be in no list: listed since the list was synced. No day has seen more listings."""
ENOUGH = 30
"""Codes below which no share is judged."""
_NO_TRADE = 1.0
"""手: what a source fills in for a code that did not trade."""
_KEPT = 64
"""Sessions whose bars are kept: more than there are workers."""
_BEFORE = "_before"
_OTHER_CLOSE = marked("its previous close is {ratio} times the stored close {close}")
_BAR = ("open", "high", "low", "close", "vol", "amount")

_LIMITED = """
SELECT DISTINCT trade_date FROM sync_items
WHERE dataset = 'price_limits' AND status <> 'failed' AND trade_date BETWEEN %(start)s AND %(end)s
"""


def _price() -> pl.Expr:
    return pl.coalesce("pre_close", "close")


class Plausibility:
    """Compares the sessions of one data set with what is known. Threads share one.

    Sessions are asked for side by side, and none waits for another: one whose former session has no answer yet is compared
    when that comes, and is asked for again if it turns out to contradict it (`contradicted`). The last sessions' bars are
    kept in memory, so that a backfill reads nothing back.
    """

    def __init__(self, database: Database, dataset: Dataset, calendar: Calendar, roster: Roster, units: Sequence[Unit]) -> None:
        self._database = database
        self._dataset = dataset
        self._calendar = calendar
        self._roster = roster
        self._bars = dataset.partition is Partition.SESSION and {"pre_close", *_BAR} <= set(dataset.column_names)
        self._seen: dict[dt.date, pl.DataFrame] = {}
        self._expected = {unit.start for unit in units if unit.grain is Grain.SESSION} if self._bars else set()
        """Sessions asked for that have no answer yet."""
        self._unchecked: set[dt.date] = set()
        self._contradicted: set[dt.date] = set()
        self._lock = threading.Lock()
        self._known_codes = pl.Series(sorted(roster.known | set(dataset.codes)), dtype=pl.String)
        halts = roster.halted.partition_by("trade_date", as_dict=True) if self._bars and roster.halted.height else {}
        self._halted = {day: of_day["ts_code"] for (day,), of_day in halts.items()}
        self._limited = self._sessions_with_limits(units) if dataset is DAILY_KLINE and units else frozenset()

    def settled(self, session: dt.date) -> None:
        """The session has its answer, or none: what is stored of it is what there is."""
        with self._lock:
            self._expected.discard(session)

    def contradicted(self) -> list[dt.date]:
        """The sessions that were taken before the one before them, and contradict it, in order; asked once all are settled."""
        with self._lock:
            left, self._unchecked = sorted(self._unchecked), set()
        for session in left:
            stored = read(self._database, self._dataset, start=session, end=session)
            self._compare_later(session, stored.select("ts_code", "pre_close", *_BAR))
        found, self._contradicted = sorted(self._contradicted), set()
        return found

    def looked_at(self, session: dt.date, checked: Checked) -> tuple[Checked, Implausible | None]:
        """The answer with its rows that cannot be true among the refused ones; and what speaks against all of it, if anything.

        A sound answer that is then taken is to be remembered (`remember`).
        """
        doubt = None
        try:
            checked = self._without_impossible_rows(session, checked) if self._bars else checked
            if checked.good.height >= ENOUGH:
                if self._dataset is DAILY_BASIC:
                    self._demand_closes(session, checked)
                elif self._dataset is PRICE_LIMITS:
                    self._demand_limits(session, checked)
                elif self._bars:
                    self._demand_known_codes(checked)
                    self._demand_within_limits(session, checked)
        except Implausible as contradiction:
            doubt = contradiction
        return checked, doubt

    def _without_impossible_rows(self, session: dt.date, checked: Checked) -> Checked:
        """Raises Implausible where many rows contradict the session before; refuses the few that do."""
        rows = checked.good
        if rows.is_empty():
            return checked
        impossible = []
        halted = self._halted.get(session)
        if halted is not None:
            idle = (pl.col("vol") <= _NO_TRADE) | (pl.col("amount") <= _NO_TRADE)
            words = pl.lit(marked("it hardly traded, and suspensions say it was halted"))
            impossible.append((pl.col("ts_code").is_in(halted.implode()) & idle, words))
        former = self._former(session)
        if former is not None:
            rows = rows.join(former, on="ts_code", how="left", suffix=_BEFORE, maintain_order="left")
            self._compare(session, rows, checked)
            ratio = _price() / pl.col(f"close{_BEFORE}")
            words = pl.format(told(_OTHER_CLOSE, ratio="{}", close="{}"), ratio.round(3), f"close{_BEFORE}")
            impossible.append((_out_of(ratio, OTHER_SCALE), words))
        if not impossible:
            return checked
        reasons = rows.select(pl.coalesce(pl.when(no).then(why) for no, why in impossible).alias(REASON)).to_series()
        if reasons.null_count() == len(reasons):
            return checked
        refused = checked.good.with_columns(reasons).filter(pl.col(REASON).is_not_null())
        bad = pl.concat([checked.bad, refused], how="diagonal_relaxed") if checked.bad.height else refused
        return replace(checked, good=checked.good.filter(reasons.is_null()), bad=bad)

    def _compare(self, session: dt.date, both: pl.DataFrame, checked: Checked) -> None:
        """Raises Implausible when many rows contradict those of the session before (`*_before`, null where there is none)."""
        before = self._calendar.shift(session, -1)
        same = pl.all_horizontal(pl.col(name) == pl.col(f"{name}{_BEFORE}") for name in _BAR) & (pl.col("vol") > 0)
        traded = (pl.col(name) > _NO_TRADE for name in ("vol", "amount", f"vol{_BEFORE}", f"amount{_BEFORE}"))
        found = both.select(
            codes=pl.col(f"close{_BEFORE}").count(),
            same=same.sum(),
            scaled=_out_of(_price() / pl.col(f"close{_BEFORE}"), OTHER_SCALE).sum(),
            wild=(
                pl.all_horizontal(traded)
                & (
                    _out_of(pl.col("vol") / pl.col(f"vol{_BEFORE}"), OTHER_VOLUME)
                    | _out_of(pl.col("amount") / pl.col(f"amount{_BEFORE}"), OTHER_VOLUME)
                )
            ).sum(),
        ).row(0, named=True)
        codes = found["codes"]
        if codes < ENOUGH:
            return
        if found["same"] > max(REPEATS * codes, 2):
            self._doubt(
                told("the bars of {count} of {total} codes are those of {day}", count=found["same"], total=codes, day=before),
                checked,
                impossible=True,
            )
        if _many(found["scaled"], codes):
            text = told(
                "the prices of {count} of {total} codes are of another scale than those of {day}",
                count=found["scaled"],
                total=codes,
                day=before,
            )
            self._doubt(text, checked, impossible=True)
        steady = self._dataset is DAILY_KLINE and session >= STEADY_VOLUME_FROM
        if steady and _many(found["wild"], codes):
            text = told(
                "volume of {count} of {total} codes is more than {times:.0f} times that of {day}, or a part",
                count=found["wild"],
                total=codes,
                times=OTHER_VOLUME,
                day=before,
            )
            self._doubt(text, checked, impossible=False)

    def _demand_known_codes(self, checked: Checked) -> None:
        if not self._roster.known:
            return
        unknown = checked.good.filter(~pl.col("ts_code").is_in(self._known_codes.implode()))["ts_code"].sort()
        if len(unknown) > UNKNOWN_CODES:
            self._doubt(
                told("{count} codes are in no list: {codes}, …", count=len(unknown), codes=", ".join(unknown[:5])),
                checked,
                impossible=False,
            )

    def _demand_within_limits(self, session: dt.date, checked: Checked) -> None:
        if session not in self._limited:
            return
        limits = read(self._database, PRICE_LIMITS, start=session, end=session)
        limited = checked.good.join(limits, on="ts_code").filter(pl.col("up_limit") > 0)
        outside = (pl.col("close") > pl.col("up_limit") + 0.005) | (pl.col("close") < pl.col("down_limit") - 0.005)
        count = limited.select(outside.sum()).item()
        if count > max(OUTSIDE_LIMITS * limited.height, 2):
            self._doubt(
                told("{count} of {total} closes lie outside the session's limits", count=count, total=limited.height),
                checked,
                impossible=True,
            )

    def _sessions_with_limits(self, units: Sequence[Unit]) -> frozenset[dt.date]:
        window = {"start": min(unit.start for unit in units), "end": max(unit.end for unit in units)}
        return frozenset(read_sql(self._database, _LIMITED, window)["trade_date"])

    def _demand_closes(self, session: dt.date, checked: Checked) -> None:
        bars = read(self._database, DAILY_KLINE, start=session, end=session, columns=["ts_code", "close"])
        both = checked.good.join(bars, on="ts_code", suffix="_of_bar").drop_nulls("close")
        other = both.select(((pl.col("close") - pl.col("close_of_bar")).abs() > 0.005).sum()).item()
        if both.height >= ENOUGH and other > max(OTHER_CLOSES * both.height, 2):
            self._doubt(
                told("{count} of {total} closes are not those of the session's bars", count=other, total=both.height),
                checked,
                impossible=True,
            )

    def _demand_limits(self, session: dt.date, checked: Checked) -> None:
        if session == self._calendar.sessions[0]:
            return
        before = self._calendar.shift(session, -1)
        bars = read(self._database, DAILY_KLINE, start=before, end=before, columns=["ts_code", "close"])
        both = checked.good.filter(pl.col("up_limit") > 0).join(bars, on="ts_code")
        # An ex-date moves the limits; a third of the market has none on one day.
        middle = (pl.col("up_limit") + pl.col("down_limit")) / 2
        other = both.select(((middle / pl.col("close") - 1).abs() > 0.01).sum()).item()
        if both.height >= ENOUGH and other > both.height / 3:
            self._doubt(
                told("{count} of {total} limits are not about the close of {day}", count=other, total=both.height, day=before),
                checked,
                impossible=True,
            )

    def _doubt(self, text: str, checked: Checked, *, impossible: bool) -> None:
        raise Implausible(told("implausible: {what}", what=text), checked, impossible=impossible)

    def _former(self, session: dt.date) -> pl.DataFrame | None:
        """The bars of the session before; None where there are none, or none yet (then it is compared later)."""
        if session == self._calendar.sessions[0]:
            return None
        before = self._calendar.shift(session, -1)
        with self._lock:
            if before in self._expected:
                self._unchecked.add(session)
                return None
            self._unchecked.discard(session)
            found = self._seen.get(before)
        if found is None:
            found = read(self._database, self._dataset, start=before, end=before, columns=["ts_code", "pre_close", *_BAR])
            with self._lock:
                self._seen[before] = found
        return None if found.is_empty() else found

    def remember(self, session: dt.date, rows: pl.DataFrame) -> None:
        """Keeps the session's bars, and compares the next session's with them, if these came first."""
        if not self._bars:
            return
        following = self._calendar.shift(session, 1) if session < self._calendar.sessions[-1] else None
        with self._lock:
            self._seen[session] = rows.select("ts_code", "pre_close", *_BAR)
            self._expected.discard(session)
            for day in sorted(self._seen)[:-_KEPT]:
                del self._seen[day]
            waiting = self._seen.get(following) if following in self._unchecked else None
        if following is not None and waiting is not None:
            self._compare_later(following, waiting)

    def _compare_later(self, session: dt.date, rows: pl.DataFrame) -> None:
        former = self._former(session)
        try:
            if former is not None:
                both = rows.join(former, on="ts_code", how="left", suffix=_BEFORE)
                self._compare(session, both, Checked(rows, rows.clear()))
        except Implausible:
            with self._lock:
                self._contradicted.add(session)


def _out_of(ratio: pl.Expr, scale: float) -> pl.Expr:
    return (ratio > scale) | (ratio < 1 / scale)


def _many(count: int, codes: int) -> bool:
    return count > max(MANY * codes, 2)
