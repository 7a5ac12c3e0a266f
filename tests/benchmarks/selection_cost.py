"""Selections beside one forward pass over the training set.

``python -m tests.benchmarks.selection_cost``

50,000 examples of ten classes with the features of ResNet-18 (D = 512), fraction 0.1, CPU seconds
on one thread. The forward pass is timed on 512 images and scaled up; the selection is timed whole.
Exits with 1 when a promise is not kept.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import sys
import time

import torch
from torch import nn
from torchvision.models import resnet18

from tests.benchmarks.omp import spread, synthetic_gradients
from tune_select.selection import Signals, selector_named

N, IMAGES = 50_000, 512
NAMES = ("random", "gradmatch", "gradmatch_pb", "craig", "craig_pb", "glister", "gradmatch_whole")


def forward_s() -> float:
    """CPU seconds of a forward pass of a 32x32 ResNet-18 over N images."""
    model = resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()  # type: ignore[assignment]
    model.eval()
    images = torch.randn(IMAGES, 3, 32, 32)
    with torch.inference_mode():
        model(images[:64])
        start = time.process_time()
        for part in images.split(64):
            model(part)
    return (time.process_time() - start) * N / IMAGES


def draw_signals(seed: int) -> Signals:
    """Features of rank 64 plus noise, and a softmax that is mostly right."""
    generator = torch.Generator().manual_seed(seed)

    def draw(n: int, part: int) -> Signals:
        labels = torch.arange(n) % 10
        logits = torch.randn(n, 10, generator=generator)
        logits[torch.arange(n), labels] += 3.0
        outputs = logits.softmax(1) - nn.functional.one_hot(labels, 10)
        return Signals(labels, 5 * synthetic_gradients(10 * seed + part, n, 512), outputs)

    return draw(N, 0).with_validation(draw(N // 10, 1))


def main() -> bool:
    """Print the table and say whether the promises are kept."""
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {name: [] for name in ("forward", *NAMES)}
    for seed in range(3):
        signals = draw_signals(seed)
        seconds["forward"].append(forward_s())
        for name in NAMES:
            start = time.process_time()
            selector_named(name).select(signals, N // 10, torch.Generator().manual_seed(seed))
            seconds[name].append(time.process_time() - start)
    print(f"n={N}, k={N // 10}, one thread, 3 seeds: CPU s min / median / max, and")
    print("(forward pass + selection) / forward pass")
    cost = {}
    for name, values in seconds.items():
        ratios = [1 + v / f for v, f in zip(values, seconds["forward"], strict=True)]
        cost[name] = max(ratios)
        beside = "" if name == "forward" else spread(ratios, "{:.3f}")
        print(f"  {name:16s} {spread(values):24s} {beside}")
    pairs = zip(seconds["craig_pb"], seconds["gradmatch_pb"], strict=True)
    craig = [a / b for a, b in pairs]
    print(f"  craig_pb / gradmatch_pb: {spread(craig)} (promise: at most 1.5)")
    return cost["gradmatch"] <= 1.5 and cost["gradmatch_pb"] <= 1.1 and max(craig) <= 1.5


if __name__ == "__main__":
    kept = main()
    print("all promises kept" if kept else "PROMISE BROKEN")
    sys.exit(not kept)
