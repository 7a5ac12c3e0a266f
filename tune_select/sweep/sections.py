"""The sections of a sweep's YAML beside ``selection``: arms, search, tracking, cluster."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from tune_select.arms import Arm, Looks
from tune_select.sweep.ladder_config import LadderConfig

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]


_CHECKPOINT_SHARE = 0.02
"""Of a trial's seconds, where a sweep says nothing: an epoch of minutes is saved when it ends."""


SMALLEST_AMOUNT = 1e-4  # what Ray counts resources in
_RAYS_OWN = ("cpu", "gpu", "memory", "object_store_memory")


def _amounts(resources: dict[str, float]) -> dict[str, float]:
    """Amounts by the names that Tune gives Ray's own resources, whatever case they are in."""
    found: dict[str, float] = {}
    for written, amount in resources.items():
        if not math.isfinite(amount) or amount < 0:
            raise ValueError(f"{written} must be a non-negative number, got {amount}")
        if 0 < amount < SMALLEST_AMOUNT:
            raise ValueError(
                f"{written} must be 0 or at least {SMALLEST_AMOUNT}, which is what Ray counts in, "
                f"got {amount}"
            )
        name = written.lower() if written.lower() in _RAYS_OWN else written
        if name in found:
            raise ValueError(f"{written} names {name} a second time; leave one of them out")
        found[name] = amount
    return found


Amounts = Annotated[dict[str, float], AfterValidator(_amounts)]


class Section(BaseModel):
    """Knows its keys and refuses others; immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class EvaluationConfig(Looks):
    """When trials look at their validation and test splits; what else they do is not touched.

    After the last epoch, the whole of both splits is evaluated (the test split unless ``test`` is
    ``never``); at the epochs at which the scheduler decides, always the validation split. What a
    trial is ranked by is the last epoch's, so a plan by seconds changes no result. Without
    ``every`` and ``share``, every epoch is looked at.
    """


class CheckpointConfig(Section):
    """When trials are saved, so that what dies goes on from there.

    A trial that has no checkpoint yet is trained again from its beginning: with a share, that costs
    seconds. Function trainables report checkpoints of their own.

    Attributes:
        every: Epochs between checkpoints.
        share: The share, in place of ``every``: save whenever a checkpoint, at what the last one
            was measured to cost, takes at most this share of the seconds since then.
    """

    every: int | None = Field(default=None, ge=1)
    share: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_plan(self) -> Self:
        if self.every is not None and self.share is not None:
            raise ValueError(
                f"every ({self.every}) and share ({self.share}) are two plans; give one of them"
            )
        return self

    @property
    def planned_share(self) -> float | None:
        """The share, where no ``every`` is given."""
        return None if self.every is not None else self.share or _CHECKPOINT_SHARE


class ArmConfig(Section):
    """A named variant of an arm: a selector, and what differs from ``selection`` and ``train``.

    ``match_seconds_of`` names another arm: full training is then stopped, configuration by
    configuration, once it has used that arm's training and selection seconds. A replay arm with an
    ``algorithm`` of its own gets seed trials of its own, which select with it.

    Any other key is one of ``train`` (``max_epochs``, ``batch_size``, ...), set for this arm alone.
    Which there are, the trainable knows; see ``Plan``.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    name: Name
    selector: str
    algorithm: str | None = None
    fraction: float | None = Field(default=None, gt=0, le=1)
    select_every: int | None = Field(default=None, ge=1)
    warm_start_epochs: int | None = Field(default=None, ge=0)
    kappa: float | None = Field(default=None, gt=0, le=1)
    kappa_of: Literal["cost", "epochs"] | None = None
    first_subset: Literal["selected", "random"] | None = None
    align: Literal["epoch", "progress"] | None = None
    settings: dict[str, dict[str, Any]] | None = None
    resources: Amounts | None = None
    match_seconds_of: str | None = None

    def training(self) -> dict[str, Any]:
        """The keys of ``train`` that this arm sets."""
        return dict(self.model_extra or {})

    def overrides(self) -> dict[str, Any]:
        """``selector`` and what this arm changes, as an entry of a trial's map ``arms``."""
        own = {"name", "resources", "match_seconds_of", *self.training()}
        return {**self.model_dump(exclude=own, exclude_none=True), **self.training()}

    def arm(self) -> Arm:
        """The arm itself."""
        return Arm.of(self.name, self.overrides())


class StopConfig(Section):
    """When a search ends early: once further configurations would hardly change its answer.

    Attributes:
        regret_pp: The change that counts, in percentage points of a metric that is a share.
        regret: The change in the metric's own unit, in place of ``regret_pp``, for other metrics.
        chance: The search ends once the chance of such a change is at most this.
    """

    regret_pp: float | None = Field(default=None, ge=0)
    regret: float | None = Field(default=None, ge=0)
    chance: float = Field(default=0.05, gt=0, lt=1)

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if (self.regret_pp is None) == (self.regret is None):
            raise ValueError(
                f"give one of regret_pp ({self.regret_pp}, percentage points) and regret "
                f"({self.regret}, the metric's own unit)"
            )
        return self

    @property
    def change(self) -> float:
        """The change that counts, in the metric's unit."""
        return self.regret if self.regret_pp is None else self.regret_pp / 100  # type: ignore[return-value]


class TuneConfig(Section):
    """How the space is searched.

    Attributes:
        searcher: ``grid`` and ``random`` (Tune's variant generator), ``optuna``, or the import
            string of a ``ray.tune.search.Searcher`` class.
        searcher_options: Keyword arguments of the searcher.
        scheduler: ``fifo``, ``asha``, ``hyperband``, ``median``, ``pbt``, or the import string of a
            ``ray.tune.schedulers.TrialScheduler`` class. It schedules the replays alone.
        scheduler_options: Keyword arguments of the scheduler.
        num_samples: Configurations drawn from a random or Optuna space; repeats of a grid.
        max_concurrent: Trials at once at the most; ``null`` leaves it to the resources.
        seeds: Training seeds; every configuration of every arm is trained once per seed.
        seed_by: Axes of the space (dotted keys) that each need a seed trial of their own; ``seed``
            gives every training seed its own. As a mapping from axes to values, seed trials are
            run for these values alone, and any other replay takes the nearest.
        stream: Whether replays may follow a seed that is still running.
        time_budget_s: Seconds of training, the search and what follows it together, after which
            the sweep stops: what runs is saved, and ``--resume`` goes on with as many again.
        report_every_s: Seconds that a trial's report covers at least, several epochs if they are
            short; the epochs at which the scheduler decides are reported in any case, and each is
            logged. 0 reports every epoch by itself.
        max_failures: Restarts of a trial whose failure can pass (a process that died, storage that
            was away; not a loss that diverged); -1 for no limit.
        ladder: Train every configuration for little and the best of a rung for more, in place of
            arms side by side.
        metric: What searches optimise; the trainable's own validation metric by default.
        mode: ``min`` or ``max``; the trainable's own by default.
    """

    searcher: str = "grid"
    searcher_options: dict[str, Any] = {}
    scheduler: str = "fifo"
    scheduler_options: dict[str, Any] = {}
    num_samples: int = Field(default=1, ge=1)
    max_concurrent: int | None = Field(default=None, ge=1)
    seeds: list[int] = Field(default=[0], min_length=1)
    seed_by: list[str] | dict[str, Annotated[list[Any], Field(min_length=1)]] = []
    stream: bool | Literal["auto"] = "auto"
    time_budget_s: float | None = Field(default=None, gt=0)
    stop_when: StopConfig | None = None
    report_every_s: float = Field(default=2.0, ge=0)
    max_failures: int = Field(default=2, ge=-1)
    ladder: LadderConfig | None = None
    metric: str | None = None
    mode: Literal["min", "max"] | None = None

    @property
    def nearest_by(self) -> list[str]:
        """Axes by which a replay without a seed trial of its own takes the nearest."""
        return list(self.seed_by) if isinstance(self.seed_by, dict) else []

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"repeats a seed: {seeds}; each would train the same trial again")
        return seeds


class ContinuesConfig(Section):
    """Finished sweeps that this one goes on from: their points, and the history they replay.

    Attributes:
        more: How many configurations are added.
        folders: Results folders of the finished sweeps, which must stay until this one has ended.
    """

    more: int = Field(ge=1)
    folders: list[str] = Field(min_length=1)


class TrackingConfig(Section):
    """Where MLflow writes: ``uri: null`` is a sqlite file in the results folder."""

    uri: str | None = None
    experiment: str | None = None


class ClusterConfig(Section):
    """Which Ray cluster runs the sweep; ``address: null`` starts one on this machine."""

    address: str | None = None
    runtime_env: dict[str, Any] = {}
    num_cpus: int | None = Field(default=None, ge=1)
    num_gpus: int | None = Field(default=None, ge=0)
