"""Arms that change what a point says, handed out by either kind of search."""

import pytest
from ray.tune.experiment import Experiment

from tune_select.arms import Arm, point_of
from tune_select.search.fixed_points import FixedPoints
from tune_select.search.seed_first import seed_first
from tune_select.tracking.events import run_name

SPACE = {
    "learning_rate": 0.1,
    "max_epochs": 40,
    "selection": {"fraction": 0.1, "settings": {"craig": {"a": 1}, "glister": {"c": 3}}},
    "history": {"root": "r", "store": None, "seed_by": []},
}
ARMS = [
    Arm.of("cached"),
    Arm.of("short", {"selector": "full", "max_epochs": 4}),
    Arm.of("own", {"selector": "craig", "settings": {"craig": {"b": 2}}}),
]


def no_training(config):
    raise AssertionError


def trials_of(searcher, space):
    algorithm, constants = seed_first(searcher, space=space, seed_configs=[], arms=ARMS,
                                      num_samples=2 if searcher else 1)  # fmt: skip
    algorithm.add_configurations([Experiment("arms", no_training, config=constants)])
    trials = []
    while (trial := algorithm.next_trial()) is not None:
        trials.append(trial)
    return trials


@pytest.mark.parametrize("kind", ["variants", "searcher"])
def test_every_trial_gets_its_final_settings_and_the_same_point(kind):
    if kind == "variants":
        trials = trials_of(None, {**SPACE, "learning_rate": {"grid_search": [0.2, 0.3]}})
    else:
        points = [{"learning_rate": rate} for rate in (0.2, 0.3)]
        trials = trials_of(FixedPoints(points), SPACE)
    assert len(trials) == 6
    for trial in trials:
        arm = next(arm for arm in ARMS if arm.name == trial.config["arm"])
        point = point_of(trial.config)
        assert arm.on(point) == trial.config
        assert {key: point[key] for key in ("max_epochs", "selection")} == {
            key: SPACE[key] for key in ("max_epochs", "selection")
        }
    own = next(trial.config for trial in trials if trial.config["arm"] == "own")
    assert own["selection"]["settings"] == {"craig": {"b": 2}, "glister": {"c": 3}}
    names = [run_name(trial.config, trial.evaluated_params, "id") for trial in trials]
    assert names == [f"{arm.name} {rate} seed=0" for rate in (0.2, 0.3) for arm in ARMS]


def test_a_seed_gives_whole_tables_that_are_searched():
    space = {"model": {"grid_search": [{"width": 1}, {"width": 2}]}}
    given = {"space": space, "arms": ["cached"]}
    seed_first(None, seed_configs=[{"model": {"width": 1}}], **given)
    with pytest.raises(ValueError, match="none for \\['model'\\]"):
        seed_first(None, seed_configs=[{"history": "h"}], **given)
