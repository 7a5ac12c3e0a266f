"""Which tests run which lines: so that a fault is tried on the tests that can notice it alone."""

from __future__ import annotations

import ast
import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

import coverage

from tests.mutation.processes import Timed, forked, module_of, run

_PACKAGES = ("tune_select", "trainables", "analysis")
_ELSEWHERE = ("mutation", "benchmarks")
_STARTS_RAY = ("ray_session", "ray.init", "run_sweep", "Tuner(", "subprocess", "selenium")
_MOST_CPU_S = 240  # of the tests of one folder, beyond which its files are left out


@dataclass
class Reached:
    """What the tests of one file run.

    Attributes:
        seconds: Of CPU, by test.
        lines: By module's path and test; what runs as a module is imported is not among them.
        digests: Of the file, and of each module that its tests run, as they were then.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def is_current(self) -> bool:
        """Whether neither the test file nor a module that it runs has changed."""
        return all(_digest(path) == digest for path, digest in self.digests.items())


class Reach:
    """What the tests run, by test file; kept in a file, so that only what changed runs again."""

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        rows = json.loads(kept.read_text()) if kept.exists() else {}
        self._of = {file: Reached(**row) for file, row in rows.items()}

    def find(self, rooms: Sequence[str], among: Sequence[str]) -> None:
        """Run every test file that may reach the rooms and is not known as it is now.

        Args:
            rooms: The rooms.
            among: All rooms that faults are ever drawn from; what is run of them is noted too.
        """
        self._of = {file: one for file, one in self._of.items() if Path(file).exists()}
        wanted = test_files(rooms)
        stale = [f for f in wanted if f not in self._of or not self._of[f].is_current()]
        for _, folder in groupby(stale, key=lambda file: Path(file).parent):
            self._of |= traced(list(folder), among)
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            self._kept.write_text(json.dumps({f: asdict(one) for f, one in self._of.items()}))

    def tests_of(self, path: Path, lines: range, most_s: float) -> list[str]:
        """Ids of the tests that run one of a module's lines, the module's own tests first.

        Of a line that runs as the module is imported: of the tests that run any of its lines, or
        else of all whose file names it.

        Args:
            path: The module's.
            lines: Where the fault is.
            most_s: Seconds of CPU of all of them together; the slowest are left out.
        """
        by_test = {
            name: set(ran)
            for found in self._of.values()
            for name, ran in found.lines.get(str(path), {}).items()
        }
        names = [name for name, ran in by_test.items() if not ran.isdisjoint(lines)]
        names = names or list(by_test) or list(self._naming(path))
        own = str(Path("tests") / path.parent)
        seconds = {name: s for found in self._of.values() for name, s in found.seconds.items()}
        kept, left_s = [], most_s
        for name in sorted(names, key=lambda name: seconds[name]):
            left_s -= seconds[name]
            if left_s < 0:
                break
            kept.append(name)
        return sorted(kept, key=lambda name: not name.startswith(own))

    def _naming(self, path: Path) -> Iterator[str]:
        for file, found in self._of.items():
            if module_of(path) in imports(Path(file)):
                yield from found.seconds


def traced(files: Sequence[str], rooms: Sequence[str]) -> dict[str, Reached]:
    """Run test files and note what each of their tests runs of the rooms.

    Args:
        files: The test files.
        rooms: Folders of modules.
    """
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch) / "traced.json"

        def work() -> int:
            measured = coverage.Coverage(data_file=None, include=[f"{room}/*" for room in rooms])
            timed = Timed(measured.switch_context)
            measured.start()
            run(files, timed, keep_going=True)
            measured.stop()
            found = _by_file(files, timed.seconds, measured)
            kept.write_text(json.dumps({file: asdict(one) for file, one in found.items()}))
            return 0

        if forked(work, _MOST_CPU_S) == 0:
            return {file: Reached(**row) for file, row in json.loads(kept.read_text()).items()}
    if len(files) == 1:
        print(f"{files[0]}: left out, it does not end within {_MOST_CPU_S} s of CPU")
        return {}
    return {name: one for file in files for name, one in traced([file], rooms).items()}


def _by_file(
    files: Sequence[str], seconds: dict[str, float], measured: coverage.Coverage
) -> dict[str, Reached]:
    found = {file: Reached(digests={file: _digest(file)}) for file in files}
    for name, cpu_s in seconds.items():
        found[name.partition("::")[0]].seconds[name] = cpu_s
    data = measured.get_data()
    for place in data.measured_files():
        path = str(Path(place).relative_to(Path.cwd()))
        by_test: dict[str, list[int]] = defaultdict(list)
        for line, names in data.contexts_by_lineno(place).items():
            for name in names:
                by_test[name].append(line)
        for name, lines in by_test.items():
            if name:
                one = found[name.partition("::")[0]]
                one.lines.setdefault(path, {})[name] = sorted(lines)
                one.digests[path] = _digest(path)
    return found


def test_files(rooms: Sequence[str]) -> Iterator[str]:
    """Test files without Ray that import a module of the rooms, or that stand in their mirror."""
    inside = {module_of(path) for room in rooms for path in Path(room).rglob("*.py")}
    for file in sorted(Path("tests").rglob("test_*.py")):
        text = file.read_text()
        if any(sign in text for sign in _STARTS_RAY) or file.parts[1] in _ELSEWHERE:
            continue
        mirrors = any(file.is_relative_to(Path("tests") / room) for room in rooms)
        if mirrors or not inside.isdisjoint(imports(file)):
            yield str(file)


def imports(path: Path) -> Iterator[str]:
    """Modules of ours that a file names in its imports, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names):
                yield from (one.name for one in names if _is_ours(one.name))
            case ast.ImportFrom(module=str(module), names=names) if _is_ours(module):
                yield from (module, *(f"{module}.{one.name}" for one in names))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _PACKAGES


def _digest(path: str) -> str:
    place = Path(path)
    return hashlib.sha256(place.read_bytes()).hexdigest() if place.exists() else ""
