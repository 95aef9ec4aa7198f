"""Watchlists: the user's own lists of codes, and what was pushed into the groups of their 同花顺 account."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from quant_pipeline.language import say
from quant_pipeline.market.columns import date, integer, text
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition
from quant_pipeline.market.search import Named, near

WATCHLISTS = Dataset(
    "watchlists",
    zh="自选股",
    doc="The user's own lists of codes: shares, funds, bonds, indexes. A list is there while it has a code. Kept by the "
    "command quant-pipeline watchlist; a universe of screens and backtests.",
    group="watchlists",
    partition=Partition.SNAPSHOT,
    key=("watchlist", "ts_code"),
    columns=(
        text("watchlist", "列表", "Name of the list.", required=True),
        CODE,
        text("name", "名称", "Short name when it was added."),
        integer("place", "位次", "Its place in the list: 1 stands first.", required=True),
        text(
            "origin",
            "来自",
            "typed, a file's name, or the group of the THS account that it came from.",
            required=True,
        ),
        date("added_on", "加入日", "The day on which it was added.", required=True),
    ),
    coverage=Coverage.ANY,
    sourced=False,
)

THS_WATCHLIST = Dataset(
    "ths_watchlist",
    zh="同花顺自选股推送",
    doc="What was pushed into groups of the user's THS account, session by session, and what became of each code. A code that "
    "was pushed for a session is not pushed for it again.",
    group="watchlists",
    partition=Partition.SESSION,
    key=("trade_date", "account", "group_id", "origin", "ts_code"),
    columns=(
        TRADE_DATE,
        text("account", "账户", "Name of the THS account in the vault.", required=True),
        text("group_id", "分组编号", "THS's id of the group (0_…); default: the account's default list.", required=True),
        text("origin", "来自", "Whose codes: screen:NAME, signals, watchlist:NAME.", required=True),
        CODE,
        text("group_name", "分组", "Name of the group.", required=True),
        text("name", "名称", "Short name."),
        text("action", "动作", "add or remove.", required=True),
        text("outcome", "结果", "done, there (it was there before), gone (it was gone before), refused.", required=True),
        text("said", "同花顺答复", "THS's words, where it refused."),
    ),
    coverage=Coverage.ANY,
    after=("screen_results", "signals", "watchlists"),
    sourced=False,
)


class WatchlistError(ValueError):
    """A list that there is not, or a name that cannot be one; the text says what to do."""


def members(stored: pl.DataFrame, names: Sequence[str]) -> list[str]:
    """The codes that stand in any of the lists. `stored`: the rows of `watchlists`. WatchlistError for a name of none."""
    known = set(stored["watchlist"])
    wanted = [name.strip() for name in names]
    for name in wanted:
        if name not in known:
            raise unknown(name, known)
    return sorted(set(stored.filter(pl.col("watchlist").is_in(wanted))["ts_code"]))


def unknown(name: str, known: Collection[str]) -> WatchlistError:
    """What is said of a list that there is not: those whose names come near, or all, or how one is made."""
    words = say("there is no watchlist {name}.", name=name)
    if alike := near(name, [Named(each, each) for each in sorted(known)], limit=3):
        return WatchlistError(words + say(" Did you mean {names}?", names=", ".join(each.code for each in alike)))
    if known:
        return WatchlistError(words + say(" Known: {names}", names=", ".join(sorted(known))))
    return WatchlistError(words + say(" Make one: {command}", command="quant-pipeline watchlist add NAME 600519"))
