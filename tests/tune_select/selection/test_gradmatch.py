from __future__ import annotations

import warnings
from itertools import combinations
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.selection import (
    EarlyStopWarning,
    GradMatch,
    Random,
    Selector,
    Signals,
    gradient_error,
    gradient_sum,
    nonnegative_omp,
)
from tune_select.selection.pursuit.matching import Matcher, MatchingProblem
from tune_select.testing import SelectorConformance, make_signals

quick = settings(max_examples=25, deadline=None, derandomize=True)


class TestGradMatch(SelectorConformance):
    equivariant = True

    def make(self) -> Selector:
        return GradMatch()


class TestGradMatchOfThePaper(SelectorConformance):
    equivariant = True

    def make(self) -> Selector:
        return GradMatch(mass=0.0, units="absolute")


class TestGradMatchLayer(SelectorConformance):
    equivariant = True

    def make(self) -> Selector:
        return GradMatch(gradients="layer")


class TestGradMatchOutputs(SelectorConformance):
    def make(self) -> Selector:
        return GradMatch(gradients="outputs", regularization=0.0)


class TestGradMatchAll(SelectorConformance):
    equivariant = True
    smallest_budget = 1

    def make(self) -> Selector:
        return GradMatch(gradients="layer", per_class=False)


class TestGradMatchValidation(SelectorConformance):
    equivariant = True

    def make(self) -> Selector:
        return GradMatch(match="validation")


FORMS: list[dict[str, Any]] = [
    {"gradients": "class"},
    {"gradients": "layer"},
    {"gradients": "outputs"},
    {"gradients": "layer", "per_class": False},
    {"gradients": "outputs", "per_class": False},
]


def materialised(signals: Signals, label: int, form: str) -> torch.Tensor:
    """Per-example gradients (n, d) in the given form, written out."""
    with_bias = torch.cat([signals.inputs, torch.ones(len(signals), 1)], 1).double()
    outputs = signals.output_gradients.double()
    if form == "class":
        return with_bias * outputs[:, label : label + 1]
    if form == "outputs":
        return outputs
    return (outputs[:, :, None] * with_bias[:, None, :]).flatten(1)


@pytest.mark.parametrize("match", ["train", "validation"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_equals_pursuit_on_gradients_written_out(form: dict[str, Any], match: str) -> None:
    signals = make_signals(50, classes=3, dimension=4, seed=1, validation=30)
    assert signals.validation is not None
    chosen = GradMatch(mass=0.0, match=match, **form).select(signals, 15, torch.Generator())
    weights = torch.zeros(50, dtype=torch.float64)
    for label in range(3) if form.get("per_class", True) else [-1]:
        members = (signals.labels == label).nonzero().squeeze(1) if label >= 0 else torch.arange(50)
        atoms = materialised(signals.take(members), label, form["gradients"])
        target = atoms.sum(0)
        if match == "validation":
            same = signals.validation.labels == label if label >= 0 else torch.ones(30).bool()
            part = signals.validation.take(same.nonzero().squeeze(1))
            target = materialised(part, label, form["gradients"]).sum(0) * 50 / 30
        energy = float(atoms.square().sum(1).mean())
        part = chosen.indices[torch.isin(chosen.indices, members)]
        found = nonnegative_omp(atoms, target, budget=len(part), regularization=0.5 * energy)
        weights[members[found.support]] = found.weights
    assert chosen.filled == 0
    expected = weights[chosen.indices]
    torch.testing.assert_close(
        chosen.weights.double(), expected / expected.mean(), rtol=1e-4, atol=1e-5
    )


@quick
@given(seed=st.integers(0, 10**6), fraction=st.sampled_from([0.1, 0.2, 0.4]))
def test_closer_to_the_mean_gradient_than_random(seed: int, fraction: float) -> None:
    signals = make_signals(200, dimension=6, seed=seed)
    budget = round(200 * fraction)
    error = GradMatch(gradients="layer").select(signals, budget, torch.Generator()).gradient_error
    random = [
        gradient_error(signals, Random().select(signals, budget, torch.Generator().manual_seed(i)))
        for i in range(5)
    ]
    assert error is not None
    assert error < min(random)


def learned_signals() -> Signals:
    """Most examples are learned and have next to no gradient; a few are far off."""
    signals = make_signals(300, dimension=6, seed=0)
    signals.output_gradients[30:] *= 0.02
    return signals


def test_mass_keeps_the_length_of_the_mean_gradient() -> None:
    signals = learned_signals()
    mean = gradient_sum(signals) / 300
    lengths = {}
    for mass in (0.0, 1.0):
        subset = GradMatch(mass=mass).select(signals, 30, torch.Generator())
        lengths[mass] = gradient_sum(signals, subset.weights, subset.indices).norm() / 30
    assert float(lengths[0.0] / mean.norm()) > 4.0
    assert float(lengths[1.0] / mean.norm()) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("form", [FORMS[0], FORMS[1], FORMS[3]], ids=str)
def test_exact_best_subset_bounds_the_error(form: dict[str, Any]) -> None:
    """All supports of 3 out of 10, each with its own best weights, by brute force."""
    signals = make_signals(10, classes=1, dimension=2, seed=4)
    signals.output_gradients.normal_(generator=torch.Generator().manual_seed(2))
    atoms = materialised(signals, 0, form["gradients"])
    selector = GradMatch(regularization=1e-9, mass=0.0, **form)
    subset = selector.select(signals, 3, torch.Generator())
    scale = torch.linalg.lstsq(
        (subset.weights.double() @ atoms[subset.indices])[:, None], atoms.sum(0)[:, None]
    ).solution
    mine = float((scale * subset.weights @ atoms[subset.indices] - atoms.sum(0)).norm())
    best = min(
        float(nonnegative_omp(atoms[list(s)], atoms.sum(0), budget=3, tolerance=0.0).residual)
        for s in combinations(range(10), 3)
    ) * float(atoms.sum(0).norm())
    assert mine >= best - 1e-6


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_order_of_the_examples_does_not_matter(form: dict[str, Any]) -> None:
    signals = make_signals(80, seed=2)
    order = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    first = GradMatch(**form).select(signals, 24, torch.Generator())
    second = GradMatch(**form).select(signals.take(order), 24, torch.Generator())
    one = torch.zeros(80).index_put((first.indices,), first.weights)
    two = torch.zeros(80).index_put((order[second.indices],), second.weights)
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-12, 1e6])
def test_scale_of_the_gradients_does_not_matter(scale: float) -> None:
    signals, scaled = make_signals(60), make_signals(60)
    scaled.output_gradients.mul_(scale)
    first = GradMatch().select(signals, 15, torch.Generator())
    second = GradMatch().select(scaled, 15, torch.Generator())
    assert first.indices.tolist() == second.indices.tolist()
    torch.testing.assert_close(first.weights, second.weights, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("units", "ridge", "tolerance", "weights"),
    [
        # Orthogonal atoms of squared norms 4 and 1: each weight is a^2 / (a^2 + lambda) by itself.
        ("absolute", 0.5, 1e-10, [4 / 4.5, 1 / 1.5]),
        ("relative", 0.5, 1e-10, [4 / 5.25, 1 / 2.25]),  # lambda = 0.5 * 2.5
        # What the first atom leaves is 1, of a target of squared norm 5.
        ("absolute", 0.0, 0.9, [1.0, 1.0]),
        ("absolute", 0.0, 1.1, [1.0]),
        ("relative", 0.0, 0.19, [1.0, 1.0]),
        ("relative", 0.0, 0.21, [1.0]),
    ],
)
def test_units_of_lambda_and_epsilon(
    units: Any, ridge: float, tolerance: float, weights: list[float], together: bool
) -> None:
    atoms = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    problem = MatchingProblem(atoms, torch.ones(2, 1), torch.tensor([[2.0, 1.0]]).double(), 2)
    matcher = Matcher(ridge, tolerance, 0.0, units)
    solution = matcher.solve_together([problem])[0] if together else matcher.solve_one(problem)
    order = solution.support.argsort()
    assert solution.support[order].tolist() == list(range(len(weights)))
    assert solution.weights[order].tolist() == pytest.approx(weights)


def test_classes_get_their_share_of_the_budget() -> None:
    signals = make_signals(90).take(torch.arange(70))
    chosen = GradMatch().select(signals, 21, torch.Generator())
    shares = torch.bincount(signals.labels[chosen.indices]).double()
    expected = torch.bincount(signals.labels).double() * 21 / 70
    assert float((shares - expected).abs().max()) < 1.0


def test_early_stop_is_filled_with_the_mean_weight_and_said() -> None:
    """Two output gradients per class span all: without ridge, two atoms match exactly."""
    signals = make_signals(60, classes=2)
    selector = GradMatch(gradients="outputs", regularization=0.0, mass=0.0)
    with pytest.warns(EarlyStopWarning, match="drew the rest"):
        subset = selector.select(signals, 20, torch.Generator().manual_seed(0))
    assert subset.filled == 18
    values, counts = torch.unique(subset.weights, return_counts=True)
    # One atom and nine fillers of its own weight in each class.
    assert counts.tolist() == [10, 10] or (len(values) == 1 and counts.tolist() == [20])
    again = selector_quietly(selector, signals, 20)
    assert torch.equal(again.indices, subset.indices)


def selector_quietly(selector: Selector, signals: Signals, budget: int):  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EarlyStopWarning)
        return selector.select(signals, budget, torch.Generator().manual_seed(0))


def test_ridge_makes_early_stops_rare() -> None:
    signals = make_signals(60, classes=2)
    assert GradMatch(gradients="outputs").select(signals, 20, torch.Generator()).filled == 0


def test_task_without_classes_matches_the_whole_layer() -> None:
    signals = make_signals(40)
    signals.labels.zero_()
    one = GradMatch().select(signals, 10, torch.Generator())
    two = GradMatch(gradients="layer").select(signals, 10, torch.Generator())
    assert one.indices.tolist() == two.indices.tolist()


def test_any_vectors_will_do() -> None:
    """Gradients that do not factorise: vectors as inputs, ones as outputs, no bias."""
    vectors = torch.randn(40, 7, generator=torch.Generator().manual_seed(0)) + 0.3
    signals = Signals(torch.zeros(40, dtype=torch.int64), vectors, torch.ones(40, 1), bias=False)
    subset = GradMatch(regularization=0.0, mass=0.0).select(signals, 5, torch.Generator())
    found = nonnegative_omp(vectors, budget=5)
    assert sorted(subset.indices.tolist()) == sorted(found.support.tolist())


@pytest.mark.parametrize("together", [1, 40, 10**9])
def test_lockstep_batches_give_the_same_subsets(
    monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    """What other devices do, run on the CPU, in batches of one class, of some, of all."""
    monkeypatch.setattr("tune_select.selection.pursuit.matching._BATCH_VALUES", together)
    generator = torch.Generator().manual_seed(0)
    problems = [
        MatchingProblem(
            inputs := torch.randn(n, 6, generator=generator, dtype=torch.float64),
            outputs := torch.randn(n, 2, generator=generator, dtype=torch.float64),
            outputs.T @ inputs,
            max(1, n // 3),
        )
        for n in (12, 30, 7, 22)
    ]
    matcher = Matcher(regularization=0.5, tolerance=1e-10, mass=1.0)
    builders = [lambda problem=problem: problem for problem in problems]
    other = matcher.solve(builders, torch.device("meta"))  # any device that is not the CPU
    serial = matcher.solve(builders, torch.device("cpu"))
    for one, two in zip(serial, other, strict=True):
        assert sorted(one.support.tolist()) == sorted(two.support.tolist())


def test_threads_change_nothing() -> None:
    signals = make_signals(90, classes=5)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        serial = GradMatch().select(signals, 30, torch.Generator())
        torch.set_num_threads(3)
        parallel = GradMatch().select(signals, 30, torch.Generator())
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(serial.indices, parallel.indices)
    assert torch.equal(serial.weights, parallel.weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"regularization": -0.1}, "regularization"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"mass": -1.0}, "mass"),
        ({"units": "raw"}, "units"),
        ({"match": "test"}, "match"),
        ({"gradients": "all"}, "gradients"),
        ({"per_class": False}, "per_class=True"),
    ],
)
def test_bad_settings(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradMatch(**arguments)


def test_what_cannot_be_met_is_refused() -> None:
    signals = make_signals(30)
    with pytest.raises(ValueError, match="at least one example per class"):
        GradMatch().select(signals, 2, torch.Generator())
    with pytest.raises(ValueError, match="validation_fraction"):
        GradMatch(match="validation").select(make_signals(30, validation=0), 9, torch.Generator())
    signals.labels[0] = 3
    with pytest.raises(ValueError, match="one output per class"):
        GradMatch().select(signals, 9, torch.Generator())
    with pytest.raises(ValueError, match=r"signals\.inputs must have shape \(30, d\)"):
        GradMatch().select(Signals.labels_only(signals.labels), 9, torch.Generator())
