"""What every selector inside the mini-batch takes and returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchSignals:
    """What the selection pass over a mini-batch of M examples saw, on the training device.

    Attributes:
        losses: float32 (M,), detached per-example losses; zeros where ``measured`` is false.
        inputs: float32 (M, D) last-layer inputs h, or (M, T, D) for sequences; (M, 0) when the
            selector does not need gradients.
        output_gradients: float32 (M, C) or (M, T, C), the gradients p of each example's own loss at
            the last layer's outputs; (M, 0) when not needed.
        bias: Whether the last layer has a bias, which adds p itself to an example's gradient.
        indices: int64 (M,) positions in the training set, on the CPU; ``None`` when unknown.
        measured: Whether there was a selection pass (see ``Plan``).
    """

    losses: Tensor
    inputs: Tensor
    output_gradients: Tensor
    bias: bool = True
    indices: Tensor | None = None
    measured: bool = True

    def __len__(self) -> int:
        return self.losses.shape[0]

    @classmethod
    def of_losses(cls, losses: Tensor, indices: Tensor | None = None) -> BatchSignals:
        """Signals for selectors that need no gradients, from losses (M,)."""
        empty = losses.new_empty(losses.shape[0], 0)
        return cls(losses=losses, inputs=empty, output_gradients=empty, indices=indices)

    @classmethod
    def unmeasured(cls, indices: Tensor, device: torch.device | str = "cpu") -> BatchSignals:
        """Signals of a batch without a selection pass: who the examples are, and no more."""
        empty = torch.empty(indices.shape[0], 0, device=device)
        losses = torch.zeros(indices.shape[0], device=device)
        return cls(losses, empty, empty, indices=indices, measured=False)


@dataclass(frozen=True)
class Choice:
    """Which examples of the mini-batch go through the backward pass.

    Attributes:
        positions: int64 (m,) positions in the mini-batch, on the signals' device; distinct unless
            the method samples with replacement.
        weights: float32 (m,) non-negative, mean 1.
    """

    positions: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return self.positions.shape[0]

    @classmethod
    def unweighted(cls, positions: Tensor) -> Choice:
        """``positions`` with weights of one."""
        return cls(positions, torch.ones(positions.shape[0], device=positions.device))

    @classmethod
    def whole(cls, signals: BatchSignals) -> Choice:
        """Every example of the mini-batch, with weights of one."""
        return cls.unweighted(torch.arange(len(signals), device=signals.losses.device))


@dataclass(frozen=True)
class Progress:
    """Where in the training a mini-batch stands; everything counts from 0.

    Attributes:
        epoch: The current epoch.
        max_epochs: Epochs of the whole run.
        batch: Number of the candidate batch within the epoch.
    """

    epoch: int
    max_epochs: int
    batch: int


class Plan(Enum):
    """What to do with a candidate batch."""

    MEASURE = "run a selection pass, then choose"
    CHOOSE = "choose without a selection pass"
    WHOLE = "train on the whole batch, as without selection"


class MiniBatchSelector(ABC):
    """Chooses, after a forward pass over M examples, those that go through the backward pass.

    A selector may keep state between mini-batches (a ring buffer of losses, method weights);
    ``state_dict`` and ``load_state_dict`` carry it through a checkpoint. Randomness comes from the
    generator alone, which may live on the CPU or on the signals' device. Behaviour is added by
    wrapping (``Scheduled(GradientMatching())``), not by flags.

    For each candidate batch the loop calls ``plan`` once, then ``choose`` unless the plan was to
    train on the whole batch; after training on a whole batch it calls ``observe``.
    """

    needs_gradients: bool = False
    """Whether ``BatchSignals.inputs`` and ``output_gradients`` must be collected."""

    needs_losses: bool = True
    """Whether ``choose`` looks at the signals at all; if not, no selection pass is spent on it."""

    variable_size: bool = False
    """Whether ``choose`` may return any number of examples; the loop then collects chosen
    examples until a full batch is there (Jiang et al. 2019, Algorithm 1)."""

    def plan(self, progress: Progress) -> Plan:
        """What to do with the next candidate batch."""
        return Plan.MEASURE if self.needs_losses else Plan.CHOOSE

    @abstractmethod
    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        """Choose ``budget`` of the M examples (all M when M <= budget).

        Args:
            signals: What is known of the mini-batch's M examples.
            budget: Number m to choose.
            generator: The generator of every draw, on the device of the signals.

        Raises:
            ValueError: ``budget`` is below 1, the losses are not one per example, or, where that
                can be seen without waiting for a device, they are not finite.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values, for logs."""

    def observe(self, losses: Tensor) -> None:
        """Take note of the training losses (B,) of a batch that was trained on whole."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that must survive a checkpoint; tensors and plain values only."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""

    def metrics(self) -> dict[str, Tensor]:
        """Scalars to log beside the loss (AdaSelection's method weights, for one).

        Tensors of shape () on the signals' device: reading them is left to whoever logs, so that
        a GPU need not be waited for after each batch.
        """
        return {}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({arguments})"


def require_valid(signals: BatchSignals, budget: int) -> None:
    """Refuse what no selector can work with.

    Whether losses on a GPU are finite is not asked here: the answer would stall the device after
    every batch. The training loop asks once per epoch.

    Raises:
        ValueError: As ``MiniBatchSelector.choose``.
    """
    if budget < 1:
        raise ValueError(f"budget must be at least 1, got {budget}: raise keep or the batch size")
    losses = signals.losses
    if losses.ndim != 1:
        raise ValueError(
            f"losses must be one per example, shape (M,), got {tuple(losses.shape)}: "
            "use reduction='none' and average over all other dimensions"
        )
    if losses.device.type == "cpu" and not bool(torch.isfinite(losses).all()):
        bad = int((~torch.isfinite(losses)).sum())
        raise ValueError(
            f"losses of {bad} of {len(losses)} examples are not finite: lower the learning rate, "
            "clip gradients, or look for bad inputs"
        )


def uniform_draws(count: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """``count`` uniform draws from [0, 1), float32 on the device of ``like``.

    Args:
        count: How many.
        like: A tensor on the device that is wanted.
        generator: The generator, on that device.
    """
    draws = torch.rand(count, generator=generator, device=generator.device)
    return draws.to(like.device, non_blocking=True)
