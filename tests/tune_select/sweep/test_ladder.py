"""A ladder and its rivals from YAML to ``strategies.parquet``."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from ray.tune.search import BasicVariantGenerator, Searcher
from ray.tune.search.variant_generator import generate_variants

from tests.tune_select.histories import identity, interval
from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS
from tune_select.history import DatasetIdentity, SubsetHistory
from tune_select.history.location import history_location
from tune_select.search.ladder.sampled import SampledPoints
from tune_select.sweep.config import SweepError
from tune_select.sweep.folder.strategies import Sessions, chosen, numbered, strategies
from tune_select.sweep.ladder import check_rungs_hold_classes, drop_weights, rival_search
from tune_select.sweep.plan import make_plan
from tune_select.sweep.preflight import check_history, check_trials
from tune_select.sweep.run import run_sweep
from tune_select.sweep.yaml_file import dump_sweep, parse_sweep

SWEEP: dict[str, Any] = {
    "name": "small",
    "train": {
        "model": "small_cnn", "model_settings": {"channels": [4, 8]}, "batch_size": 64,
        "max_epochs": 3, "eval_every": 1, "learning_rate": 0.02,
    },
    "selection": {"select_every": 3},
    "space": {"learning_rate": {"loguniform": [0.001, 0.1]}},
    "tune": {"searcher": "random", "num_samples": 6,
             "ladder": {"rungs": [{"fraction": 0.05}, {"epochs": 1}], "train_on": "random",
                        "keep": 3, "confirm": 1}},
    "rivals": ["asha", "random"],
    "cluster": {"num_cpus": 2},
}  # fmt: skip
REPLAYED = {**SWEEP["tune"], "ladder": {"rungs": [{"fraction": 0.05}, {"fraction": 0.2},
            {"epochs": 1}], "train_on": "cached", "keep": 3}}  # fmt: skip
pytestmark = list(RAY_WARNINGS)


def sweep(**tune: Any) -> Any:
    return parse_sweep({**SWEEP, "tune": {**SWEEP["tune"], **tune}})


@pytest.mark.parametrize(
    ("ladder", "message"),
    [
        ({"fractions": [0.1, 0.1]}, "rungs must grow, but 10% follows 10%"),
        ({"fractions": []}, "fractions is .., which is no rung: give at least one, or leave"),
        ({"epochs": [], "rungs": []}, "epochs is .., which is no rung"),
        ({"fractions": [True, 0.3]}, r"fractions\[0\] must be a number that is finite, got True"),
        ({"fractions": ["0.1"]}, r"fractions\[0\] must be a number.*without quotes"),
        ({"fractions": [float("nan")]}, r"fractions\[0\] must be a number that is finite, got nan"),
        ({"epochs": [True]}, r"epochs\[0\] must be an integer, got True"),
        ({"rungs": [{"epochs": True}]}, r"rungs\[0\].epochs must be .*integer.*got True"),
        ({"fractions": [0.1], "keep": "3"}, "keep must be an integer, got '3'"),
        ({"fractions": [0.1], "warm": "no"}, "warm must be true or false, got 'no'"),
        ({"fractions": [0.3, 0.1]}, "rungs must grow, but 10% follows 30%"),
        (
            {"fractions": [0.100001, 0.100002]},
            "four digits, but 0.100001 and 0.100002 are both 10%",
        ),
        ({"fractions": [1.0]}, "fraction must be in .0, 1., got 1: full training is the top"),
        ({"fractions": [0.1, 3]}, "fractions.1.: .*got 3: it is a share.*write 3% as 0.03"),
        ({"rungs": [{"epochs": 1}, {}]}, "rungs.1.: a rung has either a fraction or epochs"),
        ({"epochs": [1, 2, 3]}, "3 epochs is not below full training.*max_epochs=3.*1 to 2"),
        ({"epochs": [0]}, "epochs must be at least 1, got 0"),
        ({"keep": 1}, "keep must be at least 2.*got 1"),
        ({"confirm": 0}, "confirm must be at least 1.*got 0"),
        ({"rank_by": "auc"}, "rank_by"),
        ({"train_on": "full"}, "train_on is 'full', but a rung trains on a subset"),
        ({"train_on": "cached_composed"}, "train_on is 'cached_composed', but a rung trains on"),
        (
            {"seed_fraction": 0.3, "train_on": "random"},
            "seed_fraction is 0.3, but there is no seed trial",
        ),
        ({"seed_fraction": 0.3, "train_on": "cached", "epochs": [1]}, "there is no seed trial"),
        ({"seed_fraction": 1.5, "train_on": "cached"}, "seed_fraction.*1.5"),
        ({"train_on": "big_loss"}, "train_on is 'big_loss', but a rung trains on a subset"),
        ({"fractions": [0.1], "epochs": [1]}, "one of fractions, epochs and rungs"),
        ({"rungs": [{"fraction": 0.1, "epochs": 1}]}, "either a fraction or epochs"),
        ({"fraction": 0.1}, "tune.ladder.fraction=0.1 is an unknown key; did you mean fractions"),
    ],
)
def test_bad_ladders_are_named(ladder: dict[str, Any], message: str) -> None:
    with pytest.raises(SweepError, match=message):
        sweep(ladder=ladder)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"arms": ["random_pb", "full"]}, r"arms is \['random_pb', 'full'\].*leave arms out"),
        ({"train": {"model": "small_cnn"}}, "needs train.max_epochs"),
        ({"rivals": ["asah"]}, "rivals: names 'asah'; there are asha, hyperband"),
        ({"rivals": ["asha", "asha"]}, "name of its own"),
        ({"tune": {}}, "rivals are compared with a ladder"),
        ({"tune": {"ladder": {}, "scheduler": "asha"}}, "every trial of a rung runs to its end"),
        ({"tune": {"ladder": {"train_on": "random"}, "seed_by": ["seed"]}}, "no seed trial"),
        ({"history": "h"}, "no seed trial"),
        (  # 1 epoch of 3 on all the data comes before the 5%: more than the rung of 1 epoch
            {"selection": {"select_every": 1, "warm_start_epochs": 1}},
            r"1 epoch follows 5% .shares 0.3333 and 0.3667",
        ),
        (
            {
                "selection": {"select_every": 1, "warm_start_epochs": 3},
                "tune": {"ladder": {"fractions": [0.1]}},
            },
            "rung 10% is not below full training.*warm start on all the data leaves no epochs",
        ),
        (
            {"tune": REPLAYED, "selection": {"select_every": 3, "kappa": 0.5}},
            "selection.kappa is 0.5, which gives every fraction a warm start of another length",
        ),
        (
            {"tune": {"ladder": {**REPLAYED["ladder"], "seed_fraction": 0.3}}, "history": "h"},
            "seed_fraction is what the seed trial trains on, but history replaces it",
        ),
    ],
)
def test_what_does_not_go_with_a_ladder_is_named(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(SweepError, match=message):
        parse_sweep({**SWEEP, **keys})


@pytest.mark.parametrize(
    ("axis", "ladder", "named"),
    [
        ({"selection.fraction": [0.1, 0.2]}, {}, "space searches selection.fraction.*rung"),
        ({"max_epochs": [3, 6]}, {"epochs": [1]}, "space searches max_epochs.*rung with epochs"),
        ({"max_epochs": [3, 6]}, {"fractions": [0.1]}, None),
        ({"warmup_epochs": [0.0, 1.0]}, {"epochs": [1]}, "space searches warmup_epochs.*epochs"),
        ({"warmup_epochs": [0.0, 1.0]}, {"fractions": [0.1], "train_on": "random"}, None),
        ({"rung": [1, 2]}, {}, "space searches rung, which every trial of tune.ladder sets"),
    ],
)
def test_what_a_rung_sets_is_not_searched(
    axis: dict[str, Any], ladder: dict[str, Any], named: str | None
) -> None:
    space = {**axis, "learning_rate": [0.01, 0.02]}
    config = parse_sweep({**SWEEP, "space": space, "tune": {"ladder": ladder}})
    if named is None:
        make_plan(config)
        return
    with pytest.raises(SweepError, match=named):
        make_plan(config)


def test_a_rung_below_the_number_of_classes_names_the_smallest_that_fits() -> None:
    dataset = SimpleNamespace(identity=DatasetIdentity("digits", 1200, "x"), classes=10)
    plan = make_plan(sweep(ladder={"fractions": [0.007, 0.1]}))
    with pytest.raises(
        SweepError, match=r"rung 0.7% of 1200 .*smallest fraction that fits is 0.0084"
    ):
        check_rungs_hold_classes(plan, dataset)
    check_rungs_hold_classes(make_plan(sweep(ladder={"fractions": [0.0084]})), dataset)


def test_a_ladder_that_names_no_rungs_has_the_default_ones_and_says_so() -> None:
    config = sweep(ladder={})
    assert config.arm_names() == ["3%", "30%", "full"]
    assert config.selector_of("3%") == "cached"
    assert yaml.safe_load(dump_sweep(config))["tune"]["ladder"]["fractions"] == [0.03, 0.3]
    # Folders of before say [] for the rungs that were the default then.
    older = {"fractions": [], "epochs": [], "rungs": [], "train_on": "random"}
    assert sweep(ladder=older).arm_names() == ["3%", "10%", "30%", "full"]


def test_a_ladder_is_its_rungs_and_survives_its_own_yaml() -> None:
    config = sweep()
    assert config.arm_names() == ["5%", "1 epoch", "full"]
    assert [config.selector_of(arm) for arm in config.arm_names()] == ["random", "full", "full"]
    once = {"evaluation": {"every": 3, "share": None, "test": "never"}, "eval_every": 3}
    assert config.arm("5%").training == once
    assert config.arm("1 epoch").training == {**once, "max_epochs": 1}
    assert not config.needs_seed()
    check_trials(make_plan(config))
    assert parse_sweep(yaml.safe_load(dump_sweep(config))) == config


@pytest.mark.parametrize("said", [{"every": 1}, {"share": 0.1, "test": "every"}, {}])
@pytest.mark.parametrize("older", [{}, {"eval_every": 1}])
def test_a_rung_looks_once_at_the_validation_split_alone(
    said: dict[str, Any], older: dict[str, int]
) -> None:
    train = {k: v for k, v in SWEEP["train"].items() if k != "eval_every"} | older
    config = parse_sweep({**SWEEP, "train": train, "evaluation": said, "tune": REPLAYED})
    plan = make_plan(config)
    point = {"learning_rate": 0.01}
    for name in [*config.rungs(), "seed"]:
        trial = config.arm(name).on({**plan.param_space("root", "store"), **point, "seed": 0})
        looks = plan.trainable.check(trial).evaluation
        if name == "full":
            assert looks.test == said.get("test", "last")
        else:
            assert (looks.every, looks.share, looks.test) == (3, None, "never")


class Cold:
    """A trainable of the user's own that knows nothing of other trials' weights."""


def test_only_trials_that_can_begin_with_others_weights_are_warm() -> None:
    assert make_plan(sweep(ladder={"warm": True})).config.tune.ladder.rules().warm
    own = {**SWEEP, "trainable": f"{__name__}.Cold", "tune": {"ladder": {"warm": True}}}
    with pytest.raises(SweepError, match=r"tune.ladder.warm is true, but .*Cold does not say"):
        make_plan(parse_sweep(own))


def test_what_trials_left_for_each_other_goes_with_the_end_of_the_sweep(tmp_path: Path) -> None:
    drop_weights(str(tmp_path))  # a cold ladder leaves nothing
    left = tmp_path / "weights"
    left.mkdir()
    (left / "a.pt").write_bytes(b"x")
    (tmp_path / "trials.parquet").write_bytes(b"x")
    drop_weights(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["trials.parquet"]


def test_a_ladder_of_replays_has_a_seed_that_publishes_all_its_fractions() -> None:
    config = parse_sweep({**SWEEP, "tune": REPLAYED})
    assert config.arm_names() == ["5%", "20%", "1 epoch", "full"]
    assert config.replay_arms() == ["5%", "20%"]
    assert config.needs_seed()
    plan = make_plan(config)
    check_trials(plan)
    (seed,) = plan.seed_configs("root", "store")
    assert (seed["arm"], seed["eval_every"]) == ("seed", 3)
    assert (seed["selection"]["fraction"], seed["selection"]["rungs"]) == (0.2, [0.05, 0.2])
    for arm, fraction in [("5%", 0.05), ("20%", 0.2)]:
        trial = config.arm(arm).on(plan.param_space("root", "store"))
        assert (trial["arm"], trial["selection"]["fraction"]) == (arm, fraction)
        assert "rungs" not in trial["selection"]
        assert history_location(trial) == history_location(seed) == {
            "path": "root/seed", "store": "store",
        }  # fmt: skip
    other = parse_sweep({**SWEEP, "tune": {"ladder": {**REPLAYED["ladder"], "seed_fraction": 0.1}}})
    (seed,) = make_plan(other).seed_configs("root", "store")
    assert (seed["selection"]["fraction"], seed["selection"]["rungs"]) == (0.1, [0.05, 0.2])


def test_a_given_history_that_lacks_rungs_is_one_error_with_what_it_has(tmp_path: Path) -> None:
    of = identity(rungs=(0.2,))
    SubsetHistory(of, [interval(i, of) for i in range(3)], True).save(tmp_path)
    sweep = {**SWEEP, "history": str(tmp_path)}
    tune = {"ladder": {"fractions": [0.02, 0.05, 0.1, 0.2], "train_on": "cached"}}
    plan = make_plan(parse_sweep({**sweep, "tune": tune}))
    with pytest.raises(
        SweepError,
        match=r"has subsets at fraction 0.05, 0.2 only, but replays train on 0.02 \(arm 2%\), 0.1 ",
    ):
        check_history(plan, None)
    tune = {"ladder": {"fractions": [0.05, 0.2], "train_on": "cached"}}
    fitting = {**sweep, "tune": tune, "selection": {"select_every": 4}}
    check_history(
        make_plan(parse_sweep({**fitting, "train": {**SWEEP["train"], "max_epochs": 10}})), None
    )
    longer = {**fitting, "train": {**SWEEP["train"], "max_epochs": 12}}
    with pytest.raises(SweepError, match="arm 5% has max_epochs=12, but history .* max_epochs 10"):
        check_history(make_plan(parse_sweep(longer)), None)


def test_rivals_see_the_ladders_points_in_its_order() -> None:
    plan = make_plan(sweep(seeds=[4, 5]))
    settings, space = rival_search(plan, plan.config.rival_searches()[0])
    assert (space["arm"], space["strategy"], space["seed"]) == (
        "full", "asha", {"grid_search": [4, 5]},
    )  # fmt: skip
    assert settings.num_samples == 6
    assert type(settings.scheduler).__name__ == "AsyncHyperBandScheduler"
    # One training seed: the very points of the ladder. (Several are crossed with each of them.)
    plan = make_plan(sweep(seeds=[4]))
    settings, space = rival_search(plan, plan.config.rival_searches()[1])
    ours = SampledPoints(plan.space.params, num_samples=6, random_state=4)
    assert isinstance(settings.search_alg, BasicVariantGenerator)
    theirs = settings.search_alg._random_state
    for _ in range(6):
        point = ours.suggest("x")
        ((_, spec),) = generate_variants({"config": space}, random_state=theirs)
        assert spec["config"]["learning_rate"] == point["learning_rate"]
    assert ours.suggest("x") == Searcher.FINISHED


@pytest.mark.parametrize(
    ("said", "older"),
    [({"every": 27}, {}), ({"share": 0.1}, {}), ({"every": 27}, {"eval_every": 27})],
)
@pytest.mark.parametrize(
    ("searcher", "scheduler", "every", "milestones"),
    [
        ("random", "fifo", None, ()),
        ("random", "asha", None, (1, 3, 9, 27)),
        ("random", "hyperband", None, (1, 3, 9, 27)),
        ("random", "median", 1, ()),
        ("optuna", "asha", 1, None),
        ("optuna", "fifo", 1, ()),
    ],
)
def test_a_rival_pays_for_the_looks_that_it_needs(
    said: dict[str, Any],
    older: dict[str, int],
    searcher: str,
    scheduler: str,
    every: int | None,
    milestones: tuple[int, ...] | None,
) -> None:
    options = {"reduction_factor": 3, "grace_period": 1} if scheduler == "asha" else {}
    rival = {"name": "r", "searcher": searcher, "scheduler": scheduler}
    train = {**SWEEP["train"], "max_epochs": 27}
    train = {k: v for k, v in train.items() if k != "eval_every"} | older
    plan = make_plan(
        parse_sweep(
            {**SWEEP, "train": train, "evaluation": said, "tune": {"num_samples": 6, "ladder": {}},
             "rivals": [{**rival, "scheduler_options": options}]}
        )
    )  # fmt: skip
    _, space = rival_search(plan, plan.config.rival_searches()[0])
    looks = plan.trainable.check({**space, "learning_rate": 0.01}).evaluation
    assert (looks.every, looks.share) == (
        (1, None) if every else (said.get("every"), said.get("share"))
    )
    assert milestones is None or set(milestones) >= set(looks.milestones) >= set(milestones[:-1])


def rows(**columns: Any) -> pd.DataFrame:
    size = len(columns["configuration"])
    whole = {
        "strategy": "ladder",
        "rung": 1,
        "arm": "full",
        "status": "finished",
        "trial_id": list("abcdefgh")[:size],
    }
    return pd.DataFrame({**whole, **columns})


def test_the_choice_is_the_best_of_what_was_trained_to_its_end() -> None:
    trials = rows(
        configuration=[0, 0, 1, 1, 2],
        rung=[1, 1, 1, 1, 0],
        arm=["full"] * 4 + ["10%"],
        status=["finished"] * 5,
        val_accuracy=[0.8, 0.9, 0.7, 0.95, 0.99],  # means 0.85 and 0.825; the last stayed low
        test_accuracy=[0.7, 0.8, 0.6, 0.6, 0.9],
    )
    found = chosen(trials, "val_accuracy", "max")
    assert (found["chosen_configuration"], found["chosen_trial"]) == (0, "b")
    assert found["test_accuracy"] == pytest.approx(0.75)
    assert chosen(trials, "val_accuracy", "min")["chosen_configuration"] == 1
    rival = trials.assign(strategy="asha", rung=-1, status=["stopped"] * 4 + ["finished"])
    assert chosen(rival, "val_accuracy", "max")["chosen_configuration"] == 2
    assert chosen(trials.iloc[:0], "val_accuracy", "max")["chosen_configuration"] == -1
    interrupted = trials.iloc[4:]  # the highest rung that ran is not full training
    assert chosen(interrupted, "val_accuracy", "max")["chosen_configuration"] == -1


def test_rivals_get_the_ladders_numbers() -> None:
    ours = pd.DataFrame({"configuration": [0, 1], "config/a": [0.1, 0.2], "config/b/c": ["x", "y"]})
    theirs = pd.DataFrame({"configuration": -1, "config/a": [0.2, 0.3, 0.1, 0.3],
                           "config/b/c": ["y", "y", "x", "y"]})  # fmt: skip
    assert numbered(theirs, ours, ("a", "b.c"))["configuration"].tolist() == [1, 2, 0, 2]


def test_sessions_add_up_over_a_resume(tmp_path: Path) -> None:
    sessions = Sessions(str(tmp_path))
    with sessions.running("ladder", 2):
        assert [s["strategy"] for s in sessions.read()] == ["ladder"]  # also if it is killed now
    with pytest.raises(KeyboardInterrupt), sessions.running("ladder", 2):
        raise KeyboardInterrupt
    with sessions.running("asha", 2):
        pass
    found = sessions.read()
    frame = strategies(
        rows(configuration=[0], val_accuracy=[0.5], test_accuracy=[0.4]), found,
        metric="val_accuracy", mode="max",
    ).set_index("strategy")  # fmt: skip
    assert frame.index.tolist() == ["ladder", "asha"]
    assert frame.loc["ladder", "started"] == found[0]["started"]
    assert frame.loc["ladder", "ended"] == found[1]["ended"]
    spent = sum(s["ended"] - s["started"] for s in found[:2])
    assert frame.loc["ladder", "wall_s"] == pytest.approx(spent)
    assert frame["slots"].tolist() == [2, 2]
    assert frame.loc["ladder", "chosen_configuration"] == 0
    assert np.isnan(frame.loc["asha", "test_accuracy"])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_ladder_and_its_rivals_run_from_yaml_to_their_tables() -> None:
    with ray_session(2) as root:
        config = parse_sweep({**SWEEP, "storage_path": root, "tracking": False})
        folder = Path(run_sweep(config).location)
        check_tables(folder)


def check_tables(folder: Path) -> None:
    trials = pd.read_parquet(folder / "trials.parquet")
    assert set(trials["status"]) <= {"finished", "stopped"}
    ladder = trials[trials["strategy"] == "ladder"]
    by_rung = ladder.groupby("rung")
    assert by_rung.size().to_dict()[0] == 6
    assert by_rung.size().to_dict()[2] == 1
    assert by_rung["rung_name"].first().tolist() == ["5%", "1 epoch", "full"]
    assert by_rung["epoch"].unique().map(list).tolist() == [[3], [1], [3]]
    below = ladder.set_index("trial_id")
    for row in ladder.to_dict("records"):
        if row["rung"]:
            assert below.loc[row["promoted_from"], "configuration"] == row["configuration"]
            assert below.loc[row["promoted_from"], "rung"] == row["rung"] - 1
    assert (
        ladder[["train_s", "select_s", "eval_s", "wait_s", "val_accuracy"]].notna().all(axis=None)
    )
    for rival in ("asha", "random"):
        own = trials[trials["strategy"] == rival]
        assert set(own["phase"]) == {"rival"}
        assert sorted(own["configuration"]) == list(range(6))  # the same six points
    frame = pd.read_parquet(folder / "strategies.parquet").set_index("strategy")
    assert frame.index.tolist() == ["ladder", "asha", "random"]
    assert (frame["chosen_configuration"] >= 0).all()
    assert (frame["wall_s"] > 0).all()
    assert frame["slots"].tolist() == [2, 2, 2]
    epochs = pd.read_parquet(folder / "epochs.parquet")
    assert set(epochs["trial_id"]) == set(trials["trial_id"])
