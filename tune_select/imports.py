"""Names in settings that stand for Python objects: ``package.Name`` or ``package:Name``.

The one resolver of them, for whatever a sweep or a trial names: spaces, trainables, selectors,
models, data sets, searchers, schedulers, and the packages that a cluster must be sent.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection
from typing import Any

from tune_select.users_code import users_code
from tune_select.wording import did_you_mean, not_among, shown

PATIENCE_S = 600.0
"""Seconds that a module may take to be imported: on a cold network disk it can be minutes."""

_IMPORT_STRING = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*(?:[.:][^\W\d]\w*(?:\.[^\W\d]\w*)*)")


def is_import_string(text: object) -> bool:
    """Whether a value is written as an import string, whether or not anything is there."""
    return isinstance(text, str) and _IMPORT_STRING.fullmatch(text) is not None


def module_of(path: str) -> str:
    """The top-level module that an import string names."""
    return re.split(r"[.:]", path, maxsplit=1)[0]


def import_string(path: str, field: str, names: Collection[str] = ()) -> Any:
    """The object at an import string.

    Args:
        path: ``package.Name``, ``package.module.Name`` or ``package.module:Name``.
        field: The setting that holds the string, for the error.
        names: Short names that would do in its place, for the error.

    Raises:
        ValueError: Nothing is there, or the module cannot be imported; the message says why.
    """
    if not is_import_string(path):
        raise ValueError(_said_of(path, field, names))
    module_name, _, attributes = path.rpartition(":" if ":" in path else ".")
    module = _module(module_name, path, field)
    found: Any = module
    for attribute in attributes.split("."):
        if not _has(found, attribute, path, field):
            # A package that imports its names only when they are asked for lists them in __all__.
            there = {*dir(found), *map(str, getattr(found, "__all__", ()))}
            public = {name for name in there if not name.startswith("_")}
            near = did_you_mean(attribute, public)
            meant = f"; {near}" if near.startswith("did") else ""
            raise ValueError(
                f"{field} is {path!r}, but {module_name!r} has no {attribute!r}{meant}"
            )
        found = getattr(found, attribute)
    return found


def check_name(path: str, field: str, names: Collection[str]) -> None:
    """Refuse what is neither a name nor written as an import string, of which nothing is imported.

    Args:
        path: What was written.
        field: The setting that holds it, for the error.
        names: Short names that would do.

    Raises:
        ValueError: It is neither; says which name was probably meant.
    """
    if path not in names and not is_import_string(path):
        raise ValueError(_said_of(path, field, names))


def _said_of(path: str, field: str, names: Collection[str]) -> str:
    example = "an import string such as 'package.Name'"
    if not names:
        return f"{field} must be {example}, got {shown(path)}"
    return not_among(field, path, names, f" or {example}")


def _has(found: Any, attribute: str, path: str, field: str) -> bool:
    """Whether something has an attribute; packages may import it only now, which may fail."""
    with users_code(f"{field} is {path!r}, but importing {attribute!r}", PATIENCE_S):
        return hasattr(found, attribute)


def _module(name: str, path: str, field: str) -> Any:
    with users_code(f"{field} is {path!r}, but importing {name!r}", PATIENCE_S):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or name
    if name == missing or name.startswith(f"{missing}."):
        raise ValueError(
            f"{field} is {path!r}, but there is no module {missing!r}; install it, or put its "
            "folder beside the sweep file, into the working directory or on PYTHONPATH"
        )
    raise ValueError(
        f"{field} is {path!r}, but its module needs {missing!r}, which is not installed"
    )
