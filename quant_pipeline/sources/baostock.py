"""BaoStock over its own client: https://www.baostock.com. No BSE; a day's data are ready at 17:30.

Its codes (sh.600000), units (股, 元) and suspended-day rows are turned into the platform's here.
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import ClassVar

import polars as pl
from pydantic import Field, SecretStr

from quant_pipeline.market import clock, codes
from quant_pipeline.market.calendar import FIRST_SESSION, Calendar
from quant_pipeline.market.codes import Board
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    DIVIDENDS,
    INDEX_DAILY,
    INDEX_LIST,
    INDEX_WEIGHTS,
    MONTHLY_KLINE,
    SPECIAL_TREATMENT,
    STOCK_LIST,
    SUSPENSIONS,
    TRADE_CALENDAR,
    WEEKLY_KLINE,
)
from quant_pipeline.sources.baostock_client import Account, Refused
from quant_pipeline.sources.baostock_dividends import DIVIDEND_CALLS, gone_ex, received
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.context import Context, SourceSettings
from quant_pipeline.sources.failures import FailureClass, SourceError, in_words, unreached
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.paging import MOST
from quant_pipeline.sources.policy import Policies, RatePolicy, policy_for
from quant_pipeline.sources.refusals import Refusal, Window, refused
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sources.worker import ClientFailed, ClientProcess

READY = dt.time(17, 30)
"""When a session's rows are there."""
_WHOLE_MARKET = "query_daily_history_k_AStock"
_HISTORY = "query_history_k_data_plus"
_DAILY = (Grain.SESSION, Grain.CODE)
_DAILY_FIELDS = "date,code,open,high,low,close,preclose,volume,amount,tradestatus,pctChg"
_BASIC_FIELDS = "date,code,close,turn,tradestatus,peTTM,pbMRQ,psTTM"
_PERIOD_FIELDS = "date,code,open,high,low,close,volume,amount,pctChg"
_MEMBERS = {"000016.SH": "query_sz50_stocks", "000300.SH": "query_hs300_stocks", "000905.SH": "query_zz500_stocks"}
_PAGE = 2000
_MARKETS = {
    Board.SSE_MAIN.value: ("主板", "SSE"),
    Board.SZSE_MAIN.value: ("主板", "SZSE"),
    Board.STAR.value: ("科创板", "SSE"),
    Board.CHINEXT.value: ("创业板", "SZSE"),
}
"""The boards of the A-shares that BaoStock has: their `market` and `exchange` in the stock list."""
_UNKNOWN_BOARD = Board.UNKNOWN.value
"""A prefix that nobody knows yet: taken, if the code is of Shanghai or Shenzhen."""


def _its_own() -> pl.Expr:
    return codes.board_of(pl.col("ts_code")).is_in([*_MARKETS, _UNKNOWN_BOARD]) & ~pl.col("ts_code").str.ends_with(".BJ")


def _core_index() -> pl.Expr:
    return pl.col("ts_code").is_in([code for code in INDEX_DAILY.codes if not code.endswith(".BJ")])


def _suspended() -> pl.Expr:
    return pl.col("tradestatus") == "0"


CODES = (
    Refusal(r"^10001011", FailureClass.RATE_LIMITED, Window.DAY, whole=True),  # 黑名单用户: parallel calls, or a shared address
    Refusal(r"^10001005", FailureClass.RATE_LIMITED, wait=300.0, whole=True),  # 账号登陆数达到上限
    Refusal(r"^100010(02|03|04|06|07|08|09|12)", FailureClass.PERMANENT_SOURCE),  # account, client's version, key
    Refusal(r"^100010(01|10)", FailureClass.RETRYABLE),  # 未登陆, after a second login; 登出失败
    Refusal(r"^1000200[1-8]", FailureClass.RETRYABLE),  # the net
    Refusal(r"^1000400[12]", FailureClass.RETRYABLE),  # 解析, 解压: an answer cut short
    Refusal(r"^100040(11|13|14|15)", FailureClass.EMPTY),  # the code or the days are not to be had: no fault of the API
    Refusal(r"^100040(0[3-9]|10|12|1[6-9]|20)", FailureClass.PERMANENT_API),  # parameters
    Refusal(r"^10005001", FailureClass.RETRYABLE),  # 系统级别错误
)
"""What the service's error codes mean: those of its client's list. The black list and the login limit are the account's."""


class BaostockSettings(SourceSettings):
    """The server and the account: by default the public ones."""

    address = "BAOSTOCK_HOST"
    host: str | None = Field(None, alias="BAOSTOCK_HOST")
    port: int | None = Field(None, alias="BAOSTOCK_PORT", gt=0)
    user: str = Field("anonymous", alias="BAOSTOCK_USER")
    password: SecretStr = Field(SecretStr("123456"), alias="BAOSTOCK_PASSWORD")


class BaostockSource(Source):
    """BaoStock, or any server that speaks its protocol, at `host` and `port` (None: the client's own).

    Its client runs in a process of its own, one call at a time whichever API it is: parallel calls mix up the answers.
    """

    name = "baostock"
    default_priority = 2
    # One call at a time for the whole account, whatever the API: parallel calls mix up answers and end on its black list.
    default_policies: ClassVar = {
        "*": RatePolicy(
            per_minute=None,
            per_second=5,
            burst=5,
            concurrency=1,
            one_account=True,
            retries=2,
            timeout=60,
            trip=3,
            cool_down=300,
        )
    }
    settings = BaostockSettings

    def __init__(
        self,
        host: str | None,
        port: int | None,
        user: str,
        password: str,
        calendar: Calendar,
        limiter: Limiter,
        policies: Policies,
        *,
        patience: float = 120.0,
    ) -> None:
        super().__init__(calendar, limiter, policies, patience=patience)
        self._account = Account(host, port, user, password)
        self._client = ClientProcess("quant_pipeline.sources.baostock_client")
        self._listed: dict[dt.date, pl.DataFrame] = {}
        self._listing = threading.Lock()

    @classmethod
    def build(cls, settings: BaostockSettings, context: Context) -> BaostockSource:
        account = _account(settings)
        given = (context.calendar, context.limiter, context.policies)
        return cls(account.host, account.port, account.user, account.password, *given, patience=context.patience)

    def move(self, settings: BaostockSettings) -> None:
        self._account = _account(settings)  # after a failure the client logs in again

    def secrets(self) -> tuple[str, ...]:
        return (self._account.password,)

    def reaches(self, dataset: Dataset, unit: Unit) -> bool:
        ready = unit.grain is Grain.SNAPSHOT or unit.end <= self._calendar.latest(ready=READY)
        return ready and super().reaches(dataset, unit)

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        return ts_code.endswith(".BJ") or (
            dataset is not INDEX_DAILY and codes.board(ts_code).value not in {*_MARKETS, _UNKNOWN_BOARD}
        )

    def close(self) -> None:
        self._client.close()

    # --- what it serves ----------------------------------------------------------------------------------------------

    @serves(TRADE_CALENDAR, by=(Grain.SNAPSHOT,), api="query_trade_dates", page=_PAGE)
    def trade_calendar(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        end = dt.date(unit.end.year + 1, 12, 31)
        days = self._query("query_trade_dates", tally, start_date=str(FIRST_SESSION), end_date=str(end))
        days = days.sort("calendar_date").select(cal_date="calendar_date", is_open="is_trading_day")
        session = pl.when(pl.col("is_open") == "1").then("cal_date")
        return days.select(
            pl.lit("SSE").alias("exchange"), "cal_date", "is_open", pretrade_date=session.shift(1).forward_fill()
        )

    @serves(STOCK_LIST, by=(Grain.SNAPSHOT,), api="query_stock_basic", page=_PAGE, only=_its_own)
    def stock_list(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        stocks = self._query("query_stock_basic", tally).filter(pl.col("type") == "1")
        board = codes.board_of(pl.col("ts_code"))
        return _a_shares(stocks).select(
            "ts_code",
            symbol=pl.col("ts_code").str.head(6),
            name="code_name",
            area=pl.lit(None, pl.String),
            industry=pl.lit(None, pl.String),
            market=board.replace_strict({name: market for name, (market, _) in _MARKETS.items()}, default=None),
            exchange=board.replace_strict({name: exchange for name, (_, exchange) in _MARKETS.items()}, default=None),
            list_status=pl.col("status").replace_strict({"1": "L", "0": "D"}, default=None),
            list_date="ipoDate",
            delist_date="outDate",
        )

    @serves(INDEX_LIST, by=(Grain.SNAPSHOT,), api="query_stock_basic", page=_PAGE, only=_core_index)
    def index_list(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Code, name and first day of Shanghai's and Shenzhen's indexes, the core ones among them."""
        del unit
        exchange, digits = pl.col("code").str.head(2).str.to_uppercase(), pl.col("code").str.tail(6)
        return (
            self._query("query_stock_basic", tally)
            .filter(pl.col("type") == "2")
            .select(
                ts_code=digits + "." + exchange,
                name="code_name",
                market=exchange.replace_strict({"SH": "SSE", "SZ": "SZSE"}, default=None),
                list_date="ipoDate",
                exp_date="outDate",
            )
        )

    @serves(DAILY_KLINE, by=_DAILY, api=_WHOLE_MARKET, page=_PAGE, session_calls=1)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        rows = self._days(unit, _DAILY_FIELDS, tally).filter(~_suspended())
        return _bars(rows, pre_close=_number("preclose"))

    @serves(DAILY_BASIC, by=(Grain.CODE,), api=_HISTORY, page=_PAGE)
    def daily_basic(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Turnover and the ratios that BaoStock has; the other columns are null. A ratio to a loss is null, as Tushare's is."""
        rows = self._days(unit, _BASIC_FIELDS, tally).filter(~_suspended())
        theirs = {"turnover_rate": "turn", "pe_ttm": "peTTM", "pb": "pbMRQ", "ps_ttm": "psTTM"}
        known = {"ts_code": pl.col("ts_code"), "trade_date": pl.col("date"), "close": _number("close")} | {
            name: _positive(column) for name, column in theirs.items()
        }
        return rows.select(known.get(name, pl.lit(None)).alias(name) for name in DAILY_BASIC.column_names)

    @serves(SUSPENSIONS, by=_DAILY, api=_WHOLE_MARKET, page=_PAGE, session_calls=1)
    def suspensions(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        halted = self._days(unit, "date,code,tradestatus", tally).filter(_suspended())
        no_time = pl.lit(None, pl.String).alias("suspend_timing")
        return halted.select("ts_code", no_time, trade_date="date", suspend_type=pl.lit("S"))

    @serves(SPECIAL_TREATMENT, by=_DAILY, api=_WHOLE_MARKET, page=_PAGE, session_calls=1)
    def special_treatment(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Suspended shares too: their limits are counted like any other's."""
        return self._days(unit, "date,code,isST", tally).select("ts_code", trade_date="date", is_st="isST")

    @serves(INDEX_DAILY, by=(Grain.CODE,), api=_HISTORY, page=_PAGE)
    def index_daily(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        digits, market = (unit.ts_code or "").split(".")
        rows = self._history(f"{market.lower()}.{digits}", unit, "d", _DAILY_FIELDS, unit.start, tally)
        return _bars(rows.with_columns(pl.lit(unit.ts_code).alias("ts_code")), pre_close=_number("preclose"))

    @serves(WEEKLY_KLINE, by=(Grain.CODE,), api=_HISTORY, page=_PAGE)
    def weekly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        monday = unit.start - dt.timedelta(days=unit.start.weekday())
        bars = self._periods(unit, "w", monday, tally)
        return _labelled(bars, {day: self._calendar.week_end(day) for day in bars["trade_date"].drop_nulls().unique()}, unit)

    @serves(MONTHLY_KLINE, by=(Grain.CODE,), api=_HISTORY, page=_PAGE)
    def monthly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        bars = self._periods(unit, "m", unit.start.replace(day=1), tally)
        return _labelled(bars, {day: self._calendar.month_end(day) for day in bars["trade_date"].drop_nulls().unique()}, unit)

    @serves(ADJ_FACTOR, by=(Grain.CODE,), api="query_adjust_factor", page=20_000)  # its steps fill no page
    def adj_factor(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """A row per session in which the code was listed, from one session before the unit on: its factor can be anchored
        there on what is stored."""
        code, until = codes.to_baostock(unit.ts_code or ""), str(unit.end)
        life = self._lives(tally).filter(pl.col("ts_code") == unit.ts_code)
        steps = self._query("query_adjust_factor", tally, code=code, start_date=str(FIRST_SESSION), end_date=until)
        steps = steps.select(_date("dividOperateDate").alias("trade_date"), _number("backAdjustFactor").alias("adj_factor"))
        days = self._calendar.between(self._calendar.shift(unit.start, -1), unit.end)
        sessions = pl.DataFrame({"trade_date": days}, schema={"trade_date": pl.Date}).join(life, how="cross")
        listed = (pl.col("trade_date") >= pl.col("ipoDate")) & (pl.col("trade_date") < pl.col("outDate")).fill_null(value=True)
        factors = sessions.filter(listed).join_asof(steps.sort("trade_date"), on="trade_date")
        return factors.select(pl.lit(unit.ts_code).alias("ts_code"), "trade_date", pl.col("adj_factor").fill_null(1.0))

    @serves(DIVIDENDS, by=_DAILY, api="query_dividend_data", page=_PAGE, session_calls=DIVIDEND_CALLS)
    def dividends(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Code by code and year by year: of a session only those whose pre_close is not the close of the one before."""
        if unit.grain is Grain.CODE:
            asked = [codes.to_baostock(unit.ts_code or "")]
        else:
            before = self._query(_WHOLE_MARKET, tally, date=str(self._calendar.shift(unit.start, -1)))
            asked = gone_ex(before, self._query(_WHOLE_MARKET, tally, date=str(unit.start)))
        years = range(unit.start.year, unit.end.year + 1)
        found = [
            self._query("query_dividend_data", tally, code=code, year=str(year), yearType="operate")
            for code in asked
            for year in years
        ]
        return received(found, unit.start, unit.end)

    @serves(INDEX_WEIGHTS, by=(Grain.SESSION,), api="query_hs300_stocks", page=_PAGE, asks=len(_MEMBERS), running=True)
    def index_weights(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """The members on that day, without their weights; there is no 中证1000."""
        parts = []
        for index, api in _MEMBERS.items():
            rows = self._query(api, tally, date=str(unit.start)).with_columns(trade_date=pl.lit(unit.start))
            parts.append(
                rows.select(
                    index_code=pl.lit(index),
                    con_code=codes.to_tushare(pl.col("code")),
                    trade_date="trade_date",
                    weight=pl.lit(None, pl.Float64),
                    as_of=pl.min_horizontal(_date("updateDate"), "trade_date"),
                )
            )
        return pl.concat(parts)

    def _lives(self, tally: Tally) -> pl.DataFrame:
        """From when to when each code was listed: asked for once a day, for BaoStock's factors do not say it."""
        with self._listing:
            today = clock.today()
            if today not in self._listed:
                rows = _a_shares(self._query("query_stock_basic", tally))
                self._listed = {today: rows.select("ts_code", _date("ipoDate"), _date("outDate"))}
            return self._listed[today]

    # --- how it is asked ---------------------------------------------------------------------------------------------

    def _days(self, unit: Unit, fields: str, tally: Tally) -> pl.DataFrame:
        """Daily rows of the unit, suspended ones too: a session of the whole market in one answer, or a code's history."""
        if unit.grain is Grain.SESSION:
            return _a_shares(self._query(_WHOLE_MARKET, tally, date=str(unit.start)))
        code = codes.to_baostock(unit.ts_code or "")
        return _a_shares(self._history(code, unit, "d", fields, unit.start, tally))

    def _periods(self, unit: Unit, frequency: str, start: dt.date, tally: Tally) -> pl.DataFrame:
        code = codes.to_baostock(unit.ts_code or "")
        rows = _a_shares(self._history(code, unit, frequency, _PERIOD_FIELDS, start, tally))
        # The service gives no close before: it follows from the change, to a 分. The change is then counted from it, so
        # that both agree where an ex-date left a price between two 分.
        before = (_number("close") / (1 + _number("pctChg") / 100)).round(2)
        change = (pl.col("close") / pl.col("pre_close") - 1) * 100
        return _bars(rows, pre_close=before).with_columns(_date("trade_date"), pct_chg=change)

    def _history(self, code: str, unit: Unit, frequency: str, fields: str, start: dt.date, tally: Tally) -> pl.DataFrame:
        asked = {"code": code, "fields": fields, "frequency": frequency, "adjustflag": "3"}
        return self._query(_HISTORY, tally, **asked, start_date=str(start), end_date=str(unit.end))

    def _query(self, api: str, tally: Tally, **parameters: str) -> pl.DataFrame:
        """A call's rows, all pages, every column text. Half of the call's time without a byte ends it from inside."""
        timeout = policy_for(self._policies, self.name, api).timeout

        def ask() -> pl.DataFrame:
            asked = (self._account, timeout / 2, MOST, api, parameters)
            fields, rows, requests = self._client.ask("query", *asked, timeout=timeout)
            tally.calls += requests - 1
            return pl.DataFrame(rows, schema=dict.fromkeys(fields, pl.String), orient="row")

        return self.call(api, ask, tally)

    def classify(self, api: str, error: Exception) -> SourceError:
        text = self.without_secrets(error.text if isinstance(error, ClientFailed) else in_words(error))
        if isinstance(error, ClientFailed) and error.kinds[0] == Refused.__name__:
            return refused(CODES, self.name, api, text)
        if isinstance(error, ClientFailed) and (words := unreached(error.causes)) is not None:
            return SourceError(FailureClass.UNREACHABLE, self.name, api, words)
        return SourceError(FailureClass.RETRYABLE, self.name, api, text)


def _account(settings: BaostockSettings) -> Account:
    return Account(settings.host, settings.port, settings.user, settings.password.get_secret_value())


def _a_shares(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of A-shares, with their ts_code."""
    rows = rows.with_columns(codes.to_tushare(pl.col("code")).alias("ts_code"))
    return rows.filter(_its_own())


def _bars(rows: pl.DataFrame, *, pre_close: pl.Expr) -> pl.DataFrame:
    """BaoStock's bars in the platform's names and units."""
    return rows.select(
        "ts_code",
        *(_number(price) for price in ("open", "high", "low", "close")),
        trade_date="date",
        pre_close=pre_close,
        change=(_number("close") - pre_close).round(4),
        pct_chg=_number("pctChg"),
        vol=_number("volume") / 100,
        amount=_number("amount") / 1000,
    )


def _labelled(bars: pl.DataFrame, ends: dict[dt.date, dt.date], unit: Unit) -> pl.DataFrame:
    """The bars under the last session of their period, as the platform's calendar has it; those of the unit."""
    label = pl.col("trade_date").replace_strict(ends, default=None, return_dtype=pl.Date)
    return bars.with_columns(label).filter(pl.col("trade_date").is_between(unit.start, unit.end))


def _number(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64, strict=False)


def _positive(name: str) -> pl.Expr:
    """The figure; null where it is nought or below, which is how BaoStock writes a loss and what it does not know."""
    figure = _number(name)
    return pl.when(figure > 0).then(figure)


def _date(name: str) -> pl.Expr:
    return pl.col(name).str.to_date("%Y-%m-%d", strict=False)
