"""Independent solves side by side on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_threads(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Apply ``function`` to every item, as many at a time as PyTorch may use threads.

    The matrices of one class are too small to share between threads, so each solve gets one: the
    number of threads inside an operation is one meanwhile, and restored afterwards.

    Returns:
        The results in the order of the items.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        return [function(item) for item in items]
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, items))
    finally:
        torch.set_num_threads(threads)
