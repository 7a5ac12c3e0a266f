"""Several processes that train one model: they agree on a subset and may share its examples."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def rank_and_count() -> tuple[int, int]:
    """This process's rank and how many there are; (0, 1) without a process group."""
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def agreed(value: T) -> T:
    """Rank 0's value, in every process: arithmetic need not repeat itself to the last bit."""
    if rank_and_count()[1] == 1:
        return value
    held: list[T] = [value]
    dist.broadcast_object_list(held, src=0)
    return held[0]


def share_of(order: list[int], rank: int, count: int) -> list[int]:
    """Every ``count``-th entry from ``rank`` on; all shares are equally long.

    As ``DistributedSampler`` does, the first entries fill up what is missing to a multiple.

    Args:
        order: Positions in the training set, the same in every process.
        rank: This process's number, from 0.
        count: Number of processes.
    """
    if count == 1 or not order:
        return order
    short = -len(order) % count
    filler = (order * (short // len(order) + 1))[:short]
    return (order + filler)[rank::count]
