"""What the Tushare-protocol server offers: each API's columns and row cap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Api:
    """An API: the columns it gives by default, those only given when asked for, and the rows of one answer (`cap`)."""

    columns: tuple[str, ...]
    optional: tuple[str, ...] = ()
    cap: int | None = None
    live: bool = False
    """Whether every call may find another answer."""

    def selected(self, fields: str) -> tuple[str, ...]:
        """The columns of `fields` ("ts_code,close"), in that order; unknown ones are ignored, as Tushare does."""
        known = {*self.columns, *self.optional}
        asked = dict.fromkeys(name.strip() for name in fields.split(","))
        return tuple(name for name in asked if name in known) or self.columns


def _columns(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


_BAR = "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount"
APIS: Mapping[str, Api] = {
    "stock_basic": Api(
        _columns("ts_code,symbol,name,area,industry,cnspell,market,list_date,act_name,act_ent_type"),
        _columns("fullname,enname,exchange,curr_type,list_status,delist_date,is_hs"),
        cap=6_000,
    ),
    "trade_cal": Api(_columns("exchange,cal_date,is_open,pretrade_date")),
    "namechange": Api(_columns("ts_code,name,start_date,end_date,ann_date,change_reason"), cap=10_000),
    "daily": Api(
        _columns(_BAR),
        cap=6_000,
    ),
    "adj_factor": Api(_columns("ts_code,trade_date,adj_factor"), cap=6_000),
    "daily_basic": Api(
        _columns(
            "ts_code,trade_date,close,turnover_rate,turnover_rate_f,volume_ratio,pe,pe_ttm,pb,ps,ps_ttm,"
            "dv_ratio,dv_ttm,total_share,float_share,free_share,total_mv,circ_mv"
        ),
        cap=6_000,
    ),
    "suspend_d": Api(_columns("ts_code,trade_date,suspend_timing,suspend_type"), cap=5_000),
    "dividend": Api(
        _columns(
            "ts_code,end_date,ann_date,div_proc,stk_div,stk_bo_rate,stk_co_rate,cash_div,cash_div_tax,record_date,ex_date,"
            "pay_date,div_listdate,imp_ann_date"
        ),
        _columns("base_date,base_share"),
        cap=2_000,
    ),
    "index_weight": Api(_columns("index_code,con_code,trade_date,weight"), cap=5_000),
    "weekly": Api(_columns(_BAR), cap=6_000),
    "monthly": Api(_columns(_BAR), cap=4_500),
    "stk_auction_o": Api(_columns("ts_code,trade_date,close,open,high,low,vol,amount,vwap"), cap=10_000),
    "bse_mapping": Api(_columns("name,o_code,n_code,list_date"), cap=1_000),
    "index_basic": Api(
        _columns("ts_code,name,market,publisher,category,base_date,base_point,list_date"),
        _columns("fullname,index_type,weight_rule,desc,exp_date"),
        cap=8_000,
    ),
    "index_daily": Api(_columns(_BAR), cap=8_000),
    "fund_basic": Api(
        _columns(
            "ts_code,name,management,custodian,fund_type,found_date,due_date,list_date,issue_date,delist_date,issue_amount,"
            "m_fee,c_fee,duration_year,p_value,min_amount,benchmark,status,invest_type,type,market"
        ),
        cap=15_000,
    ),
    "fund_daily": Api(_columns(_BAR), cap=2_000),
    "fund_adj": Api(_columns("ts_code,trade_date,adj_factor"), cap=2_000),
    "cb_basic": Api(
        _columns(
            "ts_code,bond_full_name,bond_short_name,cb_code,stk_code,stk_short_name,maturity,par,issue_price,issue_size,"
            "remain_size,value_date,maturity_date,rate_type,coupon_rate,list_date,delist_date,exchange,conv_start_date,"
            "conv_end_date,first_conv_price,conv_price"
        ),
        cap=2_000,
    ),
    "cb_daily": Api(_columns(_BAR), _columns("bond_value,bond_over_rate,cb_value,cb_over_rate"), cap=2_000),
    "ths_index": Api(_columns("ts_code,name,count,exchange,list_date,type"), cap=5_000),
    "ths_member": Api(_columns("ts_code,con_code,con_name"), _columns("weight,in_date,out_date,is_new"), cap=5_000),
    "ths_hot": Api(
        _columns("trade_date,data_type,ts_code,ts_name,rank,pct_change,current_price,concept,rank_reason,hot,rank_time"),
        cap=2_000,
    ),
    "rt_k": Api(
        _columns("ts_code,name,pre_close,high,open,low,close,vol,amount,num"),
        _columns("ask_price1,ask_volume1,bid_price1,bid_volume1,trade_time"),
        cap=6_000,
        live=True,
    ),
    "stk_limit": Api(_columns("trade_date,ts_code,up_limit,down_limit"), _columns("pre_close"), cap=5_800),
}
"""The APIs by name; the caps are those of facts about the real service, where they are known."""
