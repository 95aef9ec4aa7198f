"""Completeness: which rows are due, by session and board, and which of them are missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.codes import board_of
from quant_pipeline.market.dataset import Coverage, Partition
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.reads import read_sql

MISSING_TOLERATED = 0.002
"""Share of the codes due that may lack a row where the session's halts are known (odd listings; `every_row` names them)."""
MISSING_TOLERATED_HALTS_UNKNOWN = 0.01
"""The same where the session's suspensions were not synced: on most sessions a handful of codes is halted."""
MISSING_TOLERATED_THIN = 0.3
"""The same in thin markets (funds, bonds, auctions), where not every code trades on every day."""
BOARD_MISSING_TOLERATED = 0.05
"""Share of one board that may be missing, or twice the session's where that is more: a board that is lost is a twentieth
of the market, and no odd listing."""
_NAMED = 5
_OTHER = "other 其他"
_COUNTED = "counted"
_DOUBTFUL = {
    Partition.SESSION: marked("{count} of {total} sessions have rows that are refused or doubtful"),
    Partition.WEEK: marked("{count} of {total} weeks have rows that are refused or doubtful"),
    Partition.MONTH: marked("{count} of {total} months have rows that are refused or doubtful"),
}
_UNREPLACED = """
SELECT trade_date, unit, error, rejected FROM (
    SELECT DISTINCT ON (unit) trade_date, unit, status, error_class, error, rejected FROM sync_items
    WHERE dataset = %(dataset)s AND trade_date BETWEEN %(start)s AND %(end)s ORDER BY unit, finished_at DESC
) AS last
WHERE status = 'partial' AND error_class <> 'unserved' ORDER BY trade_date
"""


@dataclass(frozen=True)
class _Counted:
    """The rows due against the rows stored. `boards`: trade_date, board, due, missing, first (some of the missing codes),
    tolerated · `judged`: rows due of sessions whose halts are known · `missing`: trade_date, ts_code of those that lack."""

    boards: pl.DataFrame
    judged: int
    missing: pl.DataFrame


def _row_count(scope: Scope) -> Verdict:
    """Every row due, counted by session and board."""
    roster = _roster(scope)
    if roster is None:
        return Verdict(True, marked("no session to look at"))
    if roster.listed.is_empty():
        return Verdict(True, told("no {lists} to count against", lists=" or ".join(scope.dataset.universe)))
    boards = _counted(scope, roster).boards
    if boards.is_empty():
        return Verdict(True, marked("no row is due"))
    due, missing, tolerated = pl.col("due"), pl.col("missing"), pl.col("tolerated")
    session_short = missing.sum().over("trade_date") > tolerated * due.sum().over("trade_date")
    board_short = missing > pl.max_horizontal(pl.lit(BOARD_MISSING_TOLERATED), 2 * tolerated) * due
    short = (
        boards.filter((session_short | board_short) & (missing > 0))
        .sort("trade_date", missing / due, "board", descending=[False, True, False])
        .with_columns(pl.col("first").list.join(", "))
        .select("trade_date", "board", "due", "missing", "first")
    )
    looked_at, lacking = int(boards["due"].sum()), int(boards["missing"].sum())
    named = [
        told("{day}: {count} of {total} rows of {board}", day=day, count=n, total=of, board=board)
        for day, board, of, n, _ in short.head(3).iter_rows()
    ]
    text = "; ".join([told("{count} of {total} rows due are missing", count=lacking, total=looked_at), *named])
    return Verdict(short.is_empty(), text, looked_at, short.head(PAGE))


def _every_row(scope: Scope) -> Verdict:
    """Each row that lacks, by name, where the session's halts are known: also one in five thousand."""
    roster = _roster(scope)
    if roster is None:
        return Verdict(True, marked("no session to look at"))
    counted = _counted(scope, roster)
    rows = counted.missing.sort("trade_date", "ts_code")
    named = ", ".join(f"{code} {day}" for day, code in rows.head(_NAMED).iter_rows())
    more = ", …" if rows.height > _NAMED else ""
    text = told("{count} of {total} rows due are missing", count=rows.height, total=counted.judged)
    return Verdict(rows.is_empty(), f"{text}: {named}{more}" if named else text, counted.judged, rows.head(PAGE))


def _nothing_unreplaced(scope: Scope) -> Verdict:
    looked_at, found = 0, []
    for chunk in scope.chunks():
        window = {"dataset": scope.dataset.name, "start": chunk[0], "end": chunk[-1]}
        looked_at += len(chunk)
        found.append(read_sql(scope.database, _UNREPLACED, window))
    rows = pl.concat(found) if found else pl.DataFrame()
    text = told(_DOUBTFUL[scope.dataset.partition], count=rows.height, total=looked_at)
    first = f"; {rows['trade_date'][0]}: {rows['error'][0]}" if rows.height else ""
    return Verdict(rows.is_empty(), text + first, looked_at, rows.head(PAGE))


def _roster(scope: Scope) -> Roster | None:
    days = [label for chunk in scope.chunks() for label in chunk]
    return Roster.load(scope.database, scope.dataset, scope.calendar, days[0], days[-1]) if days else None


def _stored(scope: Scope, roster: Roster) -> Iterator[pl.DataFrame]:
    """Rows due against rows stored; of the newest period no row at all may stand yet: that is for `fresh` to say."""
    latest = scope.calendar.latest(ready=scope.dataset.ready)
    for chunk in scope.chunks():
        for due in roster.stored(scope.database, chunk):
            empty = due.filter(pl.col("trade_date") == latest)["missing"].all() if scope.dataset.periodic else False
            yield due.filter(pl.col("trade_date") != latest) if empty else due


def _counted(scope: Scope, roster: Roster) -> _Counted:
    """Counted once for both checks: the keys of 121 sessions are 640,000 rows, and four data sets have them."""
    if _COUNTED not in scope.found:
        boards, missing, judged = [], [pl.DataFrame(schema={"trade_date": pl.Date, "ts_code": pl.String})], 0
        for due in (each for each in _stored(scope, roster) if each.height):
            boards.append(_by_board(scope, roster, due))
            known = due.filter(pl.col("trade_date").is_in([day for day in _days(due) if roster.knows_halts([day])]))
            judged += known.height
            missing.append(known.filter("missing").select("trade_date", "ts_code"))
        scope.found[_COUNTED] = _Counted(pl.concat(boards) if boards else pl.DataFrame(), judged, pl.concat(missing))
    counted: _Counted = scope.found[_COUNTED]
    return counted


def _by_board(scope: Scope, roster: Roster, due: pl.DataFrame) -> pl.DataFrame:
    tolerated = {day: _tolerated(scope, roster, day) for day in _days(due)}
    return (
        due.group_by("trade_date", board_of(pl.col("ts_code")).fill_null(_OTHER).alias("board"))
        .agg(
            due=pl.len(),
            missing=pl.col("missing").sum(),
            first=pl.col("ts_code").filter("missing").sort().head(_NAMED),
        )
        .with_columns(tolerated=pl.col("trade_date").replace_strict(tolerated, return_dtype=pl.Float64))
    )


def _days(due: pl.DataFrame) -> list[dt.date]:
    return due["trade_date"].unique().to_list()


def _tolerated(scope: Scope, roster: Roster, day: dt.date) -> float:
    match scope.dataset.coverage:
        case Coverage.EVERY:
            return 0.0
        case Coverage.MARKET:
            return MISSING_TOLERATED if roster.knows_halts([day]) else MISSING_TOLERATED_HALTS_UNKNOWN
    return MISSING_TOLERATED_THIN


ROW_COUNT = Check(
    "row_count",
    "行数完整",
    "The listed codes that were not suspended have their rows in each session (week, month), on every board.",
    _row_count,
)
EVERY_ROW = Check("every_row", "逐行完整", "No row due is missing at all; each that is, is named.", _every_row, warns=True)
NOTHING_UNREPLACED = Check(
    "nothing_refused",
    "无被拒未补的数据",
    "No row was refused and not replaced, and no session contradicts what is known.",
    _nothing_unreplaced,
)
