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
        epochs: The epochs of the whole run, warm start included.
    """

    warm_start_epochs: int
    epochs: int


def epochs_of(kind: ArmKind, selection: Selection, max_epochs: int) -> EpochPlan:
    """How long a trial runs, in epochs.

    With ``kappa``, T_f epochs on all the data come before T_s on subsets (Killamsetty et al. 2021).
    As a share of the cost (their Fig. 4e and code), T_f = kappa T k / n and T_s = (1 - kappa) T:
    whatever kappa is, the run costs what T subset epochs cost. As a share of the epochs (A.2.1),
    T_s = kappa T and T_f = T_s k / n: a larger kappa costs more. They agree at kappa = 1/2, which
    is all that the paper's tables use.

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
    if selection.kappa_of == "cost":
        subset_epochs = max(1, round((1 - selection.kappa) * max_epochs))
        warm = round(selection.kappa * max_epochs * selection.fraction)
    else:
        subset_epochs = max(1, round(selection.kappa * max_epochs))
        warm = round(subset_epochs * selection.fraction)
    return EpochPlan(warm, warm + subset_epochs)
