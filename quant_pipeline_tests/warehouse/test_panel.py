"""The panel out of the tables: of each code as many bars as a strategy must see, whoever was halted."""

from __future__ import annotations

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.strategies.panel import together
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import snapshot
from quant_pipeline.warehouse.panel import read_panel
from quant_pipeline_tests.sync.stored import LATEST, store

DAYS = xshg().window(LATEST, 40)
SCREENED = DAYS[-2:]
LOOKBACK = 5
TRADED = {
    "600000.SH": DAYS,
    "600001.SH": (*DAYS[:10], *DAYS[36:]),  # halted for 26 sessions
    "600002.SH": DAYS[36:],  # new
    "600003.SH": DAYS[:30],  # halted to this day
}


def test_a_halted_code_is_read_from_as_early_as_it_takes(warehouse: Database) -> None:
    bar = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "vol": 1.0, "amount": 1.0}
    rows = [{"ts_code": code, "trade_date": day} for code, days in TRADED.items() for day in days]
    store(warehouse, DAILY_KLINE, [row | bar for row in rows])
    store(warehouse, ADJ_FACTOR, [row | {"adj_factor": 1.0} for row in rows])
    needs = together([{"daily_kline": ("close",)}])
    with snapshot(warehouse, None) as stored:
        panel = read_panel(stored, xshg(), needs, SCREENED, LOOKBACK)
        alone = read_panel(stored, xshg(), needs, SCREENED, LOOKBACK, codes=["600001.SH"])
    found = {code: tuple(panel.filter(ts_code=code)["trade_date"]) for code in TRADED}
    assert found["600000.SH"] == DAYS[-7:]
    assert found["600001.SH"] == (*DAYS[7:10], *DAYS[36:]), "five bars before the sessions, three of them before the halt"
    assert found["600002.SH"] == DAYS[36:]
    assert set(found["600003.SH"]) <= set(DAYS), "no bar in the sessions: none is looked for"
    assert panel.equals(panel.sort("ts_code", "trade_date"))
    assert alone.equals(panel.filter(ts_code="600001.SH"))
