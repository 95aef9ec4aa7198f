"""Rows of one key that complete each other: by which rule a data set makes one row of them.

A rule takes the rows of the keys that came twice or more and gives one row for each key of which it can make one; of the
others, which contradict each other, every row is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

Merge = Callable[["pl.DataFrame"], "pl.DataFrame"]


def completed(key: Sequence[str], *, earliest: Sequence[str] = ()) -> Merge:
    """One row where each column has one value at the most beside nulls: that value. Of the `earliest` columns the least."""

    def merge(rows: pl.DataFrame) -> pl.DataFrame:
        others = [name for name in rows.columns if name not in key]
        told = rows.group_by(key, maintain_order=True).agg(
            *(pl.col(name).min() if name in earliest else pl.col(name).drop_nulls().first() for name in others),
            _agree=pl.all_horizontal(pl.col(name).drop_nulls().n_unique() <= 1 for name in others if name not in earliest),
        )
        return told.filter("_agree").select(rows.columns)

    return merge


def united_halts(key: Sequence[str], timing: str) -> Merge:
    """One halt of all that are told of a code and session: of the whole session (no timing) if one of them is, since that
    spans the others, else of all their spans."""

    def merge(rows: pl.DataFrame) -> pl.DataFrame:
        spans = pl.col(timing).unique().sort().str.join(",")
        united = pl.when(pl.col(timing).null_count() == 0).then(spans)
        return rows.group_by(key, maintain_order=True).agg(united.alias(timing)).select(rows.columns)

    return merge


def summed_dividends(key: Sequence[str], *, period: str, announced: Sequence[str], amounts: Sequence[str]) -> Merge:
    """What a share receives on one ex-date: of one `period` the row that was announced last, since it revises the others; of
    several periods the sum of their `amounts`, with all else of the latest period."""

    def of_all(name: str) -> pl.Expr:
        told = pl.col(name)
        return pl.when(told.count() > 0).then(told.sum().round(8)).alias(name) if name in amounts else told.last()

    def merge(rows: pl.DataFrame) -> pl.DataFrame:
        newest = rows.sort(*announced, nulls_last=False).unique([*key, period], keep="last", maintain_order=True)
        others = [name for name in rows.columns if name not in key]
        by_key = newest.sort(period, nulls_last=False).group_by(key, maintain_order=True)
        return by_key.agg(of_all(name) for name in others).select(rows.columns)

    return merge
