"""The ``selection`` table of a trial's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from trainables.checks import check_keys, integer, number, require
from tune_select.selection import REPLAY_NAMES, SELECTOR_NAMES, minibatch


@dataclass(frozen=True)
class SelectionSettings:
    """How an arm chooses its subsets (Killamsetty et al. 2021, Algorithm 1 and A.2.1).

    Attributes:
        algorithm: The seed's selector, by name or import string.
        fraction: Subset size over the number of training examples, k / n.
        select_every: The paper's R, epochs between selections.
        warm_start_epochs: The paper's T_f, epochs on all the data before the first subset.
        kappa: In place of ``warm_start_epochs``: the subset is trained on for T_s = kappa T epochs
            after T_f = T_s k / n epochs on all the data, so the run has T_f + T_s epochs.
        settings: Constructor keywords by selector name.
        record_gradient_error: Whether selections record their gradient error: ``"auto"`` does
            where the selector collected gradients anyway, ``True`` collects them for the record
            (booked as evaluation), ``False`` never.
        align: How a replay's epochs map onto its seed's: ``"epoch"`` takes the same epoch and
            refuses a history that is shorter than the trial; ``"progress"`` takes the epoch at the
            same share of training, whatever the two lengths are, warm start included.
    """

    algorithm: str = "gradmatch"
    fraction: float = 0.1
    select_every: int = 20
    warm_start_epochs: int = 0
    kappa: float | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    record_gradient_error: bool | Literal["auto"] = "auto"
    align: Literal["epoch", "progress"] = "epoch"


def parse_selection(value: Any, prefix: str = "selection.") -> SelectionSettings:
    """Check the ``selection`` table.

    Raises:
        ValueError: As ``parse_settings``.
    """
    if isinstance(value, SelectionSettings):
        return value
    require(isinstance(value, Mapping), prefix.rstrip("."), value, "a mapping")
    check_keys(value, {f.name for f in fields(SelectionSettings)}, prefix)
    selection = SelectionSettings(**value)
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
    if selection.kappa is not None:
        number(name.format("kappa"), selection.kappa, above=0, most=1)
        if selection.warm_start_epochs:
            raise ValueError(
                f"{prefix}kappa={selection.kappa} and {prefix}warm_start_epochs="
                f"{selection.warm_start_epochs} both set the warm start: leave one of them out"
            )
    return selection
