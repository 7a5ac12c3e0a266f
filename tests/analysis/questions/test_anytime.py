import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import load
from analysis.questions.anytime import anytime, anytime_table
from analysis.questions.choice import choice_table
from analysis.questions.methods.fractions import cheapest_fraction, fraction_table
from analysis.statistics.noise import full_noise, regret_noise, seed_ceiling
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import ARMS, Arm, Sweep


def test_curves_of_the_hand_sweep(tmp_path: Path) -> None:
    curves = anytime(load(write_hand_sweep(tmp_path)), k=1).set_index(["arm", "epoch"])
    # cached: two trials of 1 s per epoch and 0.25 s of evaluation, after the seed's own 7 s; it
    # ranks right from epoch 1.
    assert curves.loc["cached", "seconds"].tolist() == [9.5, 12.0, 14.5, 17.0]
    assert curves.loc["cached", "tau"].tolist() == [1.0] * 4
    # gradmatch pays its own selection: 2 x 1.75 s per epoch.
    assert curves.loc["gradmatch", "seconds"].tolist() == [3.5, 7.0, 10.5, 14.0]
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
    assert curves.loc["cached", "seconds"].tolist() == [9.5, 12.0, 13.25, 14.5]


def test_full_training_is_compared_with_its_other_seeds(tmp_path: Path) -> None:
    results = load(Sweep(noise=0.03, generator_seed=2).write(tmp_path))
    ceiling = seed_ceiling(results)
    ends = anytime(results).query("arm == 'full'").groupby("seed")["tau"].last()
    assert ends.tolist() == pytest.approx(ceiling["tau"].tolist())
    assert seed_ceiling(load(write_hand_sweep(tmp_path / "one"))).empty


def test_noise_of_full_training_is_the_pooled_deviation(tmp_path: Path) -> None:
    results = load(Sweep(noise=0.03).write(tmp_path))
    full = results.search.query("arm == 'full'")
    by_configuration = full.groupby("configuration")
    variances = by_configuration["test"].var()
    deviation, degrees = full_noise(results, best=None)
    assert deviation == pytest.approx(math.sqrt(variances.mean()))
    assert degrees == 6 * 2
    best = by_configuration["val"].mean().nlargest(3).index
    deviation, degrees = full_noise(results)
    assert deviation == pytest.approx(math.sqrt(variances[best].mean()))
    assert degrees == 3 * 2
    threshold = regret_noise(results)
    assert threshold == pytest.approx(2.4469 * deviation * math.sqrt(2 / 3), rel=1e-4)
    assert math.isnan(regret_noise(load(write_hand_sweep(tmp_path / "one"))))


def test_a_configuration_that_trains_by_luck_is_no_noise_of_the_choice(tmp_path: Path) -> None:
    folder = Sweep(noise=0.001).write(tmp_path)
    epochs, trials = (pd.read_parquet(folder / f"{n}.parquet") for n in ("epochs", "trials"))
    worst = trials.query("arm == 'full' and configuration == 0 and seed == 1")["trial_id"]
    lost = epochs["trial_id"].isin(worst)
    epochs.loc[lost, ["val_accuracy", "test_accuracy"]] = 0.1
    epochs.to_parquet(folder / "epochs.parquet")
    results = load(folder)
    assert full_noise(results, best=None)[0] > 0.1
    assert full_noise(results)[0] < 0.003


def test_budgets_of_the_hand_sweep(tmp_path: Path) -> None:
    results = load(write_hand_sweep(tmp_path))
    table = anytime_table(results, shares=(0.05, 8.2 / 82, 9.5 / 82, 1.0), k=1, resamples=100)
    found = table.set_index(["arm", "share"])
    # Full training takes 82 s, its evaluation counted: 4.1 s, 8.2 s, 9.5 s and all of them.
    assert found.loc["cached", "seconds"].tolist() == pytest.approx([4.1, 8.2, 9.5, 82.0])
    # cached needs 7 s for its seed and 2.5 s for one epoch of both configurations.
    assert found.loc["cached", "note"].tolist() == ["not started", "not started", "", ""]
    assert found.loc["cached", "tau"].tolist()[2:] == [1.0, 1.0]
    # random_pb: 2.5 s an epoch; after two of them configuration 1 has diverged and ranks last.
    assert found.loc[("random_pb", 8.2 / 82), "tau"] == -1.0
    assert found["tau_low"].isna().all()  # two configurations, one seed
    assert anytime_table(load(write_hand_sweep(tmp_path / "b", ("seed", "cached")))).empty


def test_the_last_budget_is_the_final_ranking_with_its_interval(tmp_path: Path) -> None:
    arms = dict(ARMS) | {"cached": Arm(0.03, 0.06)}
    results = load(Sweep(arms=arms, noise=0.02, generator_seed=3).write(tmp_path))
    last = anytime_table(results, resamples=300).query("share == 1.0").set_index("arm")
    final = choice_table(results, resamples=300).set_index("arm")
    for column in ("tau", "tau_low", "tau_high", "recall", "recall_low", "recall_high"):
        assert last[column].tolist() == pytest.approx(final[column].tolist())


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


def fractions(rows: list[tuple[str, str, str, float, str, str]]) -> pd.DataFrame:
    columns = ["dataset", "selector", "arm", "fraction", "within", "surely"]
    return pd.DataFrame(rows, columns=columns)


def test_cheapest_fraction_is_the_start_of_an_unbroken_run() -> None:
    table = fractions(
        [
            ("d", "cached", "cached", 0.05, "yes", "no"),
            ("d", "cached", "cached", 0.1, "no", "no"),
            ("d", "cached", "cached", 0.2, "yes", "no"),
            ("d", "cached", "cached", 0.3, "yes", "yes"),
            ("d", "random", "random", 0.1, "yes", "yes"),
            ("d", "random", "random", 0.2, "no", "no"),
            ("d", "craig", "craig", 0.1, "unknown", "unknown"),
            ("d", "craig", "craig", 0.2, "unknown", "unknown"),
            ("d", "glister", "glister", math.nan, "yes", "yes"),
            ("d", "once", "once", 0.1, "yes", "yes"),
        ]
    )
    found = cheapest_fraction(table).set_index("strategy")
    assert found.loc["cached", ["fraction", "surely"]].tolist() == [0.2, 0.3]
    assert found.loc["cached", "tried"] == "5%, 10%, 20%, 30%"
    assert found.loc[["random", "craig"], "fraction"].isna().all()
    assert "glister" not in found.index
    assert "once" not in found.index  # one fraction is no choice


def test_arms_of_one_selector_are_one_strategy_unless_they_crowd_a_fraction() -> None:
    named = fractions(
        [
            ("d", "gradmatch", "gm_5", 0.05, "no", "no"),
            ("d", "gradmatch", "gm_10", 0.1, "yes", "no"),
        ]
    )
    assert cheapest_fraction(named).set_index("strategy").at["gradmatch", "fraction"] == 0.1
    crowded = fractions([("d", "gradmatch", "gm_r5", 0.1, "yes", "no")])
    assert cheapest_fraction(pd.concat([named, crowded])).empty
    assert cheapest_fraction(pd.DataFrame()).empty


def test_fraction_table_pays_for_the_seed(tmp_path: Path) -> None:
    arms = dict(ARMS) | {"cached": Arm(0.0, 0.0, 1.0, 0.0)}
    results = load(Sweep(arms=arms, noise=0.0005).write(tmp_path))
    table = fraction_table([results], resamples=100).set_index("arm")
    cached = table.loc["cached"]
    # 12 epochs of 1 s and 0.2 s of evaluation; a trial waited 0.1 s; the seed selected, 0.4 s.
    spent = 18 * (12 * 1.2 + 0.1) + 12 * 1.6
    assert cached["seconds"] == pytest.approx(spent)
    assert cached["share"] == pytest.approx(spent / (18 * 12 * 10.2))
    assert (cached["fraction"], cached["within"]) == (0.1, "yes")
    assert cached["surely"] == ("yes" if cached["regret_high"] <= cached["noise"] else "no")
