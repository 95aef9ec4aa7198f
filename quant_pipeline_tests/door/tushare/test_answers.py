"""Every table by Tushare's own client: field by field what the sandbox's Tushare server gives."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from quant_pipeline.door.tushare.names import apis
from quant_pipeline_tests.door.tushare.conftest import Door

DAY = "20261118"
ASKED: dict[str, list[dict[str, Any]]] = {
    "stock_basic": [{}, {"list_status": "D"}, {"list_status": "L,D,P", "exchange": "SZSE"}, {"market": "创业板"}],
    "trade_cal": [{"start_date": "20260101", "end_date": "20261231"}, {"exchange": "SZSE", "is_open": "1"}],
    "namechange": [{}, {"start_date": "20250601"}],
    "daily": [{"trade_date": DAY}, {"start_date": "20261001", "end_date": "20261031"}, {"trade_date": "20261122"}],
    "weekly": [{"trade_date": "20261113"}, {"start_date": "20261001", "end_date": "20261120"}],
    "monthly": [{"trade_date": "20261030"}, {"start_date": "20261001", "end_date": "20261120"}],
    "adj_factor": [{"trade_date": DAY}],
    "daily_basic": [{"trade_date": DAY}],
    "suspend_d": [{"start_date": "20261001", "end_date": "20261120"}, {"trade_date": DAY, "suspend_type": "S"}],
    "stk_limit": [{"trade_date": DAY}],
    "stk_auction_o": [{"trade_date": DAY}],
    "bse_mapping": [{}],
    "index_basic": [{}, {"market": "SZSE"}, {"market": "CSI"}],
    "index_daily": [{"ts_code": "000300.SH", "start_date": "20261001"}],
    "index_weight": [{"index_code": "399300.SZ", "start_date": "20261001", "end_date": "20261031"}],
    "fund_basic": [{"market": "E"}, {"market": "E", "status": "L"}],
    "fund_daily": [{"trade_date": DAY}],
    "fund_adj": [{"trade_date": DAY}],
    "cb_basic": [{}, {"exchange": "SH"}],
    "cb_daily": [{"trade_date": DAY}],
    "ths_index": [{"exchange": "A"}, {"exchange": "A", "type": "N"}, {"type": "I"}],
    "ths_member": [{"ts_code": "883957.TI"}],
    "ths_hot": [{"trade_date": DAY}, {"trade_date": DAY, "is_new": "N"}],
}
ORDERED = {"trade_cal": "cal_date", "namechange": "start_date", "ths_hot": "rank_time"}


def sorted_by_all(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(list(frame.columns), na_position="last", ignore_index=True, key=lambda values: values.astype(str))


@pytest.mark.parametrize(("api", "params"), [(api, params) for api, every in ASKED.items() for params in every])
def test_an_answer_is_field_by_field_the_reference_s(door: Door, api: str, params: dict[str, Any]) -> None:
    ours, theirs = door.pro().query(api, **params), door.reference().query(api, **params)
    assert list(ours.columns) == list(theirs.columns)
    pd.testing.assert_frame_equal(sorted_by_all(ours), sorted_by_all(theirs), check_dtype=False)
    day = ORDERED.get(api, "trade_date")
    if day in ours.columns:
        assert ours[day].tolist() == theirs[day].tolist(), "newest first"


def test_every_api_of_ours_is_compared(door: Door) -> None:
    del door
    assert set(ASKED) | {"dividend", "index_weekly", "index_monthly"} == set(apis())
