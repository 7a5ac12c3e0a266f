"""How many small faults the tests notice: ``python -m tests.mutation --minutes 20``.

A slow job of its own. First every test file that can reach the rooms below without Ray runs once,
to learn which test runs which line (kept in ``--reach``, so that only what has changed runs again).
Then faults are drawn at random, always the same, in turn from each of the rooms, and each is tried
on the tests that run its line, the module's own first, in a process forked from one that has
imported them. What was not noticed is printed for people to look at: a test with Ray
may notice it, or nothing may hang on it.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tests.mutation.mutants import mutant, sites
from tests.mutation.processes import prepare, survives
from tests.mutation.reach import Reach

ROOMS = (
    "tune_select/scheduling",
    "tune_select/search",
    "tune_select/history",
    "trainables/loop",
    "tune_select/selection/pursuit",
    "analysis/statistics",
)
_TESTS_S = 15.0  # seconds of CPU of all the tests that one fault is tried on
_MOST_CPU_S = 60  # of their process, which stand for a fault that never ends


@dataclass(frozen=True)
class Fault:
    """A site of a module."""

    room: str
    path: Path
    site: tuple[int, int]


def drawn(seed: int, among: Sequence[str] = ROOMS) -> Iterator[Fault]:
    """Faults of rooms in turn, each room's in a random order.

    Args:
        seed: The seed of the orders.
        among: The rooms.
    """
    generator = random.Random(seed)
    rooms = []
    for room in among:
        faults = [
            Fault(room, path, site)
            for path in sorted(Path(room).rglob("*.py"))
            for site in sites(path.read_text())
        ]
        generator.shuffle(faults)
        rooms.append(faults)
    while any(rooms):
        yield from (faults.pop() for faults in rooms if faults)


def tried(fault: Fault, reach: Reach) -> dict[str, object]:
    """Try a fault: where and what it is, how many tests run it, and whether one noticed it."""
    there = mutant(fault.path.read_text(), fault.site)
    tests = reach.tests_of(fault.path, there.lines, _TESTS_S)
    noticed = bool(tests) and not survives(tests, fault.path, there, _MOST_CPU_S)
    row = {"path": str(fault.path), "line": there.line, "tests": len(tests), "noticed": noticed}
    return {**row, "before": there.before, "after": there.after}


def interval(noticed: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share, 95%."""
    share, extra = noticed / of, z * z / of
    middle = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / of + extra / (4 * of)) / (1 + extra)
    return middle - half, middle + half


def main() -> None:
    """Draw, run, and print what was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--begin", type=int, default=0, help="number of the first fault, from 0")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", nargs="*", default=ROOMS)
    parser.add_argument("--reach", type=Path, default=Path("build/reach.json"))
    parser.add_argument("--out", type=Path, default=Path("build/mutation.jsonl"))
    given = parser.parse_args()
    prepare()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    reach = Reach(given.reach)
    reach.find(given.rooms, ROOMS)
    end = time.monotonic() + 60 * given.minutes
    counts: dict[str, list[bool]] = {room: [] for room in given.rooms}
    with given.out.open("a" if given.begin else "w") as out:
        chosen = islice(drawn(given.seed, given.rooms), given.begin, given.faults)
        for number, fault in enumerate(chosen, given.begin):
            if time.monotonic() > end:
                print(f"go on with --begin {number}")
                break
            row = tried(fault, reach)
            counts[fault.room].append(bool(row["noticed"]))
            print(json.dumps(row), file=out, flush=True)
            if not row["noticed"]:
                where = f"{fault.path}:{row['line']} ({row['tests']} tests)"
                print(f"{where}: {row['before']}  ->  {row['after']}", flush=True)
    for room, all_noticed in counts.items():
        print(f"{room}: {sum(all_noticed)} of {len(all_noticed)} noticed")
    total = [noticed for room in counts.values() for noticed in room]
    if total:
        low, high = interval(sum(total), len(total))
        print(f"together: {sum(total)} of {len(total)} noticed ({low:.0%} to {high:.0%})")


if __name__ == "__main__":
    main()
