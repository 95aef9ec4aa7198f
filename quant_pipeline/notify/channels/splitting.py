"""A long text as parts below a channel's longest, cut at line ends; a table's head and a fence go on in the next part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from quant_pipeline.notify.channels.contract import Limits

_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"\s*\|?[\s:|-]+\|[\s:|-]*")
_ESCAPED = ('"', "\\", "\n", "\t", "\r")
LEAST = 64
"""Bytes or characters below which no part is made: a title that leaves less is cut itself."""


def size(text: str, limits: Limits) -> int:
    """How long the text is in the measure of the limits: characters, or bytes of UTF-8 as they stand in JSON, where quotes and
    line ends take two; some services count the text alone, and some the whole body."""
    if limits.longest_bytes is None:
        return len(text)
    return len(text.encode()) + sum(text.count(each) for each in _ESCAPED)


def room(limits: Limits, taken: str) -> int | None:
    """What is left beside `taken`; None: any length."""
    longest = limits.longest_bytes if limits.longest_bytes is not None else limits.longest_characters
    return None if longest is None else max(longest - size(taken, limits), LEAST)


def split(lines: Sequence[str], longest: int | None, limits: Limits) -> list[str]:
    """The lines as texts of at most `longest` in the limits' measure. A line that is longer itself is cut within."""
    if longest is None or size("\n".join(lines), limits) <= longest:
        return ["\n".join(lines)]
    parts: list[str] = []
    part: list[str] = []
    carried: list[str] = []
    fence = ""
    table: list[str] = []
    fences = [found[1] for line in lines if (found := _FENCE.match(line))]
    margin = 2 * (max(map(len, fences)) + 1) if fences else 0  # of a fence that is closed and opened again
    for line in _pieces(lines, max(longest - margin, LEAST // 2), limits):
        closing = [fence] if fence else []
        if part != carried and size("\n".join([*part, line, *closing]), limits) > longest:
            parts.append("\n".join([*part, *closing]).strip("\n"))
            carried = [fence] if fence else table
            if size("\n".join([*carried, line, *closing]), limits) > longest:
                carried = []
            part = list(carried)
        if part or line:
            part.append(line)
        fence, table = _state(line, fence, table)
    if part and part != carried:
        parts.append("\n".join(part).strip("\n"))
    return parts


def numbered(title: str, number: int, count: int) -> str:
    """A part's title; that of a whole message is its own."""
    return title if count == 1 else f"{title} ({number}/{count})"


def cut(text: str, longest: int, limits: Limits) -> str:
    """The beginning of a text that fits, with an ellipsis where something is left off."""
    if size(text, limits) <= longest:
        return text
    while text and size(text + "…", limits) > longest:
        text = text[:-1]
    return text + "…"


def _state(line: str, fence: str, table: list[str]) -> tuple[str, list[str]]:
    """The fence that is open after the line, and the head of the table that it is a row of."""
    if found := _FENCE.match(line):
        mark = found[1]
        if not fence:
            return mark, []
        return ("" if mark[0] == fence[0] and len(mark) >= len(fence) else fence), []
    if fence or not line.lstrip().startswith("|"):
        return fence, []
    return fence, [*table, line] if len(table) < 2 and (not table or _RULE.fullmatch(line)) else table


def _pieces(lines: Sequence[str], longest: int, limits: Limits) -> Iterator[str]:
    for line in lines:
        rest = line
        while size(rest, limits) > longest:
            piece = _first(rest, longest, limits)
            yield piece
            rest = rest[len(piece) :]
        yield rest


def _first(text: str, longest: int, limits: Limits) -> str:
    """As many of the first characters as fit."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if size(text[:middle], limits) <= longest:
            low = middle
        else:
            high = middle - 1
    return text[:low]
