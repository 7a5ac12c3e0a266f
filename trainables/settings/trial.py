"""A trial's flat configuration, checked once and typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from trainables.settings.evaluation import EvaluationSettings
from trainables.settings.selection import SelectionSettings, parse_selection, selector_problems
from tune_select.arms import BOOKKEEPING, RESOLVED_ARM, ArmKind, kind_of, settled
from tune_select.arms.selection import KEYS
from tune_select.messages import Problem, SettingsError, checked, unknown_key
from tune_select.plain import plain
from tune_select.wording import shown

_Named = Annotated[str, Field(min_length=1)]
Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
ScheduleName = Literal["cosine", "multi_step", "constant"]
ScheduleBy = Literal["step", "epoch"]


class TrialSettings(BaseModel):
    """Everything a trial is told, with the defaults of Killamsetty et al. 2021.

    Attributes:
        arm: ``seed``, ``cached``, ``full``, a selector's name, or a name of the sweep's own.
        kind: What the arm does; see ``tune_select.arms``.
        selector: The arm's selector as written: its name or import string, ``seed`` or ``full``.
        model: Name of a model in ``trainables.models``, or an ``nn.Module``'s import string.
        model_settings: Further keywords for the model.
        weights: File with the weights to begin with (``.safetensors`` or of ``torch.save``), or
            ``default`` for those that the model's library publishes, or ``None`` for fresh ones.
        freeze: Modules or parameters that are not trained, by name or by how their names begin, or
            ``backbone`` for all but the last layer.
        optimizer: ``sgd``, ``adam``, ``adamw`` or ``rmsprop``.
        learning_rate: The learning rate before the schedule's factor.
        momentum: The momentum of SGD alone.
        weight_decay: L2 penalty (decoupled for AdamW).
        nesterov: Whether SGD's momentum is Nesterov's.
        schedule: ``cosine``, ``multi_step`` or ``constant``.
        schedule_by: Whether the schedule moves with every ``step`` or once per ``epoch``.
        milestones: Shares of the run after which the rate drops, for ``multi_step``.
        gamma: The factor of each drop, for ``multi_step``.
        warmup_epochs: Linear warm-up of the learning rate, in epochs.
        clip_norm: Largest norm of a step's gradient, or ``None``.
        batch_size: Examples per step.
        max_epochs: The paper's T.
        eval_every: The older name of ``evaluation.every``.
        evaluation: See ``EvaluationSettings``.
        seed: The seed of everything random in the trial.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<i>``.
        amp: ``auto`` (mixed precision on CUDA), ``True``, ``False``, ``bf16`` or ``fp16``.
        deterministic: Whether cuDNN may only take kernels that repeat themselves bit by bit; else
            the fastest are measured and taken.
        compile: Whether the training steps go through ``torch.compile``: ``True``, ``False`` or the
            name of a backend.
        wait_s: How long a replay waits for an interval before it steps aside, seconds; five times
            as long for the first one.
        time_budget_s: Training and selection seconds after which the trial stops (early-stopped
            full training of the paper), or ``None``.
        head: Name of the layer whose gradients selectors match, where the one that runs last before
            the loss is not it or is not clear; ``None`` finds it.
        forgetting_record: File that full training writes its forgetting events to, for the
            ``forgetting`` selector, or ``None``.
        energy: Whether to read energy counters where there are any.
        data: Settings of the data set, checked by whoever loads it.
        selection: See ``SelectionSettings``.
        history: Path, URI or store of the history to publish to or to replay.
        start_from: Another trial of the same experiment, by its id, whose last weights this one
            begins with; empty for none.
        leave_weights: Whether another trial may begin with this one's last weights.
        extra: Keys that the task added through ``SelectionTrainable.defaults``.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    arm: str = "full"
    kind: ArmKind = "full"
    selector: str = "full"
    model: str = "resnet18"
    model_settings: dict[str, Any] = {}
    weights: _Named | None = Field(
        default=None, description="a file, default, or null for fresh weights"
    )
    freeze: _Named | tuple[_Named, ...] | None = Field(
        default=None, description="backbone, or the names of modules or parameters"
    )
    optimizer: Optimizer = "sgd"
    learning_rate: float = Field(default=0.01, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    nesterov: bool = False
    schedule: ScheduleName = "cosine"
    schedule_by: ScheduleBy = "step"
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.3, 0.6, 0.8)
    gamma: float = Field(default=0.2, gt=0)
    warmup_epochs: float = Field(default=0.0, ge=0)
    clip_norm: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=128, ge=1)
    max_epochs: int = Field(default=300, ge=1)
    eval_every: int = Field(default=1, ge=1)
    evaluation: EvaluationSettings = EvaluationSettings()
    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    amp: bool | Literal["auto", "bf16", "fp16"] = Field(
        default="auto", description="auto, true, false, bf16 or fp16"
    )
    deterministic: bool = True
    compile: bool | str = Field(
        default=False, description="true, false or the name of a backend of torch.compile"
    )
    wait_s: float = Field(default=2.0, ge=0)
    time_budget_s: float | None = Field(default=None, gt=0)
    forgetting_record: str | None = None
    head: str | None = None
    energy: bool = True
    data: dict[str, Any] = {"name": "digits"}
    selection: SelectionSettings = SelectionSettings()
    history: Any = None
    start_from: str = ""
    leave_weights: bool = False
    extra: dict[str, Any] = {}

    @field_validator("milestones", "freeze", mode="before")
    @classmethod
    def _lists_are_tuples(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("milestones")
    @classmethod
    def _in_order(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(value))


_DERIVED = frozenset({"kind", "selector", "extra"})  # told from the arm or the trainable, not given

TRAINING_KEYS = frozenset(TrialSettings.model_fields) - {
    *_DERIVED,
    *("arm", "data", "history", "seed", "selection", "start_from", "leave_weights"),
}
"""What a sweep writes under ``train``; the other keys have places of their own."""


def parse_settings(
    config: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})
) -> TrialSettings:
    """Check a trial's configuration and fill in what it leaves out.

    Args:
        config: The flat dictionary that Ray Tune hands a trial. Its arm is resolved already, or a
            bare name, or (in a Tuner of one's own) the name of an entry of a map ``arms``.
        defaults: The trainable's own: values in place of the paper's for the keys above, and
            keys of its own, which are returned in ``extra``.

    Raises:
        ValueError: An unknown key, a wrong type or a value out of range; names key and value.
    """
    known = set(TrialSettings.model_fields) - _DERIVED
    own = set(defaults) - known
    config = plain(config)
    _check_arms(config.get("arms", {}), known | own)
    config = settled(config)
    unknown = [
        unknown_key(str(key), config[key], known | own)
        for key in config
        if key not in known | own | BOOKKEEPING
    ]
    merged = {**plain(defaults), **config}
    for key in ("data", "selection", "evaluation"):  # nested tables are filled in, not replaced
        if isinstance(defaults.get(key), Mapping) and isinstance(config.get(key), Mapping):
            merged[key] = {**defaults[key], **config[key]}
    values = {key: value for key, value in merged.items() if key in known}
    return _settled_looks(_validated(values, config, unknown, {key: merged[key] for key in own}))


def _validated(
    values: dict[str, Any],
    config: Mapping[str, Any],
    unknown: list[Problem],
    extra: dict[str, Any],
) -> TrialSettings:
    """The model of a trial's values.

    Args:
        values: What the trial's own keys are set to.
        config: The whole configuration, with what was resolved of its arm.
        unknown: Keys that nothing reads.
        extra: What the trainable's own keys are set to.

    Raises:
        SettingsError: All that is wrong, the unknown keys first.
    """
    arm = values.get("arm", "full")
    resolved = config.get(RESOLVED_ARM) or (
        {"kind": kind_of(arm), "selector": arm} if isinstance(arm, str) else {}
    )
    derived = {key: resolved[key] for key in ("kind", "selector") if key in resolved}
    problems = list(unknown)
    try:
        settings = checked(TrialSettings, {**values, **derived, "extra": extra})
    except SettingsError as error:
        raise SettingsError([*problems, *error.problems]) from None
    problems += selector_problems(settings.selection.settings, "selection.")
    if problems:
        raise SettingsError(problems)
    return settings


def _settled_looks(settings: TrialSettings) -> TrialSettings:
    """Settle when looks are due: ``eval_every`` holds where the table does not say.

    Raises:
        ValueError: The two disagree.
    """
    looks, older = settings.evaluation, settings.eval_every
    if looks.share is not None:
        return settings
    every = older if looks.every is None else looks.every
    if older not in (1, every):
        raise ValueError(
            f"evaluation.every={every}, but eval_every={older}, which is its older name: "
            "leave eval_every out"
        )
    return settings.model_copy(update={"evaluation": looks.model_copy(update={"every": every})})


def _check_arms(arms: Any, known: Collection[str]) -> None:
    """Check a map of arms where it is written, so that errors speak of the arm and not the trial.

    Raises:
        SettingsError: As ``parse_settings``.
    """
    _require_mapping(arms, "arms", "a mapping")
    for name, variant in arms.items():
        place = f"arms.{name}"
        _require_mapping(variant, place, "a mapping with `selector` and what the arm changes")
        keys = {*known, *KEYS, "selector"}
        unknown = [k for k in variant if k not in keys]
        if unknown:
            raise SettingsError([unknown_key(f"{place}.{k}", variant[k], keys) for k in unknown])
        parse_selection({k: v for k, v in variant.items() if k in KEYS}, f"{place}.")


def _require_mapping(value: Any, field: str, expected: str) -> None:
    if not isinstance(value, Mapping):
        raise SettingsError([Problem(field, f" must be {expected}, got {shown(value)}")])
