"""Reads qlib's bin format as qlib's documents describe it: a second opinion, where qlib itself is not at hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl


def calendar(place: Path) -> list[dt.date]:
    return [dt.date.fromisoformat(line) for line in (place / "calendars/day.txt").read_text().splitlines()]


def instruments(place: Path, pool: str) -> list[tuple[str, str, str]]:
    lines = (place / f"instruments/{pool}.txt").read_text().splitlines()
    return [(code, first, last) for code, first, last in (line.split("\t") for line in lines)]


def features(place: Path, code: str, *fields: str) -> pl.DataFrame:
    """trade_date and the fields, of the sessions on which the code has a bar."""
    days, columns = calendar(place), {}
    for field in fields:
        raw = np.fromfile(place / "features" / code.lower() / f"{field}.day.bin", dtype="<f4")
        start = int(raw[0])
        columns[field] = pl.Series(raw[1:], dtype=pl.Float64)
        columns["trade_date"] = pl.Series(days[start : start + len(raw) - 1])
    return pl.DataFrame(columns).filter(pl.col("close").is_not_nan()).select("trade_date", *fields)
