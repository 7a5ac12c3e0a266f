"""When a trial looks at its validation and test splits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tune_select.arms import Looks
from tune_select.arms.looks import Epochs


class EvaluationSettings(Looks):
    """The trial's ``evaluation`` table.

    Whatever is set, the whole validation split is evaluated after the last epoch, and so is the
    test split unless ``test`` is ``never``. Looks at the splits change no weights: two trials that
    differ in this table alone train alike. Where neither ``every`` nor ``share`` is given, the
    older key ``eval_every`` holds.

    Attributes:
        milestones: Epochs that are looked at besides, whatever that costs: those at which a
            scheduler decides.
    """

    validation_part: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = 1.0
    milestones: Epochs = ()
