"""Facility location over classes and blocks, so that no matrix grows with the data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
            distances: The distances of the examples at given positions.
            generator: A CPU generator.
            device: Where the distances are; off the CPU, one matrix is held at a time.

        Returns:
            Positions int64 (k,) and the sizes of their clusters, float64 (k,), which sum to n.

        Raises:
            ValueError: ``per_class`` and the budget is below the number of classes.
        """
        return self.choose_path(labels, [budget], distances, generator, device)[0]

    def choose_path(
        self,
        labels: Tensor,
        budgets: Sequence[int],
        distances: Distances,
        generator: torch.Generator,
        device: torch.device | None = None,
    ) -> list[tuple[Tensor, Tensor]]:
        """As ``choose`` for several budgets from one greedy run: its first choices are a smaller's.

        Args:
            labels: int64 (n,).
            budgets: Non-decreasing.
            distances: The distances of the examples at given positions.
            generator: A CPU generator.
            device: Where the distances are; off the CPU, one matrix is held at a time.

        Raises:
            ValueError: As ``choose``.
        """
        groups = class_groups(labels.cpu()) if self.per_class else [torch.arange(len(labels))]
        sizes = torch.tensor([len(group) for group in groups])
        parts = torch.stack([split_budget(sizes, budget) for budget in budgets]).T.tolist()
        jobs = []
        for group, steps in zip(groups, parts, strict=True):
            blocks = self._deal(group, max(steps), generator)
            quotas = [_over_blocks(blocks, part) for part in steps]
            # Examples that no block took (far fewer picks than blocks) count with the others.
            shares = [
                len(group) / sum(len(b) for b, part in zip(blocks, quota, strict=True) if part)
                for quota in quotas
            ]
            for number, block in enumerate(blocks):
                seed = int(torch.randint(2**62, (), generator=generator)) if self.epsilon else 0
                mine = [quota[number] for quota in quotas]
                jobs.append(partial(self._cover, block, mine, shares, distances, seed))
        if device is None or device.type == "cpu":
            found = map_in_threads(lambda job: job(), jobs)
        else:
            found = [job() for job in jobs]
        return [
            (torch.cat([c for c, _ in step]), torch.cat([size for _, size in step]))
            for step in zip(*found, strict=True)
        ]

    def _deal(self, group: Tensor, budget: int, generator: torch.Generator) -> list[Tensor]:
        """Split a group into equal blocks of at most ``block_size``, no more than the budget."""
        count = -(-len(group) // self.block_size)
        if count == 1:
            return [group]
        dealt = group[torch.randperm(len(group), generator=generator)]
        return list(torch.tensor_split(dealt, count))[: max(1, min(count, budget))]

    def _cover(
        self,
        members: Tensor,
        budgets: Sequence[int],
        shares: Sequence[float],
        distances: Distances,
        seed: int,
    ) -> list[tuple[Tensor, Tensor]]:
        # Distance to similarity, which facility location wants not to be negative: what is saved
        # beside a facility as far off as the farthest pair. F(S) is then n times that constant less
        # the sum of distances, so that the sets keep their order.
        similarity = distances(members)
        similarity = similarity.max() - similarity
        if self.epsilon is None:
            order = greedy_facility_location(similarity, max(budgets))
        else:
            order = stochastic_facility_location(
                similarity,
                max(budgets),
                epsilon=self.epsilon,
                generator=torch.Generator().manual_seed(seed),
            )
        return [
            (members[order[:k]], cluster_sizes(similarity, order[:k]) * share)
            if k
            else (members[:0], torch.empty(0, dtype=torch.float64))
            for k, share in zip(budgets, shares, strict=True)
        ]


def _over_blocks(blocks: Sequence[Tensor], budget: int) -> list[int]:
    """A budget split over blocks; the first ones get one each where there are more blocks."""
    used = min(len(blocks), budget)
    sizes = torch.tensor([len(block) for block in blocks[:used]])
    return split_budget(sizes, budget).tolist() + [0] * (len(blocks) - used)


def pairwise_distances(gram: Tensor) -> Tensor:
    """Euclidean distances (m, m) from inner products (m, m), which are overwritten."""
    energies = gram.diagonal().clone()
    squared = gram.mul_(-2.0).add_(energies[:, None]).add_(energies[None, :])
    squared.fill_diagonal_(0.0)
    return squared.clamp_(min=0.0).sqrt_()
