"""When a trial looks at its validation and test splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from trainables.checks import check_keys, integer, number, require


@dataclass(frozen=True)
class EvaluationSettings:
    """The trial's ``evaluation`` table.

    Whatever is set, the whole validation split and the test split are evaluated after the last
    epoch. Looks at the splits change no weights: two trials that differ in this table alone train
    alike.

    Attributes:
        every: Epochs between looks; ``None`` leaves it to ``share``, or to ``eval_every``.
        share: In place of ``every``: look whenever the seconds of all looks, the last one's
            included, stay within this share of the training seconds so far.
        milestones: Epochs that are looked at besides, whatever that costs: those at which a
            scheduler decides.
        validation_part: Share of the validation split that looks before the last epoch see, in
            (0, 1]; ``auto`` takes 2,000 examples of a larger split. The part is stratified by label
            and the same for all trials.
        test: ``last`` evaluates the test split after the last epoch alone, ``every`` at each look.
    """

    every: int | None = None
    share: float | None = None
    milestones: tuple[int, ...] = ()
    validation_part: float | Literal["auto"] = 1.0
    test: Literal["last", "every"] = "last"


def parse_evaluation(value: Any, eval_every: int = 1) -> EvaluationSettings:
    """Check the ``evaluation`` table and settle when looks are due.

    Args:
        value: The table.
        eval_every: The older key for ``every``, which holds where the table does not say.

    Raises:
        ValueError: An unknown key, a value out of range, or two plans at once.
    """
    if isinstance(value, EvaluationSettings):
        return value
    require(isinstance(value, Mapping), "evaluation", value, "a mapping")
    check_keys(value, {f.name for f in fields(EvaluationSettings)}, "evaluation.")
    evaluation = EvaluationSettings(**value)
    every, share, part = evaluation.every, evaluation.share, evaluation.validation_part
    if share is not None:
        number("evaluation.share", share, above=0, most=1)
        if every is not None:
            raise ValueError(
                f"evaluation.every={every} and evaluation.share={share} are two plans: leave one "
                "of them out"
            )
    else:
        every = eval_every if every is None else every
        integer("evaluation.every", every, least=1)
        if eval_every not in (1, every):
            raise ValueError(
                f"evaluation.every={every}, but eval_every={eval_every}, which is its older name: "
                "leave eval_every out"
            )
    if part != "auto":
        number("evaluation.validation_part", part, above=0, most=1)
    require(evaluation.test in ("last", "every"), "evaluation.test", evaluation.test,
             "last or every")  # fmt: skip
    milestones = evaluation.milestones
    require(isinstance(milestones, (list, tuple)), "evaluation.milestones", milestones,
             "a list of epochs")  # fmt: skip
    for epoch in milestones:
        integer("evaluation.milestones", epoch, least=1)
    return EvaluationSettings(every, share, tuple(sorted(set(milestones))), part, evaluation.test)
