"""The ``selection`` table: its keys and their defaults, for sweeps and trials alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tune_select.arms.kinds import ArmKind

NOTHING_LEFT = (
    "kappa (1) of the cost leaves none for subsets: take the arm full with max_epochs T k / n, "
    "lower kappa, or set kappa_of: epochs"
)


class Selection(BaseModel):
    """Which examples a subset arm trains on (Killamsetty et al. 2021, Algorithm 1 and A.2.1).

    Attributes:
        algorithm: The selector of the seed trial, by name or import string.
        fraction: Subset size over the number of training examples, k / n, in (0, 1].
        select_every: R, epochs between selections.
        warm_start_epochs: T_f, epochs on all the data before the first subset.
        kappa: The share of the training that the warm start takes, in place of
            ``warm_start_epochs``; the run then has T_f + T_s epochs. See ``epochs_of``.
        kappa_of: What kappa is a share of: the ``cost`` (Fig. 4e, and the authors' code) or the
            ``epochs`` (A.2.1, where it is the share of the epochs on subsets). Equal at one half.
        first_subset: What a trial without a warm start trains on before its model has learnt
            anything: a subset ``selected`` on the untrained model, or a ``random`` one until t = R
            (the initial subset S0 of Algorithm 1).
        settings: Keyword arguments of selectors, by selector name.
        align: How a replay's epochs map onto its seed's: ``epoch`` takes the same epoch and refuses
            a history that is shorter than the trial; ``progress`` takes the epoch at the same share
            of training, whatever the two lengths are, warm start included.
        rungs: Fractions at which a seed publishes a subset of each interval beside its own, all
            from one selection: those that a ladder's rungs replay.
        record_gradient_error: Whether selections record how well they match: ``auto`` where the
            selector collects gradients anyway, ``true`` collects them for the record (booked as
            evaluation), ``false`` never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    algorithm: str = "gradmatch"
    fraction: float = Field(default=0.1, gt=0, le=1)
    select_every: int = Field(default=20, ge=1)
    warm_start_epochs: int = Field(default=0, ge=0)
    kappa: float | None = Field(default=None, gt=0, le=1)
    kappa_of: Literal["cost", "epochs"] = "cost"
    first_subset: Literal["selected", "random"] = "selected"
    settings: dict[str, dict[str, Any]] = {}
    align: Literal["epoch", "progress"] = "epoch"
    rungs: list[Annotated[float, Field(gt=0, le=1)]] = []
    record_gradient_error: bool | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _one_warm_start(self) -> Self:
        if self.kappa is not None and self.warm_start_epochs:
            raise ValueError(
                f"kappa ({self.kappa}) computes the warm start that warm_start_epochs "
                f"({self.warm_start_epochs}) sets; give one of them"
            )
        if self.kappa == 1 and self.kappa_of == "cost":
            raise ValueError(NOTHING_LEFT)
        return self

    @property
    def fractions(self) -> tuple[float, ...]:
        """All fractions at which a seed publishes, ascending, its own among them."""
        return tuple(sorted({self.fraction, *self.rungs}))

    def read_by(self, kind: ArmKind, selector: str) -> Selection:
        """The table as an arm sees it: what it does not read is left at its default.

        Arms are handed this and nothing else, so that no training can hang on more than it says.

        Args:
            kind: What the arm does.
            selector: Its selector; of a seed, the one that it publishes with.
        """
        read = set(_READ_BY[kind])
        own = self.settings.get(selector)
        if kind == "cached" and self.align == "progress":  # the history's lengths are stretched
            read -= {"select_every", *_WARM_START}
        if kind == "mini_batch" and self.kappa is None and "keep" in (own or {}):
            read -= {"fraction"}  # which stands in for the share that a mini-batch keeps
        values = {name: getattr(self, name) for name in read}
        if "settings" in read:
            values["settings"] = {selector: own} if own else {}
        return Selection.model_construct(**values)


_WARM_START = ("warm_start_epochs", "kappa", "kappa_of")
_SELECTING = ("fraction", "select_every", "first_subset", "record_gradient_error", "settings")
_READ_BY: Mapping[ArmKind, tuple[str, ...]] = {
    "full": (),
    "mini_batch": ("fraction", "settings", *_WARM_START),
    "selector": (*_SELECTING, *_WARM_START),
    "seed": ("algorithm", "rungs", *_SELECTING, *_WARM_START),
    "cached": ("fraction", "select_every", "align", "settings", *_WARM_START),
}

KEYS = frozenset(Selection.model_fields)
"""The keys of the table."""


def with_changes(selection: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A ``selection`` table with what an arm changes in it.

    Settings are kept by selector: an arm's own replace those of the same selector. The two ways to
    say how long the warm start is exclude each other, so an arm's choice of one drops the other.
    """
    result = {**selection, **changes}
    if "settings" in changes:
        result["settings"] = {**(selection.get("settings") or {}), **changes["settings"]}
    if "warm_start_epochs" in changes:
        result["kappa"] = None
    elif "kappa" in changes:
        result["warm_start_epochs"] = 0
    return result
