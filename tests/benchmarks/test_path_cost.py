"""One selection for all rungs of a ladder against one for each of them.

Floating-point operations, which are the same on every machine, and CPU seconds of this process:
paths and single solves taken in turns, the least of either over the rounds.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tune_select.selection import Craig, EarlyStopWarning, GradMatch, PerBatch, Selector
from tune_select.testing import make_signals

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

T = TypeVar("T")
EXAMPLES, DIMENSION, ROUNDS = 4000, 64, 7
BUDGETS = [EXAMPLES * 3 // 100, EXAMPLES // 10, EXAMPLES * 3 // 10]
SELECTORS = [GradMatch(), PerBatch(GradMatch(), batch_size=20), Craig()]


def timed(act: Callable[[torch.Generator], T], seed: int) -> tuple[T, float]:
    """What ``act`` gives, and the CPU seconds that it took."""
    began = time.process_time()
    found = act(torch.Generator().manual_seed(seed))
    return found, time.process_time() - began


def counted(act: Callable[[torch.Generator], object]) -> int:
    """Floating-point operations of what ``act`` multiplies."""
    with FlopCounterMode(display=False) as counter:
        act(torch.Generator().manual_seed(1))
    return int(counter.get_total_flops())


@pytest.mark.parametrize("selector", SELECTORS, ids=repr)
def test_a_path_of_three_budgets_costs_its_largest(selector: Selector) -> None:
    warnings.simplefilter("ignore", EarlyStopWarning)
    signals = make_signals(EXAMPLES, dimension=DIMENSION)
    costs, errors = [], []
    for seed in range(ROUNDS + 1):
        path, path_s = timed(lambda g: selector.select_path(signals, BUDGETS, g), seed)
        _, largest_s = timed(lambda g: selector.select(signals, BUDGETS[-1], g), seed)
        if seed:  # the first round fills caches
            costs.append((path_s, largest_s))
        for subset, budget in zip(path, BUDGETS, strict=True):
            alone = selector.select(signals, budget, torch.Generator().manual_seed(seed))
            assert subset.gradient_error is not None
            assert alone.gradient_error is not None
            errors.append(subset.gradient_error / alone.gradient_error)
    cost = min(path_s for path_s, _ in costs) / min(largest_s for _, largest_s in costs)
    error = statistics.mean(errors)
    work = counted(lambda g: selector.select_path(signals, BUDGETS, g))
    work /= counted(lambda g: selector.select(signals, BUDGETS[-1], g))
    print(
        f"\n{selector}: a path takes {work:.3f} of its largest budget's operations and {cost:.3f} "
        f"of its seconds; errors are {error:.3f} of separate solves' ({max(errors):.3f} at most)"
    )
    assert error <= 1.05
    assert work <= 1.05
