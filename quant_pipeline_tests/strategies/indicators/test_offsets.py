"""Where codes begin is counted once while a strategy looks at a panel, and never taken for another panel's."""

from __future__ import annotations

import polars as pl
import pytest

from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.indicators import add, ma, offsets, ref
from quant_pipeline.strategies.indicators.offsets import counted_once, offsets_of
from quant_pipeline_tests.strategies.indicators.market import walks


def _codes(lengths: list[int]) -> pl.Series:
    return pl.Series("ts_code", [f"{number:06d}.SZ" for number, length in enumerate(lengths) for _ in range(length)])


def test_columns_of_one_length_are_told_apart_also_when_their_memory_is_given_out_again() -> None:
    with counted_once():
        for first in range(1, 99):
            assert offsets_of(_codes([first, 100 - first])).tolist() == [0, first, 100]
            frame = pl.DataFrame({"ts_code": _codes([first, 100 - first])})
            assert offsets_of(frame.slice(1)["ts_code"]).tolist() == ([0, first - 1, 99] if first > 1 else [0, 99])
            assert offsets_of(pl.concat([frame, frame], rechunk=False)["ts_code"]).tolist()[-1] == 200


@pytest.mark.parametrize(
    "codes", [["a", "b"], ["600000.SH", "600000.SZ"], ["a name of more bytes", "a name of more byteS"], [None, "b"]]
)
def test_compiled_and_by_polars_they_are_the_same(codes: list[str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    column = pl.Series("ts_code", [codes[0], codes[0], codes[1], codes[0], codes[1], codes[1]])
    expected = [0, 1, 2, 3, 4, 6] if codes[0] is None else [0, 2, 3, 4, 6]
    for known in (False, True):
        monkeypatch.setattr(offsets, "at_hand", lambda known=known: known)
        assert offsets_of(column).tolist() == expected
        assert offsets_of(column.slice(2)).tolist() == [0, 1, 2, 4]


class _Windows(Strategy):
    name, zh, doc, lookback = "windows", "窗口", "Many windows.", 10
    needs = {"daily_kline": ("close",)}  # noqa: RUF012

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        return bars.select("ts_code", "trade_date", buy=pl.all_horizontal(ma(window) > ref(1) for window in range(2, 40)))


def test_a_strategy_s_windows_count_them_once_and_nothing_is_kept_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, count = [], offsets._counted
    monkeypatch.setattr(offsets, "_counted", lambda codes, column: counted.append(len(codes)) or count(codes, column))
    bars = walks(60, 40).rechunk()
    found = _Windows().judged(bars)
    assert 1 <= len(counted) <= pl.thread_pool_size(), "threads that begin at once do not wait for each other"
    assert offsets._known == {}
    assert found.select("ts_code", "trade_date", "buy").equals(_Windows().signals(bars).fill_null(False))
    add(bars, "MA5")
    assert offsets._known == {}
