"""Pushes into groups over real sockets: what is added, removed, refused, recorded, and what a re-run changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest

from quant_pipeline.market.datasets import SCREEN_RESULTS, SIGNALS
from quant_pipeline.market.search import Named
from quant_pipeline.strategies.registry import registered
from quant_pipeline.ths.groups import SessionExpired
from quant_pipeline.ths.planning import Mode, PushRefused
from quant_pipeline.ths.pushes import Push, push_of
from quant_pipeline.ths.pushing import Pushed, push, taken
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import LATEST, sessions, store
from quant_pipeline_tests.ths.conftest import TICKET, Order, Phone

SCREENS = {name: each.zh for name, each in registered().strategies.items()}
HITS = ["600519.SH", "000001.SZ", "688981.SH", "920001.BJ"]
WRITTEN = [("600519", "17"), ("000001", "33"), ("688981", "18"), ("920001", "151")]


def _screened(database: Database, codes: Sequence[str] = HITS, day: dt.date = LATEST) -> None:
    rows = [
        {"screen": "dual_ma", "trade_date": day, "ts_code": code, "name": "名", "rank": n} for n, code in enumerate(codes, 1)
    ]
    with database.connect() as connection:
        connection.execute("INSERT INTO screenings (screen, trade_date, hits) VALUES ('dual_ma', %s, %s)", (day, len(codes)))
    if rows:
        store(database, SCREEN_RESULTS, rows, source="computed")


def _push(database: Database, phone: Phone, *, day: dt.date = LATEST, dry: bool = False, **how: Any) -> Pushed:
    wanted: Push = push_of(how.pop("origin", "screen:dual_ma"), SCREENS, group=how.pop("group", "双均线"), **how)
    return push(database, phone.groups(), "mine", wanted, day, dry=dry)


def _recorded(database: Database) -> list[tuple[Any, ...]]:
    query = "SELECT ts_code, action, outcome, said FROM ths_watchlist ORDER BY ts_code"
    with database.connect() as connection:
        return connection.execute(query).fetchall()


def test_hits_go_into_a_group_that_is_made_in_their_order(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    done = _push(warehouse, phone)
    assert done.made
    assert set(done.added) == set(HITS)
    assert phone.held("双均线") == WRITTEN
    assert done.differs == ()
    assert [row[1:] for row in _recorded(warehouse)] == [("add", "done", None)] * 4


def test_a_re_run_writes_nothing_and_changes_nothing(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    _push(warehouse, phone)
    recorded, writes = _recorded(warehouse), phone.calls("add") + phone.calls("add_group")
    again = _push(warehouse, phone)
    assert not again.changed
    assert set(again.there) == set(HITS)
    assert phone.calls("add") + phone.calls("add_group") == writes
    assert _recorded(warehouse) == recorded


def test_what_its_owner_took_out_by_hand_is_not_put_back_for_that_session(warehouse: Database, phone: Phone) -> None:
    former = sessions(2)[0]
    _screened(warehouse, day=former)
    _screened(warehouse)
    _push(warehouse, phone, day=former)
    phone.arrange(双均线=WRITTEN[1:])
    assert not _push(warehouse, phone, day=former).changed
    assert _push(warehouse, phone).added == ("600519.SH",), "it is a hit of another session too"


def test_hand_picked_codes_stay_when_hits_are_added(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    phone.arrange(双均线=[("300750", "33"), ("600519", "17"), ("HK0700", "177")])
    done = _push(warehouse, phone)
    assert (set(done.added), done.there, done.removed) == (set(HITS[1:]), ("600519.SH",), ())
    assert phone.held("双均线") == [("300750", "33"), ("600519", "17"), ("HK0700", "177"), *WRITTEN[1:]]


def test_a_mirrored_list_loses_what_is_gone_and_keeps_what_nobody_here_knows(warehouse: Database, phone: Phone) -> None:
    codes = [f"{600_000 + n}.SH" for n in range(10)]
    watchlists.add(warehouse, "core", [Named(code, "") for code in codes], origin="typed", day=LATEST)
    phone.arrange(core=[("HK0700", "177"), ("600999", "17"), *((code[:6], "17") for code in codes[:9])])
    done = _push(warehouse, phone, origin="watchlist:core", group="", mode=Mode.MIRROR)
    assert (done.added, done.removed) == ((codes[9],), ("600999.SH",))
    held = phone.held("core") or []
    assert ("HK0700", "177") in held
    assert len(held) == 11


def test_more_than_thirty_percent_goes_only_when_it_is_confirmed(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    before = [("600519", "17"), ("600001", "17"), ("600002", "17")]
    phone.arrange(双均线=before)
    with pytest.raises(PushRefused, match=r"2 of the 3 codes of 双均线 would be removed, more than 30%.*--confirm"):
        _push(warehouse, phone, mode=Mode.MIRROR)
    assert phone.held("双均线") == before
    assert _recorded(warehouse) == []
    done = _push(warehouse, phone, mode=Mode.MIRROR, confirmed=True)
    assert set(done.removed) == {"600001.SH", "600002.SH"}
    assert {code for code, _ in phone.held("双均线") or []} == {code for code, _ in WRITTEN}


def test_thirty_percent_exactly_may_go(warehouse: Database, phone: Phone) -> None:
    codes = [f"{600_000 + n}.SH" for n in range(7)]
    watchlists.add(warehouse, "core", [Named(code, "") for code in codes], origin="typed", day=LATEST)
    phone.arrange(core=[(f"{600_000 + n}", "17") for n in range(10)])
    done = _push(warehouse, phone, origin="watchlist:core", group="core", mode=Mode.MIRROR)
    assert len(done.removed) == 3


@pytest.mark.parametrize("mode", Mode)
def test_no_hits_never_empty_a_group_whatever_was_confirmed(warehouse: Database, phone: Phone, mode: Mode) -> None:
    _screened(warehouse, [])
    phone.arrange(双均线=WRITTEN)
    done = _push(warehouse, phone, mode=mode, confirmed=True)
    assert not done.changed
    assert "nothing to push" in done.notes[0]
    assert phone.held("双均线") == WRITTEN
    assert _push(warehouse, phone, group="别的", mode=mode).group is None
    assert phone.held("别的") is None, "no group is made for nothing"


def test_a_screen_that_did_not_run_is_no_empty_screen(warehouse: Database, phone: Phone) -> None:
    with pytest.raises(PushRefused, match="did not run for 2026-11-20: quant-pipeline screen dual_ma --date 2026-11-20"):
        _push(warehouse, phone)


def test_accepted_purchases_of_the_signals_are_pushed(warehouse: Database, phone: Phone) -> None:
    signal = {"trade_date": LATEST, "strength": 0.5, "priority": 1, "valid_until": LATEST, "policy": "priority", "reason": "-"}
    signal |= {"decided_on": LATEST, "strategy": "dual_ma"}
    decided = [("600519.SH", "buy", "accepted"), ("000001.SZ", "buy", "refused"), ("688981.SH", "sell", "accepted")]
    rows = [{**signal, "ts_code": code, "direction": side, "status": status} for code, side, status in decided]
    store(warehouse, SIGNALS, rows, source="computed")
    assert _push(warehouse, phone, origin="signals", group="").added == ("600519.SH",)
    assert phone.held("交易信号") == [("600519", "17")]


def test_a_group_that_was_renamed_is_found_again_and_that_is_told(warehouse: Database, phone: Phone) -> None:
    former = sessions(2)[0]
    _screened(warehouse, HITS[:2], former)
    _screened(warehouse, HITS)
    _push(warehouse, phone, day=former)
    account = phone.sandbox.ths_groups(phone.user)
    groups = [{**each, "name": "我的双均线" if each["name"] == "双均线" else each["name"]} for each in account["groups"]]
    phone.sandbox.ths_groups(phone.user, {"groups": groups})
    done = _push(warehouse, phone)
    assert done.notes == ("the group 双均线 is called 我的双均线 now: it was taken",)
    assert phone.held("双均线") is None
    assert phone.held("我的双均线") == WRITTEN


def test_a_dynamic_group_is_left_alone(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    with pytest.raises(PushRefused, match="涨停板 is a dynamic group"):
        _push(warehouse, phone, group="涨停板")
    assert phone.held("涨停板") == [("600519", "17")]


def test_of_many_codes_the_first_are_pushed_and_that_is_told(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    done = _push(warehouse, phone, most=3)
    assert done.notes == ("the first 3 of 4 codes are pushed",)
    assert phone.held("双均线") == WRITTEN[:3]


def test_a_list_is_pushed_whole_or_mirroring_it_would_remove_its_end(warehouse: Database, phone: Phone) -> None:
    codes = [f"{600_000 + n}.SH" for n in range(120)]
    watchlists.add(warehouse, "core", [Named(code, "") for code in codes], origin="typed", day=LATEST)
    phone.arrange(core=[(code[:6], "17") for code in codes])
    done = _push(warehouse, phone, origin="watchlist:core", group="core", mode=Mode.MIRROR)
    assert not done.changed
    assert len(phone.held("core") or []) == 120


def test_a_full_group_says_so_in_ths_s_words_and_is_tried_again_later(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    full = [(f"{601_000 + n}", "17") for n in range(198)]
    phone.arrange(双均线=full)
    done = _push(warehouse, phone)
    assert done.added == tuple(HITS[:2]), "the best come in where there is no room for all"
    assert set(done.refused.values()) == {"-10009 分组内股票数量已达上限"}
    phone.arrange(双均线=(phone.held("双均线") or [])[:100])
    assert set(_push(warehouse, phone).added) == set(done.refused)
    assert {row[2] for row in _recorded(warehouse)} == {"done"}


def test_one_bad_code_does_not_stop_the_others(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse, ["600519.SH", "999999.SH", "HSI.HI", "000001.SZ"])
    done = _push(warehouse, phone)
    assert set(done.added) == {"600519.SH", "000001.SZ"}
    assert done.refused["999999.SH"] == "-10003 股票代码错误"
    assert "no market of THS" in done.refused["HSI.HI"]


def test_an_answer_that_was_lost_is_known_by_reading_again(warehouse: Database, phone: Phone, order: Order) -> None:
    _screened(warehouse, HITS[:2])
    order("half", api="add")
    done = _push(warehouse, phone)
    assert set(done.added) == set(HITS[:2])
    assert done.refused == {}
    assert phone.held("双均线") == WRITTEN[:2]


def test_a_write_that_is_confirmed_and_not_done_is_told(warehouse: Database, phone: Phone, order: Order) -> None:
    _screened(warehouse, HITS[:1])
    order("code", api="add", code="0")
    done = _push(warehouse, phone)
    assert done.differs == ("600519.SH was added and is not in the group",)


def test_an_expiry_in_the_middle_keeps_what_was_done_and_the_next_push_goes_on(
    warehouse: Database, phone: Phone, order: Order
) -> None:
    _screened(warehouse)
    order("token", api="add", after=2)
    with pytest.raises(SessionExpired):
        _push(warehouse, phone)
    assert len(_recorded(warehouse)) == 2
    done = _push(warehouse, phone)
    assert len(done.added) == 2
    assert phone.held("双均线") == WRITTEN


def test_a_dry_push_looks_and_writes_nothing(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    done = _push(warehouse, phone, dry=True)
    assert set(done.added) == set(HITS)
    assert done.made
    assert phone.held("双均线") is None
    assert _recorded(warehouse) == []


def test_the_default_list_can_be_pushed_into(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    phone.arrange(default=(("300750", "33"),))
    _push(warehouse, phone, group="我的自选")
    assert phone.default() == [("300750", "33"), *WRITTEN]


def test_a_group_is_taken_as_it_stands(phone: Phone) -> None:
    phone.arrange(核心=[("600519", "17"), ("688981", "17"), ("1A0001", "16"), ("HK0700", "177")])
    group, codes, unknown = taken(phone.groups(), "核心")
    assert group.name == "核心"
    assert [each.code for each in codes] == ["600519.SH", "688981.SH", "000001.SH"]
    assert unknown == ["HK0700,177"]


def test_the_whole_list_interface_is_never_called(warehouse: Database, phone: Phone) -> None:
    _screened(warehouse)
    _push(warehouse, phone, mode=Mode.MIRROR, confirmed=True)
    apis = {call["api"] for call in phone.sandbox.calls(server="ths_groups")}
    assert apis <= {"query", "add_group", "delete_group", "add", "delete", "default", "modify"}
    assert TICKET not in str(phone.sandbox.calls(server="ths_groups"))
