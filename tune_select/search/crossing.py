"""What every point of a space is crossed with, and the trials that come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_select.arms import Arm, training_key
from tune_select.scheduling.seed_progress import history_name

CONFIGURATION = "configuration"
"""Key of the number that all trials of one point share."""


@dataclass(frozen=True)
class Crossing:
    """What every point is crossed with.

    Attributes:
        seed_configs: Whole configurations of the seed trials; empty to replay finished histories.
        arms: Arms of every point; a name alone changes nothing of the point.
        seeds: Training seeds of every arm.
        replay_arms: Those that need a history.
        seed_arm: Value of ``arm_key`` for seed trials.
        arm_key: Key of the arm in the configuration.
        seed_key: Key of the training seed.
        seed_by: Dotted keys by which a replay without a seed of its own takes the nearest; empty
            for none.
        history_of: Name of a configuration's history.
        share: Arms of which no training is done twice, with what their trials run on: a trial
            that would be trained as another one is on the same, for the axes that tell them apart
            are none that its arm reads, is not handed out. For trainables that read their
            configuration as ``tune_select.arms`` says.
    """

    seed_configs: Sequence[Mapping[str, Any]]
    arms: Sequence[str | Arm]
    seeds: Sequence[int] = (0,)
    replay_arms: Sequence[str] = ("cached",)
    seed_arm: str = "seed"
    arm_key: str = "arm"
    seed_key: str = "seed"
    seed_by: Sequence[str] = ()
    history_of: Callable[[Mapping[str, Any]], str] = history_name
    share: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.arms:
            raise ValueError("arms must name at least one arm")
        for name, values in (("arms", self.arm_names), ("seeds", self.seeds)):
            if len(set(values)) != len(values) or not values:
                raise ValueError(f"{name} must be distinct and not empty, got {list(values)}")
        if self.seed_arm in self.arm_names:
            raise ValueError(f"arms lists {self.seed_arm!r}, which is added by itself: remove it")
        names = [self.history_of(config) for config in self.seed_configs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"two seeds would write the histories {repeated}: give each its own, or run one"
            )

    @property
    def arm_names(self) -> list[str]:
        """The arms by name."""
        return [name_of(arm) for arm in self.arms]

    def training_of(self, config: Mapping[str, Any]) -> str | None:
        """What two trials of shared arms have in common where their training is the same.

        ``None`` where nothing is shared, or a trial's configuration is malformed: it then fails by
        itself, and says why.
        """
        runs_on = self.share.get(str(config[self.arm_key]))
        if runs_on is None:
            return None
        try:
            return f"{training_key(config, self.history_of(config))} on {runs_on}"
        except (TypeError, ValueError):
            return None

    def trial(self, point: Mapping[str, Any], arm: str | Arm, seed: int) -> dict[str, Any]:
        """The configuration of one arm's trial at a point: the arm is resolved here, and once.

        Args:
            point: A configuration of the space, without an arm.
            arm: Which arm trains there.
            seed: Training seed.
        """
        config = arm.on(point) if isinstance(arm, Arm) else dict(point)
        return {**config, self.arm_key: name_of(arm), self.seed_key: seed}


def name_of(arm: str | Arm) -> str:
    """An arm's name."""
    return arm if isinstance(arm, str) else arm.name


@dataclass(frozen=True)
class Assignment:
    """One trial to hand out.

    Attributes:
        config: Its whole configuration.
        number: Its point's number.
        point: Which drawing its point came from; -1 for seeds.
        history: Name of its history, where it has one.
        is_seed: Whether it publishes.
        is_replay: Whether it replays.
    """

    config: dict[str, Any]
    number: int
    point: int
    history: str
    is_seed: bool = False
    is_replay: bool = False
