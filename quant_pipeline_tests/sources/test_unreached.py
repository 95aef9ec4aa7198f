"""Without a network every source says so, whatever its client makes of it; none is said to have banned anybody."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import psycopg
import pytest
import requests

from quant_pipeline.language import speaking
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import DAILY_KLINE, TRADE_CALENDAR
from quant_pipeline.market.xshg import xshg
from quant_pipeline.retelling import retold
from quant_pipeline.sources import bounded_http
from quant_pipeline.sources.akshare import AkshareSource
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.circuit import note
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Unit
from quant_pipeline.warehouse.database import Database

NOWHERE = "nobody.invalid"
"""A name that no name server knows: the standard reserves it."""
ONCE = {"*": RatePolicy(retries=0, timeout=20)}
POLICIES = {"tushare": ONCE, "baostock": ONCE, "akshare": ONCE}
NO_NAME, NO_LINE = "the server's name is not found", "no connection came about"


@pytest.fixture
def shut() -> Iterator[int]:
    """A port of this machine that is taken, and that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def refusal(source: Source) -> SourceError:
    calendar: Calendar = xshg()
    asked = TRADE_CALENDAR if TRADE_CALENDAR.name in source.servings else DAILY_KLINE
    try:
        with pytest.raises(SourceError) as raised:
            source.fetch(asked, Unit.snapshot(calendar.sessions[-100]), Tally())
    finally:
        source.close()
    return raised.value


@pytest.mark.parametrize("named", [True, False], ids=["no name server", "nobody listens"])
@pytest.mark.parametrize("name", ["tushare", "baostock", "akshare"])
def test_a_source_without_a_network_says_so(warehouse: Database, limiter: Limiter, shut: int, name: str, named: bool) -> None:
    host, calendar = NOWHERE if named else "127.0.0.1", xshg()
    sources = {
        "tushare": lambda: TushareSource("token", f"http://{host}:{shut}/api", calendar, limiter, POLICIES),
        "baostock": lambda: BaostockSource(host, shut, "anonymous", "123456", calendar, limiter, POLICIES),
        "akshare": lambda: AkshareSource(
            warehouse, dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), f"http://{host}:{shut}"), calendar, limiter, POLICIES
        ),
    }
    error = refusal(sources[name]())
    assert (error.failure, error.outage, error.passing) == (FailureClass.UNREACHABLE, True, True)
    assert (NO_NAME if named else NO_LINE) in error.text
    with speaking("zh"):
        assert "不通" in retold(error.text)


@pytest.mark.parametrize(("host", "words"), [(NOWHERE, NO_NAME), ("127.0.0.1", NO_LINE)])
def test_so_does_whatever_speaks_http_for_itself(shut: int, host: str, words: str) -> None:
    with pytest.raises(requests.RequestException) as raised:
        bounded_http.request("GET", f"http://{host}:{shut}/", timeout=20)
    assert words in bounded_http.fault_in_words(raised.value)
    assert bounded_http.never_sent(raised.value)


def test_what_could_not_be_reached_is_tried_again_in_a_minute_not_as_after_a_ban(limiter: Limiter, warehouse: Database) -> None:
    del limiter  # which makes the rows of the APIs
    rests = {}
    policy = RatePolicy(trip=1, cool_down=1800)
    with warehouse.connect() as connection:
        for failure in (FailureClass.BANNED, FailureClass.UNREACHABLE):
            connection.execute("INSERT INTO source_state (source, api) VALUES ('akshare', %s)", (failure.value,))
            note(connection, "akshare", failure.value, policy, failure.value, "why")
            rests[failure] = _rest(connection, failure.value)
    assert 1700 < rests[FailureClass.BANNED] <= 1800
    assert 0 < rests[FailureClass.UNREACHABLE] <= 60


def _rest(connection: psycopg.Connection[tuple[float, ...]], api: str) -> float:
    query = "SELECT extract(epoch FROM retry_at - clock_timestamp())::float8 FROM source_state WHERE api = %s"
    return connection.execute(query, (api,)).fetchall()[0][0]
