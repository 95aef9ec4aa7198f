"""Codes of a board that nobody knows are taken, and named once by their prefix."""

from __future__ import annotations

from quant_pipeline.market.datasets import DAILY_KLINE, STOCK_LIST
from quant_pipeline.sync.checks import checks_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import CODES, execute, judged, market, sessions


def test_a_new_prefix_is_a_warning_that_names_it_and_news_by_prefix(warehouse: Database) -> None:
    days = sessions(3)
    market(warehouse, days, [*CODES[:10], "303001.SZ", "303002.SZ", "604001.SH"])
    for dataset in (STOCK_LIST, DAILY_KLINE):
        verdict = judged(warehouse, dataset, "known_boards", days)
        assert not verdict.passed
        assert verdict.text == "3 of 13 codes are of boards that nobody knows: 303xxx.SZ (2), 604xxx.SH (1)"
        assert set(verdict.news) == {"unknown-board:303.SZ", "unknown-board:604.SH"}
        assert "303001.SZ" in verdict.news["unknown-board:303.SZ"]
        assert [check.warns for check in checks_of(dataset) if check.name == "known_boards"] == [True]
    execute(warehouse, "DELETE FROM daily_kline WHERE left(ts_code, 3) IN ('303', '604')")
    verdict = judged(warehouse, DAILY_KLINE, "known_boards", days)
    assert (verdict.passed, verdict.news) == (True, {})
