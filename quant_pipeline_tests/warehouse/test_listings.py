"""Shares, indexes, funds and bonds are read out of their lists as one."""

from __future__ import annotations

import datetime as dt

from quant_pipeline.market.listings import Kind, Listing
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.listings import listings

DAY = dt.date(2001, 8, 27)


def test_every_list_s_codes_are_found_with_what_is_known_of_them(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        for table, columns, values in (
            ("stock_list", "ts_code, name, list_status, industry, list_date", ("600519.SH", "贵州茅台", "L", "白酒", DAY)),
            ("stock_list", "ts_code, name, list_status", ("000001.SZ", "平安银行", "L")),
            ("stock_list", "ts_code, name, list_status, delist_date", ("000003.SZ", "PT金田A", "D", DAY)),
            ("index_list", "ts_code, name, category", ("000001.SH", "上证指数", "综合指数")),
            ("etf_list", "ts_code, name, status", ("510300.SH", "沪深300ETF", "L")),
            ("convertible_bonds", "ts_code, bond_short_name, stk_short_name", ("113050.SH", "南银转债", "南京银行")),
        ):
            marks = ", ".join(["%s"] * len(values))
            connection.execute(f"INSERT INTO {table} ({columns}, source) VALUES ({marks}, 'test')", values)
    assert listings(warehouse) == [
        Listing("000001.SZ", "平安银行", Kind.STOCK),
        Listing("600519.SH", "贵州茅台", Kind.STOCK, "白酒", DAY),
        Listing("000001.SH", "上证指数", Kind.INDEX, "综合指数"),
        Listing("510300.SH", "沪深300ETF", Kind.ETF),
        Listing("113050.SH", "南银转债", Kind.CONVERTIBLE_BOND, "南京银行"),
        Listing("000003.SZ", "PT金田A", Kind.STOCK, "", None, DAY),
    ]
