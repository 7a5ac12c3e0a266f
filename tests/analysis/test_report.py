import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import ReportOptions, build_report, load, write_report
from tests.analysis.hand_sweep import SECONDS, write_hand_sweep
from tests.analysis.synthetic import GRID, Sweep, write_frames, write_history

ARMS = tuple(SECONDS)
Frames = tuple[pd.DataFrame, pd.DataFrame]


def text_of(folder: Path) -> str:
    return write_report(folder, resamples=100).read_text(encoding="utf-8")


def words_of(page: str) -> str:
    """What a reader sees, without tags."""
    body = re.sub(r"<(style|script|svg).*?</\1>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


@pytest.mark.parametrize(
    "arms", [a for k in (1, 2) for a in combinations(ARMS, k) if "seed" in a or k == 1]
)
def test_any_set_of_arms_gives_a_report(tmp_path: Path, arms: tuple[str, ...]) -> None:
    text = text_of(write_hand_sweep(tmp_path, arms))
    assert ("no speed-up over it can be said" in text) == ("full" not in arms)
    for arm in ("cached", "random_pb"):
        assert (f">{arm}" in text or "RandomPB" in text or "replay" in text) or arm not in arms
    assert (tmp_path / "tables" / "arms.csv").exists()


def test_the_hand_sweep_reads_as_worked_out(tmp_path: Path) -> None:
    words = words_of(text_of(write_hand_sweep(tmp_path)))
    assert "These data cannot tell whether replay beats random batches" in words
    assert (
        "1 of 9 trials diverged: they rank last and enter no mean: random_pb-1 (RandomPB)" in words
    )
    assert "full equalled it, never surpassed it" in words
    arms = pd.read_csv(tmp_path / "tables" / "arms.csv").set_index("arm")
    assert arms.at["cached", "speedup"] == pytest.approx(10.0)
    speed = pd.read_csv(tmp_path / "tables" / "speedup_learning_rate.csv").set_index("arm")
    assert speed.loc["cached", ["0.01", "0.1"]].tolist() == pytest.approx([5.0, 7.5])


def without_seconds(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    columns = ["train_s", "select_s", "eval_s", "wait_s"]
    return trials.drop(columns=columns), epochs.drop(columns=columns)


def without_test(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    return trials.drop(columns="test_accuracy"), epochs.drop(columns="test_accuracy")


def all_failed(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    return trials.assign(status="failed", error="ValueError: <b>no</b>"), epochs


def nothing_reported(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    return trials.assign(status="failed"), pd.DataFrame({"epoch": pd.Series(dtype="int64")})


def all_nan(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    return trials, epochs.assign(val_accuracy=np.nan, test_accuracy=np.nan)


def unfinished(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    return trials.assign(status="RUNNING"), epochs


def no_trials(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    return trials.iloc[:0], epochs.iloc[:0]


def constant(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    return trials, epochs.assign(val_accuracy=1.0, test_accuracy=1.0)


def zero_seconds(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    return trials, epochs.assign(train_s=0.0, select_s=0.0, eval_s=0.0, wait_s=0.0)


def no_share(trials: pd.DataFrame, epochs: pd.DataFrame) -> Frames:
    return trials, epochs.assign(
        val_accuracy=epochs["val_accuracy"] * 50 - 10, test_accuracy=epochs["test_accuracy"] * 50
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_seconds, "The trials did not report train_s"),
        (without_test, "the validation metric stands in its place"),
        (all_failed, "9 of 9 trials failed"),
        (nothing_reported, "9 of 9 trials failed"),
        (all_nan, "9 of 9 trials diverged"),
        (unfinished, "9 of 9 trials did not finish"),
        (no_trials, "0 trials"),
        (constant, "full equalled it, never surpassed it"),
        (zero_seconds, "no seconds were measured"),
        (no_share, "larger is better"),
    ],
)
def test_poor_data_give_a_report_that_says_so(
    tmp_path: Path, change: Callable[..., Frames], words: str
) -> None:
    folder = write_hand_sweep(tmp_path)
    frames = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    write_frames(folder, *change(*frames))
    text = text_of(folder)
    assert words in words_of(text)
    assert "<b>no</b>" not in text
    assert not re.search(r">\s*(nan|None|inf)\b", text)


@pytest.mark.parametrize("metric", ["accuracy", "rmse"])
@pytest.mark.parametrize("kept", ["key", "config", "all but the seconds", "no test metric"])
def test_every_column_but_the_key_is_optional(tmp_path: Path, kept: str, metric: str) -> None:
    """A trainable of the user's own reports what it likes."""
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    renamed = {f"{s}_accuracy": f"{s}_{metric}" for s in ("val", "test")}
    trials = trials.drop(columns=[c for c in trials if "accuracy" in c])
    epochs = epochs.rename(columns=renamed)
    if kept == "key":
        trials, epochs = trials[["trial_id"]], epochs[["trial_id", f"val_{metric}"]]
    elif kept == "config":
        trials = trials[["trial_id", *(c for c in trials if c.startswith("config/"))]]
        epochs = epochs[["trial_id", "epoch", f"val_{metric}"]]
    elif kept == "all but the seconds":
        trials, epochs = without_seconds(trials, epochs)
    else:
        epochs = epochs.drop(columns=f"test_{metric}")
    write_frames(folder, trials, epochs)
    results = load(folder)
    assert (results.metric, results.mode) == (metric, "min" if metric == "rmse" else "max")
    assert not re.search(r">\s*(nan|None|inf)\b", text_of(folder))


def test_every_user_string_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    sweep = Sweep(
        grid=[{evil: f"{evil}{i}"} for i in range(2)],
        name=evil,
        dataset=evil,
        model=evil,
        seeds=(0,),
    )
    folder = sweep.write(tmp_path)
    write_history(folder / "history" / "other", seed=5, config={"optimizer": evil})
    text = text_of(folder)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert text.count("<script") == 1
    assert {p.suffix for p in (folder / "figures").iterdir()} == {".svg", ".csv"}


def test_promoted_trials_stay_out_of_the_arms(tmp_path: Path) -> None:
    with_promotion = load(Sweep(grid=GRID[:2], seeds=(0,)).write(tmp_path / "a"))
    without = load(Sweep(grid=GRID[:2], seeds=(0,), promote=False).write(tmp_path / "b"))
    reports = [build_report(r, ReportOptions(resamples=100)) for r in (with_promotion, without)]
    tables = [
        {item.name: item.frame for section in report.sections for item in section.items}
        for report in reports
    ]
    for name in ("arms", "choices", "choosing", "targets", "speedup_optimizer", "strategies"):
        pd.testing.assert_frame_equal(tables[0][name], tables[1][name])
    promoted = tables[0]["promotion"]
    assert promoted["seconds"].tolist() == [120.0]
    search = with_promotion.search.query("arm == 'cached' and configuration == 1")["test"].mean()
    assert promoted["gain"].iloc[0] == pytest.approx(0.96 - search)
    assert "promotion" not in tables[1]


def test_the_same_folder_gives_the_same_page(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    first = text_of(folder)
    figures = {p.name: p.read_bytes() for p in (folder / "figures").iterdir()}
    assert text_of(folder) == first
    assert {p.name: p.read_bytes() for p in (folder / "figures").iterdir()} == figures
    assert not list(folder.rglob("*.tmp"))


def test_two_hundred_trials_stay_small(tmp_path: Path) -> None:
    grid = [{"learning_rate": 10 ** (-k / 10), "optimizer": f"o{k % 4}"} for k in range(48)]
    folder = Sweep(grid=grid, seeds=(0,), epochs=30).write(tmp_path)
    assert len(load(folder).trials) >= 190
    page = write_report(folder, resamples=100)
    assert page.stat().st_size < 5_000_000


@pytest.mark.parametrize(
    ("field", "value"),
    [("price_per_hour", -1.0), ("price_per_hour", float("nan")), ("level", 1.0), ("top_k", 0)],
)
def test_options_out_of_range_name_themselves(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        ReportOptions(**{field: value})  # type: ignore[arg-type]
