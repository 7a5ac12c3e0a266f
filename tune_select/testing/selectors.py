"""Conformance tests that a selector of your own inherits in three lines.

    class TestMySelector(SelectorConformance):
        def make(self) -> Selector:
            return MySelector()

``MiniBatchSelectorConformance`` is the same for selectors inside the mini-batch. Both need the
``test`` extra (pytest and Hypothesis).
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.weighting import EarlyStopWarning


def make_signals(
    n: int = 60, classes: int = 3, dimension: int = 5, *, seed: int = 0, validation: int = 12
) -> Signals:
    """Signals of a softmax classifier on Gaussian features, with every class present.

    Args:
        n: Number of training examples, at least ``classes``.
        classes: C.
        dimension: D.
        seed: The seed of the features and labels.
        validation: Number of validation examples; 0 for no validation split.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(size: int) -> Signals:
        labels = torch.arange(size) % classes
        labels = labels[torch.randperm(size, generator=generator)]
        inputs = torch.randn(size, dimension, generator=generator)
        logits = torch.randn(size, classes, generator=generator)
        targets = torch.nn.functional.one_hot(labels, classes)
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        return Signals(labels, inputs, logits.softmax(1) - targets, losses=losses)

    return replace(draw(n), validation=draw(validation) if validation else None)


class SelectorConformance:
    """What every whole-dataset selector promises."""

    exact_budget = True
    """Whether a subset has exactly ``budget`` examples (``Full`` is the exception)."""

    smallest_budget = 3
    """The least budget on the three classes that the tests use; 3 for per-class selectors."""

    equivariant = False
    """Whether the choice follows the examples into another order: no randomness, no ties."""

    def make(self) -> Selector:
        """The selector under test."""
        raise NotImplementedError

    def pick(self, signals: Signals, budget: int, seed: int = 0) -> Subset:
        """Select with a fresh generator; an early stop is allowed here.

        Args:
            signals: The signals of a training set.
            budget: Number k to choose.
            seed: The seed of the generator.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EarlyStopWarning)
            return self.make().select(signals, budget, torch.Generator().manual_seed(seed))

    def check(self, subset: Subset, n: int, budget: int) -> None:
        """Assert the invariants of a subset of n examples.

        Args:
            subset: What a selector chose.
            n: Number of training examples.
            budget: Number k that was asked for.
        """
        size = budget if self.exact_budget else len(subset)
        assert subset.indices.shape == subset.weights.shape == (size,)
        assert subset.indices.dtype == torch.int64
        assert subset.weights.dtype == torch.float32
        assert subset.indices.device.type == subset.weights.device.type == "cpu"
        assert len(set(subset.indices.tolist())) == size
        assert int(subset.indices.min()) >= 0
        assert int(subset.indices.max()) < n
        assert bool(torch.isfinite(subset.weights).all())
        assert float(subset.weights.min()) >= 0.0
        assert float(subset.weights.mean()) == pytest.approx(1.0, abs=1e-4)
        assert 0 <= subset.filled <= budget
        if subset.batches is not None:
            assert subset.batches.shape == (size,)
            assert subset.batches.dtype == torch.int32
        if subset.gradient_error is not None:
            assert subset.gradient_error >= 0.0

    # Without an example database it is safe that several subclasses share one test.
    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(data=st.data())
    def test_subsets_are_well_formed(self, data: st.DataObject) -> None:
        """Any data, any budget from the smallest to all: the invariants hold."""
        n = data.draw(st.integers(3, 40))
        dimension = data.draw(st.integers(1, 8))
        seed = data.draw(st.integers(0, 10_000))
        budget = data.draw(st.integers(min(self.smallest_budget, n), n))
        signals = make_signals(n, dimension=dimension, seed=seed)
        self.check(self.pick(signals, budget, seed), n, budget)

    @pytest.mark.parametrize("budgets", [[20], [3, 20, 21, 60], [20, 20]])
    def test_a_path_has_a_subset_for_every_budget(self, budgets: list[int]) -> None:
        """Each is well formed, and a path of one budget is the selection itself."""
        signals = make_signals()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EarlyStopWarning)
            path = self.make().select_path(signals, budgets, torch.Generator().manual_seed(5))
        assert len(path) == len(budgets)
        for subset, budget in zip(path, budgets, strict=True):
            self.check(subset, len(signals), budget)
        if len(budgets) == 1:
            alone = self.pick(signals, budgets[0], seed=5)
            assert torch.equal(path[0].indices, alone.indices)
            assert torch.equal(path[0].weights, alone.weights)

    def test_a_path_goes_from_the_smallest_budget_to_the_largest(self) -> None:
        """Anything else is refused by what was given."""
        for budgets in ([20, 3], []):
            with pytest.raises(ValueError, match=re.escape(str(budgets))):
                self.make().select_path(make_signals(), budgets, torch.Generator())

    @pytest.mark.parametrize("budget", [3, 20, 60])
    def test_same_generator_same_subset(self, budget: int) -> None:
        """All randomness comes from the generator."""
        signals = make_signals()
        torch.manual_seed(1)
        first = self.pick(signals, budget, seed=7)
        torch.manual_seed(2)
        second = self.pick(signals, budget, seed=7)
        assert torch.equal(first.indices, second.indices)
        assert torch.equal(first.weights, second.weights)

    def test_global_random_state_is_left_alone(self) -> None:
        """Selecting draws nothing from PyTorch's global generator."""
        torch.manual_seed(3)
        before = torch.get_rng_state()
        self.pick(make_signals(), 20)
        assert torch.equal(before, torch.get_rng_state())

    def test_inputs_are_not_written_to(self) -> None:
        """Signals are read-only."""
        signals = make_signals()
        copies = [x.clone() for x in (signals.labels, signals.inputs, signals.output_gradients)]
        self.pick(signals, 20)
        for copy, now in zip(
            copies, (signals.labels, signals.inputs, signals.output_gradients), strict=True
        ):
            assert torch.equal(copy, now)

    @pytest.mark.parametrize("budget", [0, -1, 61])
    def test_budget_outside_the_data_is_refused(self, budget: int) -> None:
        """A budget below 1 or above n is an error that says so."""
        with pytest.raises(ValueError, match="budget"):
            self.pick(make_signals(), budget)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_signals_must_be_finite(self, value: float) -> None:
        """NaN or infinite gradients are an error where gradients are used."""
        signals = make_signals()
        signals.output_gradients[5, 1] = value
        if self.make().needs_gradients:
            with pytest.raises(ValueError, match="NaN"):
                self.pick(signals, 20)
        else:
            self.check(self.pick(signals, 20), 60, 20)

    def test_zero_gradients(self) -> None:
        """A model without any gradient left still gets a subset."""
        signals = make_signals()
        signals.output_gradients.zero_()
        assert signals.validation is not None
        signals.validation.output_gradients.zero_()
        self.check(self.pick(signals, 20), 60, 20)

    def test_duplicated_examples(self) -> None:
        """Ten copies of six examples: still distinct positions and finite weights."""
        signals = make_signals(6).take(torch.arange(60) % 6)
        for budget in (6, 30, 60):
            self.check(self.pick(signals, budget), 60, budget)

    def test_order_of_the_examples(self) -> None:
        """Where a selector draws nothing, the order of the examples does not matter."""
        if not self.equivariant:
            pytest.skip("this selector draws from its generator")
        signals = make_signals()
        order = torch.randperm(60, generator=torch.Generator().manual_seed(4))
        first, second = self.pick(signals, 20), self.pick(signals.take(order), 20)
        one = torch.zeros(60).index_put((first.indices,), first.weights)
        two = torch.zeros(60).index_put((order[second.indices],), second.weights)
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)

    def test_single_example_classes(self) -> None:
        """Classes of one example each."""
        self.check(self.pick(make_signals(3), 3), 3, 3)

    def test_settings_are_plain_values(self) -> None:
        """Settings survive JSON, so that a manifest can hold them."""
        chosen = self.make().settings()
        assert json.loads(json.dumps(chosen)) == chosen
