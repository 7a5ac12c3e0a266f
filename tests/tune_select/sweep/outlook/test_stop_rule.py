"""When a search ends because nothing is left to gain."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import analysis
from analysis.statistics.stopping import gain_to_come
from tests.analysis.synthetic import Sweep
from tune_select.sweep.config import SweepError
from tune_select.sweep.outlook.stop_rule import StopRule
from tune_select.sweep.yaml_file import parse_sweep


def rule(points: int = 100, **changes: Any) -> StopRule:
    given = {"metric": "val_accuracy", "mode": "max", "arm": "cached", "seeds": (0, 1)}
    return StopRule(**{**given, "points": points, "regret": 0.001, "chance": 0.05, **changes})


def told(stop: StopRule, scores: np.ndarray, arm: str = "cached") -> list[bool]:
    """What the rule says after each trial of scores (C, S)."""
    return [
        stop.note({"arm": arm, "configuration": c, "seed": s}, {stop.metric: float(scores[c, s])})
        for c in range(scores.shape[0])
        for s in range(scores.shape[1])
    ]


def test_it_says_what_the_statistic_says_of_whole_configurations() -> None:
    scores = np.random.default_rng(0).uniform(0.5, 0.9, (12, 2))
    stop = rule()
    said = told(stop, scores)
    assert said[-1] == gain_to_come(scores, more=88, regret=0.001).is_below(0.05)
    assert stop.gain() == gain_to_come(scores, more=88, regret=0.001)
    stop.note({"arm": "cached", "configuration": 12, "seed": 0}, {"val_accuracy": 1.0})
    assert stop.gain().seen == 12  # its other seed has not ended


def test_a_flat_space_is_left_early_and_a_promising_one_is_not() -> None:
    flat = np.full((20, 2), 0.8)
    assert any(told(rule(), flat))
    rising = np.linspace(0.5, 0.9, 20)[np.random.default_rng(1).permutation(20)]
    assert not any(told(rule(), np.stack([rising, rising], axis=1)))


def test_a_minimised_metric_and_failures_count_as_they_should() -> None:
    scores = np.random.default_rng(2).uniform(1.0, 2.0, (10, 2))
    stop = rule(metric="val_rmse", mode="min")
    told(stop, scores)
    stop.note({"arm": "cached", "configuration": 10, "seed": 0}, None)
    stop.note({"arm": "cached", "configuration": 10, "seed": 1}, {"val_rmse": float("nan")})
    expected = np.concatenate([-scores, np.full((1, 2), -np.inf)])
    assert stop.gain() == gain_to_come(expected, more=89, regret=0.001)


def test_other_arms_say_nothing_and_the_rule_is_pickled() -> None:
    stop = rule()
    assert not any(told(stop, np.full((20, 2), 0.8), arm="full"))
    assert stop.gain().seen == 0
    assert any(told(pickle.loads(pickle.dumps(stop)), np.full((20, 2), 0.8)))


@pytest.mark.parametrize(
    ("stop_when", "message"),
    [
        ({}, "give one of regret_pp (None"),
        ({"regret_pp": 0.1, "regret": 0.1}, "give one of regret_pp (0.1"),
        ({"regret_pp": -1}, "tune.stop_when.regret_pp"),
        ({"regret_pp": 1, "chance": 1}, "tune.stop_when.chance"),
    ],
)
def test_mistakes_name_the_field(stop_when: dict[str, Any], message: str) -> None:
    with pytest.raises(SweepError) as error:
        parse_sweep({"name": "s", "space": {"a": [1]}, "tune": {"stop_when": stop_when}})
    assert message in str(error.value)


def test_the_report_says_what_was_saved(tmp_path: Path) -> None:
    ended = {"tune": {"stop_when": {"regret_pp": 0.1, "chance": 0.05}}}
    folder = Sweep(sweep=ended).write(tmp_path)
    assert not any("ended after" in note for note in analysis.load(folder).notes)
    (folder / "planned.json").write_text('{"configurations": 24}')
    results = analysis.load(folder)
    (note,) = (note for note in results.notes if "ended after" in note)
    assert "after 6 of 24 configurations" in note
    assert "over 0.1 pp was at most 5%" in note
    spent = results.search.loc[results.search["arm"] != "seed", "slot_s"].sum()
    assert f"saved {spent / 6 * 18:.0f} slot-seconds" in note
    (folder / "planned.json").write_text('{"configurations": 6}')
    assert not any("ended after" in note for note in analysis.load(folder).notes)
