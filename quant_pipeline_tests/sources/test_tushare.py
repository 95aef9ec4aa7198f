"""The Tushare adapter: paging, tokens, the limits that the user sets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, NAME_HISTORY, STOCK_LIST
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sources.base import Serving, Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import PolicyError, RatePolicy, load_policies, policy_for
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit

FREE = {"tushare": {"*": RatePolicy(per_minute=None, per_second=None, retries=0)}}
SESSION = dt.date(2026, 11, 20)


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    return Exchange(codes=60, first_year=2025)


@pytest.fixture
def sandbox(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")
    with running(exchange, quotas={"*": None}) as rehearsal:
        yield rehearsal


def test_pages_are_asked_for_until_one_is_short(limiter: Limiter, sandbox: Rehearsal) -> None:
    whole = TushareSource(sandbox.token, sandbox.tushare_url, limiter, FREE)
    everything = whole.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())

    class SmallPages(TushareSource):
        pass

    SmallPages.servings = {
        "daily_kline": Serving(DAILY_KLINE, (Grain.SESSION,), "daily", everything.height // 3, "daily_kline")
    }
    tally = Tally()
    paged = SmallPages(sandbox.token, sandbox.tushare_url, limiter, FREE).fetch(DAILY_KLINE, Unit.session(SESSION), tally)
    assert tally.calls == 4
    assert paged.sort("ts_code").equals(everything.sort("ts_code"))


def test_one_code_over_a_range_is_asked_for_as_one(limiter: Limiter, sandbox: Rehearsal) -> None:
    source = TushareSource(sandbox.token, sandbox.tushare_url, limiter, FREE)
    code = source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())["ts_code"][0]
    unit = Unit.code(code, dt.date(2026, 11, 2), SESSION)
    rows = source.fetch(DAILY_KLINE, unit, Tally())
    assert rows["ts_code"].unique().to_list() == [code]
    assert rows.height > 5
    assert sandbox.calls("daily")[-1]["params"]["start_date"] == "20261102"


def test_the_stock_list_holds_the_delisted_too(limiter: Limiter, sandbox: Rehearsal) -> None:
    source = TushareSource(sandbox.token, sandbox.tushare_url, limiter, FREE)
    listed = source.fetch(STOCK_LIST, Unit.snapshot(SESSION), Tally())
    assert {"L", "D"} <= set(listed["list_status"].to_list())
    assert not source.fetch(NAME_HISTORY, Unit.snapshot(SESSION), Tally()).is_empty()


def test_without_a_token_it_says_where_to_get_one(limiter: Limiter) -> None:
    source = TushareSource(None, None, limiter, FREE)
    assert "TUSHARE_TOKEN" in (source.unavailable() or "")
    with pytest.raises(SourceError, match="TUSHARE_TOKEN") as refused:
        source.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert refused.value.failure is FailureClass.PERMANENT_SOURCE


def test_rate_limits_of_the_user_are_laid_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[tushare.daily]\nper_minute = 500\n[tushare.weekly]\nquota = false\n")
    policies = load_policies(file)
    assert policy_for(policies, "tushare", "daily") == RatePolicy(
        per_minute=500, per_second=10, burst=20, concurrency=5, retries=3
    )
    assert policy_for(policies, "tushare", "weekly").per_minute is None
    assert policy_for(policies, "tushare", "stock_basic").per_minute == 50
    assert policy_for(policies, "tushare", "ths_member").per_minute == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tushare.daily]\nper_minute = 0\n", "tushare.daily"),
        ("[tushare.daily]\nper_hour = 3\n", "tushare.daily"),
        ("per_minute = ", "cannot be read"),
        ("per_minute = 3", "a table per API"),
    ],
)
def test_a_rate_limit_file_with_a_slip_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(PolicyError, match=words):
        load_policies(file)
    with pytest.raises(PolicyError, match=r"missing\.toml"):
        load_policies(tmp_path / "missing.toml")
