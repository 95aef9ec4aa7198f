"""The rules of the spec, once more over what stands in the warehouse."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.warehouse.reads import read


def _rows_sane(scope: Scope) -> Verdict:
    looked_at, broken = 0, []
    for rows in _rows(scope):
        looked_at += rows.height
        for rule in scope.dataset.rules:
            bad = rows.filter(~rule.holds().fill_null(True))
            if not bad.is_empty():
                broken.append(bad.head(20).with_columns(pl.lit(rule.name).alias("rule")))
    offending = pl.concat(broken).head(PAGE) if broken else pl.DataFrame()
    return Verdict(not broken, f"{looked_at} rows keep {len(scope.dataset.rules)} rules", looked_at, offending)


def _rows(scope: Scope) -> Iterator[pl.DataFrame]:
    if not scope.dataset.dated:
        yield read(scope.database, scope.dataset)
        return
    for chunk in scope.chunks():
        yield read(scope.database, scope.dataset, start=chunk[0], end=chunk[-1])


ROWS_SANE = Check("rows_sane", "逐行合理", "Every row keeps the data set's rules (OHLC in order, units, …).", _rows_sane)
