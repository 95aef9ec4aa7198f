"""The web UI as a user sees it, in headless Chromium: lineage, a session's metadata, the launchpad, a failed run, its message.

`make uitest` runs them: they need Chromium and chromedriver, which a package registry does not bring.
QUANT_SCREENSHOTS=folder keeps the pictures.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import requests

from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.warehouse import server

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif("QUANT_UI_TESTS" not in os.environ, reason="run by `make uitest`: it needs Chromium")

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOTS = os.environ.get("QUANT_SCREENSHOTS")
NOW = "2026-11-20T18:00"
PATIENCE = 60
UNLIMITED = """
[tushare."*"]
quota = false
retries = 0
""" + "".join(
    f"[tushare.{api}]\nquota = false\nretries = 0\n"
    for api in ("daily", "adj_factor", "daily_basic", "stk_limit", "suspend_d", "stock_basic")
)


@dataclass
class Installation:
    """A user's installation: its environment, the UI's address, the sandbox behind it."""

    environment: dict[str, str]
    url: str
    sandbox: Rehearsal

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name(arguments[0])
        return subprocess.run(
            [program, *arguments[1:]], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    home = Path(tempfile.mkdtemp(prefix="qu"))  # not pytest's: the server's user must be able to enter it
    limits = home / "limits.toml"
    limits.write_text(UNLIMITED)
    port = _free_port()
    patch = pytest.MonkeyPatch()
    patch.setenv("QUANT_NOW", NOW)
    with running(Exchange(codes=60, first_year=2025), quotas={"*": None}) as sandbox:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("QUANT_", "TUSHARE_", "DAGSTER_"))},
            **sandbox.environment(),
            "QUANT_HOME": str(home),
            "QUANT_NOW": NOW,
            "SECRET_KEY": secrets.token_urlsafe(32),
            "QUANT_RATE_LIMITS": str(limits),
            **dict.fromkeys(("BAOSTOCK_PRIORITY", "AKSHARE_PRIORITY", "THS_PRIORITY"), "0"),  # so that a fault fails a run
        }
        place = Installation(environment, f"http://127.0.0.1:{port}", sandbox)
        datasets = "trade_calendar,stock_list,suspensions,daily_kline,weekly_kline"
        ran = place.command("quant-pipeline", "sync", "--datasets", datasets, "--days-back", "40")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        program = Path(sys.executable).with_name("quant-pipeline")
        ui = subprocess.Popen(
            [program, "ui", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_served(place.url)
            yield place
        finally:
            ui.send_signal(signal.SIGINT)
            ui.wait(60)
            server.stop(home)
            shutil.rmtree(home, ignore_errors=True)
            patch.undo()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_served(url: str) -> None:
    deadline = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < deadline:
        try:
            requests.get(f"{url}/server_info", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError("the UI did not start")


class Browser:
    """A headless Chromium that waits for what a user would look for."""

    def __init__(self) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        for argument in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "window-size=1720,1300"):
            options.add_argument(f"--{argument}")
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))

    def see(self, url: str, *texts: str, picture: str) -> None:
        """Opens the page and waits until all the texts are on it."""
        from selenium.webdriver.support.ui import WebDriverWait

        self.driver.get(url)
        for text in texts:
            WebDriverWait(self.driver, PATIENCE).until(
                lambda driver, text=text: text in driver.find_element("tag name", "body").text, f"{text!r} on {url}"
            )
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(SCREENSHOTS) / f"{picture}.png"))

    def wait_for(self, selector: str) -> None:
        """Waits until an element is there."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, PATIENCE).until(
            lambda driver: driver.find_elements("css selector", selector), f"{selector} on {self.driver.current_url}"
        )

    def editor_holds(self, *texts: str) -> None:
        """Waits until the launchpad's editor holds all the texts (it draws only the lines in sight)."""
        from selenium.webdriver.support.ui import WebDriverWait

        held = "return document.querySelector('.CodeMirror').CodeMirror.getValue()"
        for text in texts:
            WebDriverWait(self.driver, PATIENCE).until(
                lambda driver, text=text: text in driver.execute_script(held), f"{text!r} in the launchpad"
            )

    def until(self, script: str, what: str, *given: str) -> None:
        """Waits until the script says yes."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, PATIENCE).until(lambda driver: driver.execute_script(script, *given), what)

    def open_group(self, name: str) -> None:
        """Clicks on a shut group of the lineage graph."""
        self.until(
            "return [...document.querySelectorAll('foreignObject.group')].some((e) => e.textContent.startsWith(arguments[0]))",
            name,
            name,
        )
        path = f"//*[local-name()='foreignObject' and contains(@class, 'group')]//*[normalize-space(text())='{name}']"
        self.driver.find_element("xpath", path).click()

    def dialog_has(self, *texts: str) -> None:
        """Waits until an open dialog shows all the texts."""
        shown = "return (document.querySelector('.dagster-dialog')?.innerText || '').split('\\n').includes(arguments[0])"
        for text in texts:
            self.until(shown, f"{text!r} in the dialog", text)

    def value(self, selector: str) -> str:
        return str(self.driver.find_element("css selector", selector).get_attribute("value"))

    def click(self, text: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, PATIENCE).until(
            lambda driver: driver.find_element("xpath", f"//*[normalize-space(text())='{text}']")
        ).click()


@pytest.fixture(scope="module")
def browser(installation: Installation) -> Iterator[Browser]:
    del installation  # the UI must stand before a browser is opened
    browser = Browser()
    yield browser
    browser.driver.quit()


def test_the_lineage_graph_shows_the_groups_and_their_data_sets(installation: Installation, browser: Browser) -> None:
    url = f"{installation.url}/asset-groups?expanded=global@global:market"
    groups = ("reference", "funds_and_bonds", "ths", "screens", "quality", "operations")
    browser.driver.set_window_size(1720, 2600)  # Dagster draws what is in sight alone, and the open group has grown tall
    browser.see(url, *groups, "daily_kline", "weekly_kline", "monthly_kline", "adj_factor", picture="lineage")


OPEN_BEFORE = """
localStorage["asset-graph-open-graph-nodes-global-__GLOBAL__"] = JSON.stringify({expanded: "global@global:backtests"});
"""
IN_VIEW = """
const [box] = [...document.querySelectorAll("foreignObject.group")].filter((each) => each.textContent === arguments[0]);
if (!box || box.getAttribute("height") < 120) return false;
const [inner, outer] = [box, box.closest("svg").parentElement.parentElement].map((each) => each.getBoundingClientRect());
const wide = inner.left >= outer.left && inner.right <= outer.right;
const high = inner.top >= outer.top + 50 && inner.bottom <= outer.bottom;
return wide && high && Math.max(inner.width / outer.width, inner.height / outer.height) > 0.5;
"""


def test_a_group_that_is_opened_is_fitted_into_the_window(installation: Installation, browser: Browser) -> None:
    """Dagster leaves it where its header was: below it there is room for one or two assets."""
    browser.driver.set_window_size(1440, 957)
    for groups in (("market",), ("reference",), ("screens", "classics"), ("backtests", "rotations")):
        browser.driver.execute_script("localStorage.clear()")
        browser.see(f"{installation.url}/asset-groups", *groups[:1], picture="lineage-shut")
        if groups == ("reference",):  # another one is open already, in a browser that was here before
            browser.driver.execute_script(OPEN_BEFORE)
            browser.see(f"{installation.url}/asset-groups", "rotations", picture="lineage-open")
        for group in groups:
            browser.open_group(group)
            browser.until(IN_VIEW, f"all of {group} in the window", group)
            if SCREENSHOTS:
                browser.driver.save_screenshot(str(Path(SCREENSHOTS) / f"lineage-{group}.png"))


def test_what_is_materialized_is_the_latest_session_unless_another_was_chosen(
    installation: Installation, browser: Browser
) -> None:
    browser.driver.set_window_size(1440, 957)
    browser.see(f"{installation.url}/assets/daily_kline", "Materialize…", picture="asset")
    browser.click("Materialize…")
    browser.dialog_has("1 partition", "Launch 1 run")
    assert browser.value("input[value='2026-11-20']") == "2026-11-20"
    browser.see(f"{installation.url}/assets/weekly_kline?view=partitions&partition=2026-11-09", "Materialize…", picture="week")
    browser.click("Materialize…")
    browser.dialog_has("1 partition", "Launch 1 run")
    assert browser.value("input[value='2026-11-09']") == "2026-11-09", "what the page was opened with stays"


def test_a_launchpad_has_the_latest_session_and_keeps_what_was_chosen_by_hand(
    installation: Installation, browser: Browser
) -> None:
    """It remembers: what our script chose yesterday gives way to the latest, what a person chose does not."""
    browser.driver.set_window_size(1440, 957)
    url = f"{installation.url}/locations/quant_pipeline/jobs/daily_sync/playground"
    field = "return document.querySelector('input[placeholder=Partition]')?.value === arguments[0]"
    browser.see(installation.url + "/server_info", picture="none")
    browser.driver.execute_script("localStorage.clear()")
    browser.see(url, "daily_sync", picture="launchpad-empty")
    browser.until(field, "the latest session in the launchpad", "2026-11-20")
    browser.editor_holds("screen_dual_ma", "retry_failed")
    yesterdays = """
    for (const [key, held] of Object.entries(localStorage)) localStorage[key] = held.replaceAll("2026-11-20", arguments[0]);
    if (!arguments[1]) delete localStorage["quant_pipeline.latest-of.daily_sync"];
    """
    browser.driver.execute_script(yesterdays, "2026-11-18", False)
    browser.see(url, "daily_sync", picture="launchpad-by-hand")
    browser.until(field, "the session chosen by hand", "2026-11-18")
    browser.see(f"{installation.url}/jobs", "daily_sync", picture="jobs")
    browser.see(url, "daily_sync", picture="launchpad-by-hand")
    browser.until(field, "the session chosen by hand, still", "2026-11-18")
    browser.driver.execute_script("localStorage['quant_pipeline.latest-of.daily_sync'] = '2026-11-18'")
    browser.see(url, "daily_sync", picture="launchpad-anew")
    browser.until(field, "the latest in the place of yesterday's", "2026-11-20")


def test_the_runs_of_a_command_say_who_launched_them_and_are_found_together(
    installation: Installation, browser: Browser
) -> None:
    """The rows show who launched them and the call of the command, and no other tag of ours."""
    browser.see(f"{installation.url}/runs", "CLI sync", "quant/command_id", "weekly_sync", picture="runs")
    text = browser.driver.find_element("tag name", "body").text
    assert "Manually" not in text
    assert "quant/queue" not in text
    assert "quant/named" not in text
    url = installation.command("quant-pipeline", "db", "url").stdout.strip()
    with psycopg.connect(url) as connection:
        ((call,),) = connection.execute("SELECT DISTINCT command_id FROM sync_runs WHERE command_id IS NOT NULL").fetchall()
    browser.see(f"{installation.url}/runs?q[0]=tag:quant/command_id={call}", "daily_sync", "weekly_sync", picture="command")


def test_a_week_is_a_partition_of_its_own(installation: Installation, browser: Browser) -> None:
    url = f"{installation.url}/assets/weekly_kline?view=partitions&partition=2026-11-09"
    browser.see(url, "2026-11-09", "SANDBOX", "dagster/row_count", "tushare", picture="week")


def test_the_reports_show_status_and_sources(installation: Installation, browser: Browser) -> None:
    told = installation.command("dg", "launch", "--assets", "sync_status,source_health")
    assert told.returncode == 0, told.stdout + told.stderr
    browser.see(f"{installation.url}/assets/sync_status?view=events", "SANDBOX", "stale", picture="status")
    browser.see(f"{installation.url}/assets/source_health?view=events", "calls_last_hour", "troubles", picture="sources")


def test_a_materialized_session_shows_its_figures_and_its_chart(installation: Installation, browser: Browser) -> None:
    url = f"{installation.url}/assets/daily_kline?view=partitions&partition=2026-11-20"
    browser.see(url, "SANDBOX", "dagster/row_count", "inserted", "tushare", "preview", "ts_code", picture="session")
    browser.click("[Show Markdown]")
    browser.wait_for("img[alt=candlesticks]")
    if SCREENSHOTS:
        browser.driver.save_screenshot(str(Path(SCREENSHOTS) / "kline.png"))


def test_the_launchpad_shows_the_strategys_parameters(installation: Installation, browser: Browser) -> None:
    url = f"{installation.url}/locations/quant_pipeline/jobs/daily_sync/playground"
    browser.see(url, "daily_sync", picture="launchpad")
    browser.wait_for(".CodeMirror")
    browser.editor_holds("screen_dual_ma", "fast", "slow", "retry_failed")
    written = browser.driver.execute_script("return document.querySelector('.CodeMirror').CodeMirror.getValue()")
    assert written.count("retry_failed") == 1, "the options stand there once, not once per data set"


def test_the_timeline_shows_the_command_s_runs(installation: Installation, browser: Browser) -> None:
    browser.see(f"{installation.url}/overview/timeline", "daily_sync", "weekly_sync", picture="timeline")


def test_a_failed_run_says_why_and_the_phone_gets_the_message(installation: Installation, browser: Browser) -> None:
    installation.sandbox.order_fault("permission", api="daily", times=1)
    failed = installation.command("dg", "launch", "--assets", "daily_kline", "--partition", "2026-06-03")
    assert failed.returncode != 0
    installation.sandbox.clear_faults()
    url = installation.command("quant-pipeline", "db", "url").stdout.strip()
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT dedupe_key FROM messages WHERE dedupe_key LIKE 'run-failed:%'").fetchone()
    assert row is not None
    run = row[0].removeprefix("run-failed:")
    browser.see(
        f"{installation.url}/runs/{run}", "Failure", "失败 Failed: daily_kline", "没有接口访问权限", picture="failed-run"
    )
    browser.see(installation.sandbox.inbox_url, "SANDBOX", "运行失败", "已送达", picture="message")
    browser.driver.switch_to.frame(browser.driver.find_element("css selector", "article iframe"))
    message = browser.driver.find_element("tag name", "body").text
    assert "daily_kline" in message
    assert "没有接口访问权限" in message
    assert run in message or browser.driver.find_elements("css selector", f"a[href*='{run}']")


def test_the_qr_code_of_a_login_can_be_scanned_from_the_page_of_its_run(installation: Installation, browser: Browser) -> None:
    """The picture on the screen is what a phone reads; the run waits for it, and goes on when it is confirmed."""
    import zxingcpp
    from PIL import Image

    installation.sandbox.ths(phone="by_order")
    program = Path(sys.executable).with_name("quant-pipeline")
    given = {"cwd": ROOT, "env": installation.environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([program, "ths", "login", "qr"], **given) as login:
        deadline = time.monotonic() + 2 * PATIENCE
        while not (codes := installation.sandbox.ths()["qrs"]):
            assert login.poll() is None, login.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        url = installation.command("quant-pipeline", "db", "url").stdout.strip()
        with psycopg.connect(url) as connection:
            job = "SELECT run_id FROM dagster.runs WHERE pipeline_name = 'ths_login_qr'"
            ((run,),) = connection.execute(job).fetchall()
        browser.see(f"{installation.url}/runs/{run}", "ths_login_qr", "qr_code", picture="ths-login-run")
        browser.click("[Show Markdown]")
        browser.wait_for("img[alt=qr-code]")
        seen = browser.driver.get_screenshot_as_png()
        if SCREENSHOTS:
            Path(SCREENSHOTS, "ths-login-qr.png").write_bytes(seen)
        (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(seen)))
        assert read.text == f"http://mobile.10jqka.com.cn/?source=PC&qrid={codes[-1]['qrid']}"
        installation.sandbox.ths(scan="confirmed")
        output = login.communicate(timeout=PATIENCE)[0]
        assert login.returncode == 0, output
    browser.see(f"{installation.url}/assets/ths_account?view=events", "SANDBOX", "last_failures", picture="ths-account")
