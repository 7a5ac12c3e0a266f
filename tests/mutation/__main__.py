"""How many small faults the tests notice: ``python -m tests.mutation --minutes 20``.

A slow job of its own. Faults are drawn at random, always the same, in turn from each of the rooms
below; for each, the test files that mirror its module run, in a process that has imported the large
libraries already. A limit of CPU seconds stands for a run that never ends. What was not noticed is
printed for people to look at: another test may notice it, or nothing may hang on it.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.mutation.mutants import mutant, sites

ROOMS = (
    "tune_select/scheduling",
    "tune_select/search",
    "tune_select/history",
    "trainables/loop",
    "tune_select/selection/pursuit",
    "analysis/statistics",
)
_LIBRARIES = (
    "numpy", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn", "torch", "torchvision",
    "optuna", "ray.tune", "pydantic", "pytest",
)  # fmt: skip
_PLUGINS = (
    "-o", "addopts=-m 'not slow and not gpu'", "-p", "no:cacheprovider", "-p", "no:xdist",
)  # fmt: skip
_MOST_CPU_S = 90  # of the unchanged tests of one module, beyond which a file is left out


@dataclass(frozen=True)
class Fault:
    """A site of a module, with the tests that should notice a fault there."""

    room: str
    path: Path
    site: tuple[int, int]
    tests: tuple[str, ...]


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from another source."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        self._module, self._path, self._source = module, path, source

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """This module's, and no other's."""
        if name != self._module:
            return None
        return importlib.util.spec_from_loader(name, self, origin=str(self._path))

    def exec_module(self, module: Any) -> None:
        """Run the changed source."""
        module.__file__ = str(self._path)
        exec(compile(self._source, str(self._path), "exec"), module.__dict__)


def run_tests(files: Sequence[str], finder: Mutated | None, cpu_s: int) -> int:
    """Run test files in a process of their own; 0 where all pass.

    Args:
        files: To run.
        finder: Loads the changed module.
        cpu_s: Seconds of CPU that they may take.
    """
    child = os.fork()
    if child == 0:
        import pytest

        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        if finder is not None:
            sys.meta_path.insert(0, finder)
        code = pytest.main(["-x", "-q", *_PLUGINS, *files])
        os._exit(int(code))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@cache
def tests_of(path: Path) -> tuple[str, ...]:
    """Test files in the mirrored folder that name the module, or all there where none does.

    Those that start Ray are left out.
    """
    folder, module = Path("tests") / path.parent, ".".join(path.with_suffix("").parts)
    texts = {file: file.read_text() for file in sorted(folder.glob("test_*.py"))}
    alone = [f for f, text in texts.items() if "ray_session" not in text and "ray.init" not in text]
    named = [f for f in alone if f.stem == f"test_{path.stem}" or module in texts[f]]
    return tuple(str(file) for file in named or alone)


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
            Fault(room, path, site, tests_of(path))
            for path in sorted(Path(room).rglob("*.py"))
            for site in sites(path.read_text())
        ]
        generator.shuffle(faults)
        rooms.append(faults)
    while any(rooms):
        yield from (faults.pop() for faults in rooms if faults)


def main() -> None:
    """Draw, run, and print what was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", nargs="*", default=ROOMS)
    parser.add_argument("--out", type=Path, default=Path("build/mutation.jsonl"))
    given = parser.parse_args()
    for library in _LIBRARIES:
        importlib.import_module(library)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * given.minutes
    green: dict[tuple[str, ...], bool] = {}
    counts: dict[str, list[bool]] = {room: [] for room in given.rooms}
    with given.out.open("w") as out:
        for fault in drawn(given.seed, given.rooms):
            if fault.tests not in green:
                green[fault.tests] = run_tests(fault.tests, None, _MOST_CPU_S) == 0
                if not green[fault.tests]:
                    print(f"{fault.path}: its tests do not pass unchanged in {_MOST_CPU_S} s")
            if time.monotonic() > end:
                break
            if not green[fault.tests]:
                continue
            module = ".".join(fault.path.with_suffix("").parts)
            fault_there = mutant(fault.path.read_text(), fault.site)
            finder = Mutated(module, fault.path, fault_there.source)
            noticed = run_tests(fault.tests, finder, _MOST_CPU_S) != 0
            counts[fault.room].append(noticed)
            row = {"path": str(fault.path), "line": fault_there.line, "noticed": noticed}
            row |= {"before": fault_there.before, "after": fault_there.after}
            print(json.dumps(row), file=out, flush=True)
            if not noticed:
                print(f"{fault.path}:{fault_there.line}: {row['before']}  ->  {row['after']}")
    for room, all_noticed in counts.items():
        print(f"{room}: {sum(all_noticed)} of {len(all_noticed)} noticed")
    total = [noticed for room in counts.values() for noticed in room]
    print(f"together: {sum(total)} of {len(total)}")


if __name__ == "__main__":
    main()
