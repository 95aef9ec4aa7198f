"""What companies give to their shareholders: dividends in cash and in shares."""

from __future__ import annotations

import datetime as dt

from quant_pipeline.market import rules
from quant_pipeline.market.columns import date, number, text
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition
from quant_pipeline.market.merging import summed_dividends

_KEY = ("ts_code", "trade_date")
_AMOUNTS = ("stk_div", "stk_bo_rate", "stk_co_rate", "cash_div", "cash_div_tax")

DIVIDENDS = Dataset(
    "dividends",
    zh="分红送股",
    doc="What a share received on its ex-date, which is the trade_date: cash, bonus and transferred shares, per share held. "
    "Only dividends that were carried out (实施). Several of one ex-date are one row, their sum. Rights issues (配股) "
    "are not here.",
    group="market",
    partition=Partition.SESSION,
    key=_KEY,
    columns=(
        CODE,
        TRADE_DATE,
        date("end_date", "分红年度", "End of the period that it is paid for; BaoStock does not say it."),
        date("ann_date", "预案公告日", "Day on which the plan was announced."),
        text("div_proc", "实施进度", "Stage: 实施, carried out.", required=True),
        number("stk_div", "每股送转", "New shares per share: bonus and transfer.", "股"),
        number("stk_bo_rate", "每股送股比例", "Bonus shares per share (送股): taxed at their par of 1 元.", "股"),
        number("stk_co_rate", "每股转增比例", "Transferred shares per share (转增), out of the capital reserve.", "股"),
        number("cash_div", "每股分红(税后)", "Cash per share after the tax that is withheld.", "元"),
        number("cash_div_tax", "每股分红(税前)", "Cash per share before tax: it lowers the ex price.", "元"),
        date("record_date", "股权登记日", "Who holds the share at this day's close receives it."),
        date("ex_date", "除权除息日", "The session from which on the price is without it; trade_date, again.", required=True),
        date("pay_date", "派息日", "Day on which the cash is paid."),
        date("div_listdate", "红股上市日", "First session in which the new shares can be sold."),
        date("imp_ann_date", "实施公告日", "Day on which carrying it out was announced."),
    ),
    rules=(
        rules.code_is_tushare,
        rules.dividend_carried_out,
        rules.ex_date_is_session,
        rules.dividend_not_negative,
    ),
    merge=summed_dividends(_KEY, period="end_date", announced=("ann_date", "imp_ann_date"), amounts=_AMOUNTS),
    coverage=Coverage.ANY,
    after=("trade_calendar", "stock_list"),
    universe=("stock_list",),
    ready=dt.time(9, 20),
    whole=True,
)
