"""`/data`: the data dictionary, out of the specs; an anchor per data set."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from quant_pipeline.door.access import Reached
from quant_pipeline.door.rendering import page

router = APIRouter(default_response_class=HTMLResponse)

PARTITIONS = {"snapshot": "整表", "session": "每交易日", "week": "每周", "month": "每月"}
COVERAGES = {
    "market": "全部未停牌的上市代码",
    "every": "列表中的全部代码",
    "most": "大多数上市代码",
    "days": "首尾之间的每一天",
    "some": "不得为空",
    "any": "可以为空",
}


@router.get("/data")
def data(request: Request, access: Reached) -> HTMLResponse:
    from quant_pipeline.market.datasets import DATASETS
    from quant_pipeline.sources.registry import registered
    from quant_pipeline.sync.checks import checks_of

    sources = registered().sources.values()
    return page(
        request,
        "data.html",
        datasets=DATASETS.values(),
        servers={name: [source for source in sources if name in source.servings] for name in DATASETS},
        checks={name: checks_of(dataset) if dataset.sourced else () for name, dataset in DATASETS.items()},
        partitions=PARTITIONS,
        coverages=COVERAGES,
        off=access.settings.without,
    )
