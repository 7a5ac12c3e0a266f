"""Per-batch selectors at ImageNet's size: ``python -m tests.benchmarks.per_batch_memory``.

Batches of 128 of which a tenth is chosen; each selection runs in a process of its own. What lies on
top of the signals has two parts, which are measured apart, for both at once need more memory than a
laptop has:

- chunks of the gradients, on 1,000 classes and D = 512 at three sizes: the peak must not grow;
- matrices of batches by batches, at all 10,010 batches of ImageNet's 1,281,167 examples, on 50
  outputs and D = 300: chunks hold so many numbers whatever the outputs are, so this is the peak
  that 1,000 classes have too.

Exits with 1 when the larger of the two and the signals of 1,000 classes are above 10 GiB together.
Linux only.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch

from tests.benchmarks.selection_memory import C, D, resident_gb
from tune_select.selection import Signals, selector_named

IMAGENET, BATCH = 1_281_167, 128
SIZES = ((64_000, C, D), (128_000, C, D), (256_000, C, D), (IMAGENET, 50, 300))
"""Examples, outputs and last-layer inputs of each measurement."""

GIB = 2**30 / 1e9  # in GB
NAMES = ("gradmatch_pb", "craig_pb")


def draw_signals(n: int, outputs: int, width: int) -> Signals:
    """Written block by block, so that drawing them leaves no peak behind."""
    generator = torch.Generator().manual_seed(0)
    inputs, gradients = torch.empty(n, width), torch.empty(n, outputs)
    for start in range(0, n, 10_000):
        rows = slice(start, min(start + 10_000, n))
        inputs[rows].normal_(generator=generator).relu_()
        gradients[rows] = gradients[rows].normal_(generator=generator).softmax(1)
        labels = torch.randint(outputs, (len(gradients[rows]), 1), generator=generator)
        gradients[rows].scatter_add_(1, labels, -torch.ones(len(labels), 1))
    return Signals(torch.zeros(n, dtype=torch.int64), inputs, gradients)


def measure(name: str, n: int, outputs: int, width: int) -> None:
    """Print the peak on top of the signals in GB, and CPU seconds, of one selection."""
    signals = draw_signals(n, outputs, width)
    selector = selector_named(name, batch_size=BATCH)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before, start = resident_gb("VmRSS"), time.process_time()
    selector.select(signals, n // 10, torch.Generator().manual_seed(0))
    print(resident_gb("VmHWM") - before, time.process_time() - start)


def main() -> bool:
    """Print the table and say whether the promise is kept."""
    kept = True
    for name in NAMES:
        peaks = []
        for size in SIZES:
            command = [sys.executable, "-m", "tests.benchmarks.per_batch_memory", name]
            answer = subprocess.run(
                [*command, *map(str, size)], check=True, capture_output=True, text=True
            )
            peak, cpu_s = map(float, answer.stdout.split())
            n, outputs, width = size
            batches = -(-n // BATCH)
            held = batches * outputs * (width + 1) * 4 / 1e9
            print(f"{name:>12s} {n:>9,d} examples in {batches:>6,d} batches, {outputs:,d} outputs: "
                  f"{peak:.2f} GB on top of the signals (gradients alone {held:.2f}), "
                  f"{cpu_s:.0f} CPU s", flush=True)  # fmt: skip
            peaks.append(peak)
        extra, signals = max(peaks), IMAGENET * (C + D) * 4 / 1e9
        print(f"{name:>12s} at ImageNet's size: {extra / GIB:.1f} GiB on top of the signals' "
              f"{signals / GIB:.1f} (promise: at most 10 in all)", flush=True)  # fmt: skip
        kept &= extra + signals <= 10 * GIB
    return kept


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1], *map(int, sys.argv[2:]))
        sys.exit()
    kept = main()
    print("all promises kept" if kept else "PROMISE BROKEN")
    sys.exit(not kept)
