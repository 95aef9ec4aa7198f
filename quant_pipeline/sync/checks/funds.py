"""Funds and convertible bonds: known codes, plausible prices and moves, and the bond's tie to its share."""

from __future__ import annotations

from quant_pipeline.language import marked, told
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict, by_queries, rows_between
from quant_pipeline.warehouse.reads import read_sql

WIDEST_ETF_MOVE = 21.0
"""%: the widest limit is 20 %, rounded to the tick of a cheap fund."""
ETF_CLOSE_WITHIN = 0.3
"""Of pre_close, on the first session too."""
BOND_PRICES = (20.0, 5000.0)
"""元 per 100 元 of par."""
CB_VALUE_TOLERANCE = 0.02

_UNKNOWN = """
SELECT bar.ts_code, bar.trade_date, list.list_date, list.delist_date
FROM {table} AS bar LEFT JOIN {list} AS list USING (ts_code)
WHERE bar.trade_date BETWEEN %(start)s AND %(end)s
  AND (list.ts_code IS NULL OR bar.trade_date < list.list_date OR bar.trade_date > list.delist_date)
ORDER BY bar.trade_date, bar.ts_code
"""
_WILD_ETF = f"""
SELECT bar.ts_code, bar.trade_date, list.list_date, bar.pre_close, bar.close, bar.pct_chg
FROM etf_daily AS bar LEFT JOIN etf_list AS list USING (ts_code)
WHERE bar.trade_date BETWEEN %(start)s AND %(end)s
  AND ((abs(bar.pct_chg) > {WIDEST_ETF_MOVE} AND bar.trade_date IS DISTINCT FROM list.list_date)
       OR abs(bar.close - bar.pre_close) > {ETF_CLOSE_WITHIN} * bar.pre_close)
ORDER BY bar.trade_date, bar.ts_code
"""
_WILD_BOND = f"""
SELECT ts_code, trade_date, open, high, low, close FROM cb_daily
WHERE trade_date BETWEEN %(start)s AND %(end)s
  AND (least(open, high, low, close) < {BOND_PRICES[0]} OR greatest(open, high, low, close) > {BOND_PRICES[1]})
ORDER BY trade_date, ts_code
"""
# The list knows today's conversion price only: a bond whose price was never changed has no other.
_CB_VALUE = """
SELECT bar.ts_code, bar.trade_date, bar.cb_value, 100 * share.close / bond.conv_price AS expected,
       bond.stk_code, share.close, bond.conv_price
FROM cb_daily AS bar JOIN convertible_bonds AS bond USING (ts_code)
JOIN daily_kline AS share ON share.ts_code = bond.stk_code AND share.trade_date = bar.trade_date
WHERE bar.trade_date = %(session)s AND bar.cb_value IS NOT NULL AND bond.conv_price > 0
  AND bond.conv_price = coalesce(bond.first_conv_price, bond.conv_price)
ORDER BY bar.ts_code
"""

_NOT_LISTED = marked("{count} of {total} bars are of codes that their list does not hold then")
_WIDE = marked("{count} of {total} bars move further than a fund may")
_OUTSIDE = marked("{count} of {total} bars lie outside the prices of a bond")


def _codes_known(scope: Scope) -> Verdict:
    (universe,) = scope.dataset.universe
    if read_sql(scope.database, f"SELECT count(*) AS n FROM {universe}").item() == 0:
        return Verdict(True, told("no {lists} to look the codes up in", lists=universe))
    query = _UNKNOWN.format(table=scope.dataset.name, list=universe)
    return by_queries(scope, query, rows_between(scope.dataset.name), _NOT_LISTED)


def _etf_moves(scope: Scope) -> Verdict:
    return by_queries(scope, _WILD_ETF, rows_between("etf_daily"), _WIDE)


def _bond_prices(scope: Scope) -> Verdict:
    return by_queries(
        scope,
        _WILD_BOND,
        rows_between("cb_daily"),
        _OUTSIDE,
    )


def _bond_values(scope: Scope) -> Verdict:
    if not scope.sessions:
        return Verdict(True, marked("no session to look at"))
    values = read_sql(scope.database, _CB_VALUE, {"session": scope.sessions[-1]})
    off = values.filter((values["cb_value"] / values["expected"] - 1).abs() > CB_VALUE_TOLERANCE)
    text = told(
        "{count} of {total} conversion values of {day} are not close / conv_price x 100",
        count=off.height,
        total=values.height,
        day=scope.sessions[-1],
    )
    return Verdict(off.is_empty(), text, values.height, off.head(PAGE))


CODES_KNOWN = Check("codes_known", "代码在列表内", "Every code is in its list, and traded while it was listed.", _codes_known)
ETF_MOVES = Check(
    "moves_plausible",
    "涨跌幅合理",
    f"pct_chg stays within {WIDEST_ETF_MOVE:g} % after the first session, close within 30 % of pre_close.",
    _etf_moves,
)
BOND_PRICES_PLAUSIBLE = Check(
    "prices_plausible", "价格合理", "Bond prices lie between 20 and 5,000 元 per 100 元 of par.", _bond_prices
)
BOND_VALUES = Check(
    "cb_value_fits_share",
    "转股价值与正股一致",
    "cb_value = the share's close / conv_price x 100 in the latest session, where conv_price was never changed.",
    _bond_values,
    warns=True,
)
