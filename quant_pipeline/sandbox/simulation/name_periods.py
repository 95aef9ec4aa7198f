"""The names that the codes of the register bear at a session."""

from __future__ import annotations

import polars as pl

from quant_pipeline.sandbox.simulation.securities import Register


def periods(register: Register, stop: int) -> pl.DataFrame:
    """The name periods that begin before the ordinal `stop`, as in `register.name_rows`, with `following`: the ordinal at
    which the next name begins, as far as it is known then."""
    begun = register.name_rows.filter(pl.col("start") < stop)
    following = pl.when(pl.col("code") == pl.col("code").shift(-1)).then(pl.col("start").shift(-1))
    return begun.with_columns(following=following)


def at(register: Register, stop: int) -> pl.Series:
    """The name of every code of the register before the ordinal `stop`; null for one that was never listed until then."""
    last = periods(register, stop).filter(pl.col("following").is_null())
    every = pl.DataFrame({"code": range(len(register))}, schema={"code": pl.Int64})
    return every.join(last, on="code", how="left", maintain_order="left")["name"]
