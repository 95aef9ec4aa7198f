"""A PushPlus to talk to: the sandbox's, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quant_pipeline.notify.pushplus import PushPlus
from quant_pipeline.sandbox.exchange import Exchange
from quant_pipeline.sandbox.rehearsal import Rehearsal, running


@pytest.fixture(scope="session")
def exchange() -> Exchange:
    """A market that no test here looks at."""
    return Exchange(codes=20, first_year=2026)


@pytest.fixture
def sandbox(exchange: Exchange) -> Iterator[Rehearsal]:
    with running(exchange) as rehearsal:
        yield rehearsal


@pytest.fixture
def client(sandbox: Rehearsal) -> PushPlus:
    return PushPlus(sandbox.pushplus_token, sandbox.pushplus_url, secret_key=sandbox.pushplus_secret)
