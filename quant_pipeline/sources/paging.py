"""The pages of one answer, put together, and the end of those that have none.

A server that forgets the offset gives the first page for ever, and each page looks as good as the one before.
"""

from __future__ import annotations

import polars as pl

from quant_pipeline.language import told

MOST = 20_000
"""Rows of an answer: twice and more what the market has of codes, or a code of sessions since 1990."""


class Endless(Exception):
    """The pages do not come to an end: the text says what shows it."""


class Pages:
    """The pages of one answer as they come, each looked at before it is taken."""

    def __init__(self, most: int = MOST) -> None:
        """`most`: the rows that the whole answer cannot exceed."""
        self.parts: list[pl.DataFrame] = []
        self._most = most
        self._seen: set[tuple[int, int]] = set()

    @property
    def last(self) -> pl.DataFrame | None:
        """The latest page; None before the first."""
        return self.parts[-1] if self.parts else None

    @property
    def rows(self) -> int:
        """The rows so far: where the next page begins."""
        return sum(part.height for part in self.parts)

    def add(self, page: pl.DataFrame) -> None:
        """Takes the next page. Endless when it is one that came already (in whatever order), or one too many."""
        looks = (page.height, sum(page.hash_rows().to_list()))
        if page.height and looks in self._seen:
            raise Endless(
                told("page {number} is one that came before: the server does not turn the pages", number=len(self.parts) + 1)
            )
        self._seen.add(looks)
        self.parts.append(page)
        if self.rows > self._most:
            raise Endless(
                told("more than {count:,} rows came, which the market does not have: the answer does not end", count=self._most)
            )
