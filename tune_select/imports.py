"""Names in a sweep that stand for Python objects: ``package.module.Name``."""

from __future__ import annotations

import importlib
from typing import Any


def import_string(path: str, field: str) -> Any:
    """The object at an import string.

    Args:
        path: ``package.Name`` or ``package.module.Name``.
        field: The setting that holds the string, for the error.

    Raises:
        ValueError: Nothing is there; the message says which part is missing.
    """
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise ValueError(f"{field} must be an import string such as 'package.Name', got {path!r}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise  # the module exists and misses a dependency of its own
        raise ValueError(
            f"{field} is {path!r}, but there is no module {error.name!r}; "
            "install it or put its folder on PYTHONPATH"
        ) from None
    try:
        return getattr(module, name)
    except AttributeError:
        raise ValueError(
            f"{field} is {path!r}, but module {module_name!r} has no {name!r}"
        ) from None
