import math
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats

from analysis import load
from analysis.questions.choice import choice_cube, choice_points, choice_table
from analysis.statistics.ranking import kendall_tau, top_k_recall
from analysis.statistics.regret import numbered, promoted_regret, promoted_regret_of, regret
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import ARMS, Arm, Sweep, write_frames

scores = npst.arrays(float, st.integers(2, 8), elements=st.integers(0, 4).map(float))


@settings(deadline=None, max_examples=60)
@given(st.data(), scores)
def test_tau_is_scipys_tau_b_with_ties(data: st.DataObject, x: np.ndarray) -> None:
    y = data.draw(npst.arrays(float, len(x), elements=st.integers(0, 4).map(float)))
    np.testing.assert_allclose(kendall_tau(x, y), stats.kendalltau(x, y).statistic, atol=1e-12)


def test_tau_is_batched_ignores_nan_and_ranks_diverged_last() -> None:
    x = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert kendall_tau(x, x[:1]).tolist() == [1.0, -1.0]
    assert kendall_tau(np.array([1, 2, np.nan, 3]), np.array([1, 2, -9.0, 3])) == 1.0
    worst = np.array([-np.inf, 2.0, -np.inf, 3.0])
    assert kendall_tau(worst, worst) == 1.0
    assert kendall_tau(worst, np.array([0.1, 2.0, 0.2, 3.0])) == pytest.approx(
        stats.kendalltau([0, 1, 0, 2], [0, 2, 1, 3]).statistic
    )
    assert math.isnan(float(kendall_tau(np.ones(4), np.arange(4.0))))


@settings(deadline=None, max_examples=60)
@given(st.permutations(range(6)), st.permutations(range(6)), st.integers(1, 6))
def test_recall_without_ties_is_the_size_of_an_intersection(
    x: list[int], y: list[int], k: int
) -> None:
    best = [set(np.argsort(v)[::-1][:k].tolist()) for v in (x, y)]
    expected = len(best[0] & best[1]) / k
    assert top_k_recall(np.array(x, float), np.array(y, float), k) == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(5)), st.integers(1, 5), npst.arrays(float, 5, elements=st.just(1.0)))
def test_constant_scores_recall_what_a_random_pick_would(
    y: list[int], k: int, x: np.ndarray
) -> None:
    best = set(np.argsort(y)[::-1][:k].tolist())
    picks = [len(best & set(pick)) / k for pick in combinations(range(5), k)]
    assert top_k_recall(x, np.array(y, float), k) == pytest.approx(np.mean(picks))


def test_recall_of_duplicates_nan_and_bad_k() -> None:
    twice = np.array([5.0, 5.0, 3.0, 1.0])
    assert top_k_recall(twice, twice, 1) == 1.0
    assert top_k_recall(np.array([1.0, np.nan]), np.array([2.0, 3.0]), 3) == 1.0
    assert math.isnan(float(top_k_recall(np.array([np.nan]), np.array([1.0]), 1)))
    with pytest.raises(ValueError, match="k must be at least 1"):
        top_k_recall(twice, twice, 0)


def test_regret_by_hand() -> None:
    reference, outcome = np.array([0.7, 0.9, 0.8]), np.array([0.71, 0.88, 0.90])
    assert regret(np.array([1.0, 3.0, 2.0]), reference, outcome) == pytest.approx(0.0)
    assert regret(np.array([3.0, 1.0, 2.0]), reference, outcome) == pytest.approx(0.88 - 0.71)
    # A choice that does better on test data than full training's own has a negative regret.
    assert regret(np.array([1.0, 2.0, 3.0]), reference, outcome) == pytest.approx(-0.02)
    # A tie between the first two costs half of the first one's loss.
    tied = regret(np.array([2.0, 2.0, 1.0]), reference, outcome)
    assert tied == pytest.approx((0.88 - 0.71) / 2)
    diverged = regret(np.array([3.0, 1.0, 2.0]), reference, np.array([np.nan, 0.88, 0.9]))
    assert math.isnan(float(diverged))
    assert math.isnan(float(regret(np.full(2, np.nan), np.ones(2), np.ones(2))))


@settings(deadline=None, max_examples=60)
@given(st.data(), scores, st.integers(1, 5))
def test_promoted_regret_against_every_way_to_break_ties(
    data: st.DataObject, x: np.ndarray, k: int
) -> None:
    n = len(x[:6])
    x = np.where(x[:6] == 4, -np.inf, x[:6])  # diverged ones among them
    reference = np.array(data.draw(st.permutations(range(n))), dtype=float)
    outcome = np.random.default_rng(n).normal(size=n)
    found = float(promoted_regret(x, reference, outcome, k))
    usable = np.flatnonzero(np.isfinite(x))
    if not usable.size:
        assert math.isnan(found)
        return
    kept = []
    for order in permutations(usable):
        promoted = sorted(order, key=lambda i: -x[i])[:k]
        kept.append(outcome[max(promoted, key=lambda i: reference[i])])
    assert found == pytest.approx(outcome[reference.argmax()] - np.mean(kept))
    assert promoted_regret(x, reference, outcome, 1) == pytest.approx(
        float(regret(x, reference, outcome))
    )


def test_a_configuration_drawn_twice_is_promoted_once() -> None:
    # Scores 3, 2, 1; full training likes the second best: two promoted keep it, drawn twice or not.
    cube = numbered(np.array([[3.0, 2.0, 1.0], [0.5, 0.9, 0.7], [0.5, 0.9, 0.7]])[:, :, None])
    assert promoted_regret_of(cube, 1) == pytest.approx(0.4)
    assert promoted_regret_of(cube, 2) == pytest.approx(0.0)
    twice = cube[:, [0, 0, 1, 2]]
    assert promoted_regret_of(twice, 2) == pytest.approx(0.0)


def test_hand_sweep_ranks_as_worked_out(tmp_path: Path) -> None:
    # Full training prefers configuration 1 (0.90 against 0.80); cached and gradmatch agree;
    # random_pb diverged there and ranks it last, losing 0.10.
    table = choice_table(load(write_hand_sweep(tmp_path)), k=1).set_index("arm")
    assert table["tau"].to_dict() == {"cached": 1.0, "gradmatch": 1.0, "random_pb": -1.0}
    assert table["recall"].to_dict() == {"cached": 1.0, "gradmatch": 1.0, "random_pb": 0.0}
    assert table["regret"].tolist() == pytest.approx([0.0, 0.0, 0.1])
    # random_pb's other configuration diverged and is not promoted, however many there is room for.
    assert table["promoted_regret"].tolist() == pytest.approx([0.0, 0.0, 0.1])
    assert (table["resampled"] == "").all()
    assert table["tau_low"].isna().all()


def test_seeds_are_averaged_before_ranking_and_minimised_metrics_turn_round(
    tmp_path: Path,
) -> None:
    sweep = Sweep(seeds=(0, 1), noise=0.0, arms=dict(ARMS) | {"cached": Arm(0.03)})
    results = load(sweep.write(tmp_path))
    cube = choice_cube(results, "cached")
    assert cube.shape == (3, 6, 2)
    assert (np.diff(cube[1].mean(axis=1)) > 0).all()  # quality rises with the number
    table = choice_table(results).set_index("arm")
    assert table.at["cached", "tau"] == 1.0
    assert table.at["cached", "regret"] == 0.0
    flipped = load(tmp_path)
    minimised = type(flipped)(**{**vars(flipped), "mode": "min"})
    assert (np.diff(choice_cube(minimised, "cached")[1].mean(axis=1)) < 0).all()


def test_tau_of_a_noisy_arm_is_scipys_on_the_averages(tmp_path: Path) -> None:
    sweep = Sweep(arms=dict(ARMS) | {"cached": Arm(0.03, 0.08)}, noise=0.02, generator_seed=4)
    results = load(sweep.write(tmp_path))
    means = results.search.groupby(["arm", "configuration"])["val"].mean()
    expected = stats.kendalltau(means["cached"], means["full"]).statistic
    table = choice_table(results, resamples=200).set_index("arm")
    assert table.at["cached", "tau"] == pytest.approx(expected)
    assert table.at["cached", "tau_low"] <= expected <= table.at["cached", "tau_high"]
    points = choice_points(results).set_index(["arm", "configuration"])
    assert points.loc["cached", "score"].tolist() == pytest.approx(means["cached"].tolist())


def test_no_full_training_no_table(tmp_path: Path) -> None:
    results = load(write_hand_sweep(tmp_path, arms=("seed", "cached")))
    assert choice_table(results).empty
    assert choice_points(results).empty


def test_scores_on_a_part_of_the_validation_split_make_rankings_less_sure(tmp_path: Path) -> None:
    sweep = Sweep(arms={"full": ARMS["full"], "random": Arm(0.02)}, promote=False)
    trials, epochs = sweep.frames()
    sweep.write(tmp_path / "whole")
    write_frames(tmp_path / "part", trials, epochs.assign(validation_standard_error=0.05))
    (tmp_path / "part" / "sweep.yaml").write_bytes((tmp_path / "whole/sweep.yaml").read_bytes())
    whole, part = (
        choice_table(load(tmp_path / name)).set_index("arm").loc["random"]
        for name in ("whole", "part")
    )
    assert part["tau"] == whole["tau"]
    assert part["tau_low"] < whole["tau_low"] - 0.1


def test_what_was_not_chosen_needs_no_outcome() -> None:
    reference, outcome = np.array([0.9, 0.5, 0.1]), np.array([1.0, math.nan, math.inf])
    assert promoted_regret(np.array([3.0, 2.0, 1.0]), reference, outcome, 1) == 0.0
    assert math.isnan(promoted_regret(np.array([2.0, 3.0, 1.0]), reference, outcome, 1))
