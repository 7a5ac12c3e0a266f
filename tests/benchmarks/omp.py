"""Matching pursuit against the textbook, one thread: ``python -m tests.benchmarks.omp``.

Synthetic gradients: rank 64 plus noise, gamma-distributed norms. CPU seconds of this process.
Exits with 1 when a promise is not kept.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import statistics
import sys
import time

import numpy as np
import numpy.typing as npt
import torch

from tune_select.selection import GradMatch, Signals, nonnegative_omp

SEEDS = range(5)
N, D, K = 5000, 513, 500


def synthetic_gradients(seed: int, n: int = N, d: int = D) -> torch.Tensor:
    """Float32 (n, d), rank 64 plus noise, norms from a gamma distribution."""
    rng = np.random.default_rng(seed)
    low = rng.standard_normal((n, 64)) @ rng.standard_normal((64, d)) / 8
    rows = low + 0.5 * rng.standard_normal((n, d))
    rows *= rng.gamma(1.0, 1.0, (n, 1)) / np.linalg.norm(rows, axis=1, keepdims=True)
    return torch.from_numpy(rows.astype(np.float32))


def textbook(atoms: npt.NDArray[np.float64], budget: int) -> tuple[float, int]:
    """OMP with the support's least squares solved afresh at each step, by normal equations.

    Returns:
        The relative residual and the number of negative weights.
    """
    target = atoms.sum(0)
    residual, support = target, []
    weights = np.zeros(0)
    for _ in range(budget):
        correlations = np.abs(atoms @ residual)
        correlations[support] = -1.0
        support.append(int(correlations.argmax()))
        rows = atoms[support]
        weights = np.linalg.solve(rows @ rows.T, rows @ target)
        residual = target - weights @ rows
    return float(np.linalg.norm(residual) / np.linalg.norm(target)), int((weights < 0).sum())


def spread(values: list[float], form: str = "{:.2f}") -> str:
    """Minimum, median and maximum."""
    low, high = min(values), max(values)
    return " / ".join(form.format(v) for v in (low, statistics.median(values), high))


def one_class() -> bool:
    """Five problems of one class on one thread."""
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {"textbook": [], "unregularised": [], "lambda 0.5": []}
    residuals: dict[str, list[float]] = {name: [] for name in seconds}
    negatives, smallest = [], []
    for seed in SEEDS:
        atoms = synthetic_gradients(seed)
        start = time.process_time()
        residual, negative = textbook(atoms.double().numpy(), K)
        seconds["textbook"].append(time.process_time() - start)
        residuals["textbook"].append(residual)
        negatives.append(negative)
        for name, ridge in (("unregularised", 0.0), ("lambda 0.5", 0.5)):
            start = time.process_time()
            found = nonnegative_omp(atoms, budget=K, regularization=ridge)
            seconds[name].append(time.process_time() - start)
            residuals[name].append(found.residual)
            smallest.append(float(found.weights.min()))
            assert len(found.support) == K
    print(f"n={N} d={D} k={K}, one thread, {len(SEEDS)} seeds: min / median / max")
    for name in seconds:
        print(
            f"  {name:14s} CPU s {spread(seconds[name])}   "
            f"residual {spread(residuals[name], '{:.1e}')}"
        )
    ratios = [a / b for a, b in zip(seconds["textbook"], seconds["unregularised"], strict=True)]
    print(f"  textbook / unregularised: {spread(ratios, '{:.1f}')} times (promise: at least 3)")
    print(f"  negative weights: textbook {negatives}, here none (smallest {min(smallest):.1e})")
    return min(ratios) >= 3.0 and max(residuals["unregularised"]) <= 1e-3 and min(smallest) > 0.0


def ten_classes() -> bool:
    """A whole default selection from 50,000 examples of ten classes on two threads."""
    torch.set_num_threads(2)
    wall, cpu = [], []
    for seed in range(3):
        inputs = synthetic_gradients(seed, 10 * N, D - 1)
        labels = torch.arange(10 * N) % 10
        generator = torch.Generator().manual_seed(seed)
        outputs = torch.randn(10 * N, 10, generator=generator).softmax(1)
        outputs -= torch.nn.functional.one_hot(labels, 10)
        signals = Signals(labels, inputs, outputs)
        start, start_cpu = time.perf_counter(), time.process_time()
        GradMatch().select(signals, 10 * K, generator)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    print(f"GradMatch, {10 * N} examples of 10 classes, D={D - 1}, k={10 * K}, 2 threads, 3 seeds:")
    print(f"  wall s {spread(wall)} (promise: below 10)   CPU s {spread(cpu)}")
    return max(wall) < 10.0


if __name__ == "__main__":
    kept = [one_class(), ten_classes()]
    print("all promises kept" if all(kept) else "PROMISE BROKEN")
    sys.exit(not all(kept))
