"""Turnover against the sessions before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from quant_pipeline.overview.parts import Lacking, SessionTurnover, Turnover

SESSIONS = 20
"""How many sessions before the day it is compared with."""
_WHOLE = 0.9
"""Of the day's own count of shares: a session with fewer is not whole, and not compared with."""


def turnover(sums: pl.DataFrame, sessions: Sequence[dt.date]) -> Turnover | Lacking:
    """`sums`: trade_date, amount [千元], codes, priced (how many have an amount) · `sessions`: the day is the last one."""
    found = {row["trade_date"]: row for row in sums.iter_rows(named=True)}
    today = found[sessions[-1]]
    if not today["priced"]:
        return Lacking("amount", "当日日线没有成交额 The bars of the day have no turnover")

    def whole(session: dt.date) -> bool:
        return session in found and found[session]["priced"] >= _WHOLE * today["codes"]

    before = [found[session]["amount"] for session in sessions[:-1] if whole(session)]
    return Turnover(
        amount=today["amount"],
        sessions=[
            SessionTurnover(session, found[session]["amount"] if session in found else None, whole(session))
            for session in sessions
        ],
        mean=sum(before) / len(before) if before else None,
        compared=len(before),
    )
