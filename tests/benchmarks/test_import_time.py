"""What selection and the sampler add to the import of torch: ``pytest -m slow -s`` prints it.

CPU seconds of whole processes, started alternately, so that whatever else the machine does falls on
both alike.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

import pytest

PAIRS = 7
LEAST = "import torch"
OURS = ("import tune_select.selection", "from tune_select import SubsetSampler")


def cpu_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
@pytest.mark.parametrize("ours", OURS)
def test_what_needs_torch_alone_imports_as_quickly_as_torch(ours: str) -> None:
    for code in (LEAST, ours):  # what is read from the disk is in memory afterwards
        cpu_seconds(code)
    pairs = [(cpu_seconds(LEAST), cpu_seconds(ours)) for _ in range(PAIRS)]
    ratios = sorted(mine / least for least, mine in pairs)
    middle = statistics.median(ratios)
    print(
        f"\nCPU seconds of {ours!r} over {LEAST!r}: {middle:.2f} (median of {PAIRS} pairs of "
        f"processes, {ratios[0]:.2f} to {ratios[-1]:.2f}); torch alone "
        f"{statistics.median(least for least, _ in pairs):.1f} s"
    )
    assert middle <= 1.1
