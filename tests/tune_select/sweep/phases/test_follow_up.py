import pandas as pd
import pytest

from tests.tune_select.histories import identity, interval
from tune_select.arms import Arm
from tune_select.history import SubsetHistory
from tune_select.search.space import resolve_space
from tune_select.sweep.phases.follow_up import (
    composed_configs,
    early_stop_configs,
    promoted,
    promotion_configs,
)
from tune_select.sweep.plan import Plan, make_plan
from tune_select.sweep.yaml_file import parse_sweep


def plan(promote=1, mode="max", arms=("cached", "full")) -> Plan:
    config = parse_sweep(
        {"name": "s", "space": {"lr": [1, 2]}, "promote": promote, "arms": list(arms)}
    )
    return Plan(config, object, resolve_space({"lr": [1, 2]}), "val_accuracy", mode)


@pytest.fixture
def trials():
    # Configuration 2 has the single best seed, configuration 1 the better mean.
    rows = [
        ("a", "cached", 1, 0.8), ("b", "cached", 1, 0.8), ("c", "cached", 2, 0.9),
        ("d", "cached", 2, 0.5), ("e", "full", 3, 1.0), ("f", "cached", 3, None),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["trial_id", "arm", "configuration", "best_val_accuracy"])
    return frame.assign(train_s=2.0, select_s=0.5)


def test_the_best_mean_over_seeds_is_promoted(trials):
    assert list(promoted(plan(), trials)["trial_id"]) == ["a"]
    assert list(promoted(plan(promote=5), trials)["trial_id"]) == ["a", "c"]
    assert list(promoted(plan(mode="min"), trials)["trial_id"]) == ["c"]
    assert promoted(plan(promote=0), trials).empty


def test_promotion_trains_the_same_point_on_everything(trials):
    configs = {"a": {"lr": 1, "arm": "cached", "history": "h", "seed": 7}}
    (config,) = promotion_configs(plan(), trials, configs)
    assert config == {**Arm.of("full").on({"lr": 1}), "history": None, "seed": 7}


def test_promotion_takes_back_what_the_arm_had_changed(trials):
    short = Arm.of("cached", {"selector": "cached", "max_epochs": 4, "fraction": 0.5})
    point = {"lr": 1, "max_epochs": 40, "selection": {"fraction": 0.1}}
    (config,) = promotion_configs(plan(), trials, {"a": short.on(point)})
    assert (config["max_epochs"], config["selection"]) == (40, {"fraction": 0.1})


def test_matched_arms_get_the_seconds_of_training_and_selection(trials):
    arms = parse_sweep(
        {
            "name": "s",
            "space": {"lr": [1]},
            "arms": ["cached", {"name": "e", "selector": "full", "match_seconds_of": "cached"}],
        }
    ).named_arms()
    configs = {trial: {"arm": "cached", "lr": trial} for trial in trials["trial_id"]}
    early = early_stop_configs(arms, trials, configs)
    assert len(early) == 5
    assert all(config["time_budget_s"] == 2.5 and config["arm"] == "e" for config in early)


def test_composed_replays_repeat_every_point_and_seed_of_the_search(tmp_path):
    tune = {"seeds": [0, 1], "seed_by": ["seed"]}
    arms = ["full", "random", "cached_composed"]
    keys = {
        "train": {"learning_rate": 1.0, "max_epochs": 40},
        "space": {"learning_rate": [1.0, 2.0]},
    }
    own = make_plan(parse_sweep({"name": "s", "arms": arms, "tune": tune, **keys}))
    root = str(tmp_path)
    for config in own.seed_configs(root, "store"):
        mine = identity(seed_config={"seed": config["seed"]})
        parts = [interval(i, mine, seed=config["seed"]) for i in range(mine.interval_count)]
        SubsetHistory(mine, parts, complete=True).save(f"{root}/{own.histories_of(config)[0]}")
    rows = [
        {"trial_id": f"{arm}-{number}-{seed}", "arm": arm, "configuration": number, "seed": seed}
        for arm in ("seed", "full", "random")
        for number in (0, 1)
        for seed in (0, 1)
    ]
    space = own.param_space(root, "store")
    configs = {
        row["trial_id"]: {**space, "learning_rate": 1.0 + row["configuration"], **row}
        for row in rows
    }
    composed = composed_configs(own, pd.DataFrame(rows), configs, root)
    points = {(config["learning_rate"], config["seed"]) for config in composed}
    assert points == {(1.0, 0), (1.0, 1), (2.0, 0), (2.0, 1)}
    assert {config["arm"] for config in composed} == {"cached_composed"}
    (place,) = {config["history"] for config in composed}
    assert SubsetHistory.load(place).identity.algorithm == "composed"
