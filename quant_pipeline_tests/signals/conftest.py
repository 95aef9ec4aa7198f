"""A small market whose strategies say what a test wants."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import polars as pl
import pytest
from pydantic import BaseModel, ConfigDict

from quant_pipeline.market.datasets import SCREEN_RESULTS
from quant_pipeline.signals import arising
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.registry import Registry
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.screenings import note_screening
from quant_pipeline_tests.sync.stored import NOW, store


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Says(Strategy):
    """Sells these codes in every session; the score is the close."""

    zh, doc, Parameters, needs = "试", "x", Nothing, {"daily_kline": ("close",)}
    sold: tuple[str, ...] = ()
    lookback = 0
    figures = ()

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        sell = pl.col("ts_code").is_in(list(type(self).sold))
        return bars.select("ts_code", "trade_date", buy=pl.lit(False), sell=sell, score=pl.col("close"))


class Breaks(Says):
    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:  # noqa: ARG002
        raise ZeroDivisionError("division by zero")


def strategies(**sold: Iterable[str]) -> dict[str, type[Strategy]]:
    return {name: type(name, (Says,), {"name": name, "sold": tuple(codes)}) for name, codes in sold.items()}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Strategy]]:
    """The registered strategies of this test: to be filled."""
    monkeypatch.setenv("QUANT_NOW", NOW)
    found: dict[str, type[Strategy]] = {}
    monkeypatch.setattr(arising, "registered", lambda: Registry(found, {}))
    return found


def screened(database: Database, screen: str, session: dt.date, scores: Mapping[str, float | None]) -> None:
    """A screen's hits of a session, code -> score, as its asset writes them."""
    rows = [
        {"screen": screen, "trade_date": session, "ts_code": code, "score": score, "parameters": "{}"}
        for code, score in scores.items()
    ]
    if rows:
        store(database, SCREEN_RESULTS, rows, source="computed")
    with database.connect() as connection:
        note_screening(connection, screen, session, len(rows))
