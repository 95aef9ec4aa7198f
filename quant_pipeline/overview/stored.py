"""What a day is made of, as it is stored: a query each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from psycopg import sql

from quant_pipeline.market.codes import Board, board_of
from quant_pipeline.market.datasets import DAILY_KLINE, DATASETS, PRICE_LIMITS, SOURCED
from quant_pipeline.sync.ledger import DONE
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

_NAMES = """
SELECT listing.ts_code, coalesce(named.name, listing.name, '') AS name, listing.list_date
FROM stock_list AS listing LEFT JOIN LATERAL (
    SELECT name FROM name_history AS each
    WHERE each.ts_code = listing.ts_code AND each.start_date <= %(session)s ORDER BY start_date DESC LIMIT 1
) AS named ON true
"""
_NEIGHBOURS = """
SELECT (SELECT max(trade_date) FROM daily_kline WHERE trade_date < %(session)s) AS before,
       (SELECT min(trade_date) FROM daily_kline WHERE trade_date > %(session)s) AS after
"""
_TURNOVER = """
SELECT trade_date, sum(amount) AS amount, count(*) AS codes, count(amount) AS priced
FROM daily_kline WHERE trade_date = ANY(%(sessions)s) AND left(ts_code, 3) NOT IN ('900', '200')
GROUP BY trade_date
"""
_INDEXES = """
SELECT bar.ts_code, coalesce(index_list.name, bar.ts_code) AS name, bar.close, bar.pct_chg, bar.amount
FROM index_daily AS bar LEFT JOIN index_list USING (ts_code) WHERE bar.trade_date = %(session)s
"""
_MEMBERS = """
SELECT board.ts_code, board.name, board.type AS kind, member.con_code FROM ths_members AS member
JOIN (
    SELECT ts_code, name, type FROM ths_concepts UNION SELECT ts_code, name, type FROM ths_industries
) AS board USING (ts_code)
WHERE board.type IN ('N', 'I')
"""
_HOT = """
SELECT data_type, rank_time, ts_code, ts_name, rank, concept FROM ths_hot AS hot
WHERE trade_date = %(session)s AND (data_type, rank_time) = (
    SELECT data_type, rank_time FROM ths_hot WHERE trade_date = %(session)s
    ORDER BY data_type = '热股' DESC, rank_time DESC, data_type LIMIT 1
) ORDER BY rank
"""
_HALTS = "SELECT ts_code, suspend_type, suspend_timing FROM suspensions WHERE trade_date = %(session)s ORDER BY ts_code"
_FACTORS = """
SELECT today.ts_code, today.adj_factor, former.adj_factor AS former_factor, bar.pre_close, before.close AS former_close
FROM adj_factor AS today
JOIN LATERAL (
    SELECT adj_factor FROM adj_factor AS each
    WHERE each.ts_code = today.ts_code AND each.trade_date < today.trade_date ORDER BY each.trade_date DESC LIMIT 1
) AS former ON former.adj_factor <> today.adj_factor
LEFT JOIN daily_kline AS bar ON bar.ts_code = today.ts_code AND bar.trade_date = today.trade_date
LEFT JOIN LATERAL (
    SELECT close FROM daily_kline AS each
    WHERE each.ts_code = today.ts_code AND each.trade_date < today.trade_date ORDER BY each.trade_date DESC LIMIT 1
) AS before ON true
WHERE today.trade_date = %(session)s
"""
_HITS = """
SELECT screen, trade_date, ts_code, coalesce(name, '') AS name, close, pct_chg, score FROM screen_results
WHERE trade_date = ANY(%(sessions)s) ORDER BY screen, score DESC NULLS LAST, ts_code
"""
# Before screenings were kept, a session's hits were all that told of its screen.
_SCREENED = """
SELECT screen, trade_date FROM screenings WHERE trade_date = ANY(%(sessions)s)
UNION SELECT screen, trade_date FROM screen_results WHERE trade_date = ANY(%(sessions)s)
"""
_SYNCED = f"SELECT DISTINCT dataset FROM sync_items WHERE trade_date = %(session)s AND ts_code IS NULL AND {DONE}"
_FILLED = "SELECT {name} AS dataset, source, count(*) AS rows FROM {table} WHERE trade_date = {session} GROUP BY source"
_PRICES = ("ts_code", "trade_date", "high", "close", "pre_close", "pct_chg", "amount")


@dataclass(frozen=True)
class Stored:
    """Reads for one session."""

    database: Database
    session: dt.date

    def bars(self) -> pl.DataFrame:
        """The session's bars of A-shares: ts_code, trade_date, high, close, pre_close, pct_chg, amount."""
        return _a_shares(read(self.database, DAILY_KLINE, start=self.session, end=self.session, columns=_PRICES))

    def history(self, codes: Sequence[str], start: dt.date) -> pl.DataFrame:
        """The same of these codes since `start`."""
        return read(self.database, DAILY_KLINE, start=start, end=self.session, codes=codes, columns=_PRICES)

    def limits(self, start: dt.date | None = None, codes: Sequence[str] | None = None) -> pl.DataFrame:
        """price_limits of the session, or of these codes since `start`."""
        return read(self.database, PRICE_LIMITS, start=start or self.session, end=self.session, codes=codes)

    def names(self) -> pl.DataFrame:
        """ts_code, name (as it was on the day), list_date of every listed share."""
        return self._of(_NAMES)

    def name_history(self, codes: Sequence[str]) -> pl.DataFrame:
        return read(self.database, DATASETS["name_history"], codes=codes)

    def neighbours(self) -> tuple[dt.date | None, dt.date | None]:
        """The sessions before and after it of which bars are stored."""
        before, after = self._of(_NEIGHBOURS).row(0)
        return before, after

    def turnover(self, sessions: Sequence[dt.date]) -> pl.DataFrame:
        """trade_date, amount [千元], codes, priced of each session that is stored."""
        return read_sql(self.database, _TURNOVER, {"sessions": list(sessions)})

    def indexes(self) -> pl.DataFrame:
        return self._of(_INDEXES)

    def members(self) -> pl.DataFrame:
        """ts_code, name, kind of the board, con_code: concepts and industries."""
        return read_sql(self.database, _MEMBERS)

    def hot(self) -> pl.DataFrame:
        """The last list of the day, THS's where it is there."""
        return self._of(_HOT)

    def halts(self) -> pl.DataFrame:
        return self._of(_HALTS)

    def factors(self) -> pl.DataFrame:
        """Those of the session that differ from the code's last one before."""
        return self._of(_FACTORS)

    def hits(self, sessions: Sequence[dt.date]) -> pl.DataFrame:
        return read_sql(self.database, _HITS, {"sessions": list(sessions)})

    def screened(self, sessions: Sequence[dt.date]) -> frozenset[tuple[str, dt.date]]:
        """Which screens ran for which of the sessions, with hits or without."""
        return frozenset(read_sql(self.database, _SCREENED, {"sessions": list(sessions)}).iter_rows())

    def synced(self) -> frozenset[str]:
        """The data sets that were synced whole for the session."""
        return frozenset(self._of(_SYNCED)["dataset"])

    def filled(self) -> pl.DataFrame:
        """dataset, source, rows of every data set by session."""
        dated = [dataset.name for dataset in SOURCED.values() if dataset.dated and not dataset.periodic]
        queries = [
            sql.SQL(_FILLED).format(name=sql.Literal(name), table=sql.Identifier(name), session=sql.Literal(self.session))
            for name in dated
        ]
        return read_sql(self.database, sql.SQL(" UNION ALL ").join(queries).as_string())

    def _of(self, query: str) -> pl.DataFrame:
        return read_sql(self.database, query, {"session": self.session})


def latest_stored(database: Database, until: dt.date) -> dt.date | None:
    """The latest session up to `until` of which bars are stored."""
    query = "SELECT max(trade_date) AS day FROM daily_kline WHERE trade_date <= %(until)s"
    day = read_sql(database, query, {"until": until}).item()
    return day if isinstance(day, dt.date) else None


def _a_shares(bars: pl.DataFrame) -> pl.DataFrame:
    """Without B shares: their turnover is in dollars."""
    return bars.filter(board_of(pl.col("ts_code")).ne_missing(Board.B_SHARE.value))
