"""Watchlists: the user's own lists, and what of a session is pushed into groups of the THS account."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from pydantic import Field

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import column_schema, description
from quant_pipeline.assets.events import NOTHING, Events, everything_told
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.metadata import origin, page_link, table
from quant_pipeline.assets.signals import when_the_screens_change
from quant_pipeline.configuration import ConfigurationError
from quant_pipeline.market.clock import today
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import SIGNALS, THS_WATCHLIST, WATCHLISTS
from quant_pipeline.market.watchlists import WatchlistError
from quant_pipeline.notify.messages import watchlist_incomplete
from quant_pipeline.partitions import SESSIONS, asked_sessions
from quant_pipeline.resources import opened
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.strategies.registry import registered
from quant_pipeline.switches import screens_on
from quant_pipeline.ths.accounts import Accounts, State
from quant_pipeline.ths.errors import ThsError
from quant_pipeline.ths.origins import Kind
from quant_pipeline.ths.planning import Mode, PushRefused
from quant_pipeline.ths.pushes import FILE, MOST, Push, load, push_of
from quant_pipeline.vault.errors import VaultError
from quant_pipeline.warehouse import watchlists as store
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read

if TYPE_CHECKING:
    from quant_pipeline.ths.pushing import Pushed  # with the clients: only who pushes waits for them

_FIRST = 8
_UNDOCUMENTED = (
    "\n\n同花顺的自选股接口没有公开文档，随时可能失效；以你自己的账户、由你自己负责使用。"
    "THS does not document its watchlists: they may break. You act on your own account."
)


def pushes() -> list[Push]:
    """What is pushed by itself; a file that cannot be used fails the step with its sentence."""
    try:
        return load(_screens(), screens_on())
    except ConfigurationError as error:
        raise Failed(str(error)) from None


def _screens() -> dict[str, str]:
    return {name: each.zh for name, each in registered().strategies.items()}


def _pushed_assets() -> list[str]:
    """What the pushes wait for; of a file that cannot be used, the screens: the step itself tells of the file."""
    try:
        wanted = load(_screens(), screens_on())
    except ConfigurationError:
        return [f"screen_{name}" for name in screens_on()]
    names = {Kind.SIGNALS: SIGNALS.name}
    found = (
        names.get(each.origin.kind, f"screen_{each.origin.name}") for each in wanted if each.origin.kind is not Kind.WATCHLIST
    )
    return list(dict.fromkeys(found))


class WatchlistsConfig(dg.Config):
    """A group of the THS account that is imported; without one the lists are shown as they are. 导入同花顺分组"""

    group: str = Field("", description="Name of the group (我的自选: the default list); empty: nothing is imported. 分组名")
    into: str = Field("", description="The list that it goes into; empty: one of the group's name. 导入到哪个列表")
    account: str = Field("", description="The THS account; empty: the only one. 账户")


@dg.asset(
    name=WATCHLISTS.name,
    description=description(WATCHLISTS) + _UNDOCUMENTED,
    metadata={"dagster/column_schema": column_schema(WATCHLISTS), "dagster/table_name": WATCHLISTS.name},
    dagster_type=NOTHING,
    hooks={tell_failure},
    group_name=WATCHLISTS.group,
    owners=["team:strategies"],
    kinds={"postgres"},
)
def watchlists(config: WatchlistsConfig, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
    told: dict[str, Any] = {}
    if config.group:
        from quant_pipeline.resources.ths_groups import groups_of
        from quant_pipeline.ths.pushing import taken

        try:
            with groups_of(warehouse.database, config.account) as (groups, session):
                group, codes, unknown = taken(groups, config.group)
            named = with_names(warehouse.database, codes)
            changed = store.add(
                warehouse.database, config.into or group.name, named, origin=f"{session.account}:{group.name}", day=today()
            )
        except (ThsError, VaultError, WatchlistError) as error:
            raise Failed(str(error)) from None
        told = {
            "imported": len(changed.added),
            "unchanged": len(changed.unchanged),
            "left_out": ", ".join(unknown) or "none 无",
        }
    known = store.lists(warehouse.database)
    rows = [
        {
            "列表 list": name,
            "代码数 codes": len(items),
            "代码 codes ": "、".join(each.name or each.code for each in items[:_FIRST]),
        }
        for name, items in known.items()
    ]
    shown = {"page": page_link("watchlists"), "lists": table(pl.DataFrame(rows))}
    count = sum(len(items) for items in known.values())
    return dg.MaterializeResult(metadata=labelled(origin() | {"dagster/row_count": count} | told | shown))


def with_names(database: Database, codes: Sequence[Any]) -> list[Any]:
    """The codes with the names that the lists have for them."""
    from quant_pipeline.market.search import Named
    from quant_pipeline.warehouse.listings import listings

    names = {each.code: each.name for each in listings(database)}
    return [Named(each.code, names.get(each.code, each.name)) for each in codes]


class PushConfig(dg.Config):
    """What is pushed; without anything what watchlists.toml says, or each screen into a group of its own. 推送内容"""

    codes_of: str = Field(
        "", description=f"screen:NAME, signals or watchlist:NAME; empty: as {FILE} says. 推送哪些代码；留空则按 {FILE}"
    )
    group: str = Field("", description="Name of the group, made when it is not there; empty: the usual one. 分组名，没有则新建")
    mode: str = Field("add", description="add: other codes stay; mirror: they are removed. add 只增加，mirror 与来源一致")
    most: int = Field(MOST, ge=1, description="So many hits or signals at most, the best. 最多推送多少个命中")
    confirm: bool = Field(False, description="Also where more than 30 % of the group would go. 移出超过 30% 时仍继续")
    account: str = Field("", description="The THS account; empty: the only one. 账户")

    def wanted(self) -> list[Push]:
        """The pushes; a slip fails the step with its sentence."""
        if not self.codes_of:
            return pushes()
        if self.mode not in set(Mode):
            raise Failed(f"there is no mode {self.mode!r}: write add or mirror 没有模式 {self.mode!r}，可选 add 或 mirror")
        how = {"mode": Mode(self.mode), "confirmed": self.confirm, "most": self.most, "account": self.account}
        try:
            return [push_of(self.codes_of, _screens(), group=self.group, **how)]
        except ValueError as error:
            raise Failed(str(error)) from None


class AccountAndLatestSession(dg.AutomationCondition[Any]):
    """A THS account is logged in, and it is the latest session: hits of older ones are not for a phone's list."""

    @property
    def name(self) -> str:
        return "an account is logged in, and it is the latest session"

    def evaluate(self, context: Any) -> Any:
        subset = context.candidate_subset
        chosen = subset if subset.is_empty else subset.compute_intersection_with_partition_keys(_pushable())
        return dg.AutomationResult(context, true_subset=chosen)


def _pushable() -> set[str]:
    """The latest session, where an account is logged in as far as is known without asking."""
    database = opened.database()
    try:
        active = any(each.state is State.ACTIVE for each in Accounts(database).all())
        return {opened.calendar(database).latest().isoformat()} if active else set()
    finally:
        database.close()


def _when_the_screens_are_there() -> dg.AutomationCondition[Any]:
    return when_the_screens_change(*_WAITED_FOR) & AccountAndLatestSession()


_WAITED_FOR = _pushed_assets()


@dg.asset(
    name=THS_WATCHLIST.name,
    deps=[*_WAITED_FOR, WATCHLISTS.name],
    description=description(THS_WATCHLIST) + _UNDOCUMENTED,
    metadata={"dagster/column_schema": column_schema(THS_WATCHLIST), "dagster/table_name": THS_WATCHLIST.name},
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    automation_condition=_when_the_screens_are_there(),
    dagster_type=NOTHING,
    output_required=False,
    hooks={tell_failure},
    group_name=WATCHLISTS.group,
    owners=["team:strategies"],
    kinds={"postgres"},
)
def ths_watchlist(
    context: dg.AssetExecutionContext, config: PushConfig, warehouse: WarehouseResource, notifier: NotifierResource
) -> Iterator[dg.Output[None]]:
    from quant_pipeline.resources.ths_groups import groups_of
    from quant_pipeline.ths.pushing import push

    calendar = warehouse.calendar()
    # A group has no past: of several sessions the newest is pushed.
    session = asked_sessions(context.run.tags, calendar, Partition.SESSION, calendar.latest())[-1]
    events = Events(context)
    known = events.known()
    done, failed = [], []
    for wanted in config.wanted():
        try:
            with groups_of(warehouse.database, wanted.account) as (groups, logged):
                pushed = push(warehouse.database, groups, logged.account, wanted, session)
        except (ThsError, VaultError, PushRefused, WatchlistError) as error:
            failed.append(f"{wanted.origin} → {wanted.group}\n{error}")
            continue
        done.append(pushed)
        _tell_what_lacks(warehouse, notifier, pushed, logged.account)
    if done:
        events.materialized(_told(warehouse.database, session, done), session.isoformat())
        events.newest_last(known)
    notifier.deliver()
    if failed:
        raise Failed("\n".join(failed))
    yield everything_told()


def _tell_what_lacks(warehouse: WarehouseResource, notifier: NotifierResource, pushed: "Pushed", account: str) -> None:
    """Codes that THS refused, and what the group holds other than it should: once for the session and group."""
    if not (pushed.refused or pushed.differs) or pushed.group is None:
        return
    current = settings.load()
    lacks = [*pushed.refused.items(), *((text.partition(" ")[0], text) for text in pushed.differs)]
    message = watchlist_incomplete(
        group=pushed.group.name,
        session=pushed.session,
        lacks=lacks,
        page_url=f"{current.pages_url}/watchlists",
        sandbox=current.sandboxed,
    )
    told = hashlib.sha256("".join(sorted(code for code, _ in lacks)).encode()).hexdigest()[:16]
    key = f"watchlist:{account}:{pushed.group.id}:{pushed.session}:{told}"
    with warehouse.database.connect() as connection, connection.transaction():
        notifier.enqueue(connection, key, message)


def _told(database: Database, session: dt.date, done: Sequence["Pushed"]) -> Mapping[str, Any]:
    groups = [
        {
            "分组 group": each.push.group if each.group is None else each.group.name,
            "来自 from": str(each.push.origin),
            "加入 added": len(each.added),
            "移出 removed": len(each.removed),
            "已在 there": len(each.there),
            "未成 refused": len(each.refused),
        }
        for each in done
    ]
    refused: dict[str, list[str]] = {}
    for each in done:
        for code, said in each.refused.items():
            refused.setdefault(said, []).append(code)
    notes = [{"代码 code": _named(codes), "原因 why": for_readers(said)} for said, codes in refused.items()]
    notes += [{"代码 code": "", "原因 why": for_readers(text)} for each in done for text in (*each.differs, *each.notes)]
    rows = read(database, THS_WATCHLIST, start=session, end=session)
    shown: dict[str, Any] = {
        "page": page_link("watchlists"),
        "dagster/row_count": rows.height,
        "added": sum(len(each.added) for each in done),
        "removed": sum(len(each.removed) for each in done),
        "groups": table(pl.DataFrame(groups)),
    }
    if notes:
        shown["notes"] = table(pl.DataFrame(notes))
    return origin() | shown


def _named(codes: Sequence[str]) -> str:
    return "、".join(codes[:_FIRST]) + (f" … {len(codes)}" if len(codes) > _FIRST else "")
