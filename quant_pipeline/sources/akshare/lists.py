"""What AKShare has besides the stocks' own bars: lists of codes and boards, funds, convertible bonds, the hot rank.

Not here, on purpose: bars of convertible bonds (sina's have no turnover, so that nothing shows whether their volume is in 手).
"""

from __future__ import annotations

import logging
from abc import abstractmethod

import polars as pl

from quant_pipeline.language import told
from quant_pipeline.market import clock, codes
from quant_pipeline.market.datasets import (
    CONVERTIBLE_BONDS,
    ETF_DAILY,
    ETF_LIST,
    STOCK_LIST,
    THS_CONCEPTS,
    THS_HOT,
    THS_INDUSTRIES,
)
from quant_pipeline.sources.akshare.concept_pages import ConceptPages
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.units import Grain, Unit

_logger = logging.getLogger(__name__)

EXCHANGES, THS, EASTMONEY = "exchanges", "ths", "eastmoney"
"""The web sites that are asked: each has a pace and a circuit of its own."""
HOT_RANK = "东方财富人气榜"
_BOARD = ".TI"
_WHOLE = 100_000
"""More rows than any of the answers has: each comes in one call."""
_CONCEPTS = 400
"""About as many concepts as there are: each has a page, which is read once."""
_TELL = 50
"""After so many pages it is logged how far the reading is."""
_BOARDS = {
    codes.Board.SSE_MAIN.value: ("主板", "SSE"),
    codes.Board.STAR.value: ("科创板", "SSE"),
    codes.Board.SZSE_MAIN.value: ("主板", "SZSE"),
    codes.Board.CHINEXT.value: ("创业板", "SZSE"),
    codes.Board.BSE.value: ("北交所", "BSE"),
}
"""The boards of A-shares: Tushare's market and exchange."""
_MARKET = {board: market for board, (market, _) in _BOARDS.items()}
_EXCHANGE = {board: exchange for board, (_, exchange) in _BOARDS.items()}


class AkshareLists(Source):
    """The lists half of the AKShare source."""

    concept_pages: ConceptPages

    @abstractmethod
    def ask(self, site: str, function: str, *arguments: str, tally: Tally) -> pl.DataFrame:
        """The answer of a function in the client's process, at the pace of the web site that it asks."""

    @serves(STOCK_LIST, by=(Grain.SNAPSHOT,), api=EXCHANGES, page=_WHOLE, only=lambda: pl.col("list_status") == "L")
    def stock_list(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """The listed ones only: code, name, market and exchange."""
        del unit
        listed = self.ask(EXCHANGES, "stock_list", tally=tally).with_columns(ts_code=_security("code"))
        board = codes.board_of(pl.col("ts_code"))
        stocks = listed.select(
            "ts_code",
            "name",
            symbol="code",
            market=board.replace_strict(_MARKET, default=None),
            exchange=board.replace_strict(_EXCHANGE, default=None),
            list_status=pl.lit("L"),
        )
        # The client joins four lists, and takes an empty one for an answer.
        if missing := set(_BOARDS) - set(listed.select(board).to_series()):
            text = told("the list has not one stock of {markets}", markets=", ".join(sorted(missing)))
            raise SourceError(FailureClass.EMPTY, self.name, EXCHANGES, text)
        return stocks

    @serves(THS_CONCEPTS, by=(Grain.SNAPSHOT,), api=THS, page=_WHOLE, asks=_CONCEPTS, only=lambda: pl.col("type") == "N")
    def ths_concepts(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Concepts only, no regions: code and name. The list gives the numbers of pages; those not known yet are read, one
        call each, and what was read is kept whatever comes after. A page without a code is left out."""
        del unit
        listed = self.ask(THS, "ths_concepts", tally=tally)
        known = self.concept_pages.known()
        unread = [page for page in listed["code"] if page not in known]
        for count, page in enumerate(unread):
            if count % _TELL == 0:
                _logger.info("ths_concepts: %d of %d concepts' pages read from THS's site", count, len(unread))
            code = self.ask(THS, "ths_concept_code", page, tally=tally)["code"].item()
            if not code:
                _logger.warning("ths_concepts: THS's page %s names no concept's code, it is left out", page)
                continue
            known[page] = code + _BOARD
            self.concept_pages.keep(page, known[page])
        named = listed.filter(pl.col("code").is_in(list(known)))
        return _boards(pl.col("code").replace_strict(known, return_dtype=pl.String), "N", named)

    @serves(THS_INDUSTRIES, by=(Grain.SNAPSHOT,), api=THS, page=_WHOLE, only=lambda: pl.col("ts_code").str.starts_with("881"))
    def ths_industries(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """The industries of the second level: code and name."""
        del unit
        return _boards(pl.col("code") + _BOARD, "I", self.ask(THS, "ths_industries", tally=tally))

    @serves(ETF_LIST, by=(Grain.SNAPSHOT,), api=EASTMONEY, page=_WHOLE, only=lambda: pl.col("status") == "L")
    def etf_list(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """The listed ones only: code and name."""
        del unit
        funds = self.ask(EASTMONEY, "etf_list", tally=tally)
        return funds.select(ts_code=_security("代码"), name="名称", status=pl.lit("L"))

    @serves(ETF_DAILY, by=(Grain.CODE,), api=EASTMONEY, page=_WHOLE)
    def etf_daily(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        ts_code = unit.ts_code or ""
        asked = (codes.to_akshare(ts_code), unit.start.strftime("%Y%m%d"), unit.end.strftime("%Y%m%d"))
        bars = self.ask(EASTMONEY, "etf_daily", *asked, tally=tally)
        if not bars.columns:  # a code that eastmoney does not know, and a range without bars, look the same
            return pl.DataFrame(schema=dict.fromkeys(ETF_DAILY.column_names, pl.String()))
        return bars.select(
            ts_code=pl.lit(ts_code),
            trade_date="日期",
            open="开盘",
            high="最高",
            low="最低",
            close="收盘",
            # eastmoney's changes count from the raw close before, on ex-dates too: not from the ex-rights price
            **{name: pl.lit(None, pl.Float64) for name in ("pre_close", "change", "pct_chg")},
            vol="成交量",
            amount=pl.col("成交额") / 1000,
        ).select(ETF_DAILY.column_names)

    @serves(CONVERTIBLE_BONDS, by=(Grain.SNAPSHOT,), api=EASTMONEY, page=_WHOLE)
    def convertible_bonds(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Names, share, size at the issue, first session and conversion price."""
        del unit
        bonds = self.ask(EASTMONEY, "convertible_bonds", tally=tally).with_columns(stk_code=_security("正股代码"))
        market = pl.col("stk_code").str.tail(2)  # a bond is listed where its share is; old bonds' prefixes do not say
        return bonds.select(
            "stk_code",
            ts_code=pl.concat_str("债券代码", pl.lit("."), market),
            bond_short_name="债券简称",
            stk_short_name="正股简称",
            issue_size=(pl.col("发行规模") * 1e8).round(),
            list_date="上市时间",
            exchange=market,
            conv_price="转股价",
        )

    @serves(THS_HOT, by=(Grain.SESSION,), api=EASTMONEY, page=_WHOLE)
    def ths_hot(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Eastmoney's popularity list as it stands now: ranks and codes. It has no past, so only today's session."""
        now = clock.now()
        if unit.start != now.date():
            text = told("the hot rank is known for this moment only, not for {day}", day=unit.start)
            raise SourceError(FailureClass.EMPTY, self.name, EASTMONEY, text)
        ranks = self.ask(EASTMONEY, "hot_rank", tally=tally)
        known = {
            "trade_date": pl.lit(unit.start, dtype=pl.Date()),
            "data_type": pl.lit(HOT_RANK),
            "rank_time": pl.lit(now.strftime("%Y-%m-%d %H:%M:%S")),
            "ts_code": _security("代码"),
            "rank": pl.col("当前排名"),
        }
        return ranks.select(known.get(name, pl.lit(None)).alias(name) for name in THS_HOT.column_names)


def _boards(ts_code: pl.Expr, kind: str, listed: pl.DataFrame) -> pl.DataFrame:
    return listed.select(ts_code.alias("ts_code"), "name", exchange=pl.lit("A"), type=pl.lit(kind))


def _security(column: str) -> pl.Expr:
    """The column's codes as ts_codes; one of no known market stays as it is, for the validation to name and refuse."""
    return pl.coalesce(codes.to_tushare(pl.col(column)), pl.col(column))
