"""What is served under which of Tushare's names. The names are those under which our Tushare source asks for the data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from quant_pipeline.charts.periods import Frequency
from quant_pipeline.door.tushare.errors import WRONG_REQUEST, Refusal
from quant_pipeline.market.dataset import SOURCE, Dataset
from quant_pipeline.market.datasets import DATASETS, INDEX_DAILY
from quant_pipeline.sources.tushare import TushareSource

VIP = "_vip"
"""Tushare's names for the same tables without the duty to name a code: daily_vip."""
_BAR = "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount"
_PERIOD = "ts_code,trade_date,close,open,high,low,pre_close,change,pct_chg,vol,amount"
_DEFAULTS: Mapping[str, str] = {
    "stock_basic": "ts_code,symbol,name,area,industry,cnspell,market,list_date,act_name,act_ent_type",
    "index_basic": "ts_code,name,market,publisher,category,base_date,base_point,list_date",
    "fund_basic": "ts_code,name,management,custodian,fund_type,found_date,due_date,list_date,issue_date,delist_date,"
    "issue_amount,m_fee,c_fee,duration_year,p_value,min_amount,benchmark,status,invest_type,type,market",
    "cb_basic": "ts_code,bond_full_name,bond_short_name,cb_code,stk_code,stk_short_name,maturity,par,issue_price,issue_size,"
    "remain_size,value_date,maturity_date,rate_type,coupon_rate,list_date,delist_date,exchange,conv_start_date,conv_end_date,"
    "first_conv_price,conv_price",
    "stk_limit": "trade_date,ts_code,up_limit,down_limit",
    "stk_auction_o": "ts_code,trade_date,close,open,high,low,vol,amount,vwap",
    "dividend": "ts_code,end_date,ann_date,div_proc,stk_div,stk_bo_rate,stk_co_rate,cash_div,cash_div_tax,record_date,ex_date,"
    "pay_date,div_listdate,imp_ann_date",
    "index_weight": "index_code,con_code,trade_date,weight",
    "cb_daily": _BAR,
    "ths_member": "ts_code,con_code,con_name",
    "ths_hot": "trade_date,data_type,ts_code,ts_name,rank,pct_change,current_price,concept,rank_reason,hot,rank_time",
}
"""API -> what it gives without `fields`, where that is not all columns of ours in their order. The others are to be named."""
_OURS_ALONE: Mapping[str, frozenset[str]] = {"dividend": frozenset({"trade_date"}), "index_weight": frozenset({"as_of"})}
_STORED_AS: Mapping[str, Mapping[str, str]] = {"index_weight": {"trade_date": "as_of"}}
"""API -> column of Tushare's -> ours: our months bear their last session as label, Tushare's snapshots their own day."""
_DAYS: Mapping[str, str] = {"trade_cal": "cal_date", "namechange": "ann_date"}
"""API -> what start_date and end_date are about, where that is not trade_date."""
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "index_daily": ("ts_code",),
    "index_weight": ("index_code",),
    "ths_member": ("ts_code", "con_code"),
    "dividend": ("ts_code", "ann_date", "record_date", "ex_date", "imp_ann_date"),
}
"""API -> of these one must be given."""
_UNLESS_GIVEN: Mapping[str, Mapping[str, str]] = {
    "stock_basic": {"list_status": "L"},
    "index_basic": {"market": "SSE"},
    "fund_basic": {"market": "E"},
    "trade_cal": {"exchange": "SSE"},
    "ths_hot": {"market": "热股", "is_new": "Y"},
}
"""API -> parameter -> the value that it has where the caller gives none."""
_ORDER: Mapping[str, Mapping[str, bool]] = {
    "trade_cal": {"cal_date": True},
    "namechange": {"start_date": True, "ts_code": False},
    "dividend": {"ann_date": True, "ts_code": False},
    "bse_mapping": {"o_code": False},
    "index_weight": {"trade_date": True, "weight": True, "con_code": False},
    "ths_member": {"ts_code": False, "con_code": False},
    "ths_hot": {"rank_time": True, "rank": False},
}
"""API -> column -> whether the greatest comes first, where that is not the newest session and then the code."""


@dataclass(frozen=True)
class Api:
    """One of Tushare's names: the data sets behind it (of one form), and what it gives."""

    name: str
    datasets: tuple[Dataset, ...]
    columns: tuple[str, ...]
    """Given without `fields`."""
    more: tuple[str, ...]
    """Given where they are named."""
    order: Mapping[str, bool]
    stored_as: Mapping[str, str] = field(default_factory=dict)
    days: str | None = None
    """The column that start_date and end_date are about."""
    needed: tuple[str, ...] = ()
    unless_given: Mapping[str, str] = field(default_factory=dict)
    made_of_days: Frequency | None = None
    """Its rows are made of the data set's daily ones when they are read."""

    @property
    def dataset(self) -> Dataset:
        return self.datasets[0]

    def column(self, name: str) -> str:
        """The table's column behind a column of the answer."""
        return self.stored_as.get(name, name)


@cache
def apis() -> Mapping[str, Api]:
    """Every API by its name."""
    found: dict[str, tuple[Dataset, ...]] = {}
    for name, serving in TushareSource.servings.items():
        found[serving.api] = (*found.get(serving.api, ()), DATASETS[name])
    named = {name: _api(name, datasets) for name, datasets in found.items()}
    for name, frequency in (("index_weekly", Frequency.WEEK), ("index_monthly", Frequency.MONTH)):
        columns = tuple(_PERIOD.split(","))
        order = {"trade_date": True, "ts_code": False}
        named[name] = Api(name, (INDEX_DAILY,), columns, (), order, days="trade_date", made_of_days=frequency)
    return MappingProxyType(named)


def api_named(text: str) -> Api:
    """The API that a call names. Refusal where there is none."""
    name = text.removesuffix(VIP)
    if (api := apis().get(name)) is not None:
        return api
    if not name:
        raise Refusal(WRONG_REQUEST, "请指定正确的接口名：api_name 为空。No api_name is given.")
    raise Refusal(
        WRONG_REQUEST,
        f"请指定正确的接口名：本地数据库没有“{name[:64]}”的数据。quant_pipeline does not keep this table. "
        f"可用 It has: {', '.join(sorted(apis()))}",
    )


def _api(name: str, datasets: tuple[Dataset, ...]) -> Api:
    own = [column for column in datasets[0].column_names if column not in _OURS_ALONE.get(name, ())]
    given = tuple(_DEFAULTS[name].split(",")) if name in _DEFAULTS else tuple(own)
    newest_first = {"trade_date": True} if datasets[0].dated else {}
    return Api(
        name,
        datasets,
        given,
        tuple(column for column in (*own, SOURCE.name) if column not in given),
        _ORDER.get(name, {**newest_first, "ts_code": False}),
        _STORED_AS.get(name, {}),
        _DAYS.get(name, "trade_date" if datasets[0].dated and name != "dividend" else None),
        _NEEDED.get(name, ()),
        _UNLESS_GIVEN.get(name, {}),
    )
