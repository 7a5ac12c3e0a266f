"""Real sweeps on real digits, small: Ray, MLflow on sqlite, the report, the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tune_select.history import SubsetHistory

SMALL = {
    "name": "small",
    "train": {"model": "small_cnn", "learning_rate": 0.02, "batch_size": 64, "max_epochs": 4},
    "selection": {"fraction": 0.1, "select_every": 2},
    "space": {"learning_rate": [0.01, 0.05]},
    "arms": [
        "cached",
        "random_pb",
        "full",
        {"name": "early", "selector": "full", "match_seconds_of": "cached"},
    ],
    "cluster": {"num_cpus": 2},
}

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def command(*arguments, cwd, **environment) -> subprocess.CompletedProcess:
    root = str(Path(__file__).parents[3])
    return subprocess.run(
        [sys.executable, "-m", "tune_select", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


def write(folder: Path, **keys) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **keys}))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sweep run to its end by the command line: its working directory and results folder."""
    folder = tmp_path_factory.mktemp("sweep")
    run = command("run", write(folder), cwd=folder)
    assert run.returncode == 0, run.stderr[-4000:]
    return folder, folder / "results" / "small", run


def test_every_arm_ran_on_the_same_configurations(finished):
    trials = pd.read_parquet(finished[1] / "trials.parquet")
    assert set(trials["status"]) <= {"finished", "stopped"}
    search = trials[trials["phase"] == "search"]
    counts = search["arm"].value_counts().to_dict()
    assert counts == {"seed": 1, "cached": 2, "random_pb": 2, "full": 2, "early": 2}
    rates = {
        tuple(sorted(zip(arm["configuration"], arm["config/learning_rate"], strict=True)))
        for _, arm in search[search["arm"] != "seed"].groupby("arm")
    }
    assert len(rates) == 1


def test_the_seed_ran_first_and_replays_trained_on_its_subsets(finished):
    trials = pd.read_parquet(finished[1] / "trials.parquet").set_index("arm")
    history = SubsetHistory.load(finished[1] / "history" / "seed")
    assert history.complete
    assert len(history.intervals) == 2
    assert trials.loc["seed", "select_s"] > 0
    assert (trials.loc["cached", "select_s"] == 0).all()
    size = len(history.intervals[0].indices)
    assert (trials.loc["cached", "subset_size"] == size).all()
    used = np.unique(np.concatenate([interval.indices for interval in history.intervals]))
    unused = 1 - len(used) / history.identity.dataset.size
    assert trials.loc["cached", "points_never_used"].tolist() == pytest.approx([unused] * 2)


def test_promotion_trained_the_best_replayed_point_on_everything(finished):
    trials = pd.read_parquet(finished[1] / "trials.parquet")
    (promoted,) = trials[trials["phase"] == "promotion"].to_dict("records")
    cached = trials[trials["arm"] == "cached"].sort_values("best_val_accuracy").iloc[-1]
    assert promoted["configuration"] == cached["configuration"]
    assert promoted["arm"] == "full"
    assert promoted["subset_size"] > 9 * cached["subset_size"]


def test_matched_seconds_stop_full_training_early(finished):
    trials = pd.read_parquet(finished[1] / "trials.parquet").set_index("arm")
    assert trials.loc["early", "config/time_budget_s"].tolist() == pytest.approx(
        (trials.loc["cached", "train_s"] + trials.loc["cached", "select_s"]).tolist()
    )
    # How many epochs fit into the seconds is the machine's matter, that the trial ends with the
    # first one that uses them up is ours.
    epochs = pd.read_parquet(finished[1] / "epochs.parquet").set_index("trial_id")
    for _, trial in trials.loc["early"].iterrows():
        own = epochs.loc[[trial["trial_id"]]]
        used = (own["train_s"] + own["select_s"] >= trial["config/time_budget_s"]).tolist()
        assert used in ([False] * (len(own) - 1) + [True], [False] * 4)


def test_epochs_are_complete_and_in_order(finished):
    epochs = pd.read_parquet(finished[1] / "epochs.parquet")
    for _, trial in epochs[epochs["arm"] != "early"].groupby("trial_id"):
        assert trial["epoch"].tolist() == [1, 2, 3, 4]
        assert trial["train_s"].is_monotonic_increasing


@pytest.fixture(scope="module")
def replays(tmp_path_factory):
    """A sweep with a seed trial per training seed and algorithm, and their composition."""
    folder = tmp_path_factory.mktemp("replays")
    arms = [
        "cached",
        {"name": "composed", "selector": "cached_composed"},
        {"name": "common", "selector": "cached", "algorithm": "random"},
        "random",
        "full",
    ]
    sweep = write(
        folder,
        train={**SMALL["train"], "optimizer": "sgd"},
        space=[
            {"learning_rate": 0.02, "optimizer": "sgd"},
            {"learning_rate": 0.01, "optimizer": "adam"},
        ],
        arms=arms,
        tune={"seeds": [0, 1], "seed_by": ["seed"]},
        promote=0,
        tracking=False,
    )
    run = command("run", sweep, cwd=folder)
    assert run.returncode == 0, run.stderr[-4000:]
    return folder / "results" / "small"


def test_each_training_seed_replays_its_own_seed_trial(replays):
    trials = pd.read_parquet(replays / "trials.parquet")
    assert set(trials["status"]) == {"finished"}
    cells = {"cached": 4, "composed": 4, "common": 4, "random": 4, "full": 4}
    assert trials["arm"].value_counts().to_dict() == {"seed": 4, **cells}
    followed = trials[trials["arm"] == "cached"].set_index("seed")["history"]
    assert followed.groupby("seed").nunique().tolist() == [1, 1]
    assert followed.nunique() == 2
    assert trials.loc[trials["arm"].isin(["random", "full"]), "history"].isna().all()


def test_a_common_random_history_is_that_of_random_trials_with_its_seed(replays):
    epochs = pd.read_parquet(replays / "epochs.parquet")
    trials = pd.read_parquet(replays / "trials.parquet")
    keys = trials.set_index("trial_id")[["configuration", "seed"]]
    epochs = epochs.join(keys, on="trial_id").set_index(["configuration", "seed", "epoch"])
    losses = [
        epochs.loc[epochs["arm"] == arm, "train_loss"].sort_index() for arm in ("common", "random")
    ]
    pd.testing.assert_series_equal(*losses)


def test_composed_replays_draw_on_every_seed(replays):
    trials = pd.read_parquet(replays / "trials.parquet")
    (members,) = trials.loc[trials["arm"] == "composed", "history"].unique()
    assert len(members.split(";")) == 2
    (place,) = trials.loc[trials["arm"] == "composed", "config/history"].unique()
    drawn = SubsetHistory.load(place)
    assert drawn.identity.algorithm == "composed"
    sources = [SubsetHistory.load(replays / "history" / name) for name in members.split(";")]
    known = {int(i) for s in sources for part in s.intervals for i in part.indices}
    assert {int(i) for part in drawn.intervals for i in part.indices} <= known


def test_the_user_is_told_where_everything_is(finished):
    _, results, run = finished
    assert str(results / "report.html") in run.stdout
    assert "random batches of the same size" in " ".join(run.stdout.split())  # the verdict
    report = (results / "report.html").read_text()
    assert "random" in report
    assert (results / "tables").is_dir()


def test_mlflow_has_one_parent_and_a_nested_run_per_trial(finished):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{finished[1]}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'small'")
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    trials = pd.read_parquet(finished[1] / "trials.parquet")
    assert len(parents) == 1
    assert len(runs) - 1 == len(trials)
    assert {run.info.status for run in runs} == {"FINISHED"}
    artifacts = {item.path for item in client.list_artifacts(parents[0].info.run_id)}
    assert {"report.html", "sweep.yaml", "history"} <= artifacts
    children = [run for run in runs if run not in parents]
    # What no two trials set differently stands with the sweep's run alone.
    assert parents[0].data.params["train/max_epochs"] == "4"
    assert not any("max_epochs" in run.data.params for run in children)
    assert {run.data.params["learning_rate"] for run in children} == {"0.01", "0.02", "0.05"}
    child = children[0]
    steps = [point.step for point in client.get_metric_history(child.info.run_id, "val_accuracy")]
    assert steps == sorted(set(steps))


def test_a_second_sweep_of_the_name_is_refused_and_loses_nothing(finished):
    folder, results, _ = finished
    before = (results / "trials.parquet").read_bytes()
    again = command("run", folder / "sweep.yaml", cwd=folder)
    assert again.returncode == 2
    assert "holds a sweep already" in again.stderr
    assert (results / "trials.parquet").read_bytes() == before


def test_resuming_a_finished_sweep_runs_nothing_twice(finished):
    folder, results, _ = finished
    before = pd.read_parquet(results / "trials.parquet").set_index("trial_id").sort_index()
    again = command("run", "--resume", results, cwd=folder)
    assert again.returncode == 0, again.stderr[-4000:]
    after = pd.read_parquet(results / "trials.parquet").set_index("trial_id").sort_index()
    pd.testing.assert_frame_equal(before, after, check_like=True)


def test_a_finished_history_is_replayed_without_a_seed_and_without_mlflow(finished, tmp_path):
    history = finished[1] / "history" / "seed"
    blocked = tmp_path / "blocked" / "mlflow"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('mlflow is not installed')")
    path = write(
        tmp_path, history=str(history), tracking=False, arms=["cached"], promote=0, name="again"
    )
    root = str(Path(__file__).parents[3])
    run = command("run", path, cwd=tmp_path, PYTHONPATH=f"{blocked.parent}{os.pathsep}{root}")
    assert run.returncode == 0, run.stderr[-4000:]
    trials = pd.read_parquet(tmp_path / "results" / "again" / "trials.parquet")
    assert trials["arm"].tolist() == ["cached", "cached"]
    assert "MLflow" not in run.stdout


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"train": {**SMALL["train"], "optimiser": "sgd"}}, "optimiser"),
        ({"data": {"name": "cifar10", "root": "/nowhere"}}, "/nowhere"),
        ({"history": "/nowhere/history"}, "/nowhere/history"),
        ({"space": {"learning_rate": [-1]}}, "learning_rate"),
        ({"arms": ["cached", "no_such_selector"]}, "no_such_selector"),
        ({"trainable": "trainables.NoSuch"}, "NoSuch"),
        ({"tune": {"searcher": "grid_search"}}, "grid_search"),
        ({"space": {"learning_rate": [1], "momentum": [0.5, 0.9]}}, "train.momentum"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(tmp_path, keys, named, capsys):
    from tune_select.sweep.config import SweepError
    from tune_select.sweep.run import run_sweep
    from tune_select.sweep.yaml_file import parse_sweep

    config = parse_sweep({**SMALL, "storage_path": str(tmp_path), **keys})
    with pytest.raises((SweepError, ValueError)) as caught:
        run_sweep(config)
    assert named in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_history_of_other_data_is_refused_with_both_names(finished, tmp_path):
    from tune_select.sweep.config import SweepError
    from tune_select.sweep.validation import validate_sweep
    from tune_select.sweep.yaml_file import parse_sweep

    keys = {"history": str(finished[1] / "history" / "seed"), "data": {"validation_fraction": 0.3}}
    with pytest.raises(SweepError, match="history") as caught:
        validate_sweep(parse_sweep({**SMALL, **keys}))
    manifest = json.loads((finished[1] / "history" / "seed" / "manifest.json").read_text())
    assert str(manifest["dataset"]["size"]) in str(caught.value)
