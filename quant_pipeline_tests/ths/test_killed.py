"""A process that is killed while it pushes: the next push ends it, nothing is lost, and nothing stands twice."""

from __future__ import annotations

import multiprocessing

import pytest

from quant_pipeline.market.search import Named
from quant_pipeline.settings import Mode
from quant_pipeline.ths.groups import Groups
from quant_pipeline.ths.hosts import Hosts
from quant_pipeline.ths.pushes import push_of
from quant_pipeline.ths.pushing import Pushed, push
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import LATEST
from quant_pipeline_tests.ths.conftest import TICKET, Order, Phone, Session

CODES = [f"{600_000 + n}.SH" for n in range(5)]
BY_HAND = ("300750", "33")
PUSHED = [(code[:6], "17") for code in CODES]


def _push(database: Database, groups: Groups) -> Pushed:
    return push(database, groups, "mine", push_of("watchlist:core", {}), LATEST)


def _push_elsewhere(database_url: str, user: str, ugc: str, t: str) -> None:
    session = Session("mine", {"userid": user, "ticket": TICKET})
    _push(Database(database_url, Mode.SANDBOX), Groups(session, Hosts(ugc=ugc, t=t)))


def _killed_while(warehouse: Database, phone: Phone, order: Order, api: str, *, calls: int) -> None:
    """A push that is killed while its call number `calls` of that interface gets no answer."""
    watchlists.add(warehouse, "core", [Named(code, "") for code in CODES], origin="typed", day=LATEST)
    before = phone.calls(api)
    order("hang", api=api, after=calls - 1, seconds=300)
    who = (warehouse.url, phone.user, phone.sandbox.ths_ugc_url, phone.sandbox.ths_t_url)
    process = multiprocessing.get_context("spawn").Process(target=_push_elsewhere, args=who)
    process.start()
    while phone.calls(api) < before + calls:
        assert process.is_alive(), "it ended before it could be killed"
        process.join(0.05)
    process.kill()
    process.join()
    phone.sandbox.clear_faults()


def _recorded(warehouse: Database) -> list[tuple[object, ...]]:
    with warehouse.connect() as connection:
        return connection.execute("SELECT ts_code, outcome FROM ths_watchlist ORDER BY ts_code").fetchall()


@pytest.mark.parametrize("calls", [1, 3, 5], ids=["the first code", "the third", "the last"])
def test_killed_between_two_codes_the_next_push_brings_the_rest(
    warehouse: Database, phone: Phone, order: Order, calls: int
) -> None:
    phone.arrange(core=[BY_HAND])
    _killed_while(warehouse, phone, order, "add", calls=calls)
    stood = phone.held("core") or []
    assert stood == [BY_HAND, *PUSHED[: calls - 1]]
    done = _push(warehouse, phone.groups())
    assert [*done.there, *done.added] == CODES
    assert done.refused == {}
    assert phone.held("core") == [BY_HAND, *PUSHED], "in their order, each once"
    assert [code for code, _ in _recorded(warehouse)] == CODES
    assert {outcome for _, outcome in _recorded(warehouse)} <= {"done", "there"}
    writes = phone.calls("add")
    assert not _push(warehouse, phone.groups()).changed
    assert phone.calls("add") == writes


def test_killed_while_it_makes_the_group_there_is_one_group_afterwards(warehouse: Database, phone: Phone, order: Order) -> None:
    phone.arrange()
    _killed_while(warehouse, phone, order, "add_group", calls=1)
    assert set(_push(warehouse, phone.groups()).added) == set(CODES)
    groups = phone.sandbox.ths_groups(phone.user)["groups"]
    assert [each["name"] for each in groups].count("core") == 1
    assert phone.held("core") == PUSHED


def test_killed_when_the_group_is_made_and_nothing_is_in_it(warehouse: Database, phone: Phone, order: Order) -> None:
    phone.arrange()
    _killed_while(warehouse, phone, order, "add", calls=1)
    assert phone.held("core") == []
    done = _push(warehouse, phone.groups())
    assert (done.made, set(done.added)) == (False, set(CODES))
    assert [each["name"] for each in phone.sandbox.ths_groups(phone.user)["groups"]].count("core") == 1
