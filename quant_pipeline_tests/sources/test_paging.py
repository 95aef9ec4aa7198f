"""Pages that are put together, and pages that never end."""

from __future__ import annotations

import polars as pl
import pytest

from quant_pipeline.sources.paging import Endless, Pages


def _page(*codes: str | None) -> pl.DataFrame:
    return pl.DataFrame({"ts_code": codes, "close": [1.0] * len(codes)})


def test_pages_follow_each_other_until_the_last() -> None:
    pages = Pages()
    assert (pages.last, pages.rows) == (None, 0)
    for page, rows in ((_page("A", "B"), 2), (_page("C", "D"), 4), (_page("E"), 5)):
        pages.add(page)
        assert pages.rows == rows
        assert pages.last is page
    assert [part["ts_code"].to_list() for part in pages.parts] == [["A", "B"], ["C", "D"], ["E"]]


@pytest.mark.parametrize("again", [("A", "B"), ("B", "A"), ("C", "D")])
def test_a_page_that_came_before_ends_it_whichever_it_was_and_however_it_is_ordered(again: tuple[str, ...]) -> None:
    pages = Pages()
    pages.add(_page("A", "B"))
    pages.add(_page("C", "D"))
    with pytest.raises(Endless, match="page 3 is one that came before"):
        pages.add(_page(*again))


def test_pages_that_share_a_row_are_two() -> None:
    pages = Pages()
    for page in (_page("A", "B"), _page("B", "C"), _page("B", "B"), _page("B"), _page(None), _page(None, None)):
        pages.add(page)
    assert pages.rows == 10


def test_an_empty_page_is_no_repetition() -> None:
    pages = Pages()
    pages.add(_page())
    pages.add(_page())
    assert pages.rows == 0


def test_the_last_row_that_the_market_can_have_is_taken_and_the_next_one_is_not() -> None:
    pages = Pages(most=4)
    pages.add(_page("A", "B"))
    pages.add(_page("C", "D"))
    with pytest.raises(Endless, match="more than 4 rows"):
        pages.add(_page("E"))


def test_twenty_thousand_rows_are_an_answer_and_one_more_is_none() -> None:
    pages = Pages()
    pages.add(pl.DataFrame({"place": range(20_000)}))
    with pytest.raises(Endless, match=r"more than 20,000 rows"):
        pages.add(pl.DataFrame({"place": [-1]}))
