"""同花顺's official data interface (HiThink Financial API): boards, members and hot lists, with a key of one's own.

Documented by the vendor: the base address, the header `X-api-key`, the paths and parameters below, the envelope
`{code, message, request_id, data}` (HTTP 200 for refusals too) and the codes of `refused`.
Not documented where we could read it, and so guesses: the names of the fields in `data`, all in `_FIELDS`, of which the
first that the records have is taken (a column of which they have none is null; without a code the answer is refused, with
the names that came); that the list stands in `data` itself or under the only key of it that holds a list; that `date` is
written 2026-11-20; that an answer is whole (no paging is documented).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, SecretStr

from quant_pipeline.language import marked, told
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.codes import to_tushare
from quant_pipeline.market.datasets import THS_CONCEPTS, THS_HOT, THS_INDUSTRIES, THS_MEMBERS
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.context import Context, SourceSettings
from quant_pipeline.sources.failures import FailureClass, SourceError, causes_of, in_words, unreached
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, RatePolicy, policy_for
from quant_pipeline.sources.refusals import Refusal, refused
from quant_pipeline.sources.units import Grain, Unit

DEFAULT_URL = "https://fuyao.aicubes.cn"
_BOARDS = "/api/a-share-index/catalog/ths-index-list"
_MEMBERS = "/api/a-share-index/constituents/ths-stock-list"
_HOT = "/api/a-share/special-data/hot-stock-list"
_HOT_HISTORY = "/api/a-share/special-data/hot-stock-list-history"
_WHOLE = 100_000
"""Rows of a full page: none is documented, so that no answer is taken for one."""
_HOT_LIST = "热股"
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "ts_code": ("thscode", "ts_code", "ths_code", "code"),
    "con_code": ("thscode", "con_code", "ts_code", "stock_code", "code"),
    "name": ("name", "ths_name", "thsname", "index_name", "security_name"),
    "con_name": ("name", "con_name", "stock_name", "security_name"),
    "ts_name": ("name", "ths_name", "stock_name", "security_name"),
    "count": ("count", "stock_count", "constituent_count", "num"),
    "list_date": ("list_date", "listing_date", "publish_date", "base_date"),
    "rank": ("rank", "order", "hot_rank", "ranking"),
    "rank_time": ("rank_time", "update_time", "time"),
    "pct_change": ("pct_change", "rise_and_fall", "change_ratio", "pct_chg", "change_percent"),
    "current_price": ("current_price", "latest_price", "price", "close"),
    "hot": ("hot", "heat", "rate", "hot_value", "popularity"),
    "concept": ("concept", "concept_tag", "concepts", "tag", "tags"),
    "rank_reason": ("rank_reason", "reason", "analyse", "analyse_title", "popularity_tag"),
}
"""Column -> the names under which the interface may send it, the likeliest first."""

CODES = (
    Refusal(r"^100[1-4]\b", FailureClass.PERMANENT_API),
    Refusal(r"^200[13]\b", FailureClass.PERMANENT_SOURCE),
    Refusal(r"^300[124]\b", FailureClass.EMPTY),
    Refusal(r"^4001\b", FailureClass.RATE_LIMITED, wait=60.0),  # whose minute it counts by is not documented
    Refusal(r"^500\d\b", FailureClass.RETRYABLE),
)
"""What the interface's own codes mean."""


class ThsSettings(SourceSettings):
    """The key, and a server of one's own."""

    address = "THS_API_URL"
    key: SecretStr | None = Field(None, alias="THS_API_KEY")
    url: str | None = Field(None, alias="THS_API_URL")


class ThsSource(Source):
    """The official interface under `url` (None: the vendor's own address)."""

    name = "ths"
    default_priority = 4
    default_policies: ClassVar = {"*": RatePolicy(per_minute=60, per_second=2, burst=4, concurrency=2)}
    settings = ThsSettings

    def __init__(
        self, key: str, url: str | None, calendar: Calendar, limiter: Limiter, policies: Policies, *, patience: float = 120.0
    ) -> None:
        super().__init__(calendar, limiter, policies, patience=patience)
        self._key = key
        self._url = _base(url)

    @classmethod
    def build(cls, settings: ThsSettings, context: Context) -> ThsSource | None:
        """None without a key: it is optional."""
        if settings.key is None:
            return None
        given = (context.calendar, context.limiter, context.policies)
        return cls(settings.key.get_secret_value(), settings.url, *given, patience=context.patience)

    def move(self, settings: ThsSettings) -> None:
        self._url = _base(settings.url)

    def secrets(self) -> tuple[str, ...]:
        return (self._key,)

    @serves(
        THS_CONCEPTS,
        by=(Grain.SNAPSHOT,),
        api="ths-index-list",
        page=_WHOLE,
        asks=2,
        only=lambda: pl.col("type").is_in(["N", "R"]),
    )
    def ths_concepts(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        boards = [self._boards(tag, kind, tally) for tag, kind in (("cn_concept", "N"), ("region", "R"))]
        return pl.concat(boards, how="diagonal_relaxed")

    @serves(THS_INDUSTRIES, by=(Grain.SNAPSHOT,), api="ths-index-list", page=_WHOLE)
    def ths_industries(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self._boards("industry", "I", tally)

    @serves(THS_MEMBERS, by=(Grain.MEMBERS,), api="ths-stock-list", page=_WHOLE)
    def ths_members(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        rows = self._query("ths-stock-list", _MEMBERS, ("con_code", "con_name"), tally, thscode=unit.ts_code or "")
        return rows.with_columns(_stock("con_code"), pl.lit(unit.ts_code).alias("ts_code"))

    @serves(THS_HOT, by=(Grain.SESSION,), api="hot-stock-list", page=_WHOLE)
    def ths_hot(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """The list of this hour for today's session, the day's for one before. Where the answer has no time, it is this hour
        or the day's end; where it has no rank, the order is the rank."""
        columns = ("ts_code", "ts_name", "rank", "rank_time", "pct_change", "current_price", "hot", "concept", "rank_reason")
        if unit.start == clock.today():
            made = clock.now().replace(minute=0, second=0)
            rows = self._query("hot-stock-list", _HOT, columns, tally, period="hour")
        else:
            made = dt.datetime.combine(unit.start, dt.time(23, 59, 59))
            rows = self._query("hot-stock-list", _HOT_HISTORY, columns, tally, date=unit.start.isoformat())
        return rows.with_columns(
            pl.lit(unit.start).alias("trade_date"),
            pl.lit(_HOT_LIST).alias("data_type"),
            pl.col("rank_time").cast(pl.String).fill_null(made.strftime("%Y-%m-%d %H:%M:%S")),
            pl.coalesce("rank", pl.int_range(1, pl.len() + 1)),
            _stock("ts_code"),
        )

    def _boards(self, tag: str, kind: str, tally: Tally) -> pl.DataFrame:
        rows = self._query("ths-index-list", _BOARDS, ("ts_code", "name", "count", "list_date"), tally, tag=tag)
        code = pl.col("ts_code").str.replace(r"^(\d{6})$", "$1.TI")
        return rows.with_columns(code, pl.lit("A").alias("exchange"), pl.lit(kind).alias("type"))

    def _query(self, api: str, path: str, columns: tuple[str, ...], tally: Tally, **params: str) -> pl.DataFrame:
        """The answer under our names of `columns`, of which the first is the code."""
        return self.call(api, lambda: named(api, self._ask(api, path, params), columns), tally)

    def _ask(self, api: str, path: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        """The records of one answer; SourceError for a refusal."""
        from quant_pipeline.sources import bounded_http

        policy = policy_for(self._policies, self.name, api)
        headers = {"X-api-key": self._key}
        answer = bounded_http.request("GET", self._url + path, params=params, headers=headers, timeout=policy.timeout)
        if answer.status_code != HTTPStatus.OK:
            raise SourceError(FailureClass.RETRYABLE, self.name, api, f"HTTP {answer.status_code}")
        body = answer.json()
        code = int(body["code"])
        if code:
            text = f"{code} {self.without_secrets(str(body.get('message') or ''))}".strip()
            raise refused(CODES, self.name, api, text)
        return records(body["data"])

    def classify(self, api: str, error: Exception) -> SourceError:
        import requests

        from quant_pipeline.sources import bounded_http

        if isinstance(error, requests.RequestException):
            failure = FailureClass.UNREACHABLE if unreached(causes_of(error)) else FailureClass.RETRYABLE
            return SourceError(failure, self.name, api, bounded_http.fault_in_words(error))
        words = told("the answer has not the interface's form: {error}", error=self.without_secrets(in_words(error)))
        return SourceError(FailureClass.RETRYABLE, self.name, api, words)


def records(data: Any) -> list[dict[str, Any]]:
    """The list of records in `data`: itself, or what stands under the one key that holds a list."""
    if isinstance(data, Mapping):
        lists = [value for value in data.values() if isinstance(value, list)]
        if len(lists) != 1:
            raise ValueError(marked("no list of records"))
        data = lists[0]
    if not isinstance(data, list) or not all(isinstance(record, Mapping) for record in data):
        raise TypeError(marked("no list of records"))
    return data


def named(api: str, records: list[dict[str, Any]], columns: tuple[str, ...]) -> pl.DataFrame:
    """The records under our names, values as they came; SourceError when there are none, or none of them has a code.

    The first of `columns` is the code.
    """
    if not records:
        raise SourceError(FailureClass.EMPTY, ThsSource.name, api, marked("the list came empty"))
    sent = dict.fromkeys(name for record in records for name in record)
    chosen = {column: next((name for name in _FIELDS[column] if name in sent), None) for column in columns}
    if chosen[columns[0]] is None:
        text = told("no field of the answer is known as {column}: it has {sent}", column=columns[0], sent=", ".join(sent))
        raise SourceError(FailureClass.PERMANENT_API, ThsSource.name, api, text)
    values = {column: [_plain(record.get(name or "")) for record in records] for column, name in chosen.items()}
    return pl.DataFrame(values, schema_overrides={columns[0]: pl.String}, strict=False)


def _stock(column: str) -> pl.Expr:
    """The column of codes as Tushare's; one that is no code stays as it came, for the validation to show."""
    return pl.coalesce(to_tushare(pl.col(column)), column)


def _plain(value: Any) -> Any:
    """A cell's value: a list as one text, an object as nothing."""
    if isinstance(value, Mapping):
        return None
    return ";".join(map(str, value)) if isinstance(value, list) else value


def _base(url: str | None) -> str:
    return (url or DEFAULT_URL).rstrip("/")
