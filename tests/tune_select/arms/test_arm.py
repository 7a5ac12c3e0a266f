"""An arm is resolved once, and everybody who asks is told the same."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.questions.cost import warm_epochs
from analysis.results.outcomes import FINISHED, STOPPED, add_outcomes
from analysis.results.settings import setting
from trainables.arms.plan import plan_arm
from trainables.settings.trial import parse_settings
from tune_select.arms import Arm, arm_of, kind_of, point_of, settled
from tune_select.history.location import history_location
from tune_select.sweep.folder.tables import flat, resolved_columns
from tune_select.sweep.plan import make_plan
from tune_select.sweep.yaml_file import parse_sweep
from tune_select.tracking.events import selector_of

POINT = {
    "learning_rate": 0.1,
    "max_epochs": 20,
    "model_settings": {"hidden": 8},
    "selection": {"fraction": 0.2, "kappa": 0.5, "settings": {"craig": {"a": 1}}},
}


class Results:
    """As much of a results folder as the questions here read."""

    sweep: ClassVar = {
        "selection": {"kappa": 0.5},
        "arms": [{"name": "w", "warm_start_epochs": 4}],
    }


def row_of(config, reached):
    """A trial's row in ``trials.parquet``, which ended after ``reached`` epochs."""
    columns = {f"config/{key}": value for key, value in flat(config)}
    usual = {"val": 0.5, "val_final": 0.5, "test_final": 0.5, "error": "", "epochs": reached}
    return pd.DataFrame(
        [
            {
                "arm": config["arm"],
                "status": "TERMINATED",
                **columns,
                **usual,
                **resolved_columns(config),
            }
        ]
    )


def test_an_arms_warm_start_turns_the_sweeps_kappa_off_for_trial_table_and_report():
    config = Arm.of("w", {"selector": "random", "warm_start_epochs": 4}).on(POINT) | {"seed": 0}
    plan = plan_arm(
        parse_settings({**config, "selection": {**config["selection"], "select_every": 2}})
    )
    assert (plan.warm_start_epochs, plan.epochs) == (4, 20)
    assert config["selection"]["kappa"] is None
    for reached, outcome in ((11, STOPPED), (20, FINISHED)):
        row = row_of(config, reached)
        assert list(add_outcomes(row, Results.sweep)["outcome"]) == [outcome]
        assert list(setting(row, Results.sweep, "kappa").isna()) == [True]
        assert list(warm_epochs(Results, row)) == [4.0]


def test_where_kappa_stays_trial_table_and_report_agree_too():
    point = {**POINT, "selection": {**POINT["selection"], "select_every": 2}}
    config = Arm.of("craig").on(point)
    plan = plan_arm(parse_settings(config))
    row = row_of(config, plan.epochs)
    assert (plan.warm_start_epochs, plan.epochs) == (2, 12)
    assert (row["warm_start_epochs"][0], row["planned_epochs"][0], row["fraction"][0]) == (
        2,
        12,
        0.2,
    )
    assert list(add_outcomes(row, Results.sweep)["outcome"]) == [FINISHED]
    assert list(add_outcomes(row_of(config, 11), Results.sweep)["outcome"]) == [STOPPED]


@pytest.mark.parametrize(
    "variant",
    [
        {"selector": "full", "max_epochs": 4},
        {"selector": "cached", "fraction": 0.3, "learning_rate": 1.0, "clip_norm": 2.0},
        {"selector": "craig", "kappa": 0.25, "settings": {"craig": {"b": 2}}},
        {"selector": "random", "model_settings": {"depth": 2}, "warm_start_epochs": 1},
    ],
)
def test_an_arm_leaves_its_point_to_be_found_again(variant):
    first = Arm.of("first", variant).on(POINT)
    assert point_of(first) == POINT
    assert Arm.of("full").on(first) == Arm.of("full").on(POINT)
    assert Arm.of("first", variant).on(first) == first
    assert settled(first) == first


def test_a_map_of_arms_resolves_as_the_arm_itself():
    variant = {"selector": "cached", "algorithm": "random", "batch_size": 7}
    own = {**POINT, "arm": "mine", "arms": {"mine": variant, "other": {"selector": "full"}}}
    assert settled(own) == Arm.of("mine", variant).on(POINT)
    assert settled({**own, "arm": "craig"}) == {**POINT, "arm": "craig"}
    assert parse_settings({"arm": "mine", "arms": {"mine": variant}}).batch_size == 7


def test_everybody_is_told_the_same_of_an_arm():
    config = Arm.of("mine", {"selector": "cached", "algorithm": "craig"}).on(POINT)
    place = {"root": "r", "store": None, "seed_by": ["selection.algorithm"]}
    seed = Arm.of("seed").on({**POINT, "selection": {"algorithm": "craig"}})
    assert history_location({**config, "history": place}) == history_location(
        {**seed, "history": place}
    )
    assert (
        selector_of(config)
        == arm_of(config).selector
        == parse_settings({**config, "selection": {"fraction": 0.2}}).selector
    )
    assert selector_of(seed) == arm_of(seed).selector == "craig"


def test_a_class_of_ones_own_is_no_replay_whatever_its_module_is_called():
    assert kind_of("cached_tools.Mine") == kind_of("cached_tools:Mine") == "selector"
    assert [kind_of(name) for name in ("cached", "cached_mixed", "full", "seed", "big_loss")] == [
        "cached", "cached", "full", "seed", "mini_batch",
    ]  # fmt: skip
    arms = [{"name": "mine", "selector": "cached_tools.Mine"}]
    sweep = parse_sweep({"name": "s", "space": {"a": [1, 2]}, "arms": arms})
    assert sweep.replay_arms() == []
    assert not sweep.needs_seed()


def test_numbers_of_numpy_and_pytorch_are_numbers():
    point = {
        **POINT,
        "max_epochs": np.int64(20),
        "selection": {"fraction": np.float32(0.5), "kappa": torch.tensor(0.5)},
    }
    arm = arm_of(Arm.of("random").on(point))
    assert (arm.fraction, arm.plan.warm_start_epochs, arm.plan.epochs) == (0.5, 5, 15)


def test_an_arm_sets_any_key_of_train_and_no_other():
    sweep = {
        "name": "s",
        "space": {"learning_rate": [0.1, 0.2]},
        "train": {"max_epochs": 40, "batch_size": 16, "learning_rate": 0.1},
        "arms": ["cached", {"name": "short", "selector": "full", "max_epochs": 4, "batch_size": 8}],
    }
    plan = make_plan(parse_sweep(sweep))
    config = plan.config.arm("short").on(plan.base_config())
    assert (config["max_epochs"], config["batch_size"]) == (4, 8)
    assert arm_of(config).plan.epochs == 4
    for key, meant in (
        ("max_epoch", "max_epochs"),
        ("fractoin", "fraction"),
        ("momentun", "momentum"),
    ):
        wrong = {**sweep, "arms": [{"name": "short", "selector": "full", key: 0.5}]}
        with pytest.raises(ValueError, match=rf"arms\.short\.{key}=0\.5.*did you mean {meant}\?"):
            make_plan(parse_sweep(wrong))
    for key in ("seed", "data", "selection", "history", "arm"):
        with pytest.raises(ValueError, match=rf"arms\.short\.{key}"):
            make_plan(
                parse_sweep({**sweep, "arms": [{"name": "short", "selector": "full", key: 1}]})
            )
