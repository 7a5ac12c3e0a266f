from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tune_select.histories import identity, interval
from tune_select.history import SubsetHistory
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.plan import make_plan
from tune_select.sweep.preflight import check_history
from tune_select.sweep.run import run_sweep
from tune_select.sweep.validation import preflight_sweep, validate_sweep
from tune_select.sweep.yaml_file import parse_sweep

ENTRIES = [validate_sweep, preflight_sweep, run_sweep]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_every_way_in_refuses_what_this_machine_has_not(
    entry: Callable[[SweepConfig], Any], tmp_path: Path
) -> None:
    """A forecast is a validation too: what only one of them checks is found by chance."""
    sweep = {
        "name": "s",
        "storage_path": str(tmp_path),
        "space": {"learning_rate": [0.1]},
        "train": {"learning_rate": 0.1, "max_epochs": 40},
        "resources": {"cpu": 4096},
    }
    with pytest.raises(SweepError, match=r"resources.*4096"):
        entry(parse_sweep(sweep))
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"train": {"batch_size": 0}}, "train.batch_size must be an integer of at least 1, got 0"),
        ({"train": {"optimizr": "sgd"}}, "train.optimizr='sgd' is an unknown key; did you mean op"),
        ({"train": {"optimizer": "adm"}}, "did you mean adam?"),
        ({"space": {"learning_rate": [0.1, -1.0]}}, "space.learning_rate must be a number in (0, "),
        ({"space": {"learning_rate": [0.1], "selection.fraction": [2.0]}}, "space.selection.fract"),
        ({"arms": [{"name": "a", "selector": "full", "gamma": -1}]}, "arms.a.gamma must be a num"),
        (
            {"evaluation": {"every": 0}},
            "evaluation.every must be an integer of at least 1 or null, got",
        ),
        ({"selection": {"settings": {"gradmach": {}}}}, "selection.settings.gradmach={} is an unk"),
        ({"train": {"batch_size": 0, "gamma": 0}}, "train.gamma must be a number in (0, inf), got"),
    ],
)
def test_what_a_trial_refuses_is_named_as_the_sweep_wrote_it(
    keys: dict[str, Any], message: str
) -> None:
    sweep: dict[str, Any] = {"name": "s", "space": {"learning_rate": [0.1]}, "arms": ["random"]}
    train = {"learning_rate": 0.1, "max_epochs": 40, **keys.get("train", {})}
    with pytest.raises(SweepError, match=re.escape(message)):
        validate_sweep(parse_sweep({**sweep, **keys, "train": train}), data=False)


def branching(trial: Any) -> dict[str, Any]:
    """One branch in four asks for a fraction that the history has not."""
    fraction = trial.suggest_categorical("share", [0.05, 0.05, 0.05, 0.3])
    return {"selection": {"fraction": fraction}}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"arms": [{"name": "a", "selector": "cached", "select_every": 2}]},
         "arms.a.select_every=2, but history .* has select_every 4"),
        ({"arms": [{"name": "a", "selector": "cached", "algorithm": "craig"}]},
         "arms.a.algorithm='craig', but history .* has algorithm 'random'"),
        ({"arms": [{"name": "a", "selector": "cached", "max_epochs": 11}]},
         "arms.a.max_epochs=11, but history .* has max_epochs 10"),
        ({"space": {"selection.warm_start_epochs": [0, 1]}},
         "arm cached has selection.warm_start_epochs=1, but history"),
        ({"space": {"max_epochs": {"randint": [5, 12]}}}, "arm cached has max_epochs=11"),
        ({"space": f"{__name__}.branching", "tune": {"searcher": "optuna"}},
         r"has subsets at fraction 0.05 only, but replays train on 0.3 \(arm cached\)"),
    ],
)  # fmt: skip
def test_replays_that_a_given_history_does_not_fit_are_refused(
    keys: dict[str, Any], message: str, tmp_path: Path
) -> None:
    of = identity()
    SubsetHistory(of, [interval(i, of) for i in range(3)], True).save(tmp_path)
    sweep: dict[str, Any] = {
        "name": "s", "history": str(tmp_path), "arms": ["cached"],
        "space": {"learning_rate": [0.1, 0.2]}, "train": {"max_epochs": 10},
        "selection": {"fraction": 0.05, "select_every": 4},
    }  # fmt: skip
    check_history(make_plan(parse_sweep(sweep)), None)
    with pytest.raises(SweepError, match=message):
        check_history(make_plan(parse_sweep({**sweep, **keys})), None)
    stretched = {"name": "a", "selector": "cached", "max_epochs": 30, "align": "progress"}
    check_history(make_plan(parse_sweep({**sweep, "arms": [stretched]})), None)
