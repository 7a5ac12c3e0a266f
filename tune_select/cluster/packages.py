"""What the nodes of a cluster must be sent, so that trials find the code that they run.

Nodes have Ray and the third-party libraries in their image; our packages and the user's own change
from sweep to sweep and travel as ``py_modules`` of Ray's runtime environment.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune_select.imports import is_import_string, module_of
from tune_select.secrets import fill_secrets

OUR_PACKAGES = ("tune_select", "trainables", "search_spaces", "analysis")
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # what Ray's job manager tells a job about itself


def is_remote(address: str | None, environment: Mapping[str, str] | None = None) -> bool:
    """Whether a sweep joins a cluster that somebody else has started.

    Args:
        address: The sweep's ``cluster.address``.
        environment: The environment variables, by default this process's; Ray joins ``RAY_ADDRESS``
            without being told.
    """
    values = os.environ if environment is None else environment
    return (address or values.get("RAY_ADDRESS") or "local") != "local"


def import_strings(settings: Any) -> list[str]:
    """Every text in nested settings that may name Python code: ``module.Name``.

    Args:
        settings: A resolved sweep, or any part of one.
    """
    if isinstance(settings, str):
        return [settings] if is_import_string(settings) else []
    if isinstance(settings, Mapping):
        return [text for value in settings.values() for text in import_strings(value)]
    if isinstance(settings, list | tuple):
        return [text for value in settings for text in import_strings(value)]
    return []


def travelling_modules(settings: Any = None) -> list[str]:
    """The local packages and modules that a sweep's trials import.

    Args:
        settings: The resolved sweep. Of the code that it names, what is installed in site-packages
            stays, since the nodes have it like any other library; so do names that are no modules.

    Returns:
        Folders of packages and paths of single-file modules, ours first, each once.
    """
    roots = [module_of(text) for text in import_strings(settings)]
    paths: list[str] = []
    for name in dict.fromkeys([*OUR_PACKAGES, *roots]):
        path = _place_of(name)
        if path is not None and (name in OUR_PACKAGES or not _is_installed(path)):
            paths.append(str(path))
    return list(dict.fromkeys(paths))


def runtime_env_for(
    given: Mapping[str, Any],
    settings: Any = None,
    *,
    remote: bool,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """Complete a sweep's runtime environment with the packages that have to travel.

    On this machine's own Ray nothing travels: its workers import what the driver imports. In a job
    that was submitted with a working directory or ``py_modules``, what they bring is left to them
    (Ray refuses the same field twice).

    Args:
        given: The sweep's ``cluster.runtime_env``; its own ``py_modules`` come first.
        settings: See ``travelling_modules``.
        remote: See ``is_remote``.
        environment: The environment variables, by default this process's.

    Returns:
        The argument for ``ray.init(runtime_env=...)``; None when there is nothing to say.

    Raises:
        ValueError: It refers to an environment variable that is not set.
    """
    environment = os.environ if environment is None else environment
    result = fill_secrets(given, environment)
    if not remote:
        return result or None
    job = json.loads(environment.get(_JOB_CONFIG) or "{}").get("runtime_env") or {}
    if "py_modules" in job:
        return result or None
    brought = Path.cwd() if "working_dir" in job else None
    own = [str(module) for module in result.get("py_modules") or []]
    more = [
        path
        for path in travelling_modules(settings)
        if path not in own and not (brought and Path(path).is_relative_to(brought))
    ]
    if own or more:
        result["py_modules"] = [*own, *more]
        result.setdefault("excludes", ["**/__pycache__"])
    return result or None


def _place_of(name: str) -> Path | None:
    """The folder of a package or the file of a module; None for what has neither."""
    if name in sys.builtin_module_names:
        return None
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).absolute()
    return Path(spec.origin).absolute() if spec.origin and spec.has_location else None


def _is_installed(path: Path) -> bool:
    """Whether a path lies among the interpreter's own and third-party libraries."""
    libraries = {sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")}
    return any(path.is_relative_to(library) for library in libraries)
