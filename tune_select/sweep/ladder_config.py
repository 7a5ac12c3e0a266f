"""The sections ``tune.ladder`` and ``rivals`` of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tune_select.arms import COMPOSED_SELECTOR, FULL_ARM, SEED_ARM, Arm, Selection, kind_of
from tune_select.imports import check_name
from tune_select.search.ladder import LADDER_KEYS, Rules, Rung, check_rungs

# Like every section of a sweep: true is no number, "3" is none either, and yes in quotes no answer.
_AS_WRITTEN = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

FRACTIONS = [0.03, 0.3]
"""The rungs of a ladder that names none."""

_KINDS = ("fractions", "epochs", "rungs")

_OLDER_FRACTIONS = [0.03, 0.1, 0.3]
"""The same in results folders of before, whose lists of rungs are written out and empty."""


class RungConfig(BaseModel):
    """One rung: ``{fraction: 0.1}`` or ``{epochs: 1}``."""

    model_config = _AS_WRITTEN

    fraction: float | None = None
    epochs: int | None = None

    def rung(self) -> Rung:
        """The rung itself."""
        return Rung(self.fraction, self.epochs)


class LadderConfig(BaseModel):
    """How a sweep climbs: every configuration at the lowest rung, the best of a rung one higher.

    Attributes:
        fractions: Shares of the training examples, one rung each; or
        epochs: numbers of epochs on all the data, each on a schedule of that length; or
        rungs: both kinds, in order. ``fractions: [0.03, 0.3]`` where none is given.
        keep: One in so many configurations of a rung goes up.
        rank_by: What a rung's best are: the validation metric (``accuracy``, whatever the task's is
            called), the validation ``loss``, or the sum of both ranks.
        asynchronous: Whether a configuration goes up as soon as it is among the best of what its
            rung has seen, or when the whole rung is known.
        confirm: How many are trained on all the data in the end; two by default, or one where the
            rung below sees no more.
        warm: Whether a configuration that goes up begins with the weights that it ended with on the
            rung below; on a schedule of its own, with an optimizer of its own.
        train_on: What rungs with a fraction train on: a selector, or ``cached`` (or another
            replay): then one seed trial selects for all of them.
        seed_fraction: What that seed trial trains on itself; the largest of the fractions by
            default, whose subset the selection goes up to anyway and on which its model learns
            most, so that its gradients are nearest to those of full training.
    """

    model_config = _AS_WRITTEN

    fractions: list[float] = []
    epochs: list[int] = []
    rungs: list[RungConfig] = []
    keep: int = 9
    rank_by: Literal["both", "accuracy", "loss"] = "both"
    asynchronous: bool = True
    confirm: int | None = None
    warm: bool = False
    train_on: str = "cached"
    seed_fraction: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _names_its_rungs(cls, said: Any) -> Any:
        """Fill in the rungs, so that a results folder says which they were.

        Raises:
            ValueError: A list of rungs is there and empty, as only older folders have all three.
        """
        if not isinstance(said, Mapping):
            return said
        named = [kind for kind in _KINDS if kind in said]
        if not named:
            return {**said, "fractions": FRACTIONS}
        if len(named) < len(_KINDS) and all(said[kind] == [] for kind in named):
            raise ValueError(
                f"{named[0]} is [], which is no rung: give at least one, or leave {named[0]} out "
                f"for fractions: {FRACTIONS}"
            )
        return said

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if sum(map(bool, (self.fractions, self.epochs, self.rungs))) > 1:
            raise ValueError("give one of fractions, epochs and rungs")
        self.climbs()
        self.rules()
        self._check_train_on()
        if self.seed_fraction is not None and not self.replays():
            raise ValueError(
                f"seed_fraction is {self.seed_fraction}, but there is no seed trial: set train_on: "
                "cached and rungs with a fraction, or leave it out"
            )
        return self

    def _check_train_on(self) -> None:
        kind = kind_of(self.train_on)
        if kind not in ("selector", "cached") or self.train_on == COMPOSED_SELECTOR:
            raise ValueError(
                f"train_on is {self.train_on!r}, but a rung trains on a subset of the training "
                "set: name a selector such as random, random_pb or gradmatch, or cached for the "
                "replay of one seed trial (full training for fewer epochs is epochs: [...])"
            )
        from tune_select.selection import REPLAY_NAMES, SELECTOR_NAMES

        # An arm's own check would offer the names of all arms.
        known = [*REPLAY_NAMES, *SELECTOR_NAMES]
        known = [name for name in known if name not in (FULL_ARM, COMPOSED_SELECTOR)]
        check_name(self.train_on, "train_on", known)

    def replays(self) -> bool:
        """Whether rungs replay what a seed trial selects."""
        return kind_of(self.train_on) == "cached" and bool(self._fractions())

    def seed_arm(self, training: Mapping[str, Any]) -> Arm:
        """The seed trial's arm, where rungs replay.

        Args:
            training: What all rungs change in a trial's configuration.
        """
        fraction = self.seed_fraction or max(self._fractions())
        return Arm(SEED_ARM, SEED_ARM, "seed", {"fraction": fraction}, dict(training))

    def _fractions(self) -> list[float]:
        return [rung.fraction for rung in self.climbs() if rung.fraction is not None]

    def climbs(self) -> list[Rung]:
        """The rungs below full training, lowest first.

        Raises:
            ValueError: A rung has neither or both of fraction and epochs, or is out of range.
        """
        if self.rungs:
            return _made("rungs", [rung.rung for rung in self.rungs])
        if self.epochs:
            return _made("epochs", [partial(Rung, epochs=epochs) for epochs in self.epochs])
        fractions = self.fractions or _OLDER_FRACTIONS
        return _made("fractions", [partial(Rung, fraction=share) for share in fractions])

    def rules(self) -> Rules:
        """Who goes up, and when.

        Raises:
            ValueError: A number is out of its range.
        """
        return Rules(
            rungs=len(self.climbs()) + 1,
            keep=self.keep,
            rank_by=self.rank_by,
            confirm=Rules.confirm if self.confirm is None else self.confirm,
            asynchronous=self.asynchronous,
            warm=self.warm,
        )

    def check_axes(self, axes: Collection[str]) -> None:
        """Refuse to search what every rung sets for itself.

        Args:
            axes: Dotted keys of the space.

        Raises:
            ValueError: Names the axis.
        """
        own = {"selection.fraction": "a rung with a fraction", "selection.rungs": "the seed trial"}
        if any(rung.epochs is not None for rung in self.climbs()):
            own |= dict.fromkeys(("max_epochs", "warmup_epochs"), "a rung with epochs")
        own |= dict.fromkeys(LADDER_KEYS, "every trial")
        for axis in sorted(own.keys() & set(axes)):
            raise ValueError(
                f"space searches {axis}, which {own[axis]} of tune.ladder sets for itself: leave "
                "it out of space"
            )

    def check_trainable(self, trainable: Any, name: str) -> None:
        """Refuse a warm ladder of trials that cannot begin with each other's weights.

        Args:
            trainable: What the sweep trains.
            name: The name as the sweep names it.

        Raises:
            ValueError: It does not say that it can.
        """
        if self.warm and not getattr(trainable, "hands_on_weights", False):
            raise ValueError(
                f"tune.ladder.warm is true, but {name} does not say that its trials can begin with "
                "each other's weights (hands_on_weights, with the keys start_from and "
                "leave_weights): make it a SelectionTrainable, or leave warm out"
            )

    def check(self, train: Mapping[str, Any], selection: Selection) -> None:
        """Refuse rungs that do not grow towards full training, or cannot share a history.

        Args:
            train: The sweep's section.
            selection: The sweep's section.

        Raises:
            ValueError: Names the rung, and what would be right.
        """
        max_epochs = train.get("max_epochs")
        if not isinstance(max_epochs, int):
            raise ValueError(
                "tune.ladder needs train.max_epochs, the length of full training that its rungs "
                "are measured against; set it"
            )
        try:
            check_rungs(self.climbs(), max_epochs, selection)
        except ValueError as error:
            raise ValueError(f"tune.ladder: {error}") from None
        if self.replays() and selection.kappa is not None and selection.align == "epoch":
            raise ValueError(
                f"selection.kappa is {selection.kappa}, which gives every fraction a warm start of "
                "another length, but tune.ladder's rungs replay one history; give "
                "selection.warm_start_epochs, or set selection.align: progress"
            )


def _made(key: str, makers: Sequence[Callable[[], Rung]]) -> list[Rung]:
    """Rungs, or what is wrong with one of them and where it stands."""
    found = []
    for place, make in enumerate(makers):
        try:
            found.append(make())
        except ValueError as error:
            raise ValueError(f"{key}[{place}]: {error}") from None
    return found


class RivalConfig(BaseModel):
    """A plain Tune search beside the ladder: its searcher and scheduler on all the data.

    Attributes:
        name: The name in tables.
        searcher: ``random``, ``optuna`` or an import string, as in ``tune``.
        scheduler: The scheduler as in ``tune``.
        searcher_options: Keyword arguments of the searcher.
        scheduler_options: Keyword arguments of the scheduler.
    """

    model_config = _AS_WRITTEN

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)
    searcher: str = "random"
    scheduler: str = "fifo"
    searcher_options: dict[str, Any] = {}
    scheduler_options: dict[str, Any] = {}


_ETA_3 = {"reduction_factor": 3, "grace_period": 1}
RIVALS: dict[str, RivalConfig] = {
    rival.name: rival
    for rival in (
        RivalConfig(name="asha", scheduler="asha", scheduler_options=_ETA_3),
        RivalConfig(name="hyperband", scheduler="hyperband"),
        RivalConfig(
            name="optuna_asha", searcher="optuna", scheduler="asha", scheduler_options=_ETA_3
        ),
        RivalConfig(name="random"),
    )
}
"""The rivals that a sweep may name alone."""
