"""Passes over ten million bars, compiled: each reads its columns once and makes no other array on the way."""

from __future__ import annotations

import numpy as np

from quant_pipeline.backtest.layout import NEVER, Array
from quant_pipeline.backtest.units import PARTS, UNITS
from quant_pipeline.compiling import compiled_when_called

_LOT_OF_VOLUME = 100
_THOUSAND = 1000
_PER_UNIT = PARTS // UNITS
"""Parts of 元 a unit."""


@compiled_when_called
def in_units(values: Array) -> Array:
    """元 as units, int32; NaN is 0."""
    found = np.empty(values.shape[0], np.int32)
    for row in range(values.shape[0]):
        value = values[row]
        found[row] = np.int32(np.rint(value * UNITS)) if value == value else 0
    return found


@compiled_when_called
def in_shares(lots: Array) -> Array:
    """Volume [手] as shares, int64; NaN is 0."""
    volume = np.empty(lots.shape[0], np.int64)
    for row in range(lots.shape[0]):
        volume[row] = np.int64(np.rint(lots[row] * _LOT_OF_VOLUME)) if lots[row] > 0 else 0
    return volume


@compiled_when_called
def averaged(volume: Array, thousands: Array, low: Array, high: Array) -> Array:
    """The average price of the amount [千元] in units, within low and high; 0: nothing traded. `volume`: shares."""
    mean = np.empty(volume.shape[0], np.int32)
    for row in range(volume.shape[0]):
        mean[row] = 0
        if volume[row] > 0 and thousands[row] > 0:
            price = np.rint(thousands[row] * _THOUSAND / volume[row] * UNITS)
            mean[row] = min(max(price, low[row]), high[row])
    return mean


@compiled_when_called
def numbered(days: Array, table: Array, first: int) -> Array:
    """The number of each day (since 1970) in the table, which begins with the day `first`; -1 where it has none."""
    found = np.empty(days.shape[0], np.int32)
    for row in range(days.shape[0]):
        place = days[row] - first
        found[row] = table[place] if 0 <= place < table.shape[0] else -1
    return found


@compiled_when_called
def merged(offsets: Array, session: Array, of_code: Array, starts: Array, days: Array) -> Array:
    """Per bar the other frame's row of the same code and session, -1 where there is none. `of_code`: each code's number there
    (-1: none) · `starts`: where their rows begin, and the end · `days`: their sessions."""
    found = np.full(session.shape[0], -1, np.int32)
    for code in range(of_code.shape[0]):
        if of_code[code] < 0:
            continue
        at, end = starts[of_code[code]], starts[of_code[code] + 1]
        for row in range(offsets[code], offsets[code + 1]):
            while at < end and days[at] < session[row]:
                at += 1
            if at < end and days[at] == session[row]:
                found[row] = at
    return found


@compiled_when_called
def carried(offsets: Array, day: Array, of_code: Array, starts: Array, days: Array, values: Array) -> Array:
    """Per bar the value of the code's last row up to its day in another frame; NaN where there is none. As `merged`; `day` of
    each bar, `days` and `values` of their rows."""
    found = np.full(day.shape[0], np.nan)
    for code in range(of_code.shape[0]):
        if of_code[code] < 0:
            continue
        at, end, value = starts[of_code[code]], starts[of_code[code] + 1], np.nan
        for row in range(offsets[code], offsets[code + 1]):
            while at < end and days[at] <= day[row]:
                value = values[at]
                at += 1
            found[row] = value
    return found


@compiled_when_called
def bounded(rows: Array, highest: Array, lowest: Array, free: float) -> tuple[Array, Array]:
    """Limits in units per row; NEVER and 0 where there is none: no row, or an up limit of `free` or more."""
    up, down = np.empty(rows.shape[0], np.int32), np.empty(rows.shape[0], np.int32)
    for place in range(rows.shape[0]):
        row = rows[place]
        if row >= 0 and highest[row] < free:
            up[place], down[place] = np.rint(highest[row] * UNITS), np.rint(lowest[row] * UNITS)
        else:
            up[place], down[place] = NEVER, 0
    return up, down


@compiled_when_called
def scaled(values: Array, factor: Array, offsets: Array) -> Array:
    """Prices of before adjusted to each code's last factor (qfq)."""
    found = np.empty(values.shape[0])
    for code in range(offsets.shape[0] - 1):
        latest = factor[offsets[code + 1] - 1]
        for row in range(offsets[code], offsets[code + 1]):
            found[row] = values[row] * factor[row] / latest
    return found


@compiled_when_called
def changes(values: Array, offsets: Array, step: float) -> Array:
    """The rows that differ from the code's row before by more than that part of themselves; NaN differs from nothing."""
    found, count = np.empty(values.shape[0], np.int64), 0
    for code in range(offsets.shape[0] - 1):
        for row in range(offsets[code] + 1, offsets[code + 1]):
            if abs(values[row] - values[row - 1]) > step * values[row]:
                found[count] = row
                count += 1
    return found[:count].copy()


@compiled_when_called
def unexplained(
    rows: Array, codes: Array, session: Array, close: Array, pre_close: Array, factor: Array,
    begins: Array, told_on: Array, told_cash: Array, told_shares: Array, tolerance: float,
) -> Array:  # fmt: skip
    """Of bars whose factor stepped (`rows`, of these `codes`): the cash a share, in parts, that the records leave open.

    What holders lost is the close before less the bar's ex-rights price (pre_close; without it, by the factor). Records: by
    code (`begins`) their sessions, cash and new shares a share, in parts; those of a halt before the bar are its own. 0 where
    they explain it, but for that part of the price.
    """
    found = np.zeros(rows.shape[0], np.int64)
    for place in range(rows.shape[0]):
        row, code = rows[place], codes[place]
        before, after = np.int64(close[row - 1]), np.int64(pre_close[row])
        if after == 0:
            after = np.int64(np.rint(before * factor[row - 1] / factor[row]))
        paid, new = np.int64(0), np.int64(0)
        for record in range(begins[code], begins[code + 1]):
            if session[row - 1] < told_on[record] <= session[row]:
                paid += told_cash[record]
                new += told_shares[record]
        rest = before * _PER_UNIT - paid - after * (_PER_UNIT + new // _PER_UNIT)
        allowed = tolerance * before * _PER_UNIT if paid != 0 or new != 0 else 0.0
        if abs(rest) > allowed:
            found[place] = rest
    return found


@compiled_when_called
def dealt(signal: Array, session: Array, sessions: int) -> tuple[Array, Array, Array]:
    """Where each session's buys begin, and the end; their rows, by session and row; and which rows are to be sold (1)."""
    offsets, sell = np.zeros(sessions + 1, np.int64), np.empty(signal.shape[0], np.uint8)
    for row in range(signal.shape[0]):
        sell[row] = signal[row] < 0
        if signal[row] > 0:
            offsets[session[row] + 1] += 1
    for day in range(sessions):
        offsets[day + 1] += offsets[day]
    place, rows = offsets.copy(), np.empty(offsets[sessions], np.int64)
    for row in range(signal.shape[0]):
        if signal[row] > 0:
            rows[place[session[row]]] = row
            place[session[row]] += 1
    return offsets, rows, sell
