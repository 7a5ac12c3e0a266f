"""What a user sees: the sweep's MLflow page, nested, grouped by arm, compared."""

from __future__ import annotations

import importlib.util
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tune_select.tracking.browser import (
    chromium,
    click,
    compare_url,
    picture,
    running_browser,
    wait_for_text,
)
from tests.tune_select.tracking.state import mlflow_warnings
from tests.tune_select.tracking.test_link import SWEEP, target_of
from tune_select.tracking import log_to_sweep_run, sqlite_uri
from tune_select.tracking.link import link_to, spool_of
from tune_select.tracking.server import page_url, running_server

pytestmark = [
    mlflow_warnings,
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="Chromium and its driver are not installed"),
    pytest.mark.skipif(importlib.util.find_spec("selenium") is None, reason="no selenium"),
]
ARMS = {"cached": 0.93, "gradmatch": 0.94, "random_pb": 0.91, "full": 0.97}
RATES = [0.003, 0.01, 0.03]


def synthetic_sweep(folder: Path, uri: str) -> None:
    """Learning curves of all arms and rates, as a sweep would log them."""
    generator = random.Random(0)
    link = link_to(spool_of(folder), target_of(uri, folder))
    link.append(SWEEP)
    for arm, best in ARMS.items():
        for rate in RATES:
            trial, epoch_s = f"{arm}-{rate}", 0.5 if arm == "full" else 0.05
            params = {"arm": arm, "learning_rate": str(rate)}
            tags = {"trial_id": trial, "arm": arm, "configuration": str(RATES.index(rate))}
            link.append({"kind": "start", "trial": trial, "name": f"{arm} {rate}",
                         "time_ms": 1, "params": params, "tags": tags})  # fmt: skip
            for epoch in range(1, 31):
                reached = best * (1 - math.exp(-epoch * rate * 12)) + generator.gauss(0, 0.004)
                values = {"epoch": epoch, "val_accuracy": reached, "train_s": epoch * epoch_s}
                link.append({"kind": "metrics", "trial": trial, "step": epoch, "values": values,
                             "time_ms": 1 + int(1000 * epoch * epoch_s)})  # fmt: skip
            link.append({"kind": "end", "trial": trial, "time_ms": 1 + int(30_000 * epoch_s),
                         "status": "FINISHED"})  # fmt: skip
    (folder / "report.html").write_text("<h1>A report</h1>")
    names, metrics = ["report.html"], {"regret_pp": 0.4}
    assert log_to_sweep_run(uri, folder.name, "sweep", "id", folder, names, metrics=metrics)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str, str, str]]:
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("results") / "digits"
    folder.mkdir()
    uri = sqlite_uri(folder / "mlflow.db")
    synthetic_sweep(folder, uri)
    experiment = MlflowClient(uri).get_experiment_by_name("digits")
    assert experiment is not None
    with (
        running_server(uri, artifacts=folder / "mlartifacts") as (url, _),
        running_browser() as browser,
    ):
        yield browser, url, experiment.experiment_id, uri


def test_trials_are_nested_below_their_sweep(page: tuple[Any, str, str, str]) -> None:
    browser, url, experiment, _ = page
    browser.get(page_url(url, experiment))
    shown = wait_for_text(browser, "sweep", "13 matching runs")
    assert "cached 0.01" not in shown, "folded at first"
    click(browser, "//a[contains(@href, '/runs/')]/ancestor::*[@role='gridcell'][1]//button")
    wait_for_text(browser, *(f"{arm} 0.01" for arm in ARMS))
    picture(browser, "nested")


def test_grouping_by_arm_averages_its_trials(page: tuple[Any, str, str, str]) -> None:
    browser, url, experiment, _ = page
    browser.get(page_url(url, experiment) + "&compareRunsMode=CHART")
    click(browser, "//button[contains(., 'Group by')]")
    click(browser, "//*[@role='menuitemcheckbox' and normalize-space(.)='arm']")
    shown = wait_for_text(browser, *(f"Group: {arm}" for arm in ARMS))
    assert "val_accuracy" in shown
    picture(browser, "by_arm")


def test_the_report_is_an_artifact_of_the_sweep(page: tuple[Any, str, str, str]) -> None:
    from mlflow import MlflowClient

    browser, url, experiment, uri = page
    (parent,) = MlflowClient(uri).search_runs([experiment], "attributes.run_name = 'sweep'")
    browser.get(f"{url}/#/experiments/{experiment}/runs/{parent.info.run_id}/artifacts")
    click(browser, "//*[text()='report.html']")
    wait_for_text(browser, "Path:")
    picture(browser, "report")


def test_the_same_point_of_the_space_is_compared_by_arm(page: tuple[Any, str, str, str]) -> None:
    from mlflow import MlflowClient

    browser, url, experiment, uri = page
    runs = MlflowClient(uri).search_runs([experiment], "tags.configuration = '1'")
    assert len(runs) == len(ARMS)
    browser.get(compare_url(url, experiment, [run.info.run_id for run in runs]))
    wait_for_text(browser, "Comparing 4 Runs", *(f"{arm} 0.01" for arm in ARMS))
    picture(browser, "compare")
