"""The groups' client over real sockets: every status code, versions, faults, and a cookie that is shown to nobody."""

from __future__ import annotations

import pytest

from quant_pipeline.ths.errors import ThsError
from quant_pipeline.ths.groups import (
    DEFAULT,
    Became,
    Groups,
    Outcome,
    Refused,
    SessionExpired,
    entries_of,
    named,
)
from quant_pipeline.ths.market_ids import Entry
from quant_pipeline_tests.ths.conftest import TICKET, Order, Phone

MAOTAI, PINGAN, SMIC = Entry("600519", "17"), Entry("000001", "33"), Entry("688981", "18")


def _tuple(entry: Entry) -> tuple[str, str]:
    return entry.code, entry.market


def test_groups_are_read_with_what_stands_in_them(phone: Phone) -> None:
    phone.arrange(核心=[("600519", "17"), ("000001", "33")], 空=[])
    core, empty, dynamic = phone.groups().all()
    assert (core.name, core.entries, core.dynamic) == ("核心", (MAOTAI, PINGAN), False)
    assert empty.entries == ()
    assert dynamic.dynamic


def test_a_group_is_made_filled_and_emptied_and_each_write_is_a_new_version(phone: Phone) -> None:
    groups = phone.groups()
    made = groups.make("量化")
    assert list(groups.add(made, [MAOTAI, SMIC])) == [Became(MAOTAI, Outcome.DONE), Became(SMIC, Outcome.DONE)]
    assert phone.held("量化") == [_tuple(MAOTAI), _tuple(SMIC)]
    asked = phone.calls("query")
    assert list(groups.remove(made, [MAOTAI])) == [Became(MAOTAI, Outcome.DONE)]
    assert phone.held("量化") == [_tuple(SMIC)]
    assert phone.calls("query") == asked, "the version of the last answer was taken"


def test_a_version_that_another_device_outdated_is_read_again_and_the_write_done(phone: Phone) -> None:
    groups = phone.groups()
    made = groups.make("量化")
    phone.arrange(量化=[("300750", "33")], 别的=[])
    assert list(groups.add(made, [MAOTAI])) == [Became(MAOTAI, Outcome.DONE)]
    assert phone.held("量化") == [("300750", "33"), _tuple(MAOTAI)]


def test_a_version_that_is_outdated_for_ever_ends(phone: Phone, order: Order) -> None:
    groups = phone.groups()
    made = groups.make("量化")
    order("code", api="add", code="1", times=None)
    (became,) = groups.add(made, [MAOTAI])
    assert became == Became(MAOTAI, Outcome.REFUSED, "1 version is outdated")
    assert phone.calls("add") < 100


def test_there_already_and_gone_already_are_success(phone: Phone) -> None:
    phone.arrange(量化=[("600519", "17")])
    groups = phone.groups()
    group = named(groups.all(), "量化")
    assert group is not None
    assert list(groups.add(group, [MAOTAI])) == [Became(MAOTAI, Outcome.THERE)]
    assert list(groups.remove(group, [PINGAN])) == [Became(PINGAN, Outcome.GONE)]


@pytest.mark.parametrize(
    ("code", "said"), [("-10003", "-10003 股票代码错误"), ("-10009", "-10009 分组内股票数量已达上限"), ("-77", "-77 操作失败")]
)
def test_a_code_that_is_refused_is_told_in_ths_s_words_and_does_not_stop_the_others(
    phone: Phone, order: Order, code: str, said: str
) -> None:
    groups = phone.groups()
    made = groups.make("量化")
    order("code", api="add", code=code, after=1)
    first, second, third = groups.add(made, [MAOTAI, PINGAN, Entry("300750", "33")])
    assert (first.outcome, third.outcome) == (Outcome.DONE, Outcome.DONE)
    assert second == Became(PINGAN, Outcome.REFUSED, said)


def test_a_market_that_is_refused_is_tried_under_its_other_number(phone: Phone, order: Order) -> None:
    groups = phone.groups()
    made = groups.make("量化")
    order("code", api="add", code="-10003")
    assert list(groups.add(made, [SMIC])) == [Became(Entry("688981", "17"), Outcome.DONE)]
    assert phone.held("量化") == [("688981", "17")]


def test_a_wrong_code_is_refused_by_the_server_itself(phone: Phone) -> None:
    groups = phone.groups()
    made = groups.make("量化")
    (became,) = groups.add(made, [Entry("999999", "17")])
    assert (became.outcome, became.said) == (Outcome.REFUSED, "-10003 股票代码错误")


def test_an_expired_login_is_known_by_its_body_and_by_http_401(phone: Phone, order: Order) -> None:
    with pytest.raises(SessionExpired, match="has expired"):
        phone.groups(ticket="stale").all()
    with pytest.raises(SessionExpired):
        phone.groups(ticket="stale").default()
    order("token", api="query")
    with pytest.raises(SessionExpired, match="登录已失效"):
        phone.groups().all()
    order("status", api="query", status=401)
    with pytest.raises(SessionExpired, match="HTTP 401"):
        phone.groups().all()


def test_an_expiry_in_the_middle_ends_it_with_what_was_done_told(phone: Phone, order: Order) -> None:
    groups = phone.groups()
    made = groups.make("量化")
    order("token", api="add", after=1)
    coming = groups.add(made, [MAOTAI, PINGAN])
    assert next(coming) == Became(MAOTAI, Outcome.DONE)
    with pytest.raises(SessionExpired):
        next(coming)


@pytest.mark.parametrize(
    ("kind", "how", "told"),
    [
        ("disconnect", {}, "THS gave no answer"),
        ("status", {"status": 502}, "HTTP status 502"),
        ("html", {}, "another form"),
        ("redirect", {}, "sends us on"),
        ("bomb", {"megabytes": 6}, "larger than"),
    ],
)
def test_a_fault_on_the_way_is_a_sentence(phone: Phone, order: Order, kind: str, how: dict[str, int], told: str) -> None:
    order(kind, api="query", **how)
    with pytest.raises(ThsError, match=told) as caught:
        phone.groups().all()
    assert TICKET not in str(caught.value)


def test_calls_without_an_answer_are_given_up_after_some(phone: Phone, order: Order) -> None:
    groups = phone.groups()
    made = groups.make("量化")
    before = phone.calls("add")
    order("disconnect", api="add", times=None)
    became = list(groups.add(made, [Entry(str(600_000 + n), "17") for n in range(30)]))
    assert {each.outcome for each in became} == {Outcome.REFUSED}
    assert phone.calls("add") - before < 20


def test_a_full_group_is_not_asked_for_each_of_many_codes(phone: Phone, order: Order) -> None:
    groups = phone.groups()
    made = groups.make("量化")
    before = phone.calls("add")
    order("code", api="add", code="-10009", times=None)
    became = list(groups.add(made, [Entry(str(600_000 + n), "17") for n in range(30)]))
    assert {each.said for each in became} == {"-10009 分组内股票数量已达上限"}
    assert phone.calls("add") - before == 3


def test_wrong_codes_in_a_row_do_not_stop_the_right_one_behind_them(phone: Phone) -> None:
    groups = phone.groups()
    became = list(groups.add(groups.make("量化"), [*(Entry(f"99999{n}", "17") for n in range(5)), MAOTAI]))
    assert became[-1] == Became(MAOTAI, Outcome.DONE)


def test_the_default_list_has_a_door_of_its_own(phone: Phone) -> None:
    phone.arrange(default=(("600519", "17"), ("HK0700", "177")))
    groups = phone.groups()
    found = groups.default()
    assert (found.id, found.entries) == (DEFAULT, (MAOTAI, Entry("HK0700", "177")))
    assert [each.outcome for each in groups.add(found, [PINGAN])] == [Outcome.DONE]
    assert [each.outcome for each in groups.remove(found, [MAOTAI])] == [Outcome.DONE]
    assert phone.default() == [("HK0700", "177"), _tuple(PINGAN)]


def test_a_group_that_is_not_understood_is_not_written_into() -> None:
    assert entries_of("") == ()
    assert entries_of("600519|000001|,17|33|") == entries_of("600519|000001,17|33") == (MAOTAI, PINGAN)
    with pytest.raises(ThsError, match="2 codes and 1 markets"):
        entries_of("600519|000001|,17|")


def test_a_group_that_can_be_written_into_goes_before_a_dynamic_one_of_its_name(phone: Phone) -> None:
    phone.arrange(涨停板=[])
    found = named(phone.groups().all(), " 涨停板 ")
    assert found is not None
    assert not found.dynamic


def test_a_refused_group_is_a_sentence(phone: Phone, order: Order) -> None:
    order("code", api="add_group", code="-10010")
    with pytest.raises(Refused, match="-10010"):
        phone.groups().make("量化")


def test_a_cookie_stands_in_no_text(phone: Phone) -> None:
    groups: Groups = phone.groups()
    assert TICKET not in repr(groups)
