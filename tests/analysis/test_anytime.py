import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import load
from analysis.anytime import anytime, full_noise, seed_ceiling
from analysis.fractions import cheapest_fraction, fraction_table, regret_noise
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import ARMS, Arm, Sweep


def test_curves_of_the_hand_sweep(tmp_path: Path) -> None:
    curves = anytime(load(write_hand_sweep(tmp_path)), k=1).set_index(["arm", "epoch"])
    # cached: two trials of 1 s per epoch, after the seed's own 6 s; it ranks right from epoch 1.
    assert curves.loc["cached", "seconds"].tolist() == [8.0, 10.0, 12.0, 14.0]
    assert curves.loc["cached", "tau"].tolist() == [1.0] * 4
    # gradmatch pays its own selection: 2 x 1.5 s per epoch.
    assert curves.loc["gradmatch", "seconds"].tolist() == [3.0, 6.0, 9.0, 12.0]
    # random_pb: 0.3 against 0.3 ties after epoch 1; configuration 1 is NaN from epoch 2 on.
    tau = curves.loc["random_pb", "tau"].tolist()
    assert math.isnan(tau[0])
    assert tau[1:] == [-1.0, -1.0, -1.0]
    # One seed: full training has no other seed to be compared with.
    assert "full" not in curves.index.get_level_values(0)


def test_the_last_point_is_the_final_ranking_and_nothing_is_spent_after_the_end(
    tmp_path: Path,
) -> None:
    folder = write_hand_sweep(tmp_path)
    epochs = pd.read_parquet(folder / "epochs.parquet")
    stopped = (epochs["trial_id"] == "cached-0") & (epochs["epoch"] > 2)
    epochs[~stopped].to_parquet(folder / "epochs.parquet")
    curves = anytime(load(folder)).set_index(["arm", "epoch"])
    assert curves.loc["cached", "seconds"].tolist() == [8.0, 10.0, 11.0, 12.0]


def test_full_training_is_compared_with_its_other_seeds(tmp_path: Path) -> None:
    results = load(Sweep(noise=0.03, generator_seed=2).write(tmp_path))
    ceiling = seed_ceiling(results)
    ends = anytime(results).query("arm == 'full'").groupby("seed")["tau"].last()
    assert ends.tolist() == pytest.approx(ceiling["tau"].tolist())
    assert seed_ceiling(load(write_hand_sweep(tmp_path / "one"))).empty


def test_noise_of_full_training_is_the_pooled_deviation(tmp_path: Path) -> None:
    results = load(Sweep(noise=0.03).write(tmp_path))
    full = results.search.query("arm == 'full'")
    variances = full.groupby("configuration")["test"].var()
    deviation, degrees = full_noise(results)
    assert deviation == pytest.approx(math.sqrt(variances.mean()))
    assert degrees == 6 * 2
    threshold = regret_noise(results)
    assert threshold == pytest.approx(2.1788 * deviation * math.sqrt(2 / 3), rel=1e-4)
    assert math.isnan(regret_noise(load(write_hand_sweep(tmp_path / "one"))))


def test_a_difference_of_repeated_runs_exceeds_the_noise_as_often_as_it_should() -> None:
    rng = np.random.default_rng(0)
    from scipy import stats

    over = 0
    for _ in range(2000):
        runs = rng.normal(0, 1, (6, 3))
        deviation = math.sqrt(runs.var(axis=1, ddof=1).mean())
        threshold = stats.t.ppf(0.975, 12) * deviation * math.sqrt(2 / 3)
        over += abs(runs[0].mean() - runs[1].mean()) > threshold
    assert 0.03 <= over / 2000 <= 0.07


def test_cheapest_fraction_is_the_start_of_an_unbroken_run() -> None:
    rows = [
        ("d", "cached", 0.05, "yes"),
        ("d", "cached", 0.1, "no"),
        ("d", "cached", 0.2, "yes"),
        ("d", "cached", 0.3, "yes"),
        ("d", "random", 0.1, "no"),
        ("d", "unknown", 0.1, "unknown"),
        ("d", "mixed", math.nan, "yes"),
    ]
    table = pd.DataFrame(rows, columns=["dataset", "arm", "fraction", "within"])
    found = cheapest_fraction(table).set_index("arm")["fraction"]
    assert found["cached"] == 0.2
    assert math.isnan(found["random"])
    assert math.isnan(found["unknown"])
    assert "mixed" not in found


def test_fraction_table_pays_for_the_seed(tmp_path: Path) -> None:
    arms = dict(ARMS) | {"cached": Arm(0.0, 0.0, 1.0, 0.0)}
    results = load(Sweep(arms=arms, noise=0.0005).write(tmp_path))
    table = fraction_table([results], resamples=100).set_index("arm")
    cached = table.loc["cached"]
    assert cached["seconds"] == pytest.approx(18 * 12.0 + 16.8)
    assert cached["share"] == pytest.approx((18 * 12.0 + 16.8) / (18 * 120.0))
    assert (cached["fraction"], cached["within"]) == (0.1, "yes")
