"""Settings of an arm that selects inside the mini-batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from trainables.arms.plan import ArmPlan
from trainables.arms.selection_pass import BatchNorm, SelectionPass
from tune_select.selection.minibatch import MiniBatchSelector, selector_named
from tune_select.wording import not_among

BatchMode = Literal["fixed", "scaled", "collected"]
_BATCH_MODES: Final = ("fixed", "scaled", "collected")


@dataclass(frozen=True)
class StageSettings:
    """How an arm selects inside the mini-batch, beside its selector's own settings.

    Attributes:
        keep: Share of the candidates to train on, m / M, in (0, 1].
        batch_mode: ``fixed``: M is the batch size, and steps are on m examples. ``scaled``: steps
            are on the batch size, and M is 1 / keep times as many (Balles et al., section 5).
            ``collected``: M is the batch size, and chosen examples are gathered until there are as
            many (Zhang et al., Algorithm 1), as always with selectors of variable size.
        precision: The precision of the selection pass, see ``SelectionPass``.
        resolution: The resolution of the selection pass.
        batch_norm: The batch normalisation of the selection pass.
    """

    keep: float
    batch_mode: BatchMode = "fixed"
    precision: str | None = None
    resolution: float = 1.0
    batch_norm: BatchNorm = "batch"

    def __post_init__(self) -> None:
        """Refuse settings out of range.

        Raises:
            ValueError: Names the setting, its value and the remedy.
        """
        number = isinstance(self.keep, (int, float)) and not isinstance(self.keep, bool)
        if not number or not 0 < self.keep <= 1:
            raise ValueError(f"keep must be a share of the batch in (0, 1], got {self.keep!r}")
        if self.batch_mode not in _BATCH_MODES:
            raise ValueError(not_among("batch_mode", self.batch_mode, _BATCH_MODES))
        self.selection_pass(gradients=False)

    def selection_pass(self, *, gradients: bool) -> SelectionPass:
        """The pass these settings describe."""
        return SelectionPass(gradients, self.precision, self.resolution, self.batch_norm)


def parse_stage(plan: ArmPlan) -> tuple[MiniBatchSelector, StageSettings]:
    """Selector and stage of an arm that selects inside the mini-batch.

    Args:
        plan: Its ``selector_settings`` hold those of ``StageSettings`` (``keep`` defaults to
            ``selection.fraction``), of the selector and of the wrappers around it (``stale``,
            ``start``, ``end``, ``interrupt``; see ``selector_named``).

    Raises:
        ValueError: An unknown setting or one out of range.
    """
    keywords = plan.selector_settings
    names = list(StageSettings.__dataclass_fields__)
    own = {name: keywords.pop(name) for name in names if name in keywords}
    stage = StageSettings(**{"keep": plan.selection.fraction, **own})
    return selector_named(plan.selector, **keywords), stage
