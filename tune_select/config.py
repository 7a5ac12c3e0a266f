"""A sweep as YAML: its keys, their defaults, and errors that name field, value and remedy."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from tune_select.secret_settings import mask_settings

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]

SEED_ARM = "seed"
REPLAY_SELECTOR = "cached"
COMPOSED_SELECTOR = "cached_composed"
FULL_ARM = "full"


class SweepError(ValueError):
    """A sweep that cannot run as written; the message names each wrong field and its remedy."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SelectionConfig(_Strict):
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


class ArmConfig(_Strict):
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


class TuneConfig(_Strict):
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
            gives every training seed its own.
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
    seed_by: list[str] = []
    stream: bool | Literal["auto"] = "auto"
    time_budget_s: float | None = Field(default=None, gt=0)
    max_failures: int = Field(default=2, ge=-1)
    metric: str | None = None
    mode: Literal["min", "max"] | None = None

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"repeats a seed: {seeds}; each would train the same trial again")
        return seeds


class TrackingConfig(_Strict):
    """Where MLflow writes: ``uri: null`` is a sqlite file in the results folder."""

    uri: str | None = None
    experiment: str | None = None


class ClusterConfig(_Strict):
    """Which Ray cluster runs the sweep; ``address: null`` starts one on this machine."""

    address: str | None = None
    runtime_env: dict[str, Any] = {}
    num_cpus: int | None = Field(default=None, ge=1)
    num_gpus: int | None = Field(default=None, ge=0)


class SweepConfig(_Strict):
    """One sweep, as written in YAML. See ``search_spaces/`` for complete examples."""

    name: Name
    storage_path: str = "results"
    trainable: str = "trainables.ImageClassification"
    data: dict[str, Any] = {}
    train: dict[str, Any] = {}
    selection: SelectionConfig = SelectionConfig()
    space: str | dict[str, Any] | list[dict[str, Any]]
    arms: list[Name | ArmConfig] = Field(
        default=["cached", "gradmatch", "random_pb", "full"], min_length=1
    )
    tune: TuneConfig = TuneConfig()
    resources: dict[str, float] = {"cpu": 1}
    promote: int = Field(default=1, ge=0)
    history: str | None = None
    tracking: TrackingConfig | Literal[False] = TrackingConfig()
    cluster: ClusterConfig = ClusterConfig()
    sweep_id: str | None = None

    @field_validator("arms")
    @classmethod
    def _arms_differ(cls, arms: list[str | ArmConfig]) -> list[str | ArmConfig]:
        names = [arm if isinstance(arm, str) else arm.name for arm in arms]
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
        names = [arm if isinstance(arm, str) else arm.name for arm in arms]
        for arm in arms:
            if isinstance(arm, str) or arm.match_seconds_of is None:
                continue
            if arm.match_seconds_of not in names or arm.match_seconds_of == arm.name:
                raise ValueError(
                    f"{arm.name}.match_seconds_of is {arm.match_seconds_of!r}, which is not "
                    f"another arm of this sweep; arms: {', '.join(names)}"
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
            if isinstance(arm, str) or arm.algorithm is None or _is_replay(arm.selector):
                continue
            raise ValueError(
                f"{arm.name}.algorithm is {arm.algorithm!r}, which names the selector of the seed "
                f"that a replay follows, but this arm's selector is {arm.selector!r}; set "
                f"selector: cached, or selector: {arm.algorithm} without an algorithm"
            )
        return arms

    @field_validator("resources")
    @classmethod
    def _resources_are_positive(cls, resources: dict[str, float]) -> dict[str, float]:
        for key, amount in resources.items():
            if not math.isfinite(amount) or amount < 0:
                raise ValueError(f"{key} must be a non-negative number, got {amount}")
        return resources

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.history is not None and not self.replay_arms():
            raise ValueError(
                f"history is {self.history!r} but no arm replays it; add 'cached' to arms"
            )
        if self.history is not None and self.tune.seed_by:
            raise ValueError("tune.seed_by asks for seed trials, but history replaces the seed")
        max_epochs = self.train.get("max_epochs")
        if isinstance(max_epochs, int):
            self._check_intervals(max_epochs)
        self._check_composed()
        return self

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
        """The arms in the order of the YAML, without the seed."""
        return [arm if isinstance(arm, str) else arm.name for arm in self.arms]

    def search_arms(self) -> list[str]:
        """The arms that run in the search.

        Those that match another's seconds or replay what all seeds selected come after it.
        """
        later = {arm.name for arm in self.named_arms() if arm.match_seconds_of is not None}
        later |= set(self.composed_arms())
        return [name for name in self.arm_names() if name not in later]

    def named_arms(self) -> list[ArmConfig]:
        """The arms that are written as mappings."""
        return [arm for arm in self.arms if isinstance(arm, ArmConfig)]

    def selector_of(self, arm: str) -> str:
        """The selector behind an arm's name."""
        if arm == SEED_ARM:
            return self.selection.algorithm
        return next((named.selector for named in self.named_arms() if named.name == arm), arm)

    def replay_arms(self) -> list[str]:
        """The arms that replay a history, as it is or transformed (``cached_mixed``, ...)."""
        return [arm for arm in self.arm_names() if _is_replay(self.selector_of(arm))]

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
        return next((arm for arm in self.replay_arms() if arm in searched), self.arm_names()[0])

    def needs_seed(self) -> bool:
        """Whether a seed trial has to run before the replays."""
        return self.history is None and bool(self.replay_arms())


def _is_replay(selector: str) -> bool:
    return selector.split("_")[0] == REPLAY_SELECTOR


def parse_sweep(raw: Any, overrides: Sequence[str] = ()) -> SweepConfig:
    """Check a sweep that was read from YAML.

    Args:
        raw: The mapping.
        overrides: ``key.path=value`` strings whose values are read as YAML.

    Raises:
        SweepError: The path of each wrong field, its value and what would be right.
    """
    if not isinstance(raw, Mapping):
        raise SweepError(f"a sweep is a mapping of keys, got {type(raw).__name__}")
    merged = _with_overrides(raw, overrides)
    try:
        return SweepConfig.model_validate(merged)
    except ValidationError as error:
        # A mapping where a name may stand too is always meant as the mapping.
        items = [
            item
            for item in error.errors()
            if not (item["type"] == "string_type" and isinstance(item.get("input"), Mapping))
        ]
        raise SweepError("\n".join(_explain(item) for item in items)) from None


def load_sweep(path: Path | str, overrides: Sequence[str] = ()) -> SweepConfig:
    """Read and check a sweep file.

    Raises:
        SweepError: The file is missing, is not YAML, or a field is wrong.
    """
    try:
        raw = yaml.load(Path(path).read_text(), Loader=_Yaml12Floats)
    except OSError as error:
        raise SweepError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SweepError(f"{path} is not YAML: {error}") from None
    try:
        return parse_sweep(raw, overrides)
    except SweepError as error:
        raise SweepError(f"{path}:\n{error}") from None


def dump_sweep(config: SweepConfig) -> str:
    """The sweep as YAML that ``load_sweep`` reads back; secrets are masked."""
    settings = mask_settings(config.model_dump(mode="json"))
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)


class _Yaml12Floats(yaml.SafeLoader):
    """PyYAML follows YAML 1.1, where ``1e-4`` is a string; sweeps mean the number."""


_Yaml12Floats.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def _with_overrides(raw: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    merged = dict(raw)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise SweepError(f"-o takes key=value, got {override!r}")
        try:
            value = yaml.load(text, Loader=_Yaml12Floats)
        except yaml.YAMLError as error:
            raise SweepError(f"-o {key}: {text!r} is not a YAML value: {error}") from None
        merged = _set(merged, key.split("."), value, key)
    return merged


def _set(mapping: Mapping[str, Any], path: list[str], value: Any, key: str) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**mapping, head: value}
    inner = mapping.get(head) or {}
    if not isinstance(inner, Mapping):
        raise SweepError(f"-o {key}: {head} is {inner!r}, which has no keys to set")
    return {**mapping, head: _set(inner, rest, value, key)}


def _explain(item: Any) -> str:
    # pydantic adds the names of tried union members and models to the path; fields alone help.
    path = ".".join(
        str(part)
        for part in item["loc"]
        if not (
            isinstance(part, str)
            and (part.endswith("Config") or part in ("str", "constrained-str") or "[" in part)
        )
    )
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "unknown key; see the keys in search_spaces/README.md"
    shown = repr(item.get("input"))
    got = "" if shown in message or item["type"] == "value_error" else f", got {shown[:200]}"
    return f"{path or 'sweep'}: {message}{got}"
