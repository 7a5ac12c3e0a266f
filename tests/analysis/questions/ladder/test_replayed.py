from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import ReportOptions, build_report, load
from analysis.questions.ladder.replayed import record, replayed_table
from tests.analysis.synthetic import Arm, Sweep

GRID = [{"learning_rate": 0.001 * 2**i} for i in range(10)]


def write_rungs(folder: Path, noise: float = 0.0) -> Path:
    """Ten configurations on three rungs of one selector and in full."""
    shares = {"random_3": 0.03, "random_10": 0.1, "random_30": 0.3}
    arms = {name: Arm(0.05, noise) for name in shares} | {"full": Arm()}
    Sweep(arms=arms, grid=GRID, noise=0.0, promote=False).write(folder)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    trials["selector"] = trials["arm"].where(trials["arm"] == "full", "random")
    epochs["examples_seen"] = epochs["epoch"] * 1000 * epochs["arm"].map(shares).fillna(1.0)
    trials.to_parquet(folder / "trials.parquet")
    epochs.to_parquet(folder / "epochs.parquet")
    return folder


def test_rungs_that_rank_rightly_lose_nothing_and_cost_what_they_train(tmp_path: Path) -> None:
    table = replayed_table(load(write_rungs(tmp_path)), draws=40)
    climbed = table[table["strategy"] == "ladder of random"]
    assert climbed["by"].tolist() == ["metric", "loss", "both"]
    assert climbed["regret"].tolist() == pytest.approx([0.0] * 3)
    assert climbed["best_found"].tolist() == [1.0] * 3
    # Eight in a draw: 3% of all, 10% of three, 30% of one, and one in full.
    assert climbed["cost"].tolist() == pytest.approx([(8 * 0.03 + 3 * 0.1 + 0.3 + 1) / 8] * 3)
    names = set(table["strategy"])
    assert {"ASHA, eta 3", "ASHA, eta 4", "HyperBand", "random search, 20% trained"} <= names
    assert (table["regret"] >= 0).all()
    random = table.set_index("strategy").loc["random search, 20% trained"]
    assert random["cost"] == pytest.approx(2 / 8)
    assert random["regret"] > 0


def test_the_draws_are_the_same_for_all_and_repeat_themselves(tmp_path: Path) -> None:
    results = load(write_rungs(tmp_path, noise=0.2))
    first, again = (replayed_table(results, draws=30) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    misled = first[first["strategy"] == "ladder of random"]
    assert misled["regret"].max() > 0


def test_what_is_recorded_is_signed_and_whole(tmp_path: Path) -> None:
    recorded = record(load(write_rungs(tmp_path)))
    assert recorded is not None
    assert recorded.curves["metric"].shape == (3, 10, 12)
    assert (np.diff(recorded.truth) > 0).all()  # the grid is in the order of its quality
    assert (recorded.curves["loss"] < 0).all()
    assert [share for share, _ in recorded.rungs["random"]] == pytest.approx([0.03, 0.1, 0.3])


def test_the_report_replays_only_where_there_are_rungs(tmp_path: Path) -> None:
    report = build_report(load(write_rungs(tmp_path / "a")), ReportOptions(resamples=100))
    assert "replayed" in [section.id for section in report.sections]
    few = Sweep(grid=GRID[:3], promote=False).write(tmp_path / "b")
    assert replayed_table(load(few)).empty
