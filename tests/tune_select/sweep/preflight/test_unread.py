"""Settings that would change nothing are refused by name, in every place where they may stand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tune_select.sweep.test_ladder import SWEEP
from tune_select.mappings import merged
from tune_select.sweep.config import SweepError
from tune_select.sweep.plan import make_plan
from tune_select.sweep.preflight import check_unread
from tune_select.sweep.yaml_file import parse_sweep

ARMS = {key: value for key, value in SWEEP.items() if key not in ("tune", "rivals")} | {
    "arms": ["random", "full"]
}


def check(sweep: dict[str, Any], keys: dict[str, Any]) -> None:
    check_unread(make_plan(parse_sweep(merged(sweep, keys))))


@pytest.mark.parametrize("sweep", [ARMS, SWEEP], ids=["arms", "ladder"])
def test_what_is_read_is_left_alone(sweep: dict[str, Any]) -> None:
    check(sweep, {})


@pytest.mark.parametrize("key", ["metric", "mode"])
@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("searcher", "optuna"), ("scheduler", "asha"), ("scheduler", "median")],
)
def test_the_sweeps_metric_is_said_once(algorithm: str, kind: str, key: str) -> None:
    said = {algorithm: kind, f"{algorithm}_options": {key: "max"}}
    own = (
        rf"tune.{algorithm}_options.{key} is 'max', but {key} is the whole sweep's: set tune.{key}"
    )
    with pytest.raises(SweepError, match=own):
        check(ARMS, {"tune": said})
    with pytest.raises(SweepError, match=own.replace("tune", "rivals.mine", 1)):
        check(SWEEP, {"rivals": [{"name": "mine", **said}]})


def test_a_search_without_options_takes_none() -> None:
    for searcher in ("grid", "random"):
        tune = {"searcher": searcher, "searcher_options": {"seed": 3}}
        with pytest.raises(SweepError, match=r"^tune.searcher_options is {'seed': 3}.*no options"):
            check(ARMS, {"tune": tune})
    rival = {"name": "mine", "searcher_options": {"seed": 3}}
    with pytest.raises(SweepError, match=r"^rivals.mine.searcher_options is {'seed': 3}"):
        check(SWEEP, {"rivals": [rival]})


def test_a_fraction_that_no_rung_trains_on_is_named() -> None:
    check(SWEEP, {"selection": {"fraction": 0.05}})  # a rung's
    check(SWEEP, {"selection": {"fraction": 0.1}})  # the default, as resolved sweeps have it
    with pytest.raises(SweepError, match=r"selection.fraction is 0.2, which no rung"):
        check(SWEEP, {"selection": {"fraction": 0.2}})
    check(ARMS, {"selection": {"fraction": 0.2}})
