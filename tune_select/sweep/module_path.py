"""Where code that a sweep names is imported from: here, and in every process that Ray starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tune_select.siblings import hidden_in

_HOOK = "worker_process_setup_hook"


def folders_of(modules: Sequence[str]) -> list[str]:
    """The sweep's own folders and the working directory, absolute, each once."""
    folders = [str(Path(folder).expanduser().resolve()) for folder in [*modules, os.getcwd()]]
    return list(dict.fromkeys(folders))


def add_to_path(modules: Sequence[str]) -> None:
    """Let this process import from the sweep's folders and the working directory.

    Behind the standard library, so that a file of the user's called ``random.py`` breaks nothing,
    and before what is installed, so that code of their own is what they get by its name.
    """
    known = {str(Path(folder).resolve()) for folder in sys.path if folder}
    installed = [i for i, folder in enumerate(sys.path) if folder.endswith("-packages")]
    place = min(installed, default=len(sys.path))
    new = [folder for folder in folders_of(modules) if folder not in known]
    sys.path[place:place] = new


@contextmanager
def for_workers(modules: Sequence[str]) -> Iterator[None]:
    """Let the processes of a Ray that is started meanwhile import from there too."""
    before = os.environ.get("PYTHONPATH")
    given = before.split(os.pathsep) if before else []
    new = [folder for folder in folders_of(modules) if folder not in given]
    os.environ["PYTHONPATH"] = os.pathsep.join([*given, *new])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def claiming(
    runtime_env: Mapping[str, Any] | None, modules: Sequence[str]
) -> dict[str, Any] | None:
    """A runtime environment whose workers find our packages before files of the user's.

    Ray puts the working directory in front of the workers' path. Only where something there goes by
    one of our names: a runtime environment of its own costs each worker a later start.
    """
    if (runtime_env and _HOOK in runtime_env) or not hidden_in(folders_of(modules)):
        return None if runtime_env is None else dict(runtime_env)
    return {**(runtime_env or {}), _HOOK: "tune_select.siblings.claim"}
