"""GradMatch on a data set of ImageNet's size: ``python -m tests.benchmarks.selection_memory``.

1.28 million synthetic examples of 1,000 classes, D = 512, fraction 0.1, and the first quarter and
half of the classes. Each size runs in a process of its own; the largest needs 8 GB for the signals
alone. Exits with 1 when a promise is not kept. Linux only: it reads the kernel's peak of resident
memory.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path

import torch

from tune_select.selection import GradMatch, Signals

SIZES = (320_000, 640_000, 1_280_000)
PER_CLASS, C, D = 1280, 1000, 512


def resident_gb(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process, in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e9
    raise RuntimeError(f"{field} is not in /proc/self/status")


def draw_signals(n: int) -> Signals:
    """Written block by block, so that drawing them leaves no peak behind."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % (n // PER_CLASS)
    inputs, outputs = torch.empty(n, D), torch.empty(n, C)
    for start in range(0, n, 10_000):
        rows = slice(start, start + 10_000)
        inputs[rows].normal_(generator=generator).relu_()
        outputs[rows].normal_(generator=generator)
        outputs[rows] = outputs[rows].softmax(1)
        outputs[rows].scatter_add_(1, labels[rows, None], -torch.ones(10_000, 1))
    return Signals(labels, inputs, outputs)


def measure(n: int) -> None:
    """Print memory held before and peaked on top, wall and CPU seconds of one selection."""
    signals = draw_signals(n)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = resident_gb("VmRSS")
    start, start_cpu = time.perf_counter(), time.process_time()
    GradMatch().select(signals, n // 10, torch.Generator().manual_seed(0))
    wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    extra = resident_gb("VmHWM") - before
    print(before, extra, wall, cpu)


def main() -> bool:
    """Print the table and say whether the promises are kept."""
    print(f"GradMatch per class, D={D}, {PER_CLASS} examples per class, fraction 0.1,")
    print(f"{torch.get_num_threads()} threads")
    print("       n  classes  signals GB  extra GB  wall s  CPU s")
    extras, seconds = [], []
    for n in SIZES:
        answer = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.selection_memory", str(n)],
            check=True,
            capture_output=True,
            text=True,
        )
        held, extra, wall, cpu = map(float, answer.stdout.split())
        print(
            f"{n:>8d}  {n // PER_CLASS:>7d}  {held:>10.2f}  {extra:>8.2f}  {wall:>6.1f}  "
            f"{cpu:>5.1f}"
        )
        extras.append(extra)
        seconds.append(cpu)
    slope = math.log(seconds[-1] / seconds[0]) / math.log(SIZES[-1] / SIZES[0])
    print(f"CPU seconds grow as n^{slope:.2f} (promise: linear), extra memory below 8 GB")
    return max(extras) < 8.0 and slope < 1.25


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
        sys.exit()
    kept = main()
    print("all promises kept" if kept else "PROMISE BROKEN")
    sys.exit(not kept)
