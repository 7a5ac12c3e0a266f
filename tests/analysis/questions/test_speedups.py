import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import load
from analysis.options import ReportOptions
from analysis.questions.headline import WAITED, decision_table
from analysis.questions.speedups import (
    EQUALLED,
    NEVER,
    NO_CURVE,
    NO_FULL,
    NO_TIME,
    first_surpassed,
    fixed_accuracy_speedups,
    speedup_table,
    tradeoff,
)
from analysis.sections.speed import section
from tests.analysis.hand_sweep import write_hand_sweep


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hand_sweep(tmp_path_factory.mktemp("hand"))


def test_fixed_accuracy_speedups_are_those_worked_out_on_paper(hand: Path) -> None:
    found = fixed_accuracy_speedups(load(hand)).set_index("trial_id")
    expected = {
        "seed-0": 5.0,
        "cached-0": 5.0,
        "cached-1": 7.5,
        "gradmatch-0": 5.0,
        "gradmatch-1": math.nan,
        "random_pb-0": 5.0,
        "random_pb-1": math.nan,
    }
    pd.testing.assert_series_equal(
        found["speedup"], pd.Series(expected, name="speedup"), check_names=False
    )
    notes = found["note"]
    assert notes["gradmatch-1"] == EQUALLED
    assert notes["random_pb-1"] == "diverged"
    assert set(notes.drop(["gradmatch-1", "random_pb-1"])) == {""}


def test_speedups_of_all_seconds_stand_beside_the_papers_measure(hand: Path) -> None:
    found = fixed_accuracy_speedups(load(hand), WAITED).set_index("trial_id")["speedup"]
    # Full training passes 0.68 in epoch 2 (20.5 s) and 0.80 in epoch 3 (30.75 s).
    assert found["cached-0"] == pytest.approx(20.5 / 5)
    assert found["cached-1"] == pytest.approx(30.75 / 5)
    assert found["gradmatch-0"] == pytest.approx(30.75 / 7)


def test_a_full_run_whose_test_value_was_measured_at_its_end_alone_gives_no_speedup(
    tmp_path: Path,
) -> None:
    folder = write_hand_sweep(tmp_path)
    epochs = pd.read_parquet(folder / "epochs.parquet")
    epochs.loc[epochs["epoch"] < 4, "test_accuracy"] = np.nan
    epochs.to_parquet(folder / "epochs.parquet")
    results = load(folder)
    assert set(fixed_accuracy_speedups(results)["note"]) == {NO_CURVE, "diverged"}
    assert section(results, ReportOptions()) is None  # no table of reasons in place of numbers
    # The trial's own test value is then that of its last epoch, whichever was best.
    assert results.trials.set_index("trial_id").at["cached-0", "test"] == 0.68


def test_axis_table_averages_geometrically_and_names_what_lacks(hand: Path) -> None:
    speedups = fixed_accuracy_speedups(load(hand))
    table = speedup_table(speedups, "learning_rate").set_index(["arm", "value"])
    assert table.at[("cached", "0.1"), "speedup"] == pytest.approx(7.5)
    assert table.at[("gradmatch", "0.1"), "note"] == f"{EQUALLED} (1)"
    whole = speedup_table(speedups.assign(all="x"), "all").set_index("arm")
    assert whole.at["cached", "speedup"] == pytest.approx(math.sqrt(5.0 * 7.5))
    assert tuple(whole.loc["random_pb", ["reached", "trials"]]) == (1, 2)


def test_headline_speedups_count_shared_pairs_and_pay_for_the_seed(hand: Path) -> None:
    table = decision_table(load(hand)).set_index("arm")
    assert table.at["cached", "speedup"] == pytest.approx(80 / 8)
    assert table.at["cached", "speedup_with_seed"] == pytest.approx(80 / 14)
    assert table.at["gradmatch", "speedup"] == pytest.approx(80 / 12)
    assert table.at["random_pb", "speedup"] == pytest.approx(40 / 4)
    assert (table.at["random_pb", "pairs"], table.at["random_pb", "diverged"]) == (1, 1)
    assert table["speedup_with_seed"].drop("cached").isna().all()
    assert table.at["cached", "total_s"] == pytest.approx(8 * 1.25)
    # What the user waits for: evaluation is counted and the seed is paid for.
    assert table.at["cached", "waited_speedup"] == pytest.approx(82 / (10 + 7))
    assert table.at["gradmatch", "waited_speedup"] == pytest.approx(82 / 14)
    assert table.at["random_pb", "waited_speedup"] == pytest.approx(41 / 5)
    assert table.at["full", "waited_speedup"] == 1.0
    # Shared by all arms: configuration 0 alone, since random_pb diverged on configuration 1.
    assert table.at["full", "mean"] == pytest.approx(0.80)
    assert table.at["cached", "cells"] == 1


def test_a_replay_pays_for_the_seeds_that_it_replayed(hand: Path) -> None:
    results = load(hand)
    own = results.search["arm"].map({"seed": "a", "cached": "b"})
    other = replace(results, trials=results.trials.assign(history=own))
    table = decision_table(other).set_index("arm")
    assert math.isnan(table.at["cached", "speedup_with_seed"])  # no seed of this sweep wrote b
    both = replace(results, trials=results.trials.assign(history=own.replace("b", "a;c")))
    table = decision_table(both).set_index("arm")
    assert table.at["cached", "speedup_with_seed"] == pytest.approx(80 / 14)


def test_tradeoff_is_relative_to_the_full_runs_end(hand: Path) -> None:
    frame = tradeoff(load(hand), start=0.5, points=3).set_index(["trial_id", "epoch"])
    assert frame.loc[("full-0", 4), ["speedup", "relative_error"]].tolist() == pytest.approx([1, 1])
    # cached, 0.01: 40 s / 4 s and error 0.32 / 0.20; in epoch 2, 40 / 2 and 0.50 / 0.20
    assert frame.loc[("cached-0", 4), "speedup"] == pytest.approx(10)
    assert frame.loc[("cached-0", 4), "relative_error"] == pytest.approx(1.6)
    assert frame.loc[("cached-0", 2), "speedup"] == pytest.approx(20)
    assert frame.loc[("cached-0", 2), "relative_error"] == pytest.approx(2.5)
    assert sorted(frame.loc["cached-0"].index) == [2, 3, 4]
    assert "random_pb-1" not in frame.index.get_level_values(0)


def test_without_full_training_every_cell_says_so(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path, arms=("seed", "cached"))
    found = fixed_accuracy_speedups(load(folder))
    assert set(found["note"]) == {NO_FULL}
    assert found["speedup"].isna().all()
    assert tradeoff(load(folder)).empty


@pytest.mark.parametrize(
    ("target", "sign", "expected"),
    [
        (0.5, 1, (2.0, "")),
        (0.7, 1, (math.nan, EQUALLED)),
        (0.9, 1, (math.nan, NEVER)),
        (0.6, -1, (1.0, "")),  # minimised: below the target
    ],
)
def test_first_surpassed_means_strictly(
    target: float, sign: int, expected: tuple[float, str]
) -> None:
    curve = pd.DataFrame({"test": [0.5, 0.6, 0.7], "seconds": [1.0, 2.0, 3.0]})
    seconds, note = first_surpassed(curve, target, sign)
    assert note == expected[1]
    np.testing.assert_equal(seconds, expected[0])


def test_a_trial_of_zero_seconds_has_no_speedup(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    zero_seconds_of(folder, "cached")
    found = fixed_accuracy_speedups(load(folder)).set_index("trial_id")
    assert found.at["cached-0", "note"] == NO_TIME
    assert math.isnan(found.at["cached-0", "speedup"])
    assert decision_table(load(folder)).set_index("arm")["speedup"].isna()["cached"]


def test_full_training_that_measured_no_seconds_gives_no_speedup(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    zero_seconds_of(folder, "full")
    found = fixed_accuracy_speedups(load(folder)).set_index("trial_id")
    assert found.at["cached-0", "note"] == NO_TIME
    assert found["speedup"].isna().all()


def zero_seconds_of(folder: Path, arm: str) -> None:
    epochs = pd.read_parquet(folder / "epochs.parquet")
    epochs.loc[epochs["arm"] == arm, ["train_s", "select_s"]] = 0.0
    epochs.to_parquet(folder / "epochs.parquet")
