"""Facility location over classes and blocks, so that no matrix grows with the data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from tune_select.selection.budgets import class_groups, split_budget
from tune_select.selection.facility_location import (
    cluster_sizes,
    greedy_facility_location,
    stochastic_facility_location,
)
from tune_select.selection.threads import map_in_threads

Distances = Callable[[Tensor], Tensor]
"""Positions of m examples, int64 (m,) on the CPU, to their pairwise distances (m, m)."""


@dataclass(frozen=True)
class Coverage:
    """How to cover a data set with facility location.

    Attributes:
        epsilon: ``None`` for lazy greedy; in (0, 1) for stochastic greedy.
        per_class: Whether every class is covered by its own examples.
        block_size: Largest number of examples whose distances are held at a time; a larger class is
            dealt at random into blocks that are covered one by one.

    Raises:
        ValueError: ``epsilon`` or ``block_size`` is outside its range.
    """

    epsilon: float | None = None
    per_class: bool = True
    block_size: int = 8192

    def __post_init__(self) -> None:
        if self.epsilon is not None and not 0.0 < self.epsilon < 1.0:
            raise ValueError(
                f"epsilon must be in (0, 1), or None for lazy greedy, got {self.epsilon}"
            )
        if self.block_size < 2:
            raise ValueError(f"block_size must be at least 2, got {self.block_size}")

    def choose(
        self,
        labels: Tensor,
        budget: int,
        distances: Distances,
        generator: torch.Generator,
        device: torch.device | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Choose ``budget`` examples that are close to all others.

        Args:
            labels: int64 (n,).
            budget: k.
            distances: Of the examples at given positions.
            generator: A CPU generator.
            device: Where the distances are; off the CPU, one matrix is held at a time.

        Returns:
            Positions int64 (k,) and the sizes of their clusters, float64 (k,), which sum to n.

        Raises:
            ValueError: ``per_class`` and the budget is below the number of classes.
        """
        groups = class_groups(labels.cpu()) if self.per_class else [torch.arange(len(labels))]
        sizes = torch.tensor([len(group) for group in groups])
        jobs = []
        for group, part in zip(groups, split_budget(sizes, budget).tolist(), strict=True):
            blocks, parts = self._deal(group, part, generator)
            # Examples that no block took (far fewer picks than blocks) count with the others.
            share = len(group) / sum(len(block) for block in blocks)
            for block, quota in zip(blocks, parts, strict=True):
                seed = int(torch.randint(2**62, (), generator=generator)) if self.epsilon else 0
                jobs.append(partial(self._cover, block, quota, share, distances, seed))
        if device is None or device.type == "cpu":
            found = map_in_threads(lambda job: job(), jobs)
        else:
            found = [job() for job in jobs]
        return torch.cat([chosen for chosen, _ in found]), torch.cat([size for _, size in found])

    def _deal(
        self, group: Tensor, budget: int, generator: torch.Generator
    ) -> tuple[list[Tensor], list[int]]:
        """Split a group into equal blocks of at most ``block_size``, each with a share of it."""
        count = -(-len(group) // self.block_size)
        if count == 1:
            return [group], [budget]
        dealt = group[torch.randperm(len(group), generator=generator)]
        blocks = list(torch.tensor_split(dealt, count))[: max(1, min(count, budget))]
        sizes = torch.tensor([len(block) for block in blocks])
        return blocks, split_budget(sizes, budget).tolist()

    def _cover(
        self, members: Tensor, budget: int, share: float, distances: Distances, seed: int
    ) -> tuple[Tensor, Tensor]:
        # Distance to similarity: what is saved beside a facility as far off as the farthest pair.
        similarity = distances(members)
        similarity = similarity.max() - similarity
        if self.epsilon is None:
            chosen = greedy_facility_location(similarity, budget)
        else:
            chosen = stochastic_facility_location(
                similarity,
                budget,
                epsilon=self.epsilon,
                generator=torch.Generator().manual_seed(seed),
            )
        return members[chosen], cluster_sizes(similarity, chosen) * share


def pairwise_distances(gram: Tensor) -> Tensor:
    """Euclidean distances (m, m) from inner products (m, m), which are overwritten."""
    energies = gram.diagonal().clone()
    squared = gram.mul_(-2.0).add_(energies[:, None]).add_(energies[None, :])
    squared.fill_diagonal_(0.0)
    return squared.clamp_(min=0.0).sqrt_()
