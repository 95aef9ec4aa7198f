"""The user's own lists of codes."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer, Tagged
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.language import speaking
from quant_pipeline.market import clock
from quant_pipeline.market.listings import meant
from quant_pipeline.market.search import Named
from quant_pipeline.market.watchlists import WatchlistError
from quant_pipeline.retelling import retold
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.listings import listings

router = APIRouter(
    prefix="/api/watchlist", tags=["watchlist"], route_class=Tagged, dependencies=[needs(Scope.READ)], responses=PROBLEMS
)
DEFAULT = "default"
"""The list that is meant where none is named: the stock scan had one alone."""
Name = Annotated[str, Query(min_length=1, max_length=40, description="Which list.")]
_ORIGIN = "api"


class Watched(BaseModel):
    watchlist: str
    ts_code: str
    name: str
    added_on: dt.date


class Added(BaseModel):
    stock_codes: list[str] = Field(min_length=1, max_length=1000, examples=[["600000", "000001.SZ"]])
    watchlist: str = Field(DEFAULT, min_length=1, max_length=40)


class Change(BaseModel):
    added: list[str] = []
    removed: list[str] = []
    unchanged: list[str] = []


class ToPush(BaseModel):
    stock_codes: list[str] = Field(min_length=1, max_length=1000, examples=[["600000", "000001.SZ"]])
    group_name: str = Field(min_length=1, max_length=40, examples=["观察"])
    account: str = Field("", max_length=40, description="Of your THS accounts; none: the only one.")


class Pushed(BaseModel):
    group: str
    added: list[str]
    there: list[str] = Field(description="Stood in the group already.")
    refused: dict[str, str] = Field(description="Code -> why THS does not take it.")
    notes: list[str]


@router.get("")
def every(access: Reached) -> Answer[list[Watched]]:
    """All lists, code by code."""
    return Answer(
        data=[
            Watched(watchlist=name, ts_code=each.code, name=each.name, added_on=each.added_on)
            for name, items in watchlists.lists(access.database).items()
            for each in items
        ]
    )


@router.post("", dependencies=[needs(Scope.RUN)], status_code=201)
def add(asked: Added, access: Reached) -> Answer[Change]:
    """Puts codes, in any usual spelling, at a list's end; the list is made where there is none."""
    codes = _known(access, asked.stock_codes)
    try:
        changed = watchlists.add(access.database, asked.watchlist, codes, origin=_ORIGIN, day=clock.today())
    except WatchlistError as error:
        raise PageError(400, "自选列表未改动 The list stays as it is", why=str(error)) from None
    return Answer(data=Change(added=list(changed.added), unchanged=list(changed.unchanged)))


@router.post("/push", dependencies=[needs(Scope.RUN)])
def push(asked: ToPush, access: Reached) -> Answer[Pushed]:
    """Puts codes into the list of that name, and the list into the group of that name of your THS account."""
    from quant_pipeline.resources.ths_groups import groups_of
    from quant_pipeline.ths.errors import ThsError
    from quant_pipeline.ths.planning import PushRefused
    from quant_pipeline.ths.pushes import push_of
    from quant_pipeline.ths.pushing import push as pushed
    from quant_pipeline.vault.errors import VaultError

    codes, database = _known(access, asked.stock_codes), access.database
    try:
        with groups_of(database, asked.account) as (groups, logged):
            wanted = push_of(f"watchlist:{asked.group_name}", {}, group=asked.group_name, account=asked.account)
            watchlists.add(database, asked.group_name, codes, origin=_ORIGIN, day=clock.today())
            done = pushed(database, groups, logged.account, wanted, access.calendar().latest())
    except (ThsError, VaultError, PushRefused, WatchlistError, ValueError) as error:
        with speaking("zh"):
            why = retold(str(error))
        raise PageError(400, "未推送到同花顺 Nothing was pushed", why=why, command="quant-pipeline ths status") from None
    return Answer(
        message="已推送 pushed",
        data=Pushed(
            group=asked.group_name,
            added=list(done.added),
            there=list(done.there),
            refused=done.refused,
            notes=[*done.notes, *done.differs],
        ),
    )


@router.delete("/{code}", dependencies=[needs(Scope.RUN)])
def remove(code: str, access: Reached, watchlist: Name = DEFAULT) -> Answer[Change]:
    """Takes a code out of a list."""
    (known,) = _known(access, [code])
    try:
        changed = watchlists.remove(access.database, watchlist, [known.code])
    except WatchlistError as error:
        raise PageError(404, "没有这个自选列表 No such list", why=str(error)) from None
    if not changed.removed:
        raise PageError(404, f"{watchlist} 中没有 {known.code} The list does not have it")
    return Answer(data=Change(removed=list(changed.removed)))


def _known(access: Reached, codes: list[str]) -> list[Named]:
    """The codes as the lists have them. PageError 400 names those that no list has: nothing is changed then."""
    everything = listings(access.database)
    found = {code: meant(code, everything) for code in codes}
    if lost := [code[:20] for code, hits in found.items() if not hits]:
        raise PageError(400, f"没有这些代码 No such codes: {', '.join(lost[:10])}", why="代码有误，或列表尚未同步。")
    return [hits[0] for hits in found.values()]
