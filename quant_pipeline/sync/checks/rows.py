"""The rules of the spec, once more over what stands in the warehouse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl

from quant_pipeline.language import told
from quant_pipeline.market.rules import VOLUME_FITS_SINCE, volume_fits
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
    return Verdict(
        not broken,
        told("{count} rows keep {total} rules", count=looked_at, total=len(scope.dataset.rules)),
        looked_at,
        offending,
    )


def _rows(scope: Scope) -> Iterator[pl.DataFrame]:
    if not scope.dataset.dated:
        yield read(scope.database, scope.dataset)
        return
    for chunk in scope.chunks():
        yield read(scope.database, scope.dataset, start=chunk[0], end=chunk[-1], codes=scope.codes or None)


def _early_volume_fits(scope: Scope) -> Verdict:
    looked_at, off = 0, []
    early = [chunk for chunk in scope.chunks() if chunk[0] < VOLUME_FITS_SINCE]
    for chunk in early:
        bars = read(scope.database, scope.dataset, start=chunk[0], end=min(chunk[-1], VOLUME_FITS_SINCE - dt.timedelta(days=1)))
        bars = scope.only(bars)
        looked_at += bars.height
        off.append(bars.filter(~volume_fits()))
    rows = pl.concat(off) if off else pl.DataFrame()
    text = told(
        "in {count} of {total} bars before {year} vol and amount do not fit the price",
        count=rows.height,
        total=looked_at,
        year=VOLUME_FITS_SINCE.year,
    )
    return Verdict(rows.is_empty(), text, looked_at, rows.head(PAGE))


EARLY_VOLUME_FITS = Check(
    "early_volume_fits",
    "1994年前量额相符",
    "Before 1994 vol and amount fit the price (Shenzhen's often do not; from 1994 on such rows are refused).",
    _early_volume_fits,
    warns=True,
    of_codes=True,
)
ROWS_SANE = Check(
    "rows_sane", "逐行合理", "Every row keeps the data set's rules (OHLC in order, units, …).", _rows_sane, of_codes=True
)
