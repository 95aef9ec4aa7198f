"""Live quotes by REST: what is known now, of one code or of several."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from quant_pipeline.door.errors import PageError
from quant_pipeline.door.feed.client import Refused, texts_in, without
from quant_pipeline.door.feed.feeds import Feeds
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.quotes.hub import MOST_CODES, TooManyReaders
from quant_pipeline.quotes.quote import Quote, Status

router = APIRouter(prefix="/api/realtime", tags=["realtime"], dependencies=[needs(Scope.READ)], responses=PROBLEMS)


class Live(BaseModel):
    """A quote. Prices in 元, volume in 股, amount in 元; what is not known is null."""

    ts_code: str
    name: str | None
    price: float | None
    pre_close: float | None
    change: float | None
    pct_chg: float | None = Field(description="In %, against pre_close.")
    open: float | None
    high: float | None
    low: float | None
    volume: int | None
    amount: float | None
    bids: list[tuple[float, int]] = Field(description="Price and shares, the best first.")
    asks: list[tuple[float, int]]
    exchange_time: dt.datetime | None = Field(description="When the exchange made it.")
    received_at: dt.datetime = Field(description="When the source last said so.")
    source: str
    status: Status
    age: float = Field(description="Seconds since received_at.")
    stale: bool = Field(description="It may have moved since, by 15 s of trading or more.")


class Several(BaseModel):
    quotes: list[Live]
    unknown: list[str] = Field(description="Codes that no list has.")
    without: dict[str, str] = Field(description="Codes that have no quote yet, and why.")


@router.get("")
async def several(
    request: Request,
    codes: Annotated[str, Query(max_length=20 * MOST_CODES, examples=["600000,000001.SZ"], description="With commas.")],
) -> Answer[Several]:
    """The quotes of up to 500 codes, in any usual spelling. What is lacking or stale while the exchange is open is asked for,
    and waited for some seconds. 404 where nothing of it is known."""
    feeds = _on(request)
    try:
        texts = texts_in(codes)
    except Refused as refused:
        raise PageError(400, "请求写法有误 The request cannot be read", why=str(refused)) from None
    if not texts:
        raise PageError(400, "没有给出代码 No code was given", to_do="/api/realtime?codes=600000,000001.SZ")
    meant = await asyncio.to_thread(feeds.codes.meant, texts)
    if not meant.codes:
        raise _unknown(meant.unknown)
    quotes = await _asked(feeds, meant.codes)
    if not quotes:
        raise _nothing(await without(feeds.hub, meant.codes, []))
    lacking = await without(feeds.hub, meant.codes, quotes)
    said = [f"没有这些代码 No such codes: {', '.join(meant.unknown)}"] if meant.unknown else []
    said += [f"{len(lacking)} 个代码尚无行情 codes have no quote yet"] if lacking else []
    data = Several(quotes=[_live(quote) for quote in quotes], unknown=list(meant.unknown), without=lacking)
    return Answer(message="; ".join(said), data=data)


@router.get("/{code}")
async def one(request: Request, code: str) -> Answer[Live]:
    """The quote of one code, in any usual spelling. What is lacking or stale while the exchange is open is asked for, and
    waited for some seconds."""
    feeds = _on(request)
    meant = await asyncio.to_thread(feeds.codes.meant, [code])
    if not meant.codes:
        raise _unknown(meant.unknown)
    quotes = await _asked(feeds, meant.codes)
    if not quotes:
        raise _nothing(await without(feeds.hub, meant.codes, []))
    return Answer(data=_live(quotes[0]))


def _on(request: Request) -> Feeds:
    feeds = cast(Feeds, request.app.state.feeds)
    if (off := feeds.off()) is not None:
        raise PageError(503, off.what, why=off.why, to_do=off.to_do)
    return feeds


async def _asked(feeds: Feeds, codes: tuple[str, ...]) -> list[Quote]:
    try:
        found = await feeds.hub.ask(codes)
    except TooManyReaders:
        raise PageError(429, "行情连接已满 Too many clients of quotes", to_do="请稍后再试 Try again later.") from None
    return [found[code] for code in codes if code in found]


def _live(quote: Quote) -> Live:
    return Live.model_validate(quote.as_message())


def _unknown(texts: tuple[str, ...]) -> PageError:
    return PageError(
        404,
        f"没有这些代码 No such codes: {', '.join(texts[:10])}",
        why="代码有误，或列表尚未同步。Mistyped, or the lists are not synced.",
        command="quant-pipeline sync --datasets stock_list,index_list,etf_list,convertible_bonds",
    )


def _nothing(lacking: dict[str, str]) -> PageError:
    why = "; ".join(f"{code}: {text}" for code, text in list(lacking.items())[:10])
    return PageError(
        404, "还没有行情 No quote yet", why=why, to_do="页面 /quotes 显示行情来源的状态 The page /quotes tells more."
    )
