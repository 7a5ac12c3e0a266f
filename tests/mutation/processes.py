"""Runs tests on a fault, in a process forked from one that has imported them already."""

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
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from hypothesis import Phase, settings

from tests.mutation.mutants import Mutant

_PACKAGES = ("tune_select", "trainables", "search_spaces", "analysis", "tests")
_LIBRARIES = ("pandas", "pyarrow.parquet", "scipy.stats", "sklearn", "torch", "optuna", "ray.tune")
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


def prepare() -> None:
    """Import what all tests share; Hypothesis neither shrinks a failing example nor keeps it."""
    for name in (*_LIBRARIES, "tests.conftest"):  # that loads a profile of its own, before ours
        importlib.import_module(name)
    phases = [Phase.explicit, Phase.generate]
    settings.register_profile("mutation", deadline=None, database=None, phases=phases)
    settings.load_profile("mutation")


def run(files: Sequence[str], *plugins: object, keep_going: bool = False) -> int:
    """Run test files in this process, quietly, and return pytest's code.

    Args:
        files: To run.
        *plugins: For pytest.
        keep_going: Whether to go on after a failure.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    more = ["--maxfail=1000"] if keep_going else []
    return int(pytest.main([*_OPTIONS, *more, *files], plugins=list(plugins)))


def forked(work: Callable[[], int], cpu_s: int) -> int:
    """Do work in a forked process; returns its code, negative where a signal ended it.

    Args:
        work: Returns the code.
        cpu_s: Seconds of CPU that it may take, which stand for work that never ends.

    Raises:
        RuntimeError: The work raised; a fault of ours must not pass for one that was noticed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        error = Path(scratch) / "error"
        child = os.fork()
        if child == 0:
            os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = scratch
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
            code = 1
            try:
                code = work()
            except BaseException as raised:
                error.write_text("".join(traceback.format_exception(raised)))
            finally:
                os._exit(code)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if error.exists():
            raise RuntimeError(error.read_text())
        return ended


def survives(ids: Sequence[str], path: Path, fault: Mutant, cpu_s: int) -> bool:
    """Whether tests pass as if nothing were wrong with a module.

    Args:
        ids: Of the tests, in the order in which they run.
        path: The module's.
        fault: What is wrong with it.
        cpu_s: Seconds of CPU that they may take.
    """
    files = list(dict.fromkeys(name.partition("::")[0] for name in ids))
    for file in files:  # once, here, for this fault and for those that come
        importlib.import_module(module_of(Path(file)))

    def work() -> int:
        if not swapped(path, fault):  # then everything is imported anew
            for name in [name for name in sys.modules if name.partition(".")[0] in _PACKAGES]:
                if not name.startswith("tests.mutation"):
                    del sys.modules[name]
            sys.meta_path.insert(0, Mutated(path, fault.source))
        return run(files, Chosen(ids))

    return forked(work, cpu_s) == 0


def swapped(path: Path, fault: Mutant) -> bool:
    """Put a fault into the function that it is in, in place, so that whoever holds it has it.

    Args:
        path: The module's.
        fault: The fault.

    Returns:
        Whether that could be done: there is such a function, and only one.
    """
    if fault.function is None:
        return False
    module = sys.modules.get(module_of(path))
    codes = [
        code
        for code in _codes(compile(fault.source, str(path), "exec"))
        if code.co_qualname == fault.function
    ]
    function = None if module is None else _function(module, fault.function)
    if function is None or len(codes) != 1:
        return False
    try:
        function.__code__ = codes[0]
    except ValueError:  # the fault changed what the function closes over
        return False
    return True


def _function(holder: Any, name: str) -> FunctionType | None:
    """The plain function behind a dotted name, whatever is wrapped around it."""
    for part in name.split("."):
        holder = vars(holder).get(part)
        if holder is None:
            return None
    while not isinstance(holder, FunctionType) or hasattr(holder, "__wrapped__"):
        for attribute in ("__wrapped__", "__func__", "fget", "func"):
            if getattr(holder, attribute, None) is not None:
                holder = getattr(holder, attribute)
                break
        else:
            return None
    return holder


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
