"""How many epochs a trial runs, and how many of them come before its first subset."""

from __future__ import annotations

from dataclasses import dataclass

from tune_select.arms.kinds import ArmKind
from tune_select.arms.selection import Selection


@dataclass(frozen=True)
class EpochPlan:
    """The length of a run.

    Attributes:
        warm_start_epochs: T_f, epochs on all the data before the first subset.
        epochs: Of the whole run, warm start included.
    """

    warm_start_epochs: int
    epochs: int


def epochs_of(kind: ArmKind, selection: Selection, max_epochs: int) -> EpochPlan:
    """How long a trial runs, in epochs.

    With ``kappa``, T_s = kappa T epochs on subsets follow T_f = T_s k / n on all the data
    (Killamsetty et al. 2021, A.2.1); at kappa = 1/2 the run costs what T subset epochs cost.

    Full training has no first subset. A replay with ``align: progress`` has no warm start of its
    own: its history's is stretched or squeezed over its epochs.

    Args:
        kind: What the arm does.
        selection: The trial's final selection settings.
        max_epochs: The paper's T.
    """
    if kind == "full" or (kind == "cached" and selection.align == "progress"):
        return EpochPlan(0, max_epochs)
    if selection.kappa is None:
        return EpochPlan(selection.warm_start_epochs, max_epochs)
    subset_epochs = max(1, round(selection.kappa * max_epochs))
    warm = round(subset_epochs * selection.fraction)
    return EpochPlan(warm, warm + subset_epochs)
