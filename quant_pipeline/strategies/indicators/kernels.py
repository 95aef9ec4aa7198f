"""The arithmetic of the indicators: plain loops over the bars of all codes, which numba compiles for whole markets.

Each kernel takes `offsets` (where each code's bars begin, and the end), its inputs, its parameters, and the arrays that it
writes; NaN stands for "none". It runs as it stands, too, over memoryviews: small frames are not worth a compiler.

- A window is of a code's own bars. A NaN in it makes it none, until it has left.
- A recursion (EMA, SMA) begins with its first value, as 通达信's; a NaN leaves it as it was.
- Running sums are counted anew every so many bars, so that their rounding does not pile up over twenty years.
"""

from __future__ import annotations

import math
from collections.abc import MutableSequence, Sequence

NAN = math.nan
_REFRESH = 128
_OFTEN = 32
_NINE_DIGITS = 1e9
_DWINDLED = 1e-3
"""A running sum of which so little is left is counted anew: the rest of it may be rounding."""

Offsets = Sequence[int]
In = Sequence[float]
Out = MutableSequence[float]


def ref(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """REF(x, n): the value of n bars ago."""
    for code in range(len(offsets) - 1):
        first = offsets[code]
        for i in range(first, offsets[code + 1]):
            out[i] = x[i - n] if i - n >= first else NAN


def ma(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """MA(x, n): the mean of the last n."""
    share = 1.0 / n
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        xs, ys = x[first:last], out[first:last]
        total, seen = 0.0, 0
        for i in range(last - first):
            value = xs[i]
            if value != value:
                total, seen = 0.0, 0
                ys[i] = NAN
                continue
            seen += 1
            if seen <= n:
                total += value
                ys[i] = total * share if seen == n else NAN
                continue
            total += value - xs[i - n]
            if seen % _REFRESH == 0:
                total = 0.0
                for back in range(i - n + 1, i + 1):
                    total += xs[back]
            ys[i] = total * share


def ma_gap(offsets: Offsets, x: In, n: int, m: int, out: Out) -> None:
    """MA(x, n) / MA(x, m) - 1, n below m, in per cent, to seven digits: means of equal prices differ in their last ones."""
    share, of_more = 1.0 / n, 1.0 / m
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        xs, ys = x[first:last], out[first:last]
        few, more, seen = 0.0, 0.0, 0
        for i in range(last - first):
            value = xs[i]
            ys[i] = NAN
            if value != value:
                few, more, seen = 0.0, 0.0, 0
                continue
            seen += 1
            few += value if seen <= n else value - xs[i - n]
            more += value if seen <= m else value - xs[i - m]
            if seen % _REFRESH == 0:
                if seen > n:
                    few = 0.0
                    for back in range(i - n + 1, i + 1):
                        few += xs[back]
                if seen > m:
                    more = 0.0
                    for back in range(i - m + 1, i + 1):
                        more += xs[back]
            if seen >= m and more != 0.0:
                ys[i] = round((few * share / (more * of_more) - 1.0) * _NINE_DIGITS) / _NINE_DIGITS * 100.0


def ema(offsets: Offsets, x: In, alpha: float, out: Out) -> None:
    """y = y' + alpha (x - y'): EMA(x, n) with alpha = 2 / (n + 1), SMA(x, n, m) with alpha = m / n."""
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        xs, ys = x[first:last], out[first:last]
        y = NAN
        for i in range(last - first):
            value = xs[i]
            if value == value:
                y = value if y != y else y + alpha * (value - y)
                ys[i] = y
            else:
                ys[i] = NAN


def highest(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """HHV(x, n)."""
    for code in range(len(offsets) - 1):
        best, at, seen = NAN, -1, 0
        for i in range(offsets[code], offsets[code + 1]):
            value = x[i]
            if value != value:
                seen, at = 0, -1
                out[i] = NAN
                continue
            seen += 1
            if at < 0 or value >= best:
                best, at = value, i
            elif at <= i - n:
                best, at = value, i
                for back in range(i - 1, i - n, -1):
                    if x[back] > best:
                        best, at = x[back], back
            out[i] = best if seen >= n else NAN


def lowest(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """LLV(x, n)."""
    for code in range(len(offsets) - 1):
        best, at, seen = NAN, -1, 0
        for i in range(offsets[code], offsets[code + 1]):
            value = x[i]
            if value != value:
                seen, at = 0, -1
                out[i] = NAN
                continue
            seen += 1
            if at < 0 or value <= best:
                best, at = value, i
            elif at <= i - n:
                best, at = value, i
                for back in range(i - 1, i - n, -1):
                    if x[back] < best:
                        best, at = x[back], back
            out[i] = best if seen >= n else NAN


def boll(offsets: Offsets, x: In, n: int, width: float, middle: Out, upper: Out, lower: Out) -> None:
    """MA(x, n), and it ± width population standard deviations."""
    share = 1.0 / n
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        xs, middles, uppers, lowers = x[first:last], middle[first:last], upper[first:last], lower[first:last]
        base, total, squares, seen, same = 0.0, 0.0, 0.0, 0, 0
        for i in range(last - first):
            value = xs[i]
            if value != value:
                seen, same = 0, 0
                middles[i] = uppers[i] = NAN
                continue
            if seen == 0:
                base, total, squares = value, 0.0, 0.0
            same = same + 1 if seen > 0 and value == xs[i - 1] else 1
            seen += 1
            away = value - base
            if seen <= n:
                total += away
                squares += away * away
            else:
                gone = xs[i - n] - base
                total += away - gone
                squares += away * away - gone * gone
                if seen % _REFRESH == 0:  # and around a price of today, so that squares of far prices hide nothing
                    base, total, squares = value, 0.0, 0.0
                    for back in range(i - n + 1, i + 1):
                        away = xs[back] - base
                        total += away
                        squares += away * away
            if seen < n:
                middles[i] = uppers[i] = NAN
                continue
            mean = total * share
            middles[i] = mean + base
            uppers[i] = squares * share - mean * mean if same < n else 0.0
        for i in range(last - first):
            spread = width * math.sqrt(max(uppers[i], 0.0))
            uppers[i] = middles[i] + spread
            lowers[i] = middles[i] - spread


def std(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """The population standard deviation of the last n."""
    share, refresh = 1.0 / n, max(n, _OFTEN)
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        xs, ys = x[first:last], out[first:last]
        mean, squares, most, seen, same = 0.0, 0.0, 0.0, 0, 0
        for i in range(last - first):
            value = xs[i]
            ys[i] = NAN
            if value != value:
                seen, same = 0, 0
                continue
            same = same + 1 if seen > 0 and value == xs[i - 1] else 1
            seen += 1
            if seen <= n:  # Welford's way: squares of distances from a mean that goes with them
                if seen == 1:
                    mean, squares, most = 0.0, 0.0, 0.0
                away = value - mean
                mean += away / seen
                squares += away * (value - mean)
            else:
                gone, before = xs[i - n], mean
                mean += (value - gone) * share
                squares += (value - gone) * (value - mean + gone - before)
            most = max(most, squares)
            if seen > n and (seen % refresh == 0 or squares < most * _DWINDLED):
                mean, squares = 0.0, 0.0
                for back in range(i - n + 1, i + 1):
                    mean += xs[back]
                mean *= share
                for back in range(i - n + 1, i + 1):
                    squares += (xs[back] - mean) * (xs[back] - mean)
                most = squares
            if seen >= n:
                ys[i] = math.sqrt(max(squares, 0.0) * share) if same < n else 0.0


def avedev(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """AVEDEV(x, n): the mean distance from the mean."""
    for code in range(len(offsets) - 1):
        seen = 0
        for i in range(offsets[code], offsets[code + 1]):
            seen = seen + 1 if x[i] == x[i] else 0
            if seen < n:
                out[i] = NAN
                continue
            mean = 0.0
            for back in range(i - n + 1, i + 1):
                mean += x[back]
            mean /= n
            away = 0.0
            for back in range(i - n + 1, i + 1):
                away += abs(x[back] - mean)
            out[i] = away / n


def macd(offsets: Offsets, x: In, fast: float, slow: float, signal: float, dif: Out, dea: Out, bars: Out) -> None:
    """DIF = EMA(x) - EMA(x), DEA = EMA(DIF), 2 (DIF - DEA); the parameters are the alphas."""
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        xs, difs, deas, histogram = x[first:last], dif[first:last], dea[first:last], bars[first:last]
        quick, lazy, line = NAN, NAN, NAN
        for i in range(last - first):
            value = xs[i]
            if value != value:
                difs[i] = deas[i] = histogram[i] = NAN
                continue
            if quick != quick:
                quick, lazy, line = value, value, 0.0
            else:
                quick += fast * (value - quick)
                lazy += slow * (value - lazy)
                line += signal * (quick - lazy - line)
            difs[i] = quick - lazy
            deas[i] = line
            histogram[i] = 2.0 * (quick - lazy - line)


def rsi(offsets: Offsets, x: In, alpha: float, out: Out) -> None:
    """SMA(max(x - x', 0)) / SMA(|x - x'|) x 100; none while nothing has moved."""
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        xs, ys = x[first:last], out[first:last]
        before, up, moved = NAN, NAN, NAN
        for i in range(last - first):
            value = xs[i]
            change = value - before
            if value == value:
                before = value
            if change != change:
                ys[i] = NAN
                continue
            rise, size = (change, change) if change > 0.0 else (0.0, -change)
            if moved != moved:
                up, moved = rise, size
            else:
                up += alpha * (rise - up)
                moved += alpha * (size - moved)
            ys[i] = up / moved * 100.0 if moved > 0.0 else NAN


def kdj(offsets: Offsets, high: In, low: In, close: In, n: int, fast: float, slow: float, k: Out, d: Out, j: Out) -> None:
    """RSV = the close's place between the extremes of n bars, K = SMA(RSV), D = SMA(K), J = 3K - 2D; the parameters are the
    window and the alphas. Where the extremes are one price there is no RSV, and K and D stay as they were."""
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        highs, lows, closes = high[first:last], low[first:last], close[first:last]
        tops, bottoms, js = k[first:last], d[first:last], j[first:last]
        for i in range(last - first):
            tops[i] = highs[i]
            bottoms[i] = lows[i]
        back = 1  # loops without a choice, so that several bars are compared at once; four of the window in a pass
        while back + 3 < n:
            for i in range(last - first - back - 3):
                later = max(max(tops[i + back + 3], highs[i + 3]), highs[i + 2])
                tops[i + back + 3] = max(max(later, highs[i + 1]), highs[i])
            for i in range(last - first - back - 3):
                later = min(min(bottoms[i + back + 3], lows[i + 3]), lows[i + 2])
                bottoms[i + back + 3] = min(min(later, lows[i + 1]), lows[i])
            back += 4
        for shift in range(back, n):
            for i in range(last - first - shift):
                tops[i + shift] = max(tops[i + shift], highs[i])
            for i in range(last - first - shift):
                bottoms[i + shift] = min(bottoms[i + shift], lows[i])
        for i in range(last - first):
            width = tops[i] - bottoms[i]
            js[i] = (closes[i] - bottoms[i]) / width * 100.0 if width > 0.0 else NAN
        for i in range(min(n - 1, last - first)):
            js[i] = NAN
        quick, lazy = NAN, NAN
        for i in range(last - first):
            rsv = js[i]
            if rsv == rsv:
                if quick == quick:
                    quick += fast * (rsv - quick)
                    lazy += slow * (quick - lazy)
                else:
                    quick, lazy = rsv, rsv
            tops[i] = quick
            bottoms[i] = lazy
        for i in range(last - first):
            js[i] = 3.0 * tops[i] - 2.0 * bottoms[i]


def atr(offsets: Offsets, high: In, low: In, close: In, n: int, out: Out) -> None:
    """MA(TR, n), TR the greatest of high - low and the distances of both from the close before: 通达信's, not Wilder's."""
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        for i in range(first, last):
            out[i] = NAN
            if i > first:
                out[i] = max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
        for i in range(last - 1, first - 1, -1):  # backwards: what a window needs is not yet overwritten
            if i - first < n:
                out[i] = NAN
                continue
            total = 0.0
            for back in range(i - n + 1, i + 1):
                total += out[back]
            out[i] = total / n


def dmi(offsets: Offsets, high: In, low: In, close: In, n: int, smooth: int, pdi: Out, mdi: Out, adx: Out, adxr: Out) -> None:
    """PDI and MDI: the sums of n upward and downward moves per sum of TR x 100; ADX = MA(|MDI - PDI| / (MDI + PDI) x 100),
    ADXR = the mean of ADX and that of `smooth` bars ago."""
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        for i in range(first, last):
            pdi[i], mdi[i], adx[i] = 0.0, 0.0, 0.0
            if i > first:
                up, down = high[i] - high[i - 1], low[i - 1] - low[i]
                pdi[i] = up if up > 0.0 and up > down else 0.0
                mdi[i] = down if down > 0.0 and down > up else 0.0
                adx[i] = max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
        for i in range(last - 1, first - 1, -1):
            if i - first < n:
                pdi[i] = mdi[i] = adxr[i] = NAN
                continue
            up, down, ranges = 0.0, 0.0, 0.0
            for back in range(i - n + 1, i + 1):
                up += pdi[back]
                down += mdi[back]
                ranges += adx[back]
            pdi[i] = up * 100.0 / ranges if ranges > 0.0 else NAN
            mdi[i] = down * 100.0 / ranges if ranges > 0.0 else NAN
            adxr[i] = abs(mdi[i] - pdi[i]) / (mdi[i] + pdi[i]) * 100.0 if up + down > 0.0 else NAN
        for i in range(last - 1, first - 1, -1):
            total = 0.0
            for back in range(max(first, i - smooth + 1), i + 1):
                total += adxr[back]
            adx[i] = total / smooth if i - first >= n + smooth - 1 else NAN
        for i in range(first, last):
            adxr[i] = (adx[i] + adx[i - smooth]) / 2.0 if i - smooth >= first else NAN


def obv(offsets: Offsets, x: In, volume: In, out: Out) -> None:
    """The sum of the volume of bars that rose, less that of bars that fell, since the code's first bar."""
    for code in range(len(offsets) - 1):
        total, before = 0.0, NAN
        for i in range(offsets[code], offsets[code + 1]):
            if x[i] > before:
                total += volume[i]
            elif x[i] < before:
                total -= volume[i]
            before = x[i]
            out[i] = total


def trix(offsets: Offsets, x: In, alpha: float, out: Out) -> None:
    """The change of the threefold EMA, in per cent."""
    for code in range(len(offsets) - 1):
        one, two, three = NAN, NAN, NAN
        for i in range(offsets[code], offsets[code + 1]):
            out[i] = NAN
            value = x[i]
            if value != value:
                continue
            if one != one:
                one, two, three = value, value, value
                continue
            one += alpha * (value - one)
            two += alpha * (one - two)
            before = three
            three += alpha * (two - three)
            if before != 0.0:
                out[i] = (three - before) / before * 100.0


def psy(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """How many of the last n bars rose, in per cent."""
    for code in range(len(offsets) - 1):
        first = offsets[code]
        rose = 0
        for i in range(first, offsets[code + 1]):
            if i > first and x[i] > x[i - 1]:
                rose += 1
            if i - n > first and x[i - n] > x[i - n - 1]:
                rose -= 1
            out[i] = rose / n * 100.0 if i - first >= n - 1 else NAN


def vr(offsets: Offsets, x: In, volume: In, n: int, out: Out) -> None:
    """The volume of the bars of the last n that rose per that of the others, in per cent."""
    for code in range(len(offsets) - 1):
        first = offsets[code]
        for i in range(first, offsets[code + 1]):
            out[i] = NAN
            if i - first < n - 1:
                continue
            up, other = 0.0, 0.0
            for back in range(max(i - n + 1, first + 1), i + 1):
                if x[back] > x[back - 1]:
                    up += volume[back]
                else:
                    other += volume[back]
            if other > 0.0:
                out[i] = up / other * 100.0


def sar(offsets: Offsets, high: In, low: In, n: int, step: float, most: float, out: Out) -> None:
    """Wilder's parabolic, which begins after n bars with their extreme: upwards when the n-th bar's middle lies above the
    first one's. It turns when the price touches it, to the extreme of the move, and never enters the last two bars."""
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        rising, stop, extreme, pace = True, NAN, NAN, step
        for i in range(first, last):
            out[i] = NAN
            if i - first < n - 1:
                continue
            if i - first == n - 1:
                top, bottom = high[i], low[i]
                for back in range(first, i):
                    top, bottom = max(top, high[back]), min(bottom, low[back])
                rising = high[i] + low[i] >= high[first] + low[first]
                stop, extreme, pace = (bottom, top, step) if rising else (top, bottom, step)
                out[i] = stop
                continue
            stop += pace * (extreme - stop)
            if rising:
                stop = min(stop, low[i - 1])
                if i - first >= 2:
                    stop = min(stop, low[i - 2])
                if low[i] <= stop:
                    rising, stop, extreme, pace = False, max(extreme, high[i]), low[i], step
                elif high[i] > extreme:
                    extreme, pace = high[i], min(pace + step, most)
            else:
                stop = max(stop, high[i - 1])
                if i - first >= 2:
                    stop = max(stop, high[i - 2])
                if high[i] >= stop:
                    rising, stop, extreme, pace = True, min(extreme, low[i]), high[i], step
                elif low[i] < extreme:
                    extreme, pace = low[i], min(pace + step, most)
            out[i] = stop


def since(offsets: Offsets, condition: In, out: Out) -> None:
    """BARSLAST: how many bars ago the condition was last not 0; none before it ever was."""
    for code in range(len(offsets) - 1):
        last = -1
        for i in range(offsets[code], offsets[code + 1]):
            if condition[i] == condition[i] and condition[i] != 0.0:
                last = i
            out[i] = float(i - last) if last >= 0 else NAN


def streak(offsets: Offsets, condition: In, out: Out) -> None:
    """BARSLASTCOUNT: for how many bars up to this one the condition has not been 0."""
    for code in range(len(offsets) - 1):
        count = 0
        for i in range(offsets[code], offsets[code + 1]):
            count = count + 1 if condition[i] == condition[i] and condition[i] != 0.0 else 0
            out[i] = float(count)


def value_when(offsets: Offsets, condition: In, x: In, out: Out) -> None:
    """VALUEWHEN: the value at the last bar at which the condition was not 0."""
    for code in range(len(offsets) - 1):
        value = NAN
        for i in range(offsets[code], offsets[code + 1]):
            if condition[i] == condition[i] and condition[i] != 0.0:
                value = x[i]
            out[i] = value


def begins(texts: Sequence[int], rows: MutableSequence[int]) -> int:
    """Writes the number of every row whose text, two numbers each, is not that of the row before; how many there are."""
    found = 0
    for row in range(len(texts) // 2):
        if row == 0 or texts[2 * row] != texts[2 * row - 2] or texts[2 * row + 1] != texts[2 * row - 1]:
            rows[found] = row
            found += 1
    return found


def mark_none(offsets: Offsets, values: In, bits: MutableSequence[int], everywhere: bool) -> None:
    """Takes the bit of every NaN out of Arrow's bitmap of what is there; of those alone that a code begins with, unless
    `everywhere`."""
    for code in range(len(offsets) - 1):
        for i in range(offsets[code], offsets[code + 1]):
            if values[i] != values[i]:
                bits[i >> 3] &= 255 ^ (1 << (i & 7))
            elif not everywhere:
                break
