"""The data sets in which the platform writes down how good its data are."""

from __future__ import annotations

from quant_pipeline.market.columns import integer, number, text
from quant_pipeline.market.dataset import TRADE_DATE, Coverage, Dataset, Partition

RECONCILIATION = Dataset(
    "reconciliation",
    zh="多源对账",
    doc="How far a second source agrees with the stored rows, per session and field, over a daily sample of codes.",
    group="quality",
    partition=Partition.SESSION,
    key=("trade_date", "dataset", "field", "second_source"),
    columns=(
        TRADE_DATE,
        text("dataset", "数据集", "The data set whose rows were compared.", required=True),
        text("field", "字段", "The column that was compared.", required=True),
        text("second_source", "第二数据源", "The source that the stored rows were compared with.", required=True),
        integer("compared", "比对行数", "Rows that have the value in both.", required=True),
        integer("agreeing", "一致行数", "Those of them that agree within the field's tolerance.", required=True),
        number("agreement", "一致率", "agreeing over compared.", "%", required=True),
        number("worst_difference", "最大差异", "Of the row that is farthest off for its size, in the field's own unit."),
        text("worst_code", "最大差异代码", "The code that it was found at."),
    ),
    coverage=Coverage.ANY,
    after=("daily_kline",),
    sourced=False,
)
