"""Conformance tests for selectors inside the mini-batch; public in ``tune_select.testing``.

    class TestMySelector(MiniBatchSelectorConformance):
        def make(self) -> MiniBatchSelector:
            return MySelector()

Needs the ``test`` extra (pytest and Hypothesis).
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tune_select.selection.minibatch.base import (
    BatchSignals,
    Choice,
    MiniBatchSelector,
    Plan,
    Progress,
)


def make_batch_signals(
    size: int = 32, classes: int = 3, dimension: int = 5, *, seed: int = 0
) -> BatchSignals:
    """What a softmax classifier on Gaussian features and random labels would show.

    Args:
        size: M.
        classes: C.
        dimension: D.
        seed: The seed of the features, logits and labels.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(size, dimension, generator=generator)
    logits = torch.randn(size, classes, generator=generator)
    labels = torch.randint(classes, (size,), generator=generator)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    gradients = logits.softmax(1) - torch.nn.functional.one_hot(labels, classes)
    return BatchSignals(losses, inputs, gradients, indices=torch.arange(size))


class MiniBatchSelectorConformance:
    """What every selector inside the mini-batch promises."""

    with_replacement = False
    """Whether an example may be chosen more than once."""

    def make(self) -> MiniBatchSelector:
        """The selector under test, fresh."""
        raise NotImplementedError

    def pick(
        self,
        signals: BatchSignals,
        budget: int,
        seed: int = 0,
        selector: MiniBatchSelector | None = None,
    ) -> Choice:
        """Choose with a fresh generator and, unless one is given, a fresh selector.

        Args:
            signals: The signals of one mini-batch.
            budget: Number m to choose.
            seed: The seed of the generator.
            selector: The selector, by default a fresh one of ``make``.
        """
        chooser = self.make() if selector is None else selector
        chooser.plan(Progress(epoch=0, max_epochs=1, batch=0))
        return chooser.choose(signals, budget, torch.Generator().manual_seed(seed))

    def check(self, choice: Choice, size: int, budget: int) -> None:
        """Assert the invariants of a choice from ``size`` examples.

        Args:
            choice: What a selector chose.
            size: Number M of examples in the mini-batch.
            budget: Number m that was asked for.
        """
        positions, weights = choice.positions, choice.weights
        count = len(choice) if self.make().variable_size else min(budget, size)
        assert positions.shape == weights.shape == (count,)
        assert positions.dtype == torch.int64
        assert weights.dtype == torch.float32
        if count == 0:
            return
        assert int(positions.min()) >= 0
        assert int(positions.max()) < size
        assert self.with_replacement or len(set(positions.tolist())) == count
        assert bool(torch.isfinite(weights).all())
        assert float(weights.min()) >= 0.0
        assert float(weights.mean()) == pytest.approx(1.0, abs=1e-4)

    # Without an example database it is safe that several subclasses share one test.
    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(data=st.data())
    def test_choices_are_well_formed(self, data: st.DataObject) -> None:
        """Any batch, any budget, several batches in a row: the invariants hold."""
        size, budget = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
        dimension, seed = data.draw(st.integers(1, 8)), data.draw(st.integers(0, 10_000))
        selector = self.make()
        for batch in range(3):
            signals = make_batch_signals(size, dimension=dimension, seed=seed + batch)
            self.check(self.pick(signals, budget, seed, selector), size, budget)

    @pytest.mark.parametrize("budget", [32, 33, 100])
    def test_a_small_batch_is_taken_whole(self, budget: int) -> None:
        """With M <= m there is nothing to leave out."""
        if self.make().variable_size:
            pytest.skip("the number of chosen examples varies")
        choice = self.pick(make_batch_signals(32), budget)
        assert choice.positions.sort().values.tolist() == list(range(32))
        assert choice.weights.tolist() == [1.0] * 32

    @pytest.mark.parametrize("budget", [1, 11, 32])
    def test_same_generator_same_choice(self, budget: int) -> None:
        """All randomness comes from the generator."""
        signals = make_batch_signals()
        torch.manual_seed(1)
        first = self.pick(signals, budget, seed=7)
        torch.manual_seed(2)
        second = self.pick(signals, budget, seed=7)
        assert torch.equal(first.positions, second.positions)
        assert torch.equal(first.weights, second.weights)

    def test_global_random_state_is_left_alone(self) -> None:
        """Choosing draws nothing from PyTorch's global generator."""
        torch.manual_seed(3)
        before = torch.get_rng_state()
        self.pick(make_batch_signals(), 11)
        assert torch.equal(before, torch.get_rng_state())

    def test_signals_are_not_written_to(self) -> None:
        """Signals are read-only, also once the selector has moved on."""
        signals, selector = make_batch_signals(), self.make()
        tensors = (signals.losses, signals.inputs, signals.output_gradients)
        copies = [tensor.clone() for tensor in tensors]
        self.pick(signals, 11, selector=selector)
        self.pick(make_batch_signals(seed=1), 11, selector=selector)
        assert all(torch.equal(a, b) for a, b in zip(copies, tensors, strict=True))

    @pytest.mark.parametrize("budget", [0, -1])
    def test_budget_below_one_is_refused(self, budget: int) -> None:
        """There is always at least one example to choose."""
        with pytest.raises(ValueError, match="budget"):
            self.pick(make_batch_signals(), budget)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_losses_must_be_finite(self, value: float) -> None:
        """On a CPU, where asking is free."""
        signals = make_batch_signals()
        signals.losses[5] = value
        with pytest.raises(ValueError, match="finite"):
            self.pick(signals, 11)

    def test_losses_must_be_per_example(self) -> None:
        """A loss per token, say, is refused."""
        signals = make_batch_signals()
        signals = replace(signals, losses=signals.losses.unsqueeze(1).expand(-1, 4))
        with pytest.raises(ValueError, match="one per example"):
            self.pick(signals, 11)

    @pytest.mark.parametrize("loss", [0.0, 2.5])
    def test_equal_losses_and_no_gradients(self, loss: float) -> None:
        """Nothing to tell the examples apart: still a valid choice."""
        signals = make_batch_signals()
        signals = replace(
            signals,
            losses=torch.full_like(signals.losses, loss),
            output_gradients=torch.zeros_like(signals.output_gradients),
        )
        selector = self.make()
        for _ in range(3):
            self.check(self.pick(signals, 11, selector=selector), 32, 11)

    def test_duplicated_examples(self) -> None:
        """Eight copies of four examples: singular Gram matrices and ties."""
        some = make_batch_signals(4)
        signals = BatchSignals(
            some.losses.repeat(8),
            some.inputs.repeat(8, 1),
            some.output_gradients.repeat(8, 1),
            indices=torch.arange(32),
        )
        for budget in (2, 11, 31):
            self.check(self.pick(signals, budget), 32, budget)

    def test_state_survives_a_checkpoint(self) -> None:
        """A selector restored from a saved state chooses what the original chooses."""
        original, restored = self.make(), self.make()
        for batch in range(4):
            self.pick(make_batch_signals(seed=batch), 11, batch, original)
        saved = io.BytesIO()
        torch.save(original.state_dict(), saved)
        saved.seek(0)
        state: dict[str, Any] = torch.load(saved, weights_only=True)
        restored.load_state_dict(state)
        for batch in range(4, 7):
            signals = make_batch_signals(seed=batch)
            first = self.pick(signals, 11, batch, original)
            second = self.pick(signals, 11, batch, restored)
            assert torch.equal(first.positions, second.positions)
            assert torch.equal(first.weights, second.weights)

    def test_unneeded_signals_are_not_looked_at(self) -> None:
        """Without ``needs_gradients`` losses suffice, without ``needs_losses`` nothing does."""
        selector = self.make()
        if not selector.needs_gradients:
            signals = make_batch_signals()
            bare = BatchSignals.of_losses(signals.losses, signals.indices)
            self.check(self.pick(bare, 11), 32, 11)
        if not selector.needs_losses:
            assert selector.plan(Progress(epoch=0, max_epochs=1, batch=0)) is not Plan.MEASURE
            unmeasured = BatchSignals.unmeasured(torch.arange(32))
            self.check(self.pick(unmeasured, 11), 32, 11)

    def test_settings_are_plain_values(self) -> None:
        """Settings survive JSON, so that a log can hold them."""
        chosen = self.make().settings()
        assert json.loads(json.dumps(chosen)) == chosen

    def test_metrics_are_scalars(self) -> None:
        """Metrics are tensors without dimensions, before the first batch and after."""
        selector = self.make()
        before = selector.metrics()
        self.pick(make_batch_signals(), 11, selector=selector)
        for metrics in (before, selector.metrics()):
            assert all(value.shape == () for value in metrics.values())

    @pytest.mark.gpu
    def test_the_host_never_waits_for_a_gpu(self) -> None:
        """A fixed-size choice is made without a transfer from the device."""
        selector = self.make()
        if selector.variable_size:
            pytest.skip("the host has to learn how many were chosen")
        cpu, generator = make_batch_signals(), torch.Generator("cuda").manual_seed(0)
        signals = replace(
            cpu,
            losses=cpu.losses.cuda(),
            inputs=cpu.inputs.cuda(),
            output_gradients=cpu.output_gradients.cuda(),
        )
        selector.plan(Progress(epoch=0, max_epochs=1, batch=0))
        selector.choose(signals, 11, generator)  # warm-up: state moves to the device
        torch.cuda.set_sync_debug_mode("error")
        try:
            choice = selector.choose(signals, 11, generator)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        self.check(choice, 32, 11)
