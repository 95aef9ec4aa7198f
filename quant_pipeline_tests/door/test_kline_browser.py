"""K-lines and screens as a browser draws them, on a desk and on a phone. `make uitest` runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.browser import Looker, looking
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.door.test_kline_pages import pages
from quant_pipeline_tests.sync.stored import LATEST

__all__ = ["pages"]

pytestmark = pytest.mark.skipif("QUANT_UI_TESTS" not in os.environ, reason="run by `make uitest`: it needs Chromium")

ADDRESSES = (
    "/k",
    "/k/600519.SH",
    "/k/600519.SH?freq=W&indicator=kdj",
    "/k/600519.SH?freq=M&adjust=hfq",
    "/k/688001.SH",
    "/k/600000.SH",
    "/k/000001.SH",
    "/k/510300.SH",
    "/search?q=yh",
    "/screens",
    f"/screens/dual_ma/{LATEST}",
)
IN_SIGHT = "return document.getElementById('kline').layout.xaxis.range"


@pytest.fixture(scope="module")
def browser() -> Iterator[Looker]:
    with looking() as looker:
        yield looker


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_every_page_fits_complains_of_nothing_and_loads_nothing_from_elsewhere(
    pages: str, browser: Looker, width: int, scheme: str
) -> None:
    for address in ADDRESSES:
        name = "".join(letter if letter.isalnum() else "-" for letter in address).strip("-")
        browser.look(f"{pages}{address}", width=width, scheme=scheme, picture=f"{name}-{width}")


def test_candles_are_red_and_green_and_halts_are_left_open(pages: str, browser: Looker) -> None:
    browser.look(f"{pages}/k/600519.SH")
    colours = "return document.getElementById('kline').data[0].increasing.fillcolor"
    assert browser.driver.execute_script(colours) == "#cf2b36", "the stylesheet's red"
    boxes = "[...document.querySelectorAll('#kline .boxlayer path.box')]"
    drawn = f"return {boxes}.filter((box) => box.getBBox().height > 0).length"
    assert browser.driver.execute_script(drawn) == 34, "six of the forty sessions were halted"


def test_the_range_s_buttons_show_so_many_places_and_the_panels_follow(pages: str, browser: Looker) -> None:
    browser.look(f"{pages}/k/600519.SH")
    low, high = browser.driver.execute_script("return document.getElementById('kline').layout.yaxis.range")
    browser.driver.find_element("css selector", "[data-places='22']").click()
    browser.until(f"const [a, b] = (() => {{ {IN_SIGHT} }})(); return a > 10", "the last month alone")
    browser.until(f"return document.getElementById('kline').layout.yaxis.range[0] > {low}", "the price axis follows")
    assert browser.driver.find_element("css selector", "[data-places='22']").get_attribute("aria-pressed") == "true"
    assert high > low


def test_the_hover_tells_the_bar(pages: str, browser: Looker) -> None:
    browser.look(f"{pages}/k/600519.SH")
    browser.driver.execute_script("Plotly.Fx.hover('kline', [{curveNumber: 0, pointNumber: 39}], 'xy')")
    text = browser.until("return document.querySelector('#kline .hoverlayer')?.textContent", "the hover")
    for part in ("2026-11-20 周五", "涨跌幅", "成交额", "万手", "MA60", "MACD"):
        assert part in text, text


def test_without_javascript_the_table_is_there(pages: str, browser: Looker) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.driver.get(f"{pages}/k/600519.SH")
        shown = browser.driver.find_element("tag name", "main").text
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "图表需要 JavaScript" in shown
    assert "2026-11-20" in shown


def test_before_the_first_sync_too(warehouse: Database, browser: Looker) -> None:
    from quant_pipeline.settings import Settings

    with served(Settings(), warehouse) as url:
        for address in ("/k", "/search?q=x", "/screens"):
            browser.look(f"{url}{address}", width=390)
