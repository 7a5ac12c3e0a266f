"""The sections of a sweep's YAML: selection, arms, search, tracking, cluster."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]


class Section(BaseModel):
    """Knows its keys and refuses others; immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SelectionConfig(Section):
    """Which examples a subset arm trains on.

    Attributes:
        algorithm: The selector of the seed trial, by name or import string.
        fraction: Subset size over the number of training examples, in (0, 1].
        select_every: R, epochs between selections.
        warm_start_epochs: T_f, epochs on all the data before the first subset.
        kappa: Computes T_f from the share of subset epochs instead (Killamsetty et al., A.2.1).
        settings: Keyword arguments of selectors, by selector name.
        align: How replays of another length follow the history: by ``epoch`` (error when it is
            too short) or by ``progress``, the share of training done.
        record_gradient_error: Whether selections record how well they match: ``auto`` where the
            selector collects gradients anyway, ``true`` for every selector.
    """

    algorithm: str = "gradmatch"
    fraction: float = Field(default=0.1, gt=0, le=1)
    select_every: int = Field(default=20, ge=1)
    warm_start_epochs: int = Field(default=0, ge=0)
    kappa: float | None = Field(default=None, gt=0, le=1)
    settings: dict[str, dict[str, Any]] = {}
    align: Literal["epoch", "progress"] = "epoch"
    record_gradient_error: bool | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _one_warm_start(self) -> Self:
        if self.kappa is not None and self.warm_start_epochs:
            raise ValueError(
                f"kappa ({self.kappa}) computes the warm start that warm_start_epochs "
                f"({self.warm_start_epochs}) sets; give one of them"
            )
        return self


class ArmConfig(Section):
    """A named variant of an arm: a selector and what differs from the sweep's ``selection``.

    ``match_seconds_of`` names another arm: full training is then stopped, configuration by
    configuration, once it has used that arm's training and selection seconds. A replay arm with an
    ``algorithm`` of its own gets seed trials of its own, which select with it.
    """

    name: Name
    selector: str
    algorithm: str | None = None
    fraction: float | None = Field(default=None, gt=0, le=1)
    select_every: int | None = Field(default=None, ge=1)
    warm_start_epochs: int | None = Field(default=None, ge=0)
    kappa: float | None = Field(default=None, gt=0, le=1)
    settings: dict[str, dict[str, Any]] | None = None
    resources: dict[str, float] | None = None
    match_seconds_of: str | None = None

    def overrides(self) -> dict[str, Any]:
        """``selector`` and the selection keys that this arm sets, for the trial configuration."""
        return self.model_dump(exclude={"name", "resources", "match_seconds_of"}, exclude_none=True)


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
        time_budget_s: Seconds after which no further trial is started.
        max_failures: Restarts of a trial that dies; -1 for no limit.
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
    max_failures: int = Field(default=2, ge=-1)
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
