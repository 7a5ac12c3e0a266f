"""A history of ImageNet's size (17 intervals of 384,000 examples) and eight readers on one node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS
from tune_select.history import DatasetIdentity, HistoryIdentity, Interval
from tune_select.history.store import HistoryStore, StoredHistory

pytestmark = [*RAY_WARNINGS, pytest.mark.slow]

IMAGENET = DatasetIdentity("imagenet", 1_281_167, "0" * 16)
ROWS, INTERVALS, READERS = 384_000, 17, 8
BYTES = ROWS * INTERVALS * 12


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[HistoryStore, Path]]:
    session = ray_session(2, object_store_memory=600 * 1024**2)
    with session as root, HistoryStore.start("sharing") as running:
        yield running, Path(root)


@ray.remote(num_cpus=0)
class Reader:
    """Stands for a trial that holds every interval of a history."""

    def private_bytes(self) -> int:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        kb = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
        return 1024 * (kb["Private_Clean"] + kb["Private_Dirty"])

    def shared_memory(self) -> tuple[int, int]:
        """Resident and proportional bytes of what is mapped from the object store."""
        resident = proportional = 0
        mapped = False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "Rss" and mapped:
                resident += 1024 * int(rest.split()[0])
            elif name == "Pss" and mapped:
                proportional += 1024 * int(rest.split()[0])
            elif "-" in name.split(" ")[0] and " " in line and not rest.strip().endswith("kB"):
                mapped = "plasma" in line or "/dev/shm" in line
        return resident, proportional

    def rate(self, history: StoredHistory, reads: int) -> float:
        """Reads per second."""
        start = time.perf_counter()
        for number in range(reads):
            assert history.read(number % 40, timeout_s=60) is not None
        return reads / (time.perf_counter() - start)

    def read(self, history: StoredHistory, intervals: int = INTERVALS) -> tuple[float, float]:
        """Hold all intervals: seconds of the slowest read, a checksum that touches each page."""
        self.held, slowest = [], 0.0
        for number in range(intervals):
            start = time.perf_counter()
            interval = history.read(number, timeout_s=60)
            slowest = max(slowest, time.perf_counter() - start)
            assert interval is not None
            self.held.append(interval)
        return slowest, float(sum(i.weights.sum() + i.indices.sum() for i in self.held))


def test_eight_trials_hold_one_copy(store: tuple[HistoryStore, Path]) -> None:
    running, root = store
    of = HistoryIdentity(IMAGENET, ROWS / IMAGENET.size, 20, 340, "gradmatch")
    history = running.access(str(root / "imagenet"))
    history.begin(of)
    generator, publish_s = np.random.default_rng(0), []
    checksum = 0.0
    for number in range(INTERVALS):
        start, end = of.bounds(number)
        interval = Interval(
            number,
            start,
            end,
            generator.permutation(IMAGENET.size)[:ROWS],
            generator.random(ROWS, dtype=np.float32),
        )
        checksum += float(interval.weights.sum() + interval.indices.sum())
        began = time.perf_counter()
        history.publish(interval)
        publish_s.append(time.perf_counter() - began)
    history.finish()
    readers = [Reader.remote() for _ in range(READERS)]
    small = running.access(str(root / "small"))  # read once, to have everything imported
    small.begin(replace(of, max_epochs=20, seed_config={"small": True}))
    small.publish(Interval(0, 0, 20, np.arange(3), np.ones(3, np.float32)))
    ray.get([reader.read.remote(small, 1) for reader in readers])
    before = ray.get([reader.private_bytes.remote() for reader in readers])
    answers = ray.get([reader.read.remote(history) for reader in readers])
    after = ray.get([reader.private_bytes.remote() for reader in readers])
    shared = ray.get([reader.shared_memory.remote() for reader in readers])
    grown = [late - early for early, late in zip(before, after, strict=True)]
    proportional = sum(pss for _, pss in shared)
    print(
        f"\nhistory {BYTES / 1e6:.0f} MB; publish {np.median(publish_s):.3f} s (slowest "
        f"{max(publish_s):.3f}); slowest read {max(s for s, _ in answers):.3f} s; private memory "
        f"of a reader grew by {max(grown) / 1e6:.1f} MB at most; mapped by a reader "
        f"{max(rss for rss, _ in shared) / 1e6:.0f} MB, by all together (proportional) "
        f"{proportional / 1e6:.0f} MB"
    )
    assert all(abs(found / checksum - 1) < 1e-9 for _, found in answers)
    assert min(rss for rss, _ in shared) > 0.95 * BYTES
    assert proportional < 1.3 * BYTES
    assert max(grown) < 0.1 * BYTES


def test_small_intervals_cost_milliseconds(store: tuple[HistoryStore, Path]) -> None:
    """k = 2,500 (a twentieth of CIFAR-10), as a trial sees it: publish, read, read by eight."""
    running, root = store
    count, size = 40, 2_500
    of = HistoryIdentity(DatasetIdentity("cifar10", 50_000, "0"), 0.05, 1, count, "gradmatch")
    history = running.access(str(root / "cifar10"))
    history.begin(of)
    generator = np.random.default_rng(0)
    publish_s, read_s = [], []
    for number in range(count):
        indices = generator.permutation(50_000)[:size]
        interval = Interval(number, number, number + 1, indices, np.ones(size, np.float32))
        for action, taken_s in (
            (lambda interval=interval: history.publish(interval), publish_s),
            (lambda number=number: history.read(number, 1.0), read_s),
        ):
            began = time.perf_counter()
            action()
            taken_s.append(time.perf_counter() - began)
    readers = [Reader.remote() for _ in range(READERS)]
    ray.get([reader.rate.remote(history, 10) for reader in readers])
    together = ray.get([reader.rate.remote(history, 200) for reader in readers])
    print(
        f"\npublish {1e3 * np.median(publish_s):.1f} ms, read {1e3 * np.median(read_s):.1f} ms; "
        f"{READERS} readers at once {sum(together):.0f} reads per second"
    )
    assert np.median(publish_s) < 0.5
    assert np.median(read_s) < 0.1
