"""Replays that no history of their seed fits are refused before anything starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from tests.tune_select.histories import identity
from tune_select import seed_first, seeded_tuner
from tune_select.arms import Arm
from tune_select.history import HistoryMismatchError
from tune_select.search.fits import Offer, check_replay
from tune_select.search.foreseen import foreseen
from tune_select.search.ladder import Rules
from tune_select.sweep.config import SweepError
from tune_select.sweep.validation import validate_sweep
from tune_select.sweep.yaml_file import parse_sweep

SPACE: dict[str, Any] = {
    "lr": tune.grid_search([0.1, 0.2]),
    "max_epochs": 8,
    "selection": {"fraction": 0.1, "select_every": 4, "warm_start_epochs": 2},
}


def tuner(arm: dict[str, Any] | None = None, **given: Any) -> Any:
    arms: Any = ["cached"] if arm is None else {"mine": {"selector": "cached", **arm}, "full": {}}
    if arm is not None:
        arms["full"] = {"selector": "full"}
    return seeded_tuner(
        print, **{"space": SPACE, "seed_config": {"lr": 0.1}, "arms": arms, "metric": "m", **given}
    )


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"select_every": 2}, "arms.mine.select_every=2, but the seed .* select_every 4.* Leave"),
        (
            {"warm_start_epochs": 0},
            "arms.mine.warm_start_epochs=0, but the seed .*_epochs 2",
        ),
        (
            {"kappa": 0.5},
            "arms.mine.kappa=0.5 makes warm_start_epochs=0, but .*_epochs 2",
        ),
        ({"max_epochs": 9}, "arms.mine.max_epochs=9, .* max_epochs 8: .*align: progress"),
        ({"algorithm": "craig"}, "arms.mine.algorithm='craig', .*'gradmatch'.*Run a seed with it"),
    ],
)
def test_an_arm_that_disagrees_with_its_seed_is_refused_in_every_way_in(
    arm: dict[str, Any], message: str
) -> None:
    space = {**SPACE, "selection": {**SPACE["selection"], "algorithm": "gradmatch"}}
    with pytest.raises(ValueError, match=message):
        tuner(arm, space=space)
    arms = [Arm.of("mine", {"selector": "cached", **arm}), Arm.of("full")]
    with pytest.raises(ValueError, match=message):
        seed_first(None, space=space, seed_configs=[{"lr": 0.1}], arms=arms, replay_arms=["mine"])
    with pytest.raises(ValueError, match=message):
        tuner(arm, space=space, ladder=Rules(2))
    if "algorithm" in arm:  # of which a sweep runs a seed
        return
    sweep = {
        "name": "s", "arms": [{"name": "mine", "selector": "cached", **arm}, "full"],
        "space": {"learning_rate": [0.1, 0.2]}, "selection": SPACE["selection"],
        "train": {"max_epochs": 8, "learning_rate": 0.1, "model": "lenet"},
        "data": {"name": "digits"},
    }  # fmt: skip
    with pytest.raises(SweepError, match=message):
        validate_sweep(parse_sweep(sweep), data=False)


@pytest.mark.parametrize(
    "arm",
    [
        {"select_every": 4, "warm_start_epochs": 2},
        {"fraction": 0.05},  # at which the seed then publishes too
        {"max_epochs": 6},
        {"align": "progress", "max_epochs": 20, "select_every": 1, "warm_start_epochs": 0},
    ],
)
def test_an_arm_that_fits_is_taken(arm: dict[str, Any]) -> None:
    tuner(arm)


def test_what_an_arm_sets_must_be_known_of_the_seed() -> None:
    unsaid = {"lr": tune.grid_search([0.1]), "max_epochs": 8}
    own = {"select_every": 2, "warm_start_epochs": 1, "kappa": 0.5, "algorithm": "craig"}
    for key, value in own.items():
        with pytest.raises(ValueError, match=rf"arms.mine.{key}=.* the seed says none: write sel"):
            tuner({key: value}, space=unsaid)
    tuner({"align": "progress", "select_every": 2}, space=unsaid)
    tuner({}, space=unsaid)


def test_points_are_looked_at_before_the_first_is_drawn() -> None:
    listed = {**SPACE, "selection": {"select_every": tune.grid_search([4, 2])}}
    seed = {"lr": 0.1, "selection": {"select_every": 4}}
    with pytest.raises(ValueError, match="cached has selection.select_every=2.*out of the space"):
        tuner(space=listed, seed_config=seed)
    for domain in (tune.choice([4, 9]), tune.randint(4, 10), tune.qrandint(3, 9, 3)):
        with pytest.raises(ValueError, match="arm cached has max_epochs=9, .* max_epochs 8"):
            tuner(space={**SPACE, "max_epochs": domain}, seed_config={"lr": 0.1, "max_epochs": 8})
    tuner(space={**SPACE, "max_epochs": tune.randint(4, 9)},
          seed_config={"lr": 0.1, "max_epochs": 8})  # fmt: skip


def test_a_space_of_the_searchers_own_is_drawn_from() -> None:
    def by_run(trial: Any) -> dict[str, Any]:
        trial.suggest_float("lr", 0.1, 0.2)
        return {"selection": {"fraction": trial.suggest_categorical("share", [0.1, 0.2])}}

    given = {key: value for key, value in SPACE.items() if key != "lr"}
    with pytest.raises(ValueError, match="cached has selection.fraction=0.2, .* fraction 0.1"):
        tuner(space=given, searcher=OptunaSearch(space=by_run, metric="m", mode="max"))
    import optuna

    own = {"selection/select_every": optuna.distributions.IntDistribution(3, 4)}
    with pytest.raises(ValueError, match="cached has selection.select_every=3, .* 4"):
        tuner(space=given, searcher=OptunaSearch(space=own, metric="m", mode="max"))


def test_what_cannot_be_drawn_alone_is_left_to_its_trial() -> None:
    odd = {**SPACE, "lr": tune.sample_from(lambda spec: spec.config["missing"])}
    assert list(foreseen(odd, None)) == []


def test_all_that_disagrees_is_named_at_once() -> None:
    seed = {"selection": {"fraction": 0.1, "select_every": 4}, "max_epochs": 8}
    wrong = {"selection": {"fraction": np.float64(0.2), "select_every": 2}, "max_epochs": 8}
    with pytest.raises(ValueError, match=r"select_every=2.*; arm .*fraction=0\.2"):
        check_replay(wrong, seed)


@pytest.mark.parametrize("seed", range(40))
def test_a_finished_history_is_judged_as_a_trial_judges_it(seed: int) -> None:
    """The one that a trial asks is ``HistoryIdentity.check_fits``."""
    draw = np.random.default_rng(seed)
    held = identity(rungs=(0.2,))
    mine: dict[str, Any] = {
        "fraction": draw.choice([held.fraction, 0.2, 0.3], p=[0.6, 0.3, 0.1]),
        "select_every": held.select_every + int(draw.random() < 0.2),
        "warm_start_epochs": held.warm_start_epochs + int(draw.random() < 0.2),
        "align": str(draw.choice(["epoch", "progress"])),
    }
    epochs = held.max_epochs + int(draw.integers(-1, 2))

    def refuses(check: Any, *arguments: Any, **keywords: Any) -> bool:
        try:
            check(*arguments, **keywords)
        except (ValueError, HistoryMismatchError):
            return True
        return False

    trial = refuses(held.check_fits, held.dataset, max_epochs=epochs, **mine)
    offer = Offer.of_identity(held, "history")
    assert refuses(check_replay, {"selection": mine, "max_epochs": epochs}, offer) == trial
