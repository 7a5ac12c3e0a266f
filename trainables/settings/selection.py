"""The ``selection`` table of a trial's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.checks import check_keys, integer, number, require
from tune_select.arms.selection import KEYS, NOTHING_LEFT, Selection
from tune_select.selection import REPLAY_NAMES, SELECTOR_NAMES, minibatch

SelectionSettings = Selection
"""The table with its defaults filled in."""


def parse_selection(value: Any, prefix: str = "selection.") -> SelectionSettings:
    """Check the ``selection`` table.

    Raises:
        ValueError: As ``parse_settings``.
    """
    if isinstance(value, SelectionSettings):
        return value
    require(isinstance(value, Mapping), prefix.rstrip("."), value, "a mapping")
    check_keys(value, KEYS, prefix)
    selection = SelectionSettings.model_construct(**value)
    name = prefix + "{}"
    require(isinstance(selection.algorithm, str), name.format("algorithm"), selection.algorithm,
             "a selector's name or import string")  # fmt: skip
    number(name.format("fraction"), selection.fraction, above=0, most=1)
    integer(name.format("select_every"), selection.select_every, least=1)
    integer(name.format("warm_start_epochs"), selection.warm_start_epochs, least=0)
    require(isinstance(selection.settings, Mapping), name.format("settings"), selection.settings,
             "a mapping from selector names to their keywords")  # fmt: skip
    known = {*SELECTOR_NAMES, *REPLAY_NAMES, *minibatch.SELECTOR_NAMES}
    named = {k: v for k, v in selection.settings.items() if "." not in k and ":" not in k}
    check_keys(named, known, name.format("settings."))  # the others are import strings
    for selector, keywords in selection.settings.items():
        require(isinstance(keywords, Mapping), name.format(f"settings.{selector}"), keywords,
                 "a mapping of constructor keywords")  # fmt: skip
    require(selection.record_gradient_error in ("auto", True, False),
             name.format("record_gradient_error"), selection.record_gradient_error,
             "auto, true or false")  # fmt: skip
    require(selection.align in ("epoch", "progress"), name.format("align"), selection.align,
             "epoch or progress")  # fmt: skip
    require(selection.kappa_of in ("cost", "epochs"), name.format("kappa_of"), selection.kappa_of,
             "cost or epochs")  # fmt: skip
    require(selection.first_subset in ("selected", "random"), name.format("first_subset"),
             selection.first_subset, "selected or random")  # fmt: skip
    require(isinstance(selection.rungs, (list, tuple)), name.format("rungs"), selection.rungs,
             "a list of fractions")  # fmt: skip
    for rung in selection.rungs:
        number(name.format("rungs"), rung, above=0, most=1)
    if selection.kappa is not None:
        number(name.format("kappa"), selection.kappa, above=0, most=1)
        if selection.warm_start_epochs:
            raise ValueError(
                f"{prefix}kappa={selection.kappa} and {prefix}warm_start_epochs="
                f"{selection.warm_start_epochs} both set the warm start: leave one of them out"
            )
        if selection.kappa == 1 and selection.kappa_of == "cost":
            raise ValueError(prefix + NOTHING_LEFT)
    return selection
