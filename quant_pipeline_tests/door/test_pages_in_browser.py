"""A day, the sync and the dictionary as a reader sees them, in headless Chromium: nothing in the console, nothing from another
host, nothing that runs out of the window, on a phone and on a desk, light and dark. So are the other pages over the same data.

`make uitest` runs them: they need Chromium and chromedriver, which a package registry does not bring.
QUANT_SCREENSHOTS=folder keeps the pictures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from quant_pipeline import settings
from quant_pipeline.backtest_report.document import path_of as report_of_backtest
from quant_pipeline.market.search import Named
from quant_pipeline.overview.report import path_of
from quant_pipeline.warehouse import watchlists
from quant_pipeline_tests.assets.platform import LATEST, Platform
from quant_pipeline_tests.door.browser import Looker, looking
from quant_pipeline_tests.door.served import served

pytestmark = pytest.mark.skipif("QUANT_UI_TESTS" not in os.environ, reason="run by `make uitest`: it needs Chromium")
WIDTHS = (390, 900, 1440)
SCHEMES = ("light", "dark")
DATASETS = (
    *("stock_list", "name_history", "suspensions", "daily_kline", "adj_factor", "price_limits"),
    *("index_list", "index_daily", "ths_concepts", "ths_industries", "ths_members", "ths_hot"),
)
ERRORS = ("/day/2026-11-21", "/nowhere")
# A box that scrolls by itself may hold more than the window; what sticks out of the page may not.
STICKING_OUT = """
const wide = document.documentElement.clientWidth;
const scrolled = (each) => each.closest(".scroll, .parts, .js-plotly-plot, [style*='overflow']");
const out = [...document.querySelectorAll("main *, header *")]
    .filter((each) => each.getBoundingClientRect().right > wide + 1 && !scrolled(each));
return out.map((each) => each.outerHTML.slice(0, 120));
"""
# Tables fold and leave out columns by the room that they have: none has to be pushed sideways to be read.
PUSHED_SIDEWAYS = """
const scrolled = [...document.querySelectorAll("main .scroll")].filter((each) => each.scrollWidth > each.clientWidth + 1);
return scrolled.map((each) => each.textContent.trim().slice(0, 60));
"""


@dataclass
class Site:
    """The site, and what reads it."""

    looker: Looker
    url: str
    copy: Path
    run: str
    code: str
    backtest: str
    report: Path

    def address(self, page: str) -> str:
        if page == "the saved copy":
            return self.copy.as_uri()
        if page == "the saved report":
            return self.report.as_uri()
        return self.url + page.format(session=LATEST, run=self.run, code=self.code, backtest=self.backtest)


@pytest.fixture(scope="module")
def site(platform: Platform) -> Iterator[Site]:
    platform.fill(platform.sessions(30), *DATASETS)
    assert platform.run(platform.sessions(2), "screen_dual_ma", config={"screen_dual_ma": {"fast": 1, "slow": 2}}).success
    assert platform.run(platform.sessions(2), "signals", "signal_statistics").success
    assert platform.run(platform.sessions(2), "portfolio_risk").success
    assert platform.run([LATEST], "market_overview").success
    account = {"capital": 200_000, "max_positions": 5}
    traded = {"parameters": {"fast": 2, "slow": 4}, "account": account}
    assert platform.alone([], "backtest_dual_ma", config={"backtest_dual_ma": traded}).success
    ((backtest,),) = platform.rows("SELECT id FROM backtests")
    ((run,),) = platform.rows("SELECT id FROM sync_runs ORDER BY started_at LIMIT 1")
    ((code,),) = platform.rows("SELECT max(ts_code) FROM daily_kline WHERE trade_date = %s", LATEST)
    hits = [Named(code, name) for code, name in platform.rows("SELECT ts_code, name FROM stock_list ORDER BY 1 LIMIT 30")]
    watchlists.add(platform.database, "core", hits, origin="typed", day=LATEST)
    current = settings.load()
    with looking() as looker, served(current, platform.database) as url:
        yield Site(looker, url, path_of(current, LATEST), run, code, backtest, report_of_backtest(current, backtest))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "page",
    [
        "/",
        "/day/{session}",
        "/k",
        "/k/{code}",
        "/search?q=%E8%82%A1%E4%BB%BD",
        "/screens",
        "/screens/dual_ma/{session}",
        "/signals/{session}",
        "/watchlists",
        "/watchlists/core",
        "/backtests",
        "/backtests/{backtest}",
        "/sync",
        "/sync/{run}",
        "/alerts",
        "/messages",
        "/messages/1",
        "/data",
        "/data#daily_kline",
        *ERRORS,
        "the saved copy",
        "the saved report",
    ],
)
def test_a_page_fits_its_window_and_asks_no_other_host(site: Site, page: str, width: int, scheme: str) -> None:
    name = "".join(letter if letter.isalnum() else "-" for letter in page).strip("-") or "day"
    site.looker.look(site.address(page), width=width, scheme=scheme, picture=f"{name}-{width}-{scheme}", error=page in ERRORS)
    assert site.looker.driver.execute_script(STICKING_OUT) == []
    assert site.looker.driver.execute_script(PUSHED_SIDEWAYS) == []
    ground = site.looker.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in ground[4:-1].split(",")) < 200) is (scheme == "dark")


@pytest.mark.parametrize("page", ["/", "/sync", "/alerts", "/messages"])
def test_on_a_phone_the_open_part_of_the_navigation_is_in_sight(site: Site, page: str) -> None:
    site.looker.look(f"{site.url}{page}", width=390, height=844, picture=f"navigation-{page.strip('/') or 'day'}")
    place = "const r = document.querySelector('.parts [aria-current]').getBoundingClientRect(); return [r.left, r.right]"
    left, right = site.looker.driver.execute_script(place)
    assert left >= 0
    assert right <= 390


def test_the_dictionary_s_filter_leaves_what_fits(site: Site) -> None:
    driver = site.looker.driver
    driver.get(f"{site.url}/data")
    field = driver.find_element("id", "filter")
    field.send_keys("vol 换手率")
    shown = [each.get_attribute("id") for each in driver.find_elements("css selector", ".entry") if each.is_displayed()]
    assert shown == ["daily_basic"]
    assert driver.find_element("css selector", ".index a[data-of=daily_basic]").is_displayed()
    field.clear()
    field.send_keys("nothing is called so")
    assert driver.find_element("id", "none").is_displayed()


def test_a_script_that_stands_in_a_page_does_not_run(site: Site) -> None:
    """A name or a reason out of a source that got past the templates' escaping would."""
    driver = site.looker.driver
    driver.get(f"{site.url}/data")
    driver.execute_script(
        "const box = document.createElement('div'); document.body.append(box);"
        "box.innerHTML = '<img src=nothing onerror=\"document.title=1\">';"
        "const own = document.createElement('script'); own.textContent = 'document.title = 2'; box.append(own);"
        "box.firstChild.addEventListener('error', () => { box.id = 'tried' });"
    )
    site.looker.until("return document.getElementById('tried')", "the picture that there is not")
    assert driver.title.startswith("数据字典")


def test_the_date_field_leads_to_its_day(site: Site) -> None:
    driver = site.looker.driver
    driver.get(f"{site.url}/")
    before = driver.find_element("css selector", "a[rel=prev]").get_attribute("href")
    day = before.rpartition("/")[2]
    driver.execute_script(
        "const f = document.querySelector('input[type=date]'); f.value = arguments[0]; f.dispatchEvent(new Event('change'))",
        day,
    )
    site.looker.until(f"return location.href === '{before}'", f"the day {day}")
    assert day in driver.find_element("tag name", "h1").text
