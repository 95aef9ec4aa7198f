"""Our own pages as a reader sees them, in headless Chromium: nothing in the console, nothing from another host, nothing that
runs out of the window, on a phone and on a desk, light and dark.

`make uitest` runs them: they need Chromium and chromedriver, which a package registry does not bring.
QUANT_SCREENSHOTS=folder keeps the pictures.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from quant_pipeline import settings
from quant_pipeline.overview.report import path_of
from quant_pipeline_tests.assets.platform import LATEST, Platform
from quant_pipeline_tests.door.served import served

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif("QUANT_UI_TESTS" not in os.environ, reason="run by `make uitest`: it needs Chromium")
SCREENSHOTS = os.environ.get("QUANT_SCREENSHOTS")
WIDTHS = (390, 1440)
SCHEMES = ("light", "dark")
DATASETS = (
    *("stock_list", "name_history", "suspensions", "daily_kline", "adj_factor", "price_limits"),
    *("index_list", "index_daily", "ths_concepts", "ths_industries", "ths_members", "ths_hot"),
)
# A box that scrolls by itself may hold more than the window; what sticks out of the page may not.
STICKING_OUT = """
const wide = document.documentElement.clientWidth;
const scrolled = (each) => each.closest(".scroll, .parts, .js-plotly-plot, [style*='overflow']");
const out = [...document.querySelectorAll("main *, header *")]
    .filter((each) => each.getBoundingClientRect().right > wide + 1 && !scrolled(each));
return [document.documentElement.scrollWidth - wide, out.map((each) => each.outerHTML.slice(0, 120))];
"""


@dataclass
class Reader:
    """A browser, and the site that it reads."""

    driver: WebDriver
    url: str
    copy: Path
    run: str
    code: str

    def address(self, page: str) -> str:
        if page == "the saved copy":
            return self.copy.as_uri()
        return self.url + page.format(session=LATEST, run=self.run, code=self.code)


@pytest.fixture(scope="module")
def reader(platform: Platform) -> Iterator[Reader]:
    from selenium import webdriver

    assert platform.alone(platform.sessions(30), *DATASETS).success
    assert platform.run(platform.sessions(2), "screen_dual_ma", config={"screen_dual_ma": {"fast": 1, "slow": 2}}).success
    assert platform.run([LATEST], "market_overview").success
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    current = settings.load()
    ((run,),) = platform.rows("SELECT id FROM sync_runs ORDER BY started_at LIMIT 1")
    ((code,),) = platform.rows("SELECT max(ts_code) FROM daily_kline WHERE trade_date = %s", LATEST)
    with served(current, platform.database) as url:
        yield Reader(driver, url, path_of(current, LATEST), run, code)
    driver.quit()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "page",
    [
        "/",
        "/day/{session}",
        "/k",
        "/k/{code}",
        "/search?q=股份",
        "/screens",
        "/screens/dual_ma/{session}",
        "/sync",
        "/sync/{run}",
        "/data",
        "/data#daily_kline",
        "/day/2026-11-21",
        "/nowhere",
        "the saved copy",
    ],
)
def test_a_page_fits_its_window_and_asks_no_other_host(reader: Reader, page: str, width: int, scheme: str) -> None:
    driver, address = reader.driver, reader.address(page)
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    driver.get_log("browser")
    driver.get_log("performance")
    driver.get("about:blank")
    driver.get(address)
    too_wide, sticking_out = driver.execute_script(STICKING_OUT)
    assert (too_wide, sticking_out) == (0, [])
    missing = [entry for entry in driver.get_log("browser") if " 404 " not in f" {entry['message']} "]
    assert missing == [], "the console is silent (but for the page that is none)"
    asked = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = {each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"}
    hosts = {urlsplit(url).netloc for url in urls if urlsplit(url).scheme in ("http", "https", "ws", "wss")}
    assert hosts <= {urlsplit(reader.url).netloc}
    dark = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in dark[4:-1].split(",")) < 200) is (scheme == "dark")
    _keep(driver, page, width, scheme)


def test_the_dictionary_s_filter_leaves_what_fits(reader: Reader) -> None:
    reader.driver.get(f"{reader.url}/data")
    field = reader.driver.find_element("id", "filter")
    field.send_keys("vol 换手率")
    shown = [each.get_attribute("id") for each in reader.driver.find_elements("css selector", ".entry") if each.is_displayed()]
    assert shown == ["daily_basic"]
    assert reader.driver.find_element("css selector", ".index a[data-of=daily_basic]").is_displayed()
    field.clear()
    field.send_keys("nothing is called so")
    assert reader.driver.find_element("id", "none").is_displayed()


def test_the_date_field_leads_to_its_day(reader: Reader) -> None:
    reader.driver.get(f"{reader.url}/")
    before = reader.driver.find_element("css selector", "a[rel=prev]").get_attribute("href")
    assert before is not None
    day = before.rpartition("/")[2]
    script = "const field = document.querySelector('input[type=date]'); field.value = arguments[0]; field.form.submit()"
    reader.driver.execute_script(script, day)
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(reader.driver, 60).until(lambda driver: driver.current_url == before)
    assert day in reader.driver.find_element("tag name", "h1").text


def _keep(driver: WebDriver, page: str, width: int, scheme: str) -> None:
    if not SCREENSHOTS:
        return
    height = driver.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, 6000), "scale": 1}
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    name = "".join(letter if letter.isalnum() else "-" for letter in page).strip("-") or "day"
    Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
    (Path(SCREENSHOTS) / f"{name}-{width}-{scheme}.png").write_bytes(base64.b64decode(taken["data"]))
