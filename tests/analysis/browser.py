"""A real headless Chromium, where there is one."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

AXE = "TUNE_SELECT_AXE"
"""Environment variable with the path of axe-core's ``axe.min.js``."""


@contextmanager
def chromium(profile: Path, width: int, height: int, *, dark: bool = False) -> Iterator[Any]:
    """A driver with its own profile; the test is skipped where Chromium is not installed."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("Chromium and its driver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={profile}"),
        f"--window-size={width},{height}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # The driver is named, so that Selenium looks for none on the network.
    browser = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    try:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})
        yield browser
    finally:
        browser.quit()


def console(browser: Any) -> list[str]:
    """Warnings and errors of the page."""
    return [entry["message"] for entry in browser.get_log("browser")]


def requests(browser: Any) -> list[str]:
    """Addresses that the page has asked for, and not the browser for its own first tab."""
    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            address = message["params"]["request"]["url"]
            found += [] if address.startswith("chrome://") else [address]
    return found


def print_to_pdf(browser: Any) -> bytes:
    """The page as a PDF."""
    answer = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    return base64.b64decode(answer["data"])


def axe_violations(browser: Any) -> list[str]:
    """Serious and critical faults that axe finds; skipped where axe is not at hand."""
    path = os.environ.get(AXE)
    if not path:
        pytest.skip(f"{AXE} does not name an axe.min.js")
    # A content security policy that forbids all scripts but our own does not bind the driver.
    browser.execute_script(Path(path).read_text(encoding="utf-8"))
    result = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {resultTypes: ['violations']}).then(done, e => done(String(e)));"
    )
    assert isinstance(result, dict), result
    return [
        f"{v['impact']} {v['id']}: {v['help']}: {v['nodes'][0]['html'][:200]}"
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def screenshot(browser: Any, name: str) -> None:
    """Keep the whole page as a picture under ``$TUNE_SELECT_SHOTS``, where that is set."""
    folder = os.environ.get("TUNE_SELECT_SHOTS")
    if folder:
        shot = {"captureBeyondViewport": True, "format": "png"}
        data = browser.execute_cdp_cmd("Page.captureScreenshot", shot)["data"]
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(data))
