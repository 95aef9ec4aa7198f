"""Every share, index, fund and bond that the reference lists name."""

from __future__ import annotations

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import CONVERTIBLE_BONDS, ETF_LIST, INDEX_LIST, STOCK_LIST
from quant_pipeline.market.listings import Kind, Listing
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read

_COLUMNS: dict[Kind, tuple[Dataset, tuple[str, str, str, str]]] = {
    Kind.STOCK: (STOCK_LIST, ("name", "industry", "list_date", "delist_date")),
    Kind.INDEX: (INDEX_LIST, ("name", "category", "list_date", "exp_date")),
    Kind.ETF: (ETF_LIST, ("name", "fund_type", "list_date", "delist_date")),
    Kind.CONVERTIBLE_BOND: (CONVERTIBLE_BONDS, ("bond_short_name", "stk_short_name", "list_date", "delist_date")),
}
"""Per kind: its list, and there the name, what it belongs to (of a bond, its share), the first and the last day."""


def listings(database: Database) -> list[Listing]:
    """All of them: shares before indexes, funds and bonds, within these by code, what is delisted last."""
    found = []
    for kind, (dataset, columns) in _COLUMNS.items():
        rows = read(database, dataset, columns=["ts_code", *columns])
        for code, name, belongs, first, last in rows.iter_rows():
            found.append(Listing(code, name or "", kind, belongs or "", first, last))
    order = list(Kind)
    return sorted(found, key=lambda each: (each.delisted is not None, order.index(each.kind), each.code))
