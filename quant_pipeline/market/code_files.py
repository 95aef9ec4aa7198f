"""Files of codes as people have them: a code a line, a CSV, what 同花顺, 通达信 and 东方财富 export."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from quant_pipeline.language import say

_LARGEST = 4 * 2**20
_ENCODINGS = ("utf-8-sig", "gb18030")
_HEADINGS = frozenset(
    [
        "代码",
        "证券代码",
        "股票代码",
        "基金代码",
        "债券代码",
        "指数代码",
        "代号",
        "code",
        "codes",
        "symbol",
        "ts_code",
        "tscode",
        "ticker",
        "stock_code",
        "thscode",
    ]
)
_DELIMITERS = "\t,;"
_TDX = re.compile(r"[012](\d{6})", re.ASCII)
"""A line of 通达信's and 同花顺's .blk and .EBK files: the market (0 Shenzhen, 1 Shanghai, 2 Beijing), then the code."""
_TDX_MARKETS = {"0": "SZ", "1": "SH", "2": "BJ"}
_COMMENT = "#"
_WRAPPED = re.compile(r'^="?(.*?)"?$')
"""A cell as spreadsheets keep leading zeros: ="000001"."""


class CodeFileError(ValueError):
    """A file that cannot be read as codes; the text says why."""


def codes_in_file(path: Path) -> list[str]:
    """The codes of the file, as they stand in it, in their order. CodeFileError when it cannot be read, or holds none."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise CodeFileError(say("{path} cannot be read: {why}", path=path, why=error.strerror or error)) from None
    if len(content) > _LARGEST:
        raise CodeFileError(
            say("{path} is larger than {megabytes} MB: no list of codes is", path=path, megabytes=_LARGEST // 2**20)
        )
    if content[:2] in (b"PK", b"\xd0\xcf"):
        raise CodeFileError(say("{path} is a spreadsheet: save it as CSV first", path=path))
    found = codes_in(_decoded(content))
    if not found:
        raise CodeFileError(
            say("{path} holds no codes: write one a line, or a table with a column 代码, code or ts_code", path=path)
        )
    return found


def codes_in(text: str) -> list[str]:
    """The codes of the text: the column 代码 (code, ts_code, …) where its first line has one, else the first cell of each line.
    Blank lines and those that begin with # are left out."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(_COMMENT)]
    if not lines:
        return []
    delimiter = max(_DELIMITERS, key=lines[0].count)
    rows = [[_plain(cell) for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    headings = [cell.lower() for cell in rows[0]]
    column = next((at for at, heading in enumerate(headings) if heading in _HEADINGS), None)
    if column is not None:
        rows = rows[1:]
    elif delimiter != "\t" and len(rows) == 1:
        return [cell for cell in rows[0] if cell]  # 600519,000001 on one line
    return list(_cells(rows, column or 0))


def _cells(rows: Sequence[Sequence[str]], column: int) -> Iterator[str]:
    for row in rows:
        cell = row[column] if column < len(row) else ""
        if match := _TDX.fullmatch(cell):
            cell = f"{match[1]}.{_TDX_MARKETS[cell[0]]}"
        if cell:
            yield cell


def _plain(cell: str) -> str:
    match = _WRAPPED.match(cell.strip())
    return (match[1] if match else cell).strip().strip("'\"")


def _decoded(content: bytes) -> str:
    """UTF-8, or GBK as Chinese Windows programs write it; UTF-16 by its mark."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode(_ENCODINGS[-1], errors="replace")
