import math
from pathlib import Path

import pandas as pd
import pytest

from analysis import load
from analysis.questions.cost import cost_table, devices, joules_frame, limit_table, phase_frame
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import ARMS, Arm, Sweep, write_frames


def test_costs_of_the_hand_sweep(tmp_path: Path) -> None:
    table = cost_table(load(write_hand_sweep(tmp_path)), price_per_hour=3.6).set_index("arm")
    gradmatch = table.loc["gradmatch"]
    assert (gradmatch["train_s"], gradmatch["select_s"], gradmatch["eval_s"]) == (8.0, 4.0, 2.0)
    assert gradmatch["device_hours"] == pytest.approx(14 / 3600)
    assert gradmatch["price"] == pytest.approx(14 / 3600 * 3.6)
    assert table.at["full", "train_s"] == 80.0
    assert math.isnan(gradmatch["joules"])


def test_promotion_has_rows_of_its_own_and_energy_is_never_guessed(tmp_path: Path) -> None:
    arms = dict(ARMS) | {"cached": Arm(0.03, joules=50.0)}
    table = cost_table(load(Sweep(arms=arms).write(tmp_path)))
    cached = table.query("arm == 'cached'").iloc[0]
    assert cached["joules"] == pytest.approx(18 * 12 * 50)
    assert cached["joules_trials"] == 18
    assert table.query("arm == 'full'")["phase"].tolist() == ["search", "promotion"]
    assert table.query("arm == 'full'")["trials"].tolist() == [18, 1]
    assert table["joules"].notna().sum() == 1
    phases = phase_frame(table)
    columns = ["train_s", "select_s", "eval_s", "wait_s"]
    assert phases["seconds"].sum() == pytest.approx(table[columns].sum().sum())
    promoted = phases.query("phase == 'promotion'").set_index("work")["seconds"]
    assert promoted["train"] == 120.0  # 12 epochs of 10 s


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ({}, (1.0, "cpu")),
        ({"resources": {"cpu": 4, "gpu": 0}}, (4.0, "cpu")),
        ({"resources": {"cpu": 4, "gpu": 0.25}}, (0.25, "gpu")),
        ({"arms": ["a", {"name": "b", "resources": {"gpu": 2}}]}, (2.0, "gpu")),
    ],
)
def test_devices_of_an_arm(sweep: dict[str, object], expected: tuple[float, str]) -> None:
    assert devices(sweep, "b") == expected


def test_limits_with_and_without_warm_starts(tmp_path: Path) -> None:
    folder = Sweep().write(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    trials.loc[trials["arm"] == "gradmatch", "config/arms/gradmatch/warm_start_epochs"] = 3.0
    trials.loc[trials["arm"] == "random_pb", "config/arms/random_pb/kappa"] = 0.5
    write_frames(folder, trials, epochs)
    table = limit_table(load(folder)).set_index("arm")
    assert table.at["cached", "limit"] == pytest.approx(10.0)
    # 12 epochs, 3 of them on everything: 12 / (3 + 9 x 0.1)
    assert table.at["gradmatch", "limit"] == pytest.approx(12 / 3.9)
    # kappa: T_f is the share f / (1 + f) of 12 epochs, one in whole epochs: 12 / (1 + 11 x 0.1)
    assert table.at["random_pb", "limit"] == pytest.approx(12 / 2.1)
    assert table.at["cached", "share"] == pytest.approx(table.at["cached", "speedup"] / 10.0)
    assert "full" not in table.index


def test_joules_are_split_by_work_where_the_trials_tell_them_apart(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    mine = trials["arm"] == "gradmatch"
    columns = ["energy_j", "train_j", "select_j", "eval_j", "wait_j"]
    trials.loc[mine, columns] = [12.0, 8.0, 4.0, 2.0, 0.0]
    trials.loc[trials["arm"] == "full", "energy_j"] = 80.0
    write_frames(folder, trials, epochs)
    frame = joules_frame(cost_table(load(folder))).set_index(["arm", "work"])["joules"]
    works = {"train": 16.0, "select": 8.0, "evaluate": 4.0, "wait": 0.0}  # two trials
    assert frame["gradmatch"].to_dict() == works
    assert frame["full"].to_dict() == {"train and select": 160.0}
    assert "cached" not in frame.index.get_level_values(0)  # measured nothing
    assert joules_frame(cost_table(load(write_hand_sweep(tmp_path / "none")))).empty


def test_the_limit_of_a_selector_that_pays_for_its_passes(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    epochs = pd.read_parquet(folder / "epochs.parquet")
    # 90 examples: every one of them measured, 30 trained on, in each of four epochs.
    epochs["examples_seen"] = 90.0 * epochs["epoch"]
    mine = epochs["arm"] == "gradmatch"
    epochs.loc[mine, "examples_seen"] = 30.0 * epochs["epoch"]
    epochs["selection_examples"] = (90.0 * epochs["epoch"]).where(mine)
    epochs.to_parquet(folder / "epochs.parquet")
    table = limit_table(load(folder)).set_index("arm")
    # (M + 3 m) / 3 M of full training's time with m = M / 3: 1.5 (Balles et al., section 2).
    assert table.at["gradmatch", "limit"] == pytest.approx(1.5)
    assert "cached" not in table.index  # it states no fraction and counted no passes


def test_no_limit_without_full_training_or_without_seconds(tmp_path: Path) -> None:
    assert limit_table(load(write_hand_sweep(tmp_path / "a", arms=("seed", "cached")))).empty
    folder = write_hand_sweep(tmp_path / "b")
    epochs = pd.read_parquet(folder / "epochs.parquet")
    epochs.drop(columns=["train_s", "select_s", "eval_s", "wait_s"]).to_parquet(
        folder / "epochs.parquet"
    )
    results = load(folder)
    assert limit_table(results).empty
    assert cost_table(results)["train_s"].isna().all()
