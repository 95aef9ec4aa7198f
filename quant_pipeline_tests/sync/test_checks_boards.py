"""THS members are shares that exist, of boards that exist."""

from __future__ import annotations

import pytest

from quant_pipeline.market.datasets import BSE_MAPPING, STOCK_LIST, THS_CONCEPTS, THS_INDUSTRIES, THS_MEMBERS
from quant_pipeline.sync.checks import checks_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import LISTED, execute, judged, store

CODES = [f"{600000 + n}.SH" for n in range(200)]
CONCEPT, INDUSTRY = "885001.TI", "881101.TI"


@pytest.fixture
def members(warehouse: Database) -> Database:
    """Two boards of two hundred members each, and one member under its old BSE code."""
    store(warehouse, STOCK_LIST, [{"ts_code": code, "list_status": "L", "list_date": LISTED} for code in (*CODES, "920047.BJ")])
    store(warehouse, BSE_MAPPING, [{"o_code": "430047.BJ", "n_code": "920047.BJ"}])
    store(warehouse, THS_CONCEPTS, [{"ts_code": CONCEPT, "name": "人工智能", "type": "N"}])
    store(warehouse, THS_INDUSTRIES, [{"ts_code": INDUSTRY, "name": "种植业", "type": "I"}])
    rows = [{"ts_code": board, "con_code": code} for board in (CONCEPT, INDUSTRY) for code in CODES]
    store(warehouse, THS_MEMBERS, [*rows, {"ts_code": CONCEPT, "con_code": "430047.BJ"}])
    return warehouse


def verdicts(database: Database) -> dict[str, bool]:
    return {name: judged(database, THS_MEMBERS, name, []).passed for name in ("members_known", "all_members_known")}


def test_known_shares_of_known_boards_pass_and_an_old_bse_code_counts_as_its_new_one(members: Database) -> None:
    assert verdicts(members) == {"members_known": True, "all_members_known": True}
    execute(members, "DELETE FROM bse_mapping")
    found = judged(members, THS_MEMBERS, "all_members_known", []).offending
    assert found.select("ts_code", "con_code", "found").rows() == [(CONCEPT, "430047.BJ", "no such share")]


def test_a_few_unknown_members_are_a_warning_and_more_an_error(members: Database) -> None:
    execute(members, "DELETE FROM stock_list WHERE ts_code = %s", CODES[0])
    assert verdicts(members) == {"members_known": True, "all_members_known": False}, "2 of 401"
    execute(members, "DELETE FROM stock_list WHERE ts_code = %s", CODES[1])
    assert verdicts(members) == {"members_known": False, "all_members_known": False}, "4 of 401"
    found = judged(members, THS_MEMBERS, "members_known", [])
    assert found.text == "4 of 401 members are of no known board or share"
    assert set(found.offending["con_code"]) == set(CODES[:2])
    assert {check.name: check.warns for check in checks_of(THS_MEMBERS)}.items() >= {
        ("members_known", False),
        ("all_members_known", True),
    }


def test_a_board_that_no_list_has_is_named(members: Database) -> None:
    execute(members, "DELETE FROM ths_industries")
    found = judged(members, THS_MEMBERS, "members_known", [])
    assert not found.passed
    assert found.offending.row(0) == (INDUSTRY, CODES[0], None, "no such board")


def test_without_lists_nobody_is_unknown(members: Database) -> None:
    execute(members, "DELETE FROM stock_list")
    assert verdicts(members) == {"members_known": True, "all_members_known": True}
