"""One sorted frame of several that are sorted each, and follow each other in time."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

_BY_CODE = ("ts_code", "trade_date")


def in_order(frames: Sequence[pl.DataFrame], key: Sequence[str]) -> pl.DataFrame:
    """The rows of the frames, sorted by the key. Each is sorted by it, and ends before the next one begins.

    Of (ts_code, trade_date) every frame holds a code's rows as one stretch: to put the stretches in order takes a quarter of
    the time of sorting the rows.
    """
    frames = [frame for frame in frames if frame.height] or list(frames[:1])
    if len(frames) == 1:
        return frames[0]
    rows = pl.concat(frames, rechunk=True)
    if tuple(key) != _BY_CODE:
        return rows.sort(key)
    import numpy as np  # a tenth of a second of every process that only opens the lake

    codes = rows["ts_code"]
    starts = (codes != codes.shift()).fill_null(True).arg_true()
    # Where one frame ends and the next begins with one code, two stretches look like one: they follow each other anyhow.
    stretches = pl.DataFrame({"code": codes.gather(starts), "start": starts.cast(pl.Int64)})
    lengths = pl.col("start").shift(-1, fill_value=rows.height) - pl.col("start")
    stretches = stretches.with_columns(length=lengths).sort("code", "start")
    length = stretches["length"].to_numpy()
    shifts = stretches["start"].to_numpy() - np.concatenate(([0], np.cumsum(length)[:-1]))
    places = np.repeat(shifts, length) + np.arange(rows.height)
    return rows.select(pl.all().gather(pl.Series(places.astype(np.uint32))))
