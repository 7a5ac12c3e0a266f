"""Programs run where packages are missing, as on a machine that never installed them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[1]

_BLOCK = """
import importlib.abc
import sys

ABSENT = {absent!r}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{{name}} is not installed here", name=name)

sys.meta_path.insert(0, Absent())
"""


def run_without(absent: Collection[str], program: str, *arguments: object) -> str:
    """What a program prints in a process of its own, in which importing some packages fails.

    Args:
        absent: Top-level packages that are missing.
        program: Python code; finds ``arguments`` in ``sys.argv[1:]``.
        *arguments: Of the program.
    """
    run = subprocess.run(
        [sys.executable, "-c", _BLOCK.format(absent=tuple(absent)) + program, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
