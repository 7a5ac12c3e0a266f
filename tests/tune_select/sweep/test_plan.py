import pytest

from tune_select.history.location import history_location
from tune_select.search.crossing import Crossing
from tune_select.search.fixed_points import FixedPoints
from tune_select.search.trial_order import TrialOrder
from tune_select.sweep.config import SweepError
from tune_select.sweep.plan import make_plan
from tune_select.sweep.yaml_file import parse_sweep

POINTS = [{"optimizer": "sgd", "learning_rate": 0.1}, {"optimizer": "adam", "learning_rate": 0.01}]


def plan(**keys):
    raw = {"name": "s", "train": {"optimizer": "sgd", "learning_rate": 0.1, "max_epochs": 40}}
    return make_plan(parse_sweep({**raw, "space": POINTS, **keys}))


def replay(own, arm, seed):
    return own.config.arm(arm).on({**own.param_space("r", "s"), "seed": seed})


def test_one_seed_trial_where_nothing_tells_seeds_apart():
    (seed,) = plan().seed_configs("r", "s")
    assert history_location(seed) == {"path": "r/seed", "store": "s"}
    assert plan().trials_text().startswith("one seed trial, then ")
    assert plan(arms=["random", "full"]).trials_text().startswith("random, full over ")


def test_every_training_seed_and_every_algorithm_of_a_replay_has_its_seed_trial():
    arms = ["cached", {"name": "common", "selector": "cached", "algorithm": "random"}, "full"]
    own = plan(arms=arms, tune={"seeds": [3, 5], "seed_by": ["seed"]})
    seeds = own.seed_configs("r", "s")
    chosen = {(config["seed"], config["selection"]["algorithm"]) for config in seeds}
    assert chosen == {(3, "gradmatch"), (3, "random"), (5, "gradmatch"), (5, "random")}
    places = {history_location(config)["path"]: config for config in seeds}
    assert len(places) == 4
    assert own.trials_text().startswith("4 seed trials, then cached, common, full over ")
    for arm, algorithm in (("cached", "gradmatch"), ("common", "random")):
        for seed in (3, 5):
            met = places[history_location(replay(own, arm, seed))["path"]]
            assert (met["seed"], met["selection"]["algorithm"]) == (seed, algorithm)


def test_a_trial_names_the_histories_that_it_trained_on():
    arms = ["cached", "cached_composed", "full"]
    own = plan(arms=arms, tune={"seeds": [3, 5], "seed_by": ["seed"]})
    names = [
        history_location(seed)["path"].removeprefix("r/") for seed in own.seed_configs("r", "")
    ]
    assert own.histories_of(replay(own, "seed", 5)) == own.histories_of(replay(own, "cached", 5))
    assert own.histories_of(replay(own, "cached", 3)) == names[:1]
    assert own.histories_of(replay(own, "cached_composed", 3)) == names
    assert own.histories_of(replay(own, "full", 3)) == []


def test_listed_configurations_are_proposed_in_their_order():
    own = plan(tune={"num_samples": 2})
    searcher = own.searcher()
    assert isinstance(searcher, FixedPoints)
    assert own.num_samples == 4
    assert [searcher.suggest(str(i)) for i in range(4)] == POINTS * 2
    assert searcher.suggest("4") == FixedPoints.FINISHED


def test_a_list_leaves_a_searcher_nothing_to_search():
    with pytest.raises(SweepError, match=r"'optuna' nothing to search; set tune\.searcher: grid"):
        plan(tune={"searcher": "optuna"})


def test_a_seed_needs_a_value_for_every_listed_key():
    with pytest.raises(SweepError, match=r"train\.momentum is missing"):
        plan(space=[{"momentum": 0.1}, {"momentum": 0.9}])


def test_seed_trials_for_some_values_of_an_axis_and_the_nearest_for_the_others():
    space = {"learning_rate": {"loguniform": [1e-3, 1.0]}, "optimizer": ["sgd"]}
    own = plan(space=space, tune={"searcher": "random", "seed_by": {"learning_rate": [0.01, 0.3]}})
    seeds = own.seed_configs("r", "s")
    assert [seed["learning_rate"] for seed in seeds] == [0.01, 0.3]
    order = TrialOrder(
        Crossing(seed_configs=seeds, arms=["cached"], seed_by=own.config.tune.nearest_by)
    )
    point = {**own.param_space("r", "s"), "learning_rate": 0.2, "optimizer": "sgd"}
    for seed in range(2):
        order.handed_out(str(seed), order.next(lambda drawn: point, eager=True))
        order.note_result(str(seed), {"history_complete": True})
    config = order.next(lambda drawn: point, eager=True).config
    assert history_location(config) == history_location(seeds[1])
    assert own.histories_of(config) == own.histories_of({**seeds[1], "arm": "seed"})
    with pytest.raises(SweepError, match=r"seed_by.*learning_rate"):
        plan(tune={"seed_by": {"learning_rate": []}})


@pytest.mark.parametrize("name", ["asha", "hyperband", "median", "pbt"])
def test_base_schedulers_count_epochs_unless_a_sweep_says_otherwise(name):
    # Reports of replays that wait count as training iterations, which would end trials early.
    mutations = {"hyperparam_mutations": {"learning_rate": [0.1, 0.2]}} if name == "pbt" else {}
    own = plan(tune={"scheduler": name, "scheduler_options": mutations})
    assert own.scheduler()._time_attr == "epoch"
    chosen = {**mutations, "time_attr": "training_iteration"}
    own = plan(tune={"scheduler": name, "scheduler_options": chosen})
    assert own.scheduler()._time_attr == "training_iteration"


@pytest.mark.parametrize("key", ["arm", "configuration", "resolved_arm"])
def test_what_is_set_for_every_trial_is_not_for_a_space_or_for_train(key):
    train = {"optimizer": "sgd", "learning_rate": 0.1, "max_epochs": 40}
    for keys in (
        {"space": {"learning_rate": [0.1], key: 2}},
        {"space": {"learning_rate": [0.1], key: [1, 2]}},
        {"space": [{"learning_rate": 0.1, key: 2}]},
        {"train": {**train, key: 2}},
    ):
        with pytest.raises(SweepError, match=rf"\['{key}'\], which are set for every trial"):
            plan(**keys)


@pytest.mark.parametrize(
    ("key", "meant"), [("lr", "learning_rate"), ("batchsize", "batch_size"), ("zz", "known: amp")]
)
def test_an_unknown_key_of_space_is_that_before_a_seed_lacks_it(key, meant):
    match = rf"space\.{key}(\.inner)? is an unknown key; .*{meant}"
    for space in ({key: [1, 2]}, {f"{key}.inner": [1, 2]}, [{key: 1}]):
        with pytest.raises(SweepError, match=match):
            plan(space=space, arms=["cached", "full"])
    plan(space={key: [1, 2]}, train={"max_epochs": 40, key: 1})  # left to the trials' own check


@pytest.mark.parametrize(
    "space", [{"train.learning_rate": [0.1, 0.2]}, [{"train.learning_rate": 0.1}]]
)
def test_a_key_of_train_stands_by_itself_in_space(space):
    with pytest.raises(SweepError, match=r"space\.train.* stands by itself: learning_rate$"):
        plan(space=space)
    inside = {"train": {"learning_rate": 0.1}, "max_epochs": 40}  # a trainable of one's own
    plan(space=space, train=inside)
