"""What every whole-dataset selector takes and returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Signals:
    """What a selector may know of n examples, in evaluation mode and without augmentation.

    The last-layer gradient of example i is the outer product of ``output_gradients[i]`` and
    ``[inputs[i], 1]``, and is never materialised where the identity
    ``<g_i, g_j> = (h_i . h_j + 1)(p_i . p_j)`` serves (Balles et al., eq. 4). A task whose
    gradients do not factorise passes any per-example vectors (or their random projections) as
    ``inputs``, ones of shape (n, 1) as ``output_gradients`` and ``bias=False``: then
    ``<g_i, g_j> = h_i . h_j``.

    Attributes:
        labels: int64 (n,); what per-class selectors group by. All zero for a task without classes.
        inputs: float32 (n, D), the inputs h of the last linear layer. (n, 0) when not collected.
        output_gradients: float32 (n, C), the gradients p of each example's own loss with respect to
            the outputs of the last layer. (n, 0) when not collected.
        bias: Whether the last layer has a bias, which adds p_i itself to the gradient of example i.
        losses: float32 (n,) per-example losses, or (0,) when not collected.
        validation: The same of the validation examples, for selectors that match or evaluate there.
        class_outputs: Whether output c is the score of class c; not so for an embedding, a
            reconstruction, several heads or vectors.
    """

    labels: Tensor
    inputs: Tensor
    output_gradients: Tensor
    bias: bool = True
    losses: Tensor = field(default_factory=lambda: torch.empty(0))
    validation: Signals | None = None
    class_outputs: bool = True

    def __len__(self) -> int:
        return self.labels.shape[0]

    def take(self, positions: Tensor) -> Signals:
        """Signals of the examples at ``positions``, int64 (m,), with the same validation split."""

        def rows(values: Tensor) -> Tensor:
            return values[positions.to(values.device)]

        return replace(
            self,
            labels=rows(self.labels),
            inputs=rows(self.inputs),
            output_gradients=rows(self.output_gradients),
            losses=rows(self.losses) if len(self.losses) else self.losses,
        )

    def with_validation(self, validation: Signals | None) -> Signals:
        """The same training examples beside another validation split."""
        return replace(self, validation=validation)

    @classmethod
    def labels_only(cls, labels: Tensor) -> Signals:
        """Signals for selectors that need no gradients: labels int64 (n,) and empty features."""
        empty = torch.empty(labels.shape[0], 0)
        return cls(labels=labels, inputs=empty, output_gradients=empty)


@dataclass(frozen=True)
class Subset:
    """A weighted subset of the training set.

    Attributes:
        indices: int64 (k,) on the CPU, distinct positions in the training set.
        weights: float32 (k,) on the CPU, finite, non-negative, mean 1.
        batches: int32 (k,) batch number of each example for per-batch selectors, which train on
            whole batches; ``None`` otherwise.
        gradient_error: ||sum_i w_i g_i / sum_i w_i - mean gradient|| / ||mean gradient|| over whole
            last-layer gradients, or ``None`` where none were collected.
        filled: How many of the k were drawn at random because the solver stopped early.
    """

    indices: Tensor
    weights: Tensor
    batches: Tensor | None = None
    gradient_error: float | None = None
    filled: int = 0

    def __len__(self) -> int:
        return self.indices.shape[0]


class Selector(ABC):
    """Chooses a weighted subset of the training set.

    Subclasses are immutable after construction, take their settings as keyword arguments,
    validate them there, and draw randomness from the generator, or, where every selection of a
    trial is to draw the same, from a ``seed`` among their settings (``drawn_once``). Behaviour is
    added by wrapping (``PerBatch(GradMatch())``), not by flags.
    """

    needs_gradients: bool = True
    """Whether ``Signals.inputs`` and ``output_gradients`` must be collected (one forward pass)."""

    needs_validation: bool = False
    """Whether ``Signals.validation`` must be collected."""

    match: Literal["train", "validation"] = "train"
    """Whose mean gradient ``Subset.gradient_error`` is measured against."""

    @abstractmethod
    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """Choose ``budget`` examples.

        Args:
            signals: The signals of the n training examples, on any one device.
            budget: k, in [1, n].
            generator: A CPU generator, the only source of randomness.

        Raises:
            ValueError: ``budget`` is outside [1, n], or the signals are not finite.
        """

    def select_path(
        self, signals: Signals, budgets: Sequence[int], generator: torch.Generator
    ) -> list[Subset]:
        """Choose one subset for each budget, as a ladder's rungs want them.

        Selectors that take examples one by one override this with a single solve, on whose way the
        smaller subsets lie; by default every budget is a selection of its own, the largest first.
        ``select_path(signals, [k], generator)`` is ``[select(signals, k, generator)]``.

        Args:
            signals: The signals of the n training examples, on any one device.
            budgets: Non-decreasing, each in [1, n].
            generator: A CPU generator, the only source of randomness.

        Raises:
            ValueError: ``budgets`` are not in order, or what ``select`` raises.
        """
        check_budgets(budgets)
        return [self.select(signals, k, generator) for k in reversed(budgets)][::-1]

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values, for manifests and logs."""

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({arguments})"


def drawn_once(seed: int) -> torch.Generator:
    """A generator for what all selections of a trial draw alike: fixed batches, a fixed subset.

    Raises:
        ValueError: ``seed`` is not a whole number of at least 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a whole number >= 0, got {seed!r}")
    return torch.Generator().manual_seed(seed)


def check_budgets(budgets: Sequence[int]) -> None:
    """Refuse budgets that are not in order.

    Raises:
        ValueError: There is none, or one is smaller than the one before it.
    """
    if not budgets or list(budgets) != sorted(budgets):
        raise ValueError(
            f"budgets must be given from the smallest to the largest, got {list(budgets)}"
        )
