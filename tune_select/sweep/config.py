"""A sweep: its keys, their defaults, and what must hold between them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tune_select.arms import COMPOSED_SELECTOR, FULL_ARM, SEED_ARM, Arm, Selection, is_replay
from tune_select.search.ladder import LADDER
from tune_select.sweep.ladder_config import RIVALS, LadderConfig, RivalConfig
from tune_select.sweep.sections import (
    Amounts,
    ArmConfig,
    CheckpointConfig,
    ClusterConfig,
    ContinuesConfig,
    EvaluationConfig,
    Name,
    Section,
    TrackingConfig,
    TuneConfig,
)

_ARMS: tuple[Name, ...] = ("cached", "gradmatch", "random_pb", "full")


class SweepError(ValueError):
    """A sweep that cannot run as written; the message names each wrong field and its remedy."""


class SweepConfig(Section):
    """One sweep, as written in YAML. See ``search_spaces/`` for complete examples."""

    name: Name
    storage_path: str = "results"
    trainable: str = "trainables.ImageClassification"
    data: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)
    selection: Selection = Selection()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    space: str | dict[str, Any] | list[dict[str, Any]]
    arms: list[Name | ArmConfig] = Field(default=[*_ARMS], min_length=1)
    tune: TuneConfig = TuneConfig()
    resources: Amounts = Field(default_factory=lambda: {"cpu": 1.0})
    promote: int = Field(default=1, ge=0)
    rivals: list[str | RivalConfig] = Field(default_factory=list)
    history: str | None = None
    continues: ContinuesConfig | None = None
    tracking: TrackingConfig | Literal[False] = TrackingConfig()
    cluster: ClusterConfig = ClusterConfig()
    modules: list[str] = Field(default_factory=list)
    sweep_id: str | None = None

    @field_validator("arms")
    @classmethod
    def _arms_differ(cls, arms: list[str | ArmConfig]) -> list[str | ArmConfig]:
        names = [_name_of(arm) for arm in arms]
        if SEED_ARM in names:
            raise ValueError(
                "lists 'seed', which is added by itself; remove it (use history: PATH to replay "
                "a finished history without a seed)"
            )
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"repeats {repeated}; each arm needs a name of its own")
        return arms

    @field_validator("arms")
    @classmethod
    def _matched_arms_exist(cls, arms: list[str | ArmConfig]) -> list[str | ArmConfig]:
        searched = [_name_of(arm) for arm in arms if not _comes_later(arm)]
        for arm in arms:
            if isinstance(arm, str) or arm.match_seconds_of is None:
                continue
            if arm.match_seconds_of not in searched:
                raise ValueError(
                    f"{arm.name}.match_seconds_of is {arm.match_seconds_of!r}, which is not "
                    "another arm of this sweep's search; name one of: "
                    f"{', '.join(searched) or 'none (add one)'}"
                )
            if arm.selector != FULL_ARM:
                raise ValueError(
                    f"{arm.name}.match_seconds_of stops full training early, but its selector is "
                    f"{arm.selector!r}; set selector: full"
                )
        return arms

    @field_validator("arms")
    @classmethod
    def _only_replays_name_a_seed(cls, arms: list[str | ArmConfig]) -> list[str | ArmConfig]:
        for arm in arms:
            if isinstance(arm, str) or arm.algorithm is None or is_replay(arm.selector):
                continue
            raise ValueError(
                f"{arm.name}.algorithm is {arm.algorithm!r}, which names the selector of the seed "
                f"that a replay follows, but this arm's selector is {arm.selector!r}; set "
                f"selector: cached, or selector: {arm.algorithm} without an algorithm"
            )
        return arms

    @field_validator("rivals")
    @classmethod
    def _rivals_are_known(cls, rivals: list[str | RivalConfig]) -> list[str | RivalConfig]:
        for rival in rivals:
            if isinstance(rival, str) and rival not in RIVALS:
                raise ValueError(
                    f"names {rival!r}; there are {', '.join(RIVALS)}, or a mapping with name, "
                    "searcher and scheduler"
                )
        names = [rival if isinstance(rival, str) else rival.name for rival in rivals]
        folded = {name.casefold() for name in names}  # each has a folder, on any file system
        if len(folded) < len(names) or LADDER in folded:
            raise ValueError(f"needs a name of its own for each, none of them ladder: {names}")
        return rivals

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.tune.ladder is not None:
            self._check_ladder(self.tune.ladder)
        elif self.rivals:
            raise ValueError(
                "rivals are compared with a ladder, but tune.ladder is missing; set tune: "
                "{ladder: {}}, or leave rivals out"
            )
        if self.history is not None and not self.replay_arms():
            raise ValueError(
                f"history is {self.history!r} but no arm replays it; add 'cached' to arms"
            )
        if self.history is not None and self.tune.seed_by:
            raise ValueError("tune.seed_by asks for seed trials, but history replaces the seed")
        if "evaluation" in self.train:
            raise ValueError(
                f"train.evaluation is {self.train['evaluation']!r}; write it as evaluation, beside "
                "train"
            )
        max_epochs = self.train.get("max_epochs")
        if isinstance(max_epochs, int):
            self._check_intervals(max_epochs)
        self._check_composed()
        return self

    def _check_ladder(self, ladder: LadderConfig) -> None:
        ladder.check(self.train, self.selection)
        if tuple(self.arms) != _ARMS:
            raise ValueError(
                f"arms is {[_name_of(arm) for arm in self.arms]}, but tune.ladder trains rungs of "
                "its own and full training: leave arms out, and say in tune.ladder.train_on what "
                "rungs train on"
            )
        if self.tune.scheduler != "fifo":
            raise ValueError(
                f"tune.scheduler is {self.tune.scheduler!r}, but every trial of a rung runs to its "
                "end: leave it out, or compare with it under rivals"
            )
        if not ladder.replays() and (self.history is not None or self.tune.seed_by):
            raise ValueError(
                "tune.ladder has no seed trial where its rungs replay nothing: leave history and "
                "tune.seed_by out, or set tune.ladder.train_on: cached"
            )
        if self.history is not None and ladder.seed_fraction is not None:
            raise ValueError(
                "tune.ladder.seed_fraction is what the seed trial trains on, but history replaces "
                "it; leave one of them out"
            )

    def _check_composed(self) -> None:
        composed = self.composed_arms()
        if not composed:
            return
        if "seed" not in self.tune.seed_by or len(self.tune.seeds) < 2:
            raise ValueError(
                f"arm {composed[0]!r} replays what several seed trials selected, but tune.seeds is "
                f"{self.tune.seeds} and tune.seed_by is {self.tune.seed_by}; give at least two "
                "seeds and seed_by: [seed]"
            )
        if not self.search_arms():
            raise ValueError(
                f"arms holds nothing beside {composed[0]!r}, which repeats the configurations of "
                "the other arms; add 'full' to arms"
            )

    def _check_intervals(self, max_epochs: int) -> None:
        for arm in (None, *self.named_arms()):
            where = "selection" if arm is None else f"arms.{arm.name}"
            every = arm.select_every if arm is not None else self.selection.select_every
            if every is not None and every > max_epochs:
                raise ValueError(
                    f"{where}.select_every is {every}, but train.max_epochs is {max_epochs}: "
                    "no second subset would ever be selected; choose a smaller interval"
                )

    def arm_names(self) -> list[str]:
        """The arms in the order of the YAML, without the seed; of a ladder, its rungs."""
        return [_name_of(arm) for arm in self.arms] if self.tune.ladder is None else self.rungs()

    def search_arms(self) -> list[str]:
        """The arms that run in the search.

        Those that match another's seconds or replay what all seeds selected come after it.
        """
        if self.tune.ladder is not None:
            return self.rungs()
        return [_name_of(arm) for arm in self.arms if not _comes_later(arm)]

    def rungs(self) -> list[str]:
        """Names of a ladder's rungs, the lowest first and full training last."""
        ladder = self.tune.ladder
        return [] if ladder is None else [*(rung.name for rung in ladder.climbs()), FULL_ARM]

    def rival_searches(self) -> list[RivalConfig]:
        """The plain searches beside the ladder."""
        return [RIVALS[rival] if isinstance(rival, str) else rival for rival in self.rivals]

    def named_arms(self) -> list[ArmConfig]:
        """The arms that are written as mappings."""
        return [arm for arm in self.arms if isinstance(arm, ArmConfig)]

    def selector_of(self, arm: str) -> str:
        """The selector behind an arm's name."""
        if arm == SEED_ARM:
            return self.selection.algorithm
        if self.tune.ladder is not None:
            return self.arm(arm).selector
        return next((named.selector for named in self.named_arms() if named.name == arm), arm)

    def arm(self, name: str) -> Arm:
        """An arm by its name: one of the sweep's, the seed, or full training for a promotion."""
        ladder = self.tune.ladder
        if name == SEED_ARM and ladder is not None and ladder.replays():
            return ladder.seed_arm(self._of_rungs())
        for rung in [] if ladder is None else ladder.climbs():
            if rung.name == name and ladder is not None:
                return rung.arm(ladder.train_on, self._of_rungs(), self.train["max_epochs"])
        variant = next((arm for arm in self.named_arms() if arm.name == name), None)
        return Arm.of(name) if variant is None else variant.arm()

    def _of_rungs(self) -> dict[str, Any]:
        """What all rungs change: they are judged by the validation split after the last epoch.

        So they look at nothing else. A test split of 10,000 pictures alone would cost more than a
        training on 3% of 3,000 of them does, and a scheduler that stops full trainings early is
        never charged for it either.
        """
        last = self.train["max_epochs"]
        changes: dict[str, Any] = {
            "evaluation": {"every": last, "share": None, "test": "never"},
        }
        changes |= {"eval_every": last} if "eval_every" in self.train else {}
        return changes | {k: v for k, v in self.train.items() if k == "warmup_epochs"}

    def replay_arms(self) -> list[str]:
        """The arms that replay a history, as it is or transformed (``cached_mixed``, ...)."""
        return [arm for arm in self.arm_names() if is_replay(self.selector_of(arm))]

    def composed_arms(self) -> list[str]:
        """The arms that replay a history composed of all seed trials'."""
        return [arm for arm in self.arm_names() if self.selector_of(arm) == COMPOSED_SELECTOR]

    def algorithms(self) -> list[str]:
        """What seed trials select with: the sweep's algorithm and those of replay arms."""
        own = [arm.algorithm for arm in self.named_arms() if arm.algorithm is not None]
        return list(dict.fromkeys([self.selection.algorithm, *own]))

    def primary_arm(self) -> str:
        """The arm whose validation results steer the searcher: the first replay, else the first."""
        searched = self.search_arms()
        replays = [arm for arm in self.replay_arms() if arm in searched]
        return [*replays, *searched][0]

    def needs_seed(self) -> bool:
        """Whether a seed trial has to run before the replays."""
        return self.history is None and bool(self.replay_arms())


def _name_of(arm: str | ArmConfig) -> str:
    return arm if isinstance(arm, str) else arm.name


def _comes_later(arm: str | ArmConfig) -> bool:
    """Whether an arm can only be planned once the search is over."""
    if isinstance(arm, str):
        return arm == COMPOSED_SELECTOR
    return arm.selector == COMPOSED_SELECTOR or arm.match_seconds_of is not None
