"""What ``SeedReplayScheduler`` costs beside FIFO: 200 trivial trials, and 1,000.

``TUNE_SELECT_BENCHMARK_TRIALS`` and ``TUNE_SELECT_BENCHMARK_ROUNDS`` change the sizes.
"""

from __future__ import annotations

import os
import statistics
from typing import Any

import pytest

from tests.benchmarks.contenders import KINDS, side_by_side
from tests.tune_select.sweeps import RAY_WARNINGS

pytestmark = [*RAY_WARNINGS, pytest.mark.slow, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("TUNE_SELECT_BENCHMARK_ROUNDS", "3"))
LIMIT = 1.05


def trials(default: int) -> int:
    return int(os.environ.get("TUNE_SELECT_BENCHMARK_TRIALS", default))


def show(row: dict[str, Any]) -> str:
    return (
        f"{row['kind']}: {row['trials']} trials, {row['wall_s']:.1f} s, driver "
        f"{row['driver_cpu_s']:.1f} CPU s, {row['bytes_per_trial'] / 1e3:.1f} kB per trial, "
        f"snapshots {row['snapshots_s']:.2f} s, the last {1e3 * row['last_snapshot_s']:.0f} ms"
    )


@pytest.mark.parametrize("kind", KINDS[1:])
def test_two_hundred_trivial_trials(kind: str) -> None:
    ratios = []
    for _ in range(ROUNDS):
        plain, ours = side_by_side(["fifo", kind], trials(200), epochs=2)
        assert plain["errors"] == ours["errors"] == 0
        ratios.append(ours["wall_s"] / plain["wall_s"])
        print(f"\n{show(plain)}\n{show(ours)}\nratio {ratios[-1]:.3f}")
    assert statistics.median(ratios) <= LIMIT


def test_a_thousand_trials_within_bounded_memory() -> None:
    plain, ours = side_by_side(["fifo", "seed and replays"], trials(1000), epochs=2)
    print(f"\n{show(plain)}\n{show(ours)}\nratio {ours['wall_s'] / plain['wall_s']:.3f}")
    assert plain["errors"] == ours["errors"] == 0
    assert ours["wall_s"] <= LIMIT * plain["wall_s"]
    # A trial's record stays in Tune's memory for good; what we add to it must be small.
    assert ours["bytes_per_trial"] <= plain["bytes_per_trial"] + 20e3
