"""docs/datasets.md is what the specs say today."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline.console.catalogue import page
from quant_pipeline.market.datasets import DATASETS, SOURCED
from quant_pipeline.sources.registry import registered

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"


def test_the_page_in_docs_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_has_its_chapter_with_each_column(name: str) -> None:
    chapter = page().split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]
    for column in DATASETS[name].columns:
        assert f"| `{column.name}` | {column.type} | {column.unit} |" in chapter


@pytest.mark.parametrize("name", SOURCED)
def test_every_data_set_is_served_by_tushare_and_its_api_is_named(name: str) -> None:
    chapter = page().split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]
    for source in registered().sources.values():
        if name in source.servings:
            assert f"| {source.name} | `{source.servings[name].api}` |" in chapter
    assert "| tushare |" in chapter
