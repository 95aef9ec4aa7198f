"""The data sets in which the platform writes down how good its data are."""

from __future__ import annotations

from quant_pipeline.market.columns import number, text
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition

RECONCILIATION = Dataset(
    "reconciliation",
    zh="多源对账差异",
    doc="Every stored value that differs from what a second source says: a row per session, code, field and source. What was "
    "compared at all stands in reconciliation_runs. A row goes when the two agree again, or the stored value is another.",
    group="quality",
    partition=Partition.SESSION,
    key=("trade_date", "dataset", "ts_code", "field", "second_source"),
    columns=(
        TRADE_DATE,
        text("dataset", "数据集", "The data set whose row it is.", required=True),
        CODE,
        text("field", "字段", "The column; of factors it is the ratio to the session before.", required=True),
        text("stored_source", "入库来源", "The source of the stored row.", required=True),
        text("second_source", "第二数据源", "The source that says otherwise.", required=True),
        number("stored", "入库值", "The stored value, in the field's own unit.", required=True),
        number("second", "第二来源值", "What the second source says.", required=True),
        number("difference", "差异", "How far the two are apart.", required=True),
        number("tolerated", "容差", "How far they may be, by the field's tolerance.", required=True),
    ),
    coverage=Coverage.ANY,
    after=("daily_kline", "weekly_kline", "monthly_kline", "adj_factor", "daily_basic"),
    sourced=False,
)
