"""Selecting whole mini-batches instead of examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tune_select.selection.base import Selector, Signals, Subset, drawn_once
from tune_select.selection.batch_gradients import batch_vectors
from tune_select.selection.gradients import check_requests, gradient_sum, with_gradient_errors
from tune_select.selection.random import Random
from tune_select.selection.weighting import make_subset


class PerBatch(Selector):
    """Applies a selector to fixed mini-batches (Killamsetty et al. 2021, section 2, E_lambda^B).

    The examples are dealt at random into batches of ``batch_size`` (the last one takes the rest,
    and is shorter); to the inner selector each batch is one example, whose gradient is the batch's
    share of the mean last-layer gradient. It thereby has B times fewer and far less noisy atoms.
    ``PerBatch(Random())`` is RandomPB of Cai et al.

    The deal hangs on ``seed`` and the number of examples alone, so that every selection of a trial
    chooses among the same batches, as in both papers (Cai et al. divide the data "into fixed
    batches"): batch 7 of one interval is batch 7 of the next.

    ceil(k / B) batches are chosen; should the short batch be among them and k out of reach, one
    random batch of mean weight joins. Examples beyond k are cut from the batch that comes last (the
    one of the lowest weight, or the one that joined), so that the subset has exactly k.

    Args:
        selector: Chooses among batches.
        batch_size: B.
        redeal: Deal new batches at every selection, from its generator, instead of fixed ones.
        seed: The seed of the fixed deal; an arm of a sweep gives its trial's.

    Raises:
        ValueError: ``batch_size`` is below 1, ``seed`` is negative, or ``selector`` already goes
            batch by batch.
    """

    def __init__(
        self, selector: Selector, *, batch_size: int = 128, redeal: bool = False, seed: int = 0
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if not isinstance(redeal, bool):
            raise ValueError(f"redeal must be true or false, got {redeal!r}")
        drawn_once(seed)
        if isinstance(selector, PerBatch):
            raise ValueError("PerBatch cannot wrap another PerBatch: give it the inner selector")
        self.selector = selector
        self.batch_size = batch_size
        self.redeal = redeal
        self.seed = seed
        self.needs_gradients = selector.needs_gradients
        self.needs_validation = selector.needs_validation
        self.match = selector.match

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class; ``batches`` numbers the batches of the whole training set."""
        return self.select_path(signals, [budget], generator)[0]

    def select_path(
        self, signals: Signals, budgets: Sequence[int], generator: torch.Generator
    ) -> list[Subset]:
        """See the base class: all budgets choose among the same batches."""
        check_requests(signals, budgets, gradients=self.needs_gradients)
        batches = self._deal(len(signals), generator)
        wanted = [-(-budget // self.batch_size) for budget in budgets]
        ground = self._batch_signals(signals, batches)
        subsets = []
        for chosen, budget in zip(
            self.selector.select_path(ground, wanted, generator), budgets, strict=True
        ):
            picks = self._reach(chosen, batches, budget, generator)
            subsets.append(self._expand(batches, picks, budget, chosen.filled))
        if not self.needs_gradients:
            return subsets
        return with_gradient_errors(signals, subsets, self.match)

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        inner = {"selector": type(self.selector).__name__, **self.selector.settings()}
        deal = {"redeal": True} if self.redeal else {"redeal": False, "seed": self.seed}
        return {"batch_size": self.batch_size, **deal, **inner}

    def _deal(self, size: int, generator: torch.Generator) -> list[Tensor]:
        """Positions of the examples of each batch."""
        if not self.redeal:
            generator = drawn_once(self.seed)
        order = torch.randperm(size, generator=generator)
        return list(torch.split(order, self.batch_size))

    def _batch_signals(self, signals: Signals, batches: list[Tensor]) -> Signals:
        """Batches as examples whose gradients average to the mean over all examples."""
        device = signals.labels.device
        labels = torch.zeros(len(batches), dtype=torch.int64, device=device)
        if not self.needs_gradients:
            return Signals.labels_only(labels)
        share = len(batches) / len(signals)
        mean = None
        if self.needs_validation and signals.validation is not None and len(signals.validation):
            # Divided by the share that all vectors are scaled by in the end.
            mean = gradient_sum(signals.validation).flatten() / (len(signals.validation) * share)
        vectors = batch_vectors(signals, batches, mean).mul_(share)
        if mean is None:
            return _as_vectors(labels, vectors)
        validation = _as_vectors(labels[:1], vectors[-1:])
        return _as_vectors(labels, vectors[:-1]).with_validation(validation)

    def _reach(
        self, chosen: Subset, batches: list[Tensor], budget: int, generator: torch.Generator
    ) -> list[tuple[int, float]]:
        """Batches with their weights, heaviest first, of at least ``budget`` examples together."""
        picks = list(zip(chosen.indices.tolist(), chosen.weights.tolist(), strict=True))
        picks.sort(key=lambda pick: -pick[1])
        size = sum(batches[number].shape[0] for number, _ in picks)
        taken = {number for number, _ in picks}
        for number in torch.randperm(len(batches), generator=generator).tolist():
            if size >= budget:
                break
            if number not in taken:
                picks.append((number, 1.0))
                size += batches[number].shape[0]
        return picks

    def _expand(
        self,
        batches: list[Tensor],
        picks: list[tuple[int, float]],
        budget: int,
        filled: int,
    ) -> Subset:
        members = [batches[number] for number, _ in picks]
        sizes = torch.tensor([member.shape[0] for member in members])
        weights = torch.tensor([weight for _, weight in picks], dtype=torch.float64)
        numbers = torch.tensor([number for number, _ in picks], dtype=torch.int32)
        return make_subset(
            torch.cat(members)[:budget],
            weights.repeat_interleave(sizes)[:budget],
            batches=numbers.repeat_interleave(sizes)[:budget],
            filled=min(filled * self.batch_size, budget),
        )


def random_like(selector: Selector) -> Selector:
    """What chooses at random in a selector's stead: from the same fixed batches, if it has any."""
    if not isinstance(selector, PerBatch):
        return Random()
    return PerBatch(
        Random(), batch_size=selector.batch_size, redeal=selector.redeal, seed=selector.seed
    )


def _as_vectors(labels: Tensor, vectors: Tensor) -> Signals:
    return Signals(labels, vectors, torch.ones_like(vectors[:, :1]), bias=False)
