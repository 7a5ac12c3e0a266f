"""MLflow's page in headless Chromium, for looking at it and for taking pictures."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote


def chromium() -> tuple[str, str] | None:
    """The paths of Chromium and its driver, or None where they are not installed."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def running_browser(width: int = 1600, height: int = 1000) -> Iterator[Any]:
    """A headless Chromium, closed on leaving."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    found = chromium()
    assert found is not None
    options = Options()
    options.binary_location = found[0]
    for argument in ("--headless=new", "--no-sandbox", f"--window-size={width},{height}"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(found[1]))
    try:
        yield browser
    finally:
        browser.quit()


def wait_for_text(browser: Any, *texts: str, timeout_s: float = 60.0) -> str:
    """Waits until the page shows all `texts`; returns what it shows."""
    deadline = time.monotonic() + timeout_s
    while True:
        shown = str(browser.execute_script("return document.body.innerText"))
        missing = [text for text in texts if text not in shown]
        if not missing:
            return shown
        assert time.monotonic() < deadline, f"the page does not show {missing}: {shown[:2000]}"
        time.sleep(0.3)


def click(browser: Any, xpath: str, timeout_s: float = 60.0) -> None:
    """Clicks on an element as soon as it is there."""
    from selenium.common.exceptions import WebDriverException

    deadline = time.monotonic() + timeout_s
    while True:
        try:
            browser.find_element("xpath", xpath).click()
            return
        except WebDriverException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def picture(browser: Any, name: str) -> None:
    """Keeps a picture in the folder that ``TUNE_SELECT_PICTURES`` names, if it does."""
    folder = os.environ.get("TUNE_SELECT_PICTURES")
    if folder:
        time.sleep(2.0)  # charts are drawn after their text
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def compare_url(url: str, experiment_id: str, run_ids: list[str]) -> str:
    """The address of MLflow's comparison of some runs."""
    runs, experiments = quote(json.dumps(run_ids)), quote(json.dumps([experiment_id]))
    return f"{url}/#/compare-runs?runs={runs}&experiments={experiments}"
