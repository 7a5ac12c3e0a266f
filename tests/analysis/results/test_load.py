import contextlib
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import ReportOptions, ResultsError, build_report, load
from analysis.questions.anytime import anytime
from analysis.questions.speedups import fixed_accuracy_speedups, tradeoff
from analysis.results.outcomes import DIVERGED, STOPPED
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import Sweep, write_frames


def test_a_trial_stopped_before_its_test_split_was_evaluated_did_not_diverge(
    tmp_path: Path,
) -> None:
    folder = write_hand_sweep(tmp_path)
    epochs = pd.read_parquet(folder / "epochs.parquet")
    epochs.loc[epochs["epoch"] < 4, "test_accuracy"] = np.nan  # the end alone is tested
    stopped = (epochs["trial_id"] == "cached-0") & (epochs["epoch"] > 2)
    epochs[~stopped].to_parquet(folder / "epochs.parquet")
    trials = load(folder).trials.set_index("trial_id")
    assert trials.at["cached-0", "outcome"] == STOPPED
    assert math.isnan(trials.at["cached-0", "test"])
    assert trials.at["random_pb-1", "outcome"] == DIVERGED
    assert build_report(load(folder), ReportOptions(resamples=100)).sections


def test_columns_and_types(tmp_path: Path) -> None:
    results = load(Sweep().write(tmp_path))
    assert results.arms() == ["seed", "cached", "gradmatch", "random_pb", "full"]
    assert results.axes == ("learning_rate", "optimizer")
    assert (results.metric, results.mode, results.is_share) == ("accuracy", "max", True)
    assert results.trials["seconds"].dtype == np.float64
    assert results.trials["configuration"].dtype == np.int64
    assert len(results.promotions) == 1
    assert "promotion" not in set(results.search["phase"])
    assert [history.key for history in results.histories] == ["seed0"]
    assert not results.notes


@pytest.mark.parametrize("file", ["trials", "epochs"])
def test_a_missing_key_is_named(tmp_path: Path, file: str) -> None:
    folder = write_hand_sweep(tmp_path)
    frame = pd.read_parquet(folder / f"{file}.parquet")
    frame.drop(columns=["trial_id"]).to_parquet(folder / f"{file}.parquet")
    with pytest.raises(ResultsError, match=rf"{file}\.parquet lacks the column trial_id"):
        load(folder)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_table_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = write_hand_sweep(tmp_path_factory.mktemp("damaged"))
    path = folder / f"{data.draw(st.sampled_from(['trials', 'epochs']))}.parquet"
    content = bytearray(path.read_bytes())
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(ResultsError):
        load(folder)


@pytest.mark.parametrize(
    ("sound", "damaged"),
    [
        (b'"numpy_type"', b'"numpy_typo"'),  # pandas' own account of the columns: a KeyError
        (b"full", b"f\xfdll"),  # text that is not UTF-8: met where a cell is first looked at
    ],
)
def test_damage_that_readers_meet_late_is_refused_by_name(
    tmp_path: Path, sound: bytes, damaged: bytes
) -> None:
    folder = write_hand_sweep(tmp_path)
    path = folder / "trials.parquet"
    content = path.read_bytes()
    assert sound in content
    path.write_bytes(content.replace(sound, damaged))
    with pytest.raises(ResultsError, match=r"trials\.parquet is unreadable as Parquet"):
        load(folder)


def test_missing_folder_and_unreadable_files_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"nowhere/trials\.parquet does not exist"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"file/trials\.parquet does not exist"):
        load(tmp_path / "file")
    folder = write_hand_sweep(tmp_path / "a")
    (folder / "epochs.parquet").write_bytes(b"not parquet")
    with pytest.raises(ResultsError, match=r"epochs\.parquet is unreadable as Parquet"):
        load(folder)
    folder = write_hand_sweep(tmp_path / "b")
    (folder / "sweep.yaml").write_text("a: [")
    with pytest.raises(ResultsError, match=r"sweep\.yaml is not YAML"):
        load(folder)


def test_no_validation_metric_is_an_error(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    epochs = pd.read_parquet(folder / "epochs.parquet")
    epochs.drop(columns="val_accuracy").to_parquet(folder / "epochs.parquet")
    with pytest.raises(ResultsError, match="no val_<metric> column"):
        load(folder)


def test_waiting_reports_and_repeated_epochs_are_no_training(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    epochs["waiting_for_interval"] = -1
    row = epochs[(epochs["trial_id"] == "cached-0") & (epochs["epoch"] == 2)]
    waiting = row.assign(waiting_for_interval=1, val_accuracy=0.99, train_s=99.0)
    again = row.assign(val_accuracy=0.55)
    before = row.assign(epoch=0, waiting_for_interval=0)
    write_frames(folder, trials, pd.concat([before, epochs, waiting, again], ignore_index=True))
    own = load(folder).epochs.query("trial_id == 'cached-0'")
    assert own["epoch"].tolist() == [1, 2, 3, 4]
    assert own["val"].tolist() == [0.4, 0.55, 0.6, 0.68]
    assert own["seconds"].tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("columns", "sweep", "metric", "mode"),
    [
        (["val_accuracy", "val_loss"], {}, "accuracy", "max"),
        (["val_rmse", "val_loss"], {}, "rmse", "min"),
        (["val_loss"], {}, "loss", "min"),
        (
            ["val_map", "val_recall"],
            {"tune": {"metric": "val_recall", "mode": "max"}},
            "recall",
            "max",
        ),
        (["val_regret"], {"tune": {"mode": "min"}}, "regret", "min"),
    ],
)
def test_metric_and_direction(
    tmp_path: Path, columns: list[str], sweep: dict[str, object], metric: str, mode: str
) -> None:
    trials = pd.DataFrame(
        {"trial_id": ["a"], "arm": ["cached"], "status": ["finished"], "configuration": [0]}
        | {"seed": [0]}
    )
    epochs = pd.DataFrame({"trial_id": ["a"], "arm": ["cached"], "epoch": [1]})
    write_frames(tmp_path, trials, epochs.assign(**dict.fromkeys(columns, 0.5)))

    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    results = load(tmp_path)
    assert (results.metric, results.mode) == (metric, mode)
    assert any("test_" in note for note in results.notes)
    assert any("train_s" in note for note in results.notes)


@pytest.mark.parametrize(
    ("status", "error", "final", "epochs", "outcome"),
    [
        ("TERMINATED", None, 0.5, 4, "finished"),
        ("finished", None, 0.5, 4, "finished"),
        ("TERMINATED", None, 0.5, 2, "stopped early"),
        ("stopped", None, 0.5, 4, "stopped early"),
        ("TERMINATED", None, float("nan"), 4, "diverged"),
        ("ERROR", "ValueError: the loss is not finite (nan)", 0.5, 4, "diverged"),
        ("failed", "CUDA out of memory", 0.5, 4, "failed"),
        ("RUNNING", None, 0.5, 4, "unfinished"),
        ("unfinished", None, 0.5, 4, "unfinished"),
    ],
)
def test_outcomes(
    tmp_path: Path, status: str, error: str | None, final: float, epochs: int, outcome: str
) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, rows = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    mine = trials["trial_id"] == "cached-0"
    trials.loc[mine, "status"] = status
    trials["error"] = trials["error"].astype(object)
    trials.loc[mine, "error"] = error
    own = rows["trial_id"] == "cached-0"
    rows = rows[~own | (rows["epoch"] <= epochs)]
    rows.loc[own & (rows["epoch"] == epochs), "val_accuracy"] = final
    write_frames(folder, trials, rows)
    found = load(folder).trials.set_index("trial_id")["outcome"]
    assert found["cached-0"] == outcome
    assert found["random_pb-1"] == "diverged"


def test_a_trial_that_never_reported_is_there(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, rows = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    trials.loc[trials["trial_id"] == "cached-0", "status"] = "failed"
    write_frames(folder, trials, rows[rows["trial_id"] != "cached-0"])
    row = load(folder).trials.set_index("trial_id").loc["cached-0"]
    assert row["outcome"] == "failed"
    assert np.isnan(row["val"])


def test_evaluating_every_few_epochs_is_no_divergence(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, rows = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    skipped = rows["epoch"].isin([1, 3]) & (rows["trial_id"] != "random_pb-1")
    rows.loc[skipped, ["val_accuracy", "test_accuracy"]] = np.nan
    rows.loc[skipped, "train_loss"] = 0.5
    # One trial was stopped between two evaluations.
    rows = rows[~((rows["trial_id"] == "cached-1") & (rows["epoch"] == 4))]
    write_frames(folder, trials, rows)
    results = load(folder)
    found = results.trials.set_index("trial_id")
    assert found["outcome"].drop(["cached-1", "random_pb-1"]).eq("finished").all()
    assert found.at["cached-1", "outcome"] == "stopped early"
    assert found.at["cached-1", "test_final"] == 0.70  # of epoch 2, the last evaluated
    assert found.at["cached-1", "seconds"] == 3.0
    assert found.at["random_pb-1", "outcome"] == "diverged"
    curves = anytime(results, k=1).set_index(["arm", "epoch"])
    assert curves.at[("cached", 3), "tau"] == 1.0
    drawn = tradeoff(results, start=0.5, points=3).groupby("trial_id")["epoch"].apply(list)
    assert drawn["cached-0"] == [2, 4]
    speed = fixed_accuracy_speedups(results).set_index("trial_id")
    assert speed.at["cached-0", "speedup"] == pytest.approx(20 / 4)


def test_runs_that_kappa_makes_shorter_are_finished(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, rows = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    trials["config/max_epochs"] = 8
    trials["config/selection/fraction"] = 0.1
    trials.loc[trials["arm"] == "gradmatch", "config/arms/gradmatch/kappa"] = 0.5
    trials.loc[trials["arm"] == "gradmatch", "status"] = "stopped"
    write_frames(folder, trials, rows)
    outcomes = load(folder).trials.set_index("trial_id")["outcome"]
    assert outcomes["gradmatch-0"] == "finished"
    assert outcomes["cached-0"] == "stopped early"


@pytest.mark.parametrize("column", ["val_accuracy", "eval_s", "train_loss"])
@pytest.mark.parametrize("kind", ["text", "category", "date"])
def test_numbers_that_were_written_as_something_else_are_numbers_or_missing(
    tmp_path: Path, column: str, kind: str
) -> None:
    folder = write_hand_sweep(tmp_path)
    epochs = pd.read_parquet(folder / "epochs.parquet")
    known = load(folder).epochs[column]
    as_text = epochs[column].astype(str)
    epochs[column] = {
        "text": as_text,
        "category": as_text.astype("category"),
        "date": pd.date_range("2020", periods=len(epochs), tz="UTC"),
    }[kind]
    epochs.to_parquet(folder / "epochs.parquet")
    read = load(folder).epochs[column]
    assert read.dtype == np.float64
    if kind == "date":
        assert read.isna().all()
    else:  # pandas 2.2 reads the last digit of a text a little off
        np.testing.assert_allclose(read, known, rtol=1e-15)
