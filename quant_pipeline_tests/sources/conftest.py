"""What every test of a source works with: a sign of life and the shared limiter, over a real database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence


@pytest.fixture
def presence(warehouse: Database) -> Iterator[Presence]:
    mine = Presence(warehouse.connect())
    yield mine
    mine.close()


@pytest.fixture
def limiter(warehouse: Database, presence: Presence) -> Limiter:
    return Limiter(warehouse.pool, presence)
