"""A headless Chromium that looks at our own pages: what they ask for, what they complain of, whether they fit."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SCREENSHOTS = os.environ.get("QUANT_SCREENSHOTS")
PATIENCE = 60


class Looker:
    """One browser; each page is opened in a width and in light or dark."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def look(
        self,
        url: str,
        *,
        width: int = 1440,
        height: int = 900,
        scheme: str = "light",
        picture: str = "",
        error: bool = False,
    ) -> None:
        """Opens the page and asserts that nothing fails on it, nothing comes from another host, and nothing sticks out.

        A chart is waited for. QUANT_SCREENSHOTS=folder keeps the page's picture. `error`: the page is one that says why it
        is none, and the browser complains of its status.
        """
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        self.driver.get("about:blank")  # the page before, which may still be connecting, says nothing more
        self._logs()
        self.driver.get(url)
        self.until("const k = document.getElementById('kline'); return !k || k.dataset.drawn === 'yes'", f"the chart of {url}")
        self.until(
            "return [...document.querySelectorAll('.figure')].every((f) => f.dataset.drawn === 'yes')", f"figures of {url}"
        )
        complaints, hosts = self._logs()
        complaints = [each for each in complaints if not (error and each.startswith(url) and "status of 4" in each)]
        assert not complaints, complaints
        assert hosts <= {urlsplit(url).netloc}, hosts
        wide = self.driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, f"{url} is {wide} wide at {width}"
        if picture:
            self.picture(picture)

    def picture(self, name: str) -> None:
        """Keeps what is seen now, where QUANT_SCREENSHOTS says so."""
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            (Path(SCREENSHOTS) / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def until(self, script: str, what: str) -> Any:
        """What the script returns, once that is true."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, PATIENCE).until(lambda driver: driver.execute_script(script), what)

    def _logs(self) -> tuple[list[str], set[str]]:
        """What the console said, and the hosts that were asked, since the last time."""
        complaints = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return complaints, {urlsplit(url).netloc for url in asked if url.startswith("http")}


@contextmanager
def looking() -> Iterator[Looker]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield Looker(driver)
    finally:
        driver.quit()
