"""Per-batch selectors on 1,000 classes: ``python -m tests.benchmarks.per_batch_memory``.

Synthetic examples as in ``selection_memory``, D = 512, batches of 128, a tenth of them chosen, at
three sizes; each runs in a process of its own. The peak on top of the signals is fitted by a
constant and a square of the number of batches, and extrapolated to ImageNet's 1,281,167 examples.
Exits with 1 when that, signals included, is above 10 GiB. Linux only.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from tests.benchmarks.selection_memory import C, D, draw_signals, resident_gb
from tune_select.selection import selector_named

SIZES = (64_000, 128_000, 256_000)
IMAGENET, BATCH = 1_281_167, 128
GIB = 2**30 / 1e9  # in GB
NAMES = ("gradmatch_pb", "craig_pb")


def measure(name: str, n: int) -> None:
    """Print the peak on top of the signals in GB, and CPU seconds, of one selection."""
    signals = draw_signals(n)
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
        for n in SIZES:
            command = [sys.executable, "-m", "tests.benchmarks.per_batch_memory", name, str(n)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            peak, cpu_s = map(float, answer.stdout.split())
            batches = -(-n // BATCH)
            held = batches * C * (D + 1) * 4 / 1e9
            print(f"{name:>12s} {n:>8d} {batches:>6d} batches: {peak:.2f} GB on top of the signals "
                  f"(gradients alone {held:.2f}), {cpu_s:.0f} CPU s")  # fmt: skip
            peaks.append((batches, peak))
        counts, found = np.array(peaks).T
        slope, constant = np.polyfit(counts**2, found, 1)
        largest = -(-IMAGENET // BATCH)
        extra = constant + slope * largest**2
        signals = IMAGENET * (C + D) * 4 / 1e9
        print(f"{name:>12s} at ImageNet's size: {extra / GIB:.1f} GiB on top of the signals' "
              f"{signals / GIB:.1f} (promise: at most 10 in all)")  # fmt: skip
        kept &= extra + signals <= 10 * GIB
    return kept


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1], int(sys.argv[2]))
        sys.exit()
    kept = main()
    print("all promises kept" if kept else "PROMISE BROKEN")
    sys.exit(not kept)
