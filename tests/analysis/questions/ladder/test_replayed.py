from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import ReportOptions, build_report, load
from analysis.questions.ladder.recorded import record
from analysis.questions.ladder.regrets import replayed_table
from analysis.questions.ladder.replayed import PATH, replay_all
from tests.analysis.synthetic import Arm, Sweep

GRID = [{"learning_rate": 0.001 * 2**i} for i in range(10)]
SHARES = {"random_3": 0.03, "random_10": 0.1, "random_30": 0.3}
Change = Callable[[pd.DataFrame, pd.DataFrame], None]


def write_rungs(folder: Path, noise: float = 0.0, change: Change | None = None) -> Path:
    """Ten configurations on three rungs of one selector and in full; a rung's epoch costs 0.5 s."""
    arms = {name: Arm(0.05, noise, train_s=0.3) for name in SHARES} | {"full": Arm()}
    Sweep(arms=arms, grid=GRID, noise=0.0, promote=False, histories=0).write(folder)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    trials["selector"] = trials["arm"].where(trials["arm"] == "full", "random")
    epochs["examples_seen"] = epochs["epoch"] * 1000 * epochs["arm"].map(SHARES).fillna(1.0)
    if change is not None:
        change(trials, epochs)
    trials.to_parquet(folder / "trials.parquet")
    epochs.to_parquet(folder / "epochs.parquet")
    return folder


def test_rungs_that_rank_rightly_lose_nothing_and_cost_what_they_train(tmp_path: Path) -> None:
    table = replayed_table(replay_all(load(write_rungs(tmp_path)), draws=40))
    climbed = table[table["strategy"] == "ladder of random"]
    assert climbed["by"].tolist() == ["metric", "loss", "both"]
    assert climbed["regret"].tolist() == pytest.approx([0.0] * 3)
    assert climbed["best_found"].tolist() == [1.0] * 3
    # Eight in a draw: 3% of all, 10% of three, 30% of one, and one in full.
    examples = (8 * 0.03 + 3 * 0.1 + 0.3 + 1) / 8
    assert climbed["cost_examples"].tolist() == pytest.approx([examples] * 3)
    # An epoch of full training holds a slot for 1.2 s (evaluation counted), one of a rung for 0.5.
    seconds = (8 + 3 + 1) * 0.5 / 1.2 / 8 + 1 / 8
    assert climbed["cost_seconds"].tolist() == pytest.approx([seconds] * 3)
    names = set(table["strategy"])
    assert {"ASHA, eta 3", "ASHA, eta 4", "HyperBand", "random search, 20% trained"} <= names
    assert {"ladder of random, keep 4", "TPE with ASHA, eta 3"} <= names
    assert (table["regret"] >= 0).all()
    random = table.set_index("strategy").loc["random search, 20% trained"]
    assert random["cost_seconds"] == pytest.approx(2 / 8)
    assert random["regret_low"] <= random["regret"] <= random["regret_high"]
    assert random["regret"] > 0
    assert set(table["draws"]) == {40}
    assert set(table["seeds"]) == {3}


def replay_a_seed(trials: pd.DataFrame, epochs: pd.DataFrame) -> None:
    """The rungs replay what one more trial selected, which the last full training stands in for."""
    trials["kind"] = trials["arm"].where(trials["arm"] == "full", "cached")
    trials["selector"] = trials["arm"].where(trials["arm"] == "full", "cached")
    trials["history"] = np.where(trials["arm"] == "full", None, "one")  # type: ignore[call-overload]
    last = trials.index[-1]
    trials.loc[last, ["arm", "kind", "history"]] = ["seed", "seed", "one"]
    epochs.loc[epochs["trial_id"] == trials.at[last, "trial_id"], "arm"] = "seed"


def test_a_replays_seed_trial_is_paid_for_once(tmp_path: Path) -> None:
    with_seed = replay_all(load(write_rungs(tmp_path / "a", change=replay_a_seed)), draws=10)
    without = replay_all(load(write_rungs(tmp_path / "b")), draws=10)
    (paid,) = (r for r in with_seed if (r.strategy, r.by) == ("ladder of cached", "both"))
    (free,) = (r for r in without if (r.strategy, r.by) == ("ladder of random", "both"))
    # Nine configurations with every seed are left, seven in a draw; the seed trained one more.
    assert free.mean_cost("seconds") < paid.mean_cost("seconds")
    climbing = (7 + 3 + 1) * 0.5 / 1.2 / 7 + 1 / 7
    assert paid.cost["seconds"] == pytest.approx(climbing + 1 / 7)
    assert paid.cost["examples"] == pytest.approx((7 * 0.03 + 3 * 0.1 + 0.3 + 1 + 1) / 7)


def evaluated_at_the_end(trials: pd.DataFrame, epochs: pd.DataFrame) -> None:
    early = epochs["epoch"] < epochs["epoch"].max()
    epochs.loc[early, [c for c in epochs if c.startswith(("val_", "test_"))]] = np.nan


def test_curves_that_were_not_evaluated_stop_nobody(tmp_path: Path) -> None:
    replays = replay_all(load(write_rungs(tmp_path, change=evaluated_at_the_end)), draws=10)
    names = {r.strategy for r in replays}
    assert "ladder of random" in names
    assert "random search, 100% trained" in names
    assert not any("ASHA" in name or "HyperBand" in name for name in names)


def without_seconds(trials: pd.DataFrame, epochs: pd.DataFrame) -> None:
    epochs[["train_s", "select_s", "eval_s", "wait_s"]] = 0.0


def calibrated(trials: pd.DataFrame, epochs: pd.DataFrame) -> None:
    early = (epochs["arm"] == "full") & (epochs["epoch"] < epochs["epoch"].max())
    epochs["val_calibrated_loss"] = epochs["val_accuracy"].mask(early)  # upside down


def test_what_was_not_counted_has_no_cost(tmp_path: Path) -> None:
    replays = replay_all(load(write_rungs(tmp_path, change=without_seconds)), draws=10)
    assert {r.unit for r in replays} == {"examples"}
    assert all(np.isnan(r.mean_cost("seconds")) for r in replays)


def test_a_calibrated_loss_ranks_too(tmp_path: Path) -> None:
    table = replayed_table(replay_all(load(write_rungs(tmp_path, change=calibrated)), draws=10))
    by = table[table["strategy"] == "ladder of random"].set_index("by")["regret"]
    assert by.index.tolist() == ["metric", "loss", "calibrated", "both"]
    assert by["calibrated"] > by["loss"] == 0.0
    # Full training was calibrated after its last epoch alone: no scheduler stops anything by it.
    assert not ((table["kind"] == "rival") & (table["by"] == "calibrated")).any()


def test_the_draws_are_the_same_for_all_and_repeat_themselves(tmp_path: Path) -> None:
    results = load(write_rungs(tmp_path, noise=0.2))
    first, again = (replayed_table(replay_all(results, draws=20)) for _ in "ab")
    pd.testing.assert_frame_equal(first, again)
    misled = first[first["strategy"] == "ladder of random"]
    assert misled["regret"].max() > 0


def test_a_path_ends_in_the_choice(tmp_path: Path) -> None:
    replays = replay_all(load(write_rungs(tmp_path, noise=0.2)), draws=10)
    kept = [r for r in replays if len(r.path)]
    assert {r.kind for r in kept} == {"ladder", "rival"}
    for replay in kept:
        assert replay.path.shape == (len(PATH), 10, 3)
        np.testing.assert_array_equal(replay.path[-1], replay.regret)


def test_what_is_recorded_is_signed_and_whole(tmp_path: Path) -> None:
    recorded = record(load(write_rungs(tmp_path)))
    assert recorded is not None
    assert recorded.curves["metric"].shape == (3, 10, 12)
    assert (np.diff(recorded.truth) > 0).all()  # the grid is in the order of its quality
    assert (recorded.curves["loss"] < 0).all()
    assert recorded.evaluated == {"metric", "loss"}
    assert recorded.points.shape == (10, 1)
    assert list(recorded.rungs) == ["random_3", "random_10", "random_30"]
    assert [r.share for r in recorded.rungs.values()] == pytest.approx([0.03, 0.1, 0.3])
    assert [r.title for r in recorded.rungs.values()] == ["3%", "10%", "30%"]
    lowest = recorded.rungs["random_3"]
    assert lowest.scores["loss"].shape == lowest.prices["seconds"].shape == (3, 10)
    assert lowest.seeds == {}


def test_the_report_says_who_won_where_there_are_rungs(tmp_path: Path) -> None:
    report = build_report(load(write_rungs(tmp_path / "a")), ReportOptions(resamples=100))
    (section,) = (section for section in report.sections if section.id == "replayed")
    assert [item.name for item in section.items] == ["regret", "replayed", "contest"]
    assert report.summary[-1].endswith(".")
    # Both lose nothing, and halving on curves that never cross costs a third of the ladder.
    assert report.summary[-1].startswith(
        "Of 36 ladders against 22 rivals in replays, which hold none"
    )
    assert "one shows best (a rival is ahead;" in report.summary[-1]
    sweep = {"tune": {"ladder": {"train_on": "random", "keep": 3, "confirm": 1}}}
    own = build_report(replace(load(tmp_path / "a"), sweep=sweep), ReportOptions(resamples=100))
    assert own.summary[-2].startswith("A rival is ahead in the replays (100 draws")
    few = Sweep(grid=GRID[:3], promote=False).write(tmp_path / "b")
    assert replay_all(load(few)) == []
