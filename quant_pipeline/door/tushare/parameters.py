"""What a call asks for: its body read, and each parameter understood or refused. Nothing that was asked for is passed over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from quant_pipeline.door.tushare.errors import WRONG_REQUEST, Refusal, wrong_parameter
from quant_pipeline.door.tushare.names import Api, api_named
from quant_pipeline.market.columns import ColumnType
from quant_pipeline.warehouse.reads import Days

_OF_THE_CLIENT = "ts_type_name"
"""The client's own: the address that it asks at."""
_RANGE = ("start_date", "end_date")
_CHOICES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "stock_basic": {"list_status": frozenset("LDP"), "exchange": frozenset({"SSE", "SZSE", "BSE"})}
}
"""API -> parameter -> the values that it can have: of any other one no row would come, and nobody would know why."""
Value = str | int | dt.date


@dataclass(frozen=True)
class Call:
    """A call as it came. `fields` empty: the default columns. What was null or "" is not among `params`."""

    api: str
    token: str
    params: Mapping[str, str]
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """What is to be read: rows whose columns have one of the values in `among` (in Tushare's terms), of days `between`.

    `columns`: of the answer, in the order asked for · `limit` None: all.
    """

    api: Api
    columns: tuple[str, ...]
    among: Mapping[str, tuple[Value, ...]]
    between: Mapping[str, Days]
    limit: int | None
    offset: int

    @property
    def codes(self) -> tuple[str, ...] | None:
        """The codes asked for; None: all."""
        codes = self.among.get("ts_code")
        return None if codes is None else tuple(map(str, codes))

    @property
    def span(self) -> Days:
        """The sessions asked for."""
        day = self.among.get("trade_date", (None,))[0]
        if isinstance(day, dt.date):
            return day, day
        return self.between.get(self.api.days or "", (None, None))


def call_of(body: bytes, api: str) -> Call:
    """The call in a request's body. The API's name stands in it, or else in the path (`api`). Refusal where it is no call."""
    try:
        written = orjson.loads(body)
        params = written.get("params") or {}
        given = {str(name): _text(value) for name, value in params.items()}
        fields = written.get("fields") or ""
        names = fields.split(",") if isinstance(fields, str) else [str(name) for name in fields]
        name, token = written.get("api_name") or api, written.get("token") or ""
    except (orjson.JSONDecodeError, AttributeError, TypeError, RecursionError):
        raise Refusal(
            WRONG_REQUEST, "参数校验失败，请求不是JSON格式。The body is not the JSON that Tushare's client sends."
        ) from None
    return Call(
        str(name).strip(),
        str(token),
        {name: value for name, value in given.items() if value and name != _OF_THE_CLIENT},
        tuple(dict.fromkeys(name.strip() for name in names if name.strip())),
    )


def question_of(call: Call) -> Question:
    """What the call is to be answered with. Refusal for an API, a field or a parameter that is not known."""
    api = api_named(call.api)
    params = {**api.unless_given, **call.params}
    if api.needed and not any(name in params for name in api.needed):
        needed = ",".join(api.needed)
        raise wrong_parameter(f"{needed}必填" if len(api.needed) == 1 else f"{needed}至少输入一个参数")
    limit, offset = (_number(params.pop(name, "0"), name) for name in ("limit", "offset"))
    between = _between(api, params)
    if unreadable := [name for name, value in params.items() if "\0" in value]:
        raise wrong_parameter(f"{unreadable[0][:64]} 含有 NUL 字符。No text holds such a character.")
    among = {name: _values(api, name, value) for name, value in params.items()}
    return Question(api, _columns(api, call.fields), among, between, limit or None, offset)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _columns(api: Api, fields: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [name for name in fields if name not in api.columns and name not in api.more]:
        known = ",".join((*api.columns, *api.more))
        raise wrong_parameter(f"fields 中没有这些字段：{','.join(unknown)[:200]}。{api.name} 的字段 has: {known}")
    return fields or api.columns


def _between(api: Api, params: dict[str, str]) -> dict[str, Days]:
    """The range of start_date and end_date, which are taken out of the parameters."""
    if api.days is None or not any(name in params for name in _RANGE):
        return {}
    first, last = (_day(params.pop(name), name) if name in params else None for name in _RANGE)
    return {api.days: (first, last)}


def _values(api: Api, name: str, text: str) -> tuple[Value, ...]:
    """The values of a parameter that says what a column is to hold."""
    if name in api.unless_given and name not in api.dataset.column_names:
        return (text,)
    if name not in (*api.columns, *api.more) or name == "source":
        known = ",".join(dict.fromkeys((*api.needed, *api.unless_given, *api.columns, *(_RANGE if api.days else ()))))
        raise wrong_parameter(
            f"{api.name} 没有参数 {name[:64]}，不能按它筛选。No such parameter; it takes: {known},limit,offset"
        )
    match api.dataset.column(api.column(name)).type:
        case ColumnType.DATE:
            return (_day(text, name),)
        case ColumnType.INT:
            return (_number(text, name),)
        case ColumnType.FLOAT:
            raise wrong_parameter(f"{api.name} 不能按数值字段 {name} 筛选。Rows cannot be chosen by a number.")
    values = tuple(dict.fromkeys(part for each in text.split(",") if (part := each.strip())))
    if not values:
        raise wrong_parameter(f"{name}={text[:64]} 没有值。It names nothing.")
    if name == "ts_code" and (bare := [value for value in values if "." not in value]):
        raise wrong_parameter(f"ts_code={bare[0][:64]} 缺少交易所后缀，如 600000.SH。The suffix of the exchange lacks.")
    choices = _CHOICES.get(api.name, {}).get(name)
    if choices is not None and (wrong := [value for value in values if value not in choices]):
        known = ",".join(sorted(choices))
        raise wrong_parameter(f"{name}={wrong[0][:64]} 不在可选值 {known} 之中。It is none of the values that there are.")
    return values


def _day(text: str, name: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)  # 20261120, and 2026-11-20
    except ValueError:
        raise wrong_parameter(f"{name}={text[:64]} 不是YYYYMMDD格式的日期") from None


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise wrong_parameter(f"{name}须为整数")
    return int(text)
