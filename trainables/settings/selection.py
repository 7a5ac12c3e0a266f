"""The ``selection`` table of a trial's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_select.arms.selection import Selection
from tune_select.imports import is_import_string
from tune_select.messages import Problem, SettingsError, checked, unknown_key
from tune_select.selection import REPLAY_NAMES, SELECTOR_NAMES, minibatch

SelectionSettings = Selection
"""The table with its defaults filled in."""


def parse_selection(value: Any, prefix: str = "selection.") -> SelectionSettings:
    """Check the ``selection`` table.

    Raises:
        SettingsError: Each wrong field, its value and what would be right.
    """
    selection = checked(SelectionSettings, value, prefix)
    problems = selector_problems(selection.settings, prefix)
    if problems:
        raise SettingsError(problems)
    return selection


def selector_problems(settings: Mapping[str, Any], prefix: str) -> list[Problem]:
    """The names under ``settings`` that no selector has; import strings are left to whoever builds.

    Args:
        settings: Constructor keywords, by selector.
        prefix: Where the table stands in what the user wrote, with its dot.
    """
    known = {*SELECTOR_NAMES, *REPLAY_NAMES, *minibatch.SELECTOR_NAMES}
    return [
        unknown_key(f"{prefix}settings.{name}", keywords, known)
        for name, keywords in settings.items()
        if name not in known and not is_import_string(name)
    ]
