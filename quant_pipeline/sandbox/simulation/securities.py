"""The register: every code ever listed on the simulated exchange, its life, its character and its names."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.sandbox.simulation import company_names
from quant_pipeline.sandbox.simulation.listing_boards import (
    BLOCKS,
    LONGEST_DELISTING,
    Block,
    ListingBoard,
    delisting_sessions,
)
from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.sessions import LAST_YEAR, Sessions

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PRESENT_YEAR = 2026
"""At this year's end the exchange has the ordered number of codes alive."""
MOST_CODES = 5_600
_MARKET = 5_400
"""The market that the blocks' numbers were set for."""
_DELISTED_SHARE = 0.06
"""Codes of the old blocks that were delisted up to the present, beside those alive."""
_YEARLY_DELISTINGS = 0.006
_OLD_AND_YOUNG = (dt.date(2020, 1, 1), dt.date(2005, 1, 1))
_NEVER = np.iinfo(np.int32).max


class RiskWarning(IntEnum):
    """What stands before or after a company's name."""

    NONE = 0
    ST = 1
    STAR_ST = 2
    LEAVING = 3


@dataclass(frozen=True)
class Register:
    """Arrays over all codes in the order of `ts_code`; `listed` and `delisted` are session ordinals."""

    ts_code: npt.NDArray[np.object_]
    block: Ints
    board: npt.NDArray[np.int8]
    listed: Ints
    delisted: Ints
    """The first session in which the code no longer trades."""
    industry: Ints
    area: Ints
    ownership: Ints
    anchor: Floats
    """The price in 分 to which the code is drawn back."""
    issue_price: Floats
    """Whole 分."""
    beta: Floats
    volatility: Floats
    shares: Floats
    """Share capital at the beginning, 万股."""
    turnover: Floats
    """Usual daily turnover as a fraction of the float."""
    free_share: Floats
    """Free float as a fraction of the float."""
    name_rows: pl.DataFrame
    """A row per name period: code (index), start, warning, name, cnspell, change_reason; sorted by code and start."""

    def __len__(self) -> int:
        return len(self.ts_code)

    @property
    def is_bse(self) -> npt.NDArray[np.bool_]:
        return np.equal(self.board, ListingBoard.BSE)


def register(seed: int, codes: int, sessions: Sessions) -> Register:
    """The register of a market with about `codes` alive at the end of PRESENT_YEAR, at least one of each block."""
    if not 1 <= codes <= MOST_CODES:
        raise ValueError(f"the simulated exchange has 1 to {MOST_CODES} codes, not {codes}")
    generator = stream(seed, Purpose.REGISTER)
    drawn = [_block(generator, place, block, codes / _MARKET, sessions) for place, block in enumerate(BLOCKS)]
    ts_code = np.concatenate([part[0] for part in drawn])
    block, listed, delisted = (np.concatenate([part[column] for part in drawn]) for column in (1, 2, 3))
    order = np.argsort(ts_code)
    ts_code, block, listed, delisted = ts_code[order], block[order], listed[order], delisted[order]

    count = len(ts_code)
    board = np.array([int(each.board) for each in BLOCKS], dtype=np.int8)[block]
    anchor = np.clip(1_500 * generator.lognormal(0.0, 0.75, count), 350, 60_000)
    # large companies are rarely dear per share, and large ones turn over slowly
    shares = np.clip(45_000 * generator.lognormal(0.0, 1.1, count) * (1_500 / anchor) ** 0.4, 4_000, 2e7)
    turnover = np.clip(0.018 * (45_000 / shares) ** 0.3 * generator.lognormal(0.0, 0.45, count), 5e-4, 0.12)
    industry = generator.integers(1, len(company_names.INDUSTRIES), count)
    return Register(
        ts_code=ts_code.astype(object),
        block=block,
        board=board,
        listed=listed,
        delisted=delisted,
        industry=np.where((shares > 3e5) & (generator.random(count) < 0.2), 0, industry),
        area=np.minimum(generator.exponential(8.0, count).astype(np.int64), len(company_names.AREAS) - 1),
        ownership=generator.choice(4, count, p=[0.68, 0.18, 0.09, 0.05]),
        anchor=anchor,
        issue_price=np.round(anchor * generator.uniform(0.35, 0.8, count)),
        beta=generator.normal(1.0, 0.25, count),
        volatility=generator.uniform(0.014, 0.028, count) * np.array([1.0, 1.2, 1.25, 1.2])[board],
        shares=np.round(shares, 4),
        turnover=turnover,
        free_share=generator.uniform(0.3, 0.85, count),
        name_rows=_name_rows(seed, sessions, listed, delisted, industry),
    )


def _block(
    generator: np.random.Generator, place: int, block: Block, scale: float, sessions: Sessions
) -> tuple[npt.NDArray[np.str_], Ints, Ints, Ints]:
    """Codes, block, listing and delisting ordinals of one block."""
    before, young = _OLD_AND_YOUNG
    alive = max(1, round(block.alive * scale))
    gone = round(block.alive * scale * _DELISTED_SHARE) if block.first < before else 0
    later = round(block.yearly * scale * (LAST_YEAR - PRESENT_YEAR))
    first, last = sessions.ordinal(block.first), sessions.ordinal(block.last) - 1
    present, end = sessions.of_year(PRESENT_YEAR).stop, sessions.of_year(LAST_YEAR).stop

    listed_alive = generator.integers(first, last + 1, alive)
    listed_gone = generator.integers(first, max(first + 1, min(last, present - 1_500)), gone)
    listed_later = generator.integers(present, end, later)
    earliest = np.maximum(listed_gone + 750, sessions.ordinal(young))
    delisted_gone = earliest + (generator.random(gone) * (present - earliest)).astype(np.int64)
    listed = np.concatenate([listed_alive, listed_gone, listed_later])
    years_left = generator.geometric(_YEARLY_DELISTINGS, alive + later) + generator.random(alive + later)
    start = np.concatenate([np.full(alive, present), listed_later + 750])
    delisted_others = np.minimum(start + years_left * 243, _NEVER).astype(np.int64)
    delisted = np.concatenate([delisted_others[:alive], delisted_gone, delisted_others[alive:]])
    delisted = np.where(delisted < end, delisted, _NEVER)

    numbers = np.sort(generator.choice(1_000, len(listed), replace=False))
    order = np.argsort(listed, kind="stable")
    codes = np.array([f"{block.prefix}{number:03d}.{block.suffix}" for number in numbers])
    return codes, np.full(len(listed), place), listed[order], delisted[order]


def _name_rows(seed: int, sessions: Sessions, listed: Ints, delisted: Ints, industry: Ints) -> pl.DataFrame:
    """The names of every code, period by period."""
    generator = stream(seed, Purpose.NAMES)
    count = len(listed)
    code = np.arange(count)
    stop = np.minimum(delisted, len(sessions.days))
    dies = delisted < len(sessions.days)

    # in a delisting period the name begins with 退市
    arrangement = stop - delisting_sessions(sessions.days[np.maximum(stop - LONGEST_DELISTING, 0)])
    dying = arrangement - generator.integers(200, 420, count)
    renamed = listed + 250 + (generator.random(count) * 11_000).astype(np.int64)
    renames = renamed < np.where(dies, dying, stop) - 20
    # the annual reports of April make and unmake ST
    eligible = listed + 500
    years = sessions.days[np.minimum(eligible + (generator.random(count) * 11_000).astype(np.int64), len(sessions.days) - 1)]
    april = years.astype("datetime64[Y]").astype("datetime64[M]") + np.timedelta64(3, "M")
    st_from = np.searchsorted(sessions.days, april + np.timedelta64(20, "D")) + generator.integers(0, 8, count)
    st_until = st_from + 243 * generator.integers(1, 4, count) + generator.integers(0, 20, count)
    falls = (generator.random(count) < 0.9) & (st_from >= eligible) & (st_until < np.where(dies, dying, stop) - 20)
    severe = generator.random(count) < 0.5

    second = np.flatnonzero(renames)
    made, spelled = company_names.make(generator, np.concatenate([industry, industry[second]]))
    name, spelling = np.array(made, dtype=object), np.array(spelled, dtype=object)
    later = np.zeros(count, dtype=np.int64)
    later[second] = count + np.arange(len(second))

    def rows(
        which: npt.NDArray[np.bool_], start: Ints, warning: npt.NDArray[np.int64] | int | None, own: Ints | None
    ) -> pl.DataFrame:
        """Turning points: null keeps what was before."""
        chosen = np.flatnonzero(which)
        return pl.DataFrame(
            {
                "code": code[chosen],
                "start": start[chosen],
                "warning": None if warning is None else np.broadcast_to(warning, count)[chosen],
                "own": None if own is None else own[chosen],
            },
            schema={"code": pl.Int64, "start": pl.Int64, "warning": pl.Int64, "own": pl.Int64},
        )

    points = pl.concat(
        [
            rows(np.ones(count, dtype=bool), listed, int(RiskWarning.NONE), code),
            rows(renames, renamed, None, later),
            rows(falls, st_from, np.where(severe, int(RiskWarning.STAR_ST), int(RiskWarning.ST)), None),
            rows(falls, st_until, int(RiskWarning.NONE), None),
            rows(dies, dying, int(RiskWarning.STAR_ST), None),
            rows(dies, arrangement, int(RiskWarning.LEAVING), None),
        ]
    ).sort("code", "start", maintain_order=True)
    points = points.with_columns(pl.col("warning", "own").forward_fill())
    before = points.select(pl.col("warning", "own").shift(1)).rename({"warning": "was", "own": "was_own"})
    points = pl.concat([points, before], how="horizontal")
    base, letters = pl.Series(name[points["own"].to_numpy()]), pl.Series(spelling[points["own"].to_numpy()])
    points = points.with_columns(base.cast(pl.String).alias("base"), letters.cast(pl.String).alias("letters"))
    warning, was = pl.col("warning"), pl.col("was")
    first = pl.col("code") != pl.col("code").shift(1).fill_null(-1)
    return points.select(
        "code",
        "start",
        "warning",
        name=pl.when(warning == RiskWarning.ST)
        .then(pl.concat_str(pl.lit("ST"), pl.col("base").str.slice(0, 2)))
        .when(warning == RiskWarning.STAR_ST)
        .then(pl.concat_str(pl.lit("*ST"), pl.col("base").str.slice(0, 2)))
        .when(warning == RiskWarning.LEAVING)
        .then(pl.concat_str(pl.lit("退市"), pl.col("base").str.slice(0, 2)))
        .otherwise(pl.col("base")),
        cnspell="letters",
        change_reason=pl.when(first)
        .then(None)
        .when(pl.col("own") != pl.col("was_own"))
        .then(pl.lit("改名"))
        .when(warning == RiskWarning.ST)
        .then(pl.lit("ST"))
        .when(warning == RiskWarning.STAR_ST)
        .then(pl.lit("*ST"))
        .when(warning == RiskWarning.LEAVING)
        .then(pl.lit("终止上市"))
        .when(was == RiskWarning.STAR_ST)
        .then(pl.lit("撤销*ST"))
        .otherwise(pl.lit("撤销ST")),
    )
