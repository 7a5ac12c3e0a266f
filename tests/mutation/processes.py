"""Runs tests in a process of their own, forked from one that has the large libraries already."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

_LIBRARIES = (
    "numpy", "pandas", "pyarrow.parquet", "pyarrow.fs", "scipy.stats", "sklearn", "torch",
    "torchvision", "optuna", "ray.tune", "pydantic", "hypothesis", "rich", "yaml",
)  # fmt: skip
_OPTIONS = (
    "-x", "-q", "-o", "addopts=-m 'not slow and not gpu'", "-o", "timeout=60",
    "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore:Module already imported",
)  # fmt: skip


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from another source."""

    def __init__(self, path: Path, source: str) -> None:
        self._module, self._path, self._source = module_of(path), path, source

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """This module's, and no other's."""
        if name != self._module:
            return None
        return importlib.util.spec_from_loader(name, self, origin=str(self._path))

    def exec_module(self, module: Any) -> None:
        """Run the changed source."""
        module.__file__ = str(self._path)
        exec(compile(self._source, str(self._path), "exec"), module.__dict__)


class Chosen:
    """A plugin of pytest: runs tests of these ids alone, in the order of the ids."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._order = {name: place for place, name in enumerate(ids)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order),
            key=lambda item: self._order[item.nodeid],
        )


class QuickToFail:
    """A plugin of pytest: Hypothesis neither makes a failing example small nor keeps it."""

    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings

        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("mutation", deadline=None, database=None, phases=phases)
        settings.load_profile("mutation")


class Timed:
    """A plugin of pytest: seconds of CPU of each test that passes.

    Attributes:
        seconds: By the id of the test.
    """

    def __init__(self, begins: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._begins = begins
        self._failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        began = time.process_time()
        self._begins(item.nodeid)
        try:
            return (yield)
        finally:
            self._begins("")
            if item.nodeid not in self._failed:
                self.seconds[item.nodeid] = time.process_time() - began

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)


def module_of(path: Path) -> str:
    """The dotted name of a file."""
    name = ".".join(path.with_suffix("").parts)
    return name.removesuffix(".__init__")


def import_libraries() -> None:
    """Import once what every process below would import."""
    for library in _LIBRARIES:
        importlib.import_module(library)


def run(files: Sequence[str], *plugins: object, keep_going: bool = False) -> int:
    """Run test files in this process, quietly, and return pytest's code.

    Args:
        files: To run.
        *plugins: For pytest, beside ours.
        keep_going: Whether to go on after a failure.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    more = ["--maxfail=1000"] if keep_going else []
    return int(pytest.main([*_OPTIONS, *more, *files], plugins=[QuickToFail(), *plugins]))


def forked(work: Callable[[], int], cpu_s: int) -> int:
    """Do work in a forked process; returns its code, negative where a signal ended it.

    Args:
        work: Returns the code.
        cpu_s: Seconds of CPU that it may take, which stand for work that never ends.
    """
    with tempfile.TemporaryDirectory() as scratch:
        child = os.fork()
        if child == 0:
            os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = scratch
            code = 1
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
            try:
                code = work()
            except BaseException as error:
                (Path(scratch) / "error").write_text("".join(traceback.format_exception(error)))
            finally:
                os._exit(code)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        error = Path(scratch) / "error"
        if error.exists():  # a fault of ours must not pass for one that was noticed
            raise RuntimeError(error.read_text())
        return ended


def survives(ids: Sequence[str], finder: Mutated, cpu_s: int) -> bool:
    """Whether tests pass as if nothing were wrong with the changed module.

    Args:
        ids: Of the tests, in the order in which they run.
        finder: Loads the changed module.
        cpu_s: Seconds of CPU that they may take.
    """
    files = list(dict.fromkeys(name.partition("::")[0] for name in ids))

    def work() -> int:
        sys.meta_path.insert(0, finder)
        return run(files, Chosen(ids))

    return forked(work, cpu_s) == 0
