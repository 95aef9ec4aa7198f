"""The pages of signals over a real socket: every decision with its reason, the paper portfolio, sessions without any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from quant_pipeline import settings
from quant_pipeline.resources.dagster_private.names import CODE_LOCATION
from quant_pipeline.selections import DAILY_SYNC
from quant_pipeline_tests.assets.platform import LATEST, Platform
from quant_pipeline_tests.door.served import served

DATASETS = (
    "stock_list",
    "name_history",
    "suspensions",
    "daily_kline",
    "adj_factor",
    "price_limits",
    "index_list",
    "index_daily",
)
DECISIONS = """
SELECT ts_code, coalesce(name, ts_code), signal_decisions.reason
FROM signal_decisions JOIN signals USING (trade_date, strategy, ts_code, direction)
WHERE signal_decisions.decided_on = %s ORDER BY signal_decisions.decision <> 'accepted'
"""


@pytest.fixture(scope="module")
def site(platform: Platform) -> Iterator[tuple[Platform, str]]:
    platform.fill(platform.sessions(12), *DATASETS)
    parameters = {"screen_dual_ma": {"fast": 1, "slow": 2}}
    made = platform.run(platform.sessions(3), "screen_dual_ma", "signals", "signal_statistics", config=parameters)
    assert made.success
    assert platform.run(platform.sessions(3), "portfolio_risk").success
    with served(settings.load(), platform.database) as url:
        yield platform, url


def got(url: str, path: str) -> requests.Response:
    return requests.get(url + path, timeout=60, allow_redirects=False)


def test_a_session_s_decisions_stand_with_their_reasons(site: tuple[Platform, str]) -> None:
    platform, url = site
    rows = platform.rows(DECISIONS, LATEST)
    page = got(url, f"/signals/{LATEST}").text
    assert len(rows) > 1
    for code, name, reason in rows[:50]:
        assert code in page
        assert name in page
        assert reason in page
    assert f"{len(rows):,} 个信号" in page
    assert "买入" in page
    assert f'href="/signals/{platform.sessions(3)[1]}" rel="prev"' in page


def test_the_paper_portfolio_stands_with_holdings_and_the_next_orders(site: tuple[Platform, str]) -> None:
    platform, url = site
    page = got(url, f"/signals/{LATEST}").text
    ((equity,),) = platform.rows("SELECT equity FROM portfolio_risk WHERE trade_date = %s", LATEST)
    held = platform.rows("SELECT ts_code FROM portfolio_positions WHERE trade_date = %s", LATEST)
    orders = platform.rows("SELECT ts_code FROM portfolio_orders WHERE trade_date = %s AND shares > 0", LATEST)
    assert held
    assert f"<b>{equity:,.0f}</b> 元" in page
    assert f"{len(held)} 只" in page
    assert f"{len(orders)} 笔" in page
    for (code,) in held:
        assert code in page


def test_what_became_of_orders_is_said_in_chinese(site: tuple[Platform, str]) -> None:
    platform, url = site
    earlier = platform.sessions(3)[1]
    page = got(url, f"/signals/{earlier}").text
    became = {
        status for (status,) in platform.rows("SELECT DISTINCT status FROM portfolio_orders WHERE trade_date = %s", earlier)
    }
    assert "filled" in became
    assert ">全部成交" in page
    assert ">filled<" not in page
    assert "limit_up" not in page


def test_a_session_that_was_screened_only_leads_to_the_asset(site: tuple[Platform, str]) -> None:
    platform, url = site
    day = platform.sessions(4)[0]
    assert platform.run([day], "screen_dual_ma", config={"screen_dual_ma": {"fast": 1, "slow": 2}}).success
    page = got(url, f"/signals/{day}").text
    assert f"/assets/signals?view=partitions&amp;partition={day}" in page
    assert "quant-pipeline run" not in page
    assert f"/locations/{CODE_LOCATION}/jobs/{DAILY_SYNC}" in page, "what makes them by itself"


def test_signals_lead_to_the_last_session_and_a_session_without_says_what_to_run(site: tuple[Platform, str]) -> None:
    platform, url = site
    assert got(url, "/signals").headers["location"] == f"/signals/{LATEST}"
    without = platform.sessions(12)[0]
    page = got(url, f"/signals/{without}")
    assert page.status_code == 200
    assert f"quant-pipeline run --date {without}" in page.text
    assert f"/assets/signals?view=partitions&amp;partition={without}" in page.text, "the command makes no signals"
    assert got(url, "/signals/2026-11-14").status_code == 404
    assert got(url, "/signals/soon").status_code == 400
