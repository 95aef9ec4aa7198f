"""Kernels over windows that factor sets take, beside those of 通达信: regressions, quantiles, ranks and places."""

from __future__ import annotations

import math

from quant_pipeline.strategies.indicators.kernels import NAN, In, Offsets, Out

_STILL = 2e-5
"""A standard deviation below which a window has no regression: as qlib has it."""


def regression(offsets: Offsets, x: In, n: int, slope: Out, square: Out, residual: Out) -> None:
    """Of the line through the last n values over 1 … n: its slope, R², and how far the last value lies above it."""
    middle = (n + 1) / 2.0
    spread = n * (n * n - 1.0) / 12.0
    for code in range(len(offsets) - 1):
        seen = 0
        for i in range(offsets[code], offsets[code + 1]):
            seen = seen + 1 if x[i] == x[i] else 0
            slope[i] = square[i] = residual[i] = NAN
            if seen < n:
                continue
            mean = 0.0
            for back in range(n):
                mean += x[i - back]
            mean /= n
            both, squares = 0.0, 0.0
            for back in range(n):
                away = x[i - back] - mean
                both += (n - back - middle) * away
                squares += away * away
            gradient = both / spread
            slope[i] = gradient
            residual[i] = x[i] - (mean + gradient * (n - middle))
            if math.sqrt(squares / (n - 1)) > _STILL:
                square[i] = both * both / (spread * squares)


def sample_std(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """The sample standard deviation of the last n (n - 1 degrees of freedom)."""
    for code in range(len(offsets) - 1):
        seen = 0
        for i in range(offsets[code], offsets[code + 1]):
            seen = seen + 1 if x[i] == x[i] else 0
            out[i] = NAN
            if seen < n:
                continue
            mean = 0.0
            for back in range(n):
                mean += x[i - back]
            mean /= n
            squares = 0.0
            for back in range(n):
                squares += (x[i - back] - mean) * (x[i - back] - mean)
            out[i] = math.sqrt(squares / (n - 1))


def correlation(offsets: Offsets, x: In, y: In, n: int, out: Out) -> None:
    """Pearson's, of the last n pairs; none where one of them hardly moves."""
    for code in range(len(offsets) - 1):
        seen = 0
        for i in range(offsets[code], offsets[code + 1]):
            seen = seen + 1 if x[i] == x[i] and y[i] == y[i] else 0
            out[i] = NAN
            if seen < n:
                continue
            one, other = 0.0, 0.0
            for back in range(n):
                one += x[i - back]
                other += y[i - back]
            one /= n
            other /= n
            both, ones, others = 0.0, 0.0, 0.0
            for back in range(n):
                a, b = x[i - back] - one, y[i - back] - other
                both += a * b
                ones += a * a
                others += b * b
            if math.sqrt(ones / (n - 1)) > _STILL and math.sqrt(others / (n - 1)) > _STILL:
                out[i] = both / math.sqrt(ones * others)


def quantile(offsets: Offsets, x: In, n: int, share: float, out: Out) -> None:
    """The value below which that share of the last n lies, between two of them in proportion."""
    place = share * (n - 1)
    below = math.floor(place)
    for code in range(len(offsets) - 1):
        seen = 0
        for i in range(offsets[code], offsets[code + 1]):
            seen = seen + 1 if x[i] == x[i] else 0
            out[i] = NAN
            if seen < n:
                continue
            low, high = NAN, NAN
            for one in range(n):
                value = x[i - one]
                smaller, equal = 0, 0
                for other in range(n):
                    if x[i - other] < value:
                        smaller += 1
                    elif x[i - other] == value:
                        equal += 1
                if smaller <= below < smaller + equal:
                    low = value
                if smaller <= below + 1 < smaller + equal:
                    high = value
            out[i] = low + (place - below) * (high - low) if place > below else low


def place_in_order(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """The rank of the last among the last n, as a share of them; equal values share their mean rank."""
    for code in range(len(offsets) - 1):
        seen = 0
        for i in range(offsets[code], offsets[code + 1]):
            seen = seen + 1 if x[i] == x[i] else 0
            out[i] = NAN
            if seen < n:
                continue
            smaller, equal = 0.0, 0.0
            for back in range(n):
                if x[i - back] < x[i]:
                    smaller += 1.0
                elif x[i - back] == x[i]:
                    equal += 1.0
            out[i] = (smaller + (equal + 1.0) / 2.0) / n


def place_of_highest(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """Which of the last n is the highest: 1 the oldest, n the last; of equal ones the oldest."""
    for code in range(len(offsets) - 1):
        seen = 0
        for i in range(offsets[code], offsets[code + 1]):
            seen = seen + 1 if x[i] == x[i] else 0
            out[i] = NAN
            if seen < n:
                continue
            at = i - n + 1
            for j in range(i - n + 2, i + 1):
                if x[j] > x[at]:
                    at = j
            out[i] = float(at - (i - n))


def place_of_lowest(offsets: Offsets, x: In, n: int, out: Out) -> None:
    """Which of the last n is the lowest, counted in the same way."""
    for code in range(len(offsets) - 1):
        seen = 0
        for i in range(offsets[code], offsets[code + 1]):
            seen = seen + 1 if x[i] == x[i] else 0
            out[i] = NAN
            if seen < n:
                continue
            at = i - n + 1
            for j in range(i - n + 2, i + 1):
                if x[j] < x[at]:
                    at = j
            out[i] = float(at - (i - n))
