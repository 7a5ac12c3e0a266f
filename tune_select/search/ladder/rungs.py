"""What a rung trains on: a share of the data, or all of it for fewer epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tune_select.arms import FULL_ARM, Arm, Selection, epochs_of, kind_of

RUNG = "rung"
RUNG_NAME = "rung_name"
PROMOTED_FROM = "promoted_from"
START_FROM = "start_from"
"""Key of a trial of a warm ladder: the trial whose last weights it begins with; else empty."""
LEAVE_WEIGHTS = "leave_weights"
"""Key of a trial of a warm ladder: whether another may begin with its last weights."""
WEIGHTS_FOLDER = "weights"
"""Where trials of a warm ladder leave their last weights, beside the trials' own folders."""
STRATEGY = "strategy"
LADDER = "ladder"
BELOW_ALL = -1
"""Rung of a seed trial, which selects for the rungs and is on none of them."""
LADDER_KEYS = (STRATEGY, RUNG, RUNG_NAME, PROMOTED_FROM, START_FROM, LEAVE_WEIGHTS)
"""What a ladder adds to a trial's configuration, for tables and pictures."""


@dataclass(frozen=True)
class Rung:
    """One rung below full training.

    Attributes:
        fraction: Share of the training examples that it trains on, in (0, 1); or
        epochs: how many epochs it trains on all the data, on a schedule of that length.

    Raises:
        ValueError: Neither or both are given, or one is out of its range.
    """

    fraction: float | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if (self.fraction is None) == (self.epochs is None):
            raise ValueError(
                f"a rung has either a fraction or epochs, got fraction {self.fraction} and epochs "
                f"{self.epochs}"
            )
        if self.fraction is not None and not 0 < self.fraction < 1:
            raise ValueError(
                f"fraction must be in (0, 1), got {self.fraction:g}: {_below_one(self.fraction)}"
            )
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")

    @property
    def name(self) -> str:
        """For tables and pictures: ``3%``, ``1 epoch``."""
        if self.fraction is not None:
            return f"{100 * self.fraction:.4g}%"
        return "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"

    def share(
        self, max_epochs: int, warm_start_epochs: int = 0, epochs: int | None = None
    ) -> float:
        """Its examples over those of full training, of ``max_epochs`` epochs.

        Args:
            max_epochs: The largest number of epochs of full training.
            warm_start_epochs: Epochs on all the data, before the first subset of a rung with a
                fraction.
            epochs: The epochs of the whole run of such a rung, where it is not ``max_epochs``.
        """
        if self.fraction is None:
            return (self.epochs or 0) / max_epochs
        subset_epochs = max(0, (epochs or max_epochs) - warm_start_epochs)
        return (warm_start_epochs + self.fraction * subset_epochs) / max_epochs

    def arm(self, train_on: str, training: Mapping[str, Any], max_epochs: int) -> Arm:
        """The arm of this rung's trials.

        Args:
            train_on: Name or import string of what rungs with a fraction train on: a selector, or
                ``cached`` for the replay of a seed trial's history.
            training: What all rungs change in a trial's configuration.
            max_epochs: The largest number of epochs of full training. A warm-up of the learning
                rate among ``training`` is as much shorter as the rung's schedule is; a rung with a
                fraction has full training's schedule, and its warm-up with it.
        """
        if self.fraction is not None:
            changes = {"fraction": self.fraction}
            own = {key: value for key, value in training.items() if key != "warmup_epochs"}
            return Arm(self.name, train_on, kind_of(train_on), changes, own)
        assert self.epochs is not None
        own = {**training, "max_epochs": self.epochs}
        if "warmup_epochs" in own:
            own["warmup_epochs"] = own["warmup_epochs"] * self.epochs / max_epochs
        return Arm(self.name, FULL_ARM, "full", {}, own)


def check_rungs(rungs: Sequence[Rung], max_epochs: int, selection: Selection | None = None) -> None:
    """Refuse rungs that do not grow towards full training.

    Args:
        rungs: The lowest first.
        max_epochs: The largest number of epochs of full training.
        selection: What says of a warm start on all the data, which rungs with a fraction pay for.

    Raises:
        ValueError: Names the rung that is no larger than the one before it, or no smaller than full
            training.
    """
    if not rungs:
        raise ValueError("a ladder needs at least one rung: give fractions, epochs or rungs")
    for lower, upper in pairwise(rungs):
        if lower.name == upper.name and lower != upper:
            raise ValueError(
                f"rungs must be told apart by four digits, but {lower.fraction} and "
                f"{upper.fraction} are both {lower.name}: put them further apart"
            )
    shares = [_share(rung, max_epochs, selection or Selection()) for rung in rungs]
    for rung, share in zip(rungs, shares, strict=True):
        _check_below_full(rung, share, max_epochs)
    for lower, upper, before, after in zip(rungs, rungs[1:], shares, shares[1:], strict=False):
        if after <= before:
            equal = "leave one of them out" if after == before else "put the smaller one first"
            raise ValueError(
                f"rungs must grow, but {upper.name} follows {lower.name} (shares {after:.4g} and "
                f"{before:.4g} of full training's examples): {equal}"
            )


def _below_one(fraction: float) -> str:
    """What to write in place of a fraction that is none."""
    if 1 < fraction < 100:
        return f"it is a share of the examples, so write {fraction:g}% as {fraction / 100:g}"
    return "full training is the top rung by itself"


def _check_below_full(rung: Rung, share: float, max_epochs: int) -> None:
    """Refuse a rung that is full training, or more.

    Raises:
        ValueError: With what would be less.
    """
    if share < 1:
        return
    said = f"rung {rung.name} is not below full training, which takes max_epochs={max_epochs}"
    if rung.fraction is not None:
        raise ValueError(
            f"{said}: its warm start on all the data leaves no epochs for subsets; lower "
            "selection.warm_start_epochs or kappa"
        )
    if max_epochs < 2:
        raise ValueError(f"{said}: raise train.max_epochs, or give fractions in place of epochs")
    raise ValueError(f"{said}: epochs of a rung may be 1 to {max_epochs - 1}")


def _share(rung: Rung, max_epochs: int, selection: Selection) -> float:
    """A rung's examples over full training's, its warm start on all the data among them.

    A replay that is stretched along its seed's progress has the seed's warm start, of the same
    share of its epochs.
    """
    if rung.fraction is None:
        return rung.share(max_epochs)
    plan = epochs_of(
        "selector", selection.model_copy(update={"fraction": rung.fraction}), max_epochs
    )
    return rung.share(max_epochs, plan.warm_start_epochs, plan.epochs)
