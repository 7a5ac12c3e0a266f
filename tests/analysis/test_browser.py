"""The report as people meet it: in Chromium, on a desk and in a hand, light, dark and printed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import compare, extreme_examples, write_examples, write_report
from tests.analysis import browser as chrome
from tests.analysis.synthetic import ARMS, Arm, Sweep

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")

SIZES = {"desktop": (1280, 900), "phone": (375, 740)}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every section: three seeds' histories, energy, pictures, a failed trial."""
    folder = tmp_path_factory.mktemp("page")
    arms = dict(ARMS) | {"cached": Arm(0.03, 0.02, joules=40.0)}
    grid = [{"learning_rate": r, "optimizer": o} for r in (0.01, 0.1) for o in ("adam", "sgd")]
    Sweep(arms=arms, grid=grid, histories=2, seeds=(0, 1), noise=0.01).write(folder)
    classes = np.arange(200) % 10
    chosen = extreme_examples(folder / "history" / "seed0", classes)
    image = np.random.default_rng(0).integers(0, 256, (len(chosen), 16, 16, 3), dtype=np.uint8)
    write_examples(folder, example=chosen, image=image, label=classes[chosen], labels=classes)
    return write_report(folder, resamples=100, price_per_hour=2.0)


@pytest.fixture(scope="module")
def desktop(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chrome.chromium(tmp_path_factory.mktemp("chrome"), *SIZES["desktop"]) as browser:
        yield browser


@pytest.fixture(scope="module")
def phone(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chrome.chromium(tmp_path_factory.mktemp("chrome"), *SIZES["phone"], dark=True) as browser:
        yield browser


def unfold(browser: Any) -> None:
    browser.execute_script("for (const d of document.querySelectorAll('details')) d.open = true;")


def test_opens_quietly_and_asks_nobody(page: Path, desktop: Any) -> None:
    chrome.requests(desktop)  # those of the browser's own first tab
    desktop.get(page.as_uri())
    unfold(desktop)
    chrome.screenshot(desktop, "desktop")
    assert chrome.console(desktop) == []
    asked = {u for u in chrome.requests(desktop) if not u.startswith(("data:", page.as_uri()))}
    assert asked == set()
    assert page.stat().st_size < 5_000_000


@pytest.mark.parametrize("name", ["desktop", "phone"])
def test_no_sideways_scrolling_and_no_axe_fault(
    page: Path, name: str, request: pytest.FixtureRequest
) -> None:
    browser = request.getfixturevalue(name)
    browser.get(page.as_uri())
    unfold(browser)
    width = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth];"
    )
    chrome.screenshot(browser, f"{name}-axe")
    assert width[0] <= width[1] == SIZES[name][0]
    tall = browser.execute_script(
        "return [...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect())"
        ".filter(b => b.width < 250 || b.height < 80).length;"
    )
    assert tall == 0  # every figure is large enough to read
    assert chrome.console(browser) == []
    assert chrome.axe_violations(browser) == []


def test_dark_mode_is_dark_and_light_is_light(page: Path, desktop: Any, phone: Any) -> None:
    papers = []
    for browser in (desktop, phone):
        browser.get(page.as_uri())
        papers.append(
            browser.execute_script("return getComputedStyle(document.body).backgroundColor;")
        )
    assert papers[0] == "rgb(255, 255, 255)"
    assert max(int(v) for v in papers[1].removeprefix("rgb(").rstrip(")").split(",")) < 48
    text = phone.execute_script(
        "return getComputedStyle(document.querySelector('figure svg text')).fill;"
    )
    assert min(int(v) for v in text.removeprefix("rgb(").rstrip(")").split(",")) > 200


def test_tables_sort_by_numbers_with_missing_values_last(page: Path, desktop: Any) -> None:
    desktop.get(page.as_uri())
    read = (
        "const t = document.querySelector('#table-arms table');"
        "const heads = [...t.tHead.rows[0].cells];"
        "const c = heads.findIndex(h => h.textContent.startsWith(arguments[0]));"
        "heads[c].querySelector('button').click();"
        "return [heads[c].getAttribute('aria-sort'),"
        " [...t.tBodies[0].rows].map(r => r.cells[c].dataset.sort)];"
    )
    state, values = desktop.execute_script(read, "Mean test")
    assert state == "ascending"
    assert values[-1] == ""  # the seed has no mean
    numbers = [float(v) for v in values[:-1]]
    assert numbers == sorted(numbers)
    state, values = desktop.execute_script(read, "Mean test")
    assert state == "descending"
    assert values[-1] == ""
    assert [float(v) for v in values[:-1]] == numbers[::-1]
    state, names = desktop.execute_script(read, "Arm")
    assert (state, names) == ("ascending", sorted(names, key=str.casefold))


def test_links_unfold_their_section_and_the_keyboard_reaches_everything(
    page: Path, desktop: Any
) -> None:
    desktop.get(page.as_uri())
    assert not desktop.execute_script("return document.querySelector('#trials').open;")
    desktop.execute_script("document.querySelector('nav a[href=\"#trials\"]').click();")
    chrome_time = time.monotonic()
    while not desktop.execute_script("return document.querySelector('#trials').open;"):
        assert time.monotonic() - chrome_time < 5
        time.sleep(0.05)
    unreachable = desktop.execute_script(
        "return [...document.querySelectorAll('a, button, summary, .scroll')]"
        ".filter(e => e.tabIndex < 0).length;"
    )
    assert unreachable == 0
    missing = desktop.execute_script(
        "return [...document.querySelectorAll('table')].filter(t =>"
        " !document.getElementById(t.getAttribute('aria-labelledby'))"
        " || [...t.querySelectorAll('thead th')].some(h => h.scope !== 'col')"
        " || [...t.querySelectorAll('tbody tr')].some(r => r.cells[0].scope !== 'row')).length;"
    )
    assert missing == 0
    unnamed = desktop.execute_script(
        "return [...document.querySelectorAll('figure svg, img')].filter(e =>"
        " !(e.getAttribute('aria-label') || e.getAttribute('alt'))).length;"
    )
    assert unnamed == 0


def test_prints_with_every_section_unfolded(page: Path, desktop: Any) -> None:
    desktop.get(page.as_uri())
    pdf = chrome.print_to_pdf(desktop)
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") >= 3
    assert not desktop.execute_script("return document.querySelector('#trials').open;")


def test_the_comparison_reads_as_well(page: Path, phone: Any, tmp_path: Path) -> None:
    other = Sweep(seeds=(0,), fraction=0.3, name="other", histories=2).write(tmp_path / "other")
    phone.get(compare([page.parent, other], tmp_path / "out", resamples=100).as_uri())
    unfold(phone)
    chrome.screenshot(phone, "comparison-phone")
    width = phone.execute_script("return document.documentElement.scrollWidth;")
    assert width <= SIZES["phone"][0]
    assert chrome.console(phone) == []
    assert chrome.axe_violations(phone) == []
