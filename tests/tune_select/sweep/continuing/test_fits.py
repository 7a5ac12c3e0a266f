from __future__ import annotations

from typing import Any

import pytest

from tune_select.search.earlier import EarlierPoint
from tune_select.search.space import resolve_space
from tune_select.sweep.config import SweepError
from tune_select.sweep.continuing.fits import check_same_trials, space_changes
from tune_select.sweep.yaml_file import parse_sweep


def sweep(**keys: Any) -> Any:
    whole = {
        "name": "a",
        "train": {"max_epochs": 40, "learning_rate": 0.1},
        "space": {"learning_rate": [0.1, 0.2]},
    }
    return parse_sweep({**whole, **keys})


def test_where_and_how_long_a_sweep_runs_may_differ() -> None:
    now = sweep(
        name="b",
        space={"learning_rate": {"loguniform": [0.1, 1]}},
        tune={"searcher": "optuna", "num_samples": 9, "time_budget_s": 60},
        data={"root": "elsewhere"},
        promote=3,
    )
    check_same_trials(sweep(), now, "results/a")


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"train": {"max_epochs": 50, "learning_rate": 0.1}}, "train.max_epochs is 50, and was 40"),
        ({"selection": {"fraction": 0.2}}, "selection.fraction is 0.2, and was 0.1"),
        ({"arms": ["cached", "full"]}, r"arms is \['cached', 'full'\]"),
        ({"tune": {"seeds": [0, 1]}}, r"tune.seeds is \[0, 1\]"),
    ],
)
def test_what_decides_a_trial_may_not(keys: dict[str, Any], named: str) -> None:
    with pytest.raises(SweepError, match=f"results/a.*{named}"):
        check_same_trials(sweep(), sweep(**keys), "results/a")


def changes(before: dict[str, Any], now: dict[str, Any], *configs: dict[str, Any]) -> list[str]:
    points = [EarlierPoint(config, i, None) for i, config in enumerate(configs)]
    base = {"rate": 0.5, "width": 8}
    return space_changes(resolve_space(before), resolve_space(now), base, points)


def test_a_wider_space_fits() -> None:
    before = {"rate": [0.1, 0.2]}
    now = {"rate": {"loguniform": [0.01, 1]}, "width": [8, 16]}
    points = [{"rate": 0.1, "width": 8}, {"rate": 0.2, "width": 8}]
    assert changes(before, now, *points) == []


def test_what_lies_outside_is_named_with_both_ranges() -> None:
    before = {"rate": {"loguniform": [0.01, 1]}, "width": [8, 16]}
    now = {"rate": {"uniform": [0.1, 1]}}
    said = changes(before, now, {"rate": 0.05, "width": 8}, {"rate": 0.5, "width": 16})
    assert [line.split(":")[0] for line in said] == [
        "space.rate was loguniform (0.01, 1) and is now uniform (0.1, 1)",
        "space.width was [8, 16] and is now 8",
    ]
    assert all("1 of 2 earlier configurations lie outside" in line for line in said)
