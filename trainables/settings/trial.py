"""A trial's flat configuration, checked once and typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from trainables.checks import check_keys, integer, number, require
from trainables.settings.evaluation import EvaluationSettings, parse_evaluation
from trainables.settings.selection import SelectionSettings, parse_selection
from tune_select.arms import BOOKKEEPING, RESOLVED_ARM, ArmKind, kind_of, settled
from tune_select.arms.selection import KEYS
from tune_select.plain import plain


@dataclass(frozen=True)
class TrialSettings:
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
        learning_rate: Before the schedule's factor.
        momentum: Of SGD alone.
        weight_decay: L2 penalty (decoupled for AdamW).
        nesterov: Whether SGD's momentum is Nesterov's.
        schedule: ``cosine``, ``multi_step`` or ``constant``.
        schedule_by: Whether the schedule moves with every ``step`` or once per ``epoch``.
        milestones: For ``multi_step``: shares of the run after which the rate drops.
        gamma: For ``multi_step``: the factor of each drop.
        warmup_epochs: Linear warm-up of the learning rate, in epochs.
        clip_norm: Largest norm of a step's gradient, or ``None``.
        batch_size: Examples per step.
        max_epochs: The paper's T.
        eval_every: The older name of ``evaluation.every``.
        evaluation: See ``EvaluationSettings``.
        seed: Of everything random in the trial.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<i>``.
        amp: ``auto`` (mixed precision on CUDA), ``True``, ``False``, ``bf16`` or ``fp16``.
        deterministic: Whether cuDNN may only take kernels that repeat themselves bit by bit; else
            the fastest are measured and taken.
        compile: Whether the training steps go through ``torch.compile``: ``True``, ``False`` or the
            name of a backend.
        wait_s: How long a replay waits for an interval before it steps aside, seconds.
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
        extra: Keys that the task added through ``SelectionTrainable.defaults``.
    """

    arm: str = "full"
    kind: ArmKind = "full"
    selector: str = "full"
    model: str = "resnet18"
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    freeze: str | Sequence[str] | None = None
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    nesterov: bool = False
    schedule: str = "cosine"
    schedule_by: str = "step"
    milestones: tuple[float, ...] = (0.3, 0.6, 0.8)
    gamma: float = 0.2
    warmup_epochs: float = 0.0
    clip_norm: float | None = None
    batch_size: int = 128
    max_epochs: int = 300
    eval_every: int = 1
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    seed: int = 0
    device: str = "auto"
    amp: bool | str = "auto"
    deterministic: bool = True
    compile: bool | str = False
    wait_s: float = 2.0
    time_budget_s: float | None = None
    forgetting_record: str | None = None
    head: str | None = None
    energy: bool = True
    data: Mapping[str, Any] = field(default_factory=lambda: {"name": "digits"})
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    history: str | Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


_DERIVED = frozenset({"kind", "selector", "extra"})  # told from the arm or the trainable, not given

TRAINING_KEYS = frozenset(f.name for f in fields(TrialSettings)) - {
    *_DERIVED,
    *("arm", "data", "history", "seed", "selection"),
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
    known = {f.name for f in fields(TrialSettings)} - _DERIVED
    own = set(defaults) - known
    config = plain(config)
    _check_arms(config.get("arms", {}), known | own)
    config = settled(config)
    check_keys(config, known | own | BOOKKEEPING, "")
    merged = {**defaults, **config}
    for key in ("data", "selection", "evaluation"):  # nested tables are filled in, not replaced
        if isinstance(defaults.get(key), Mapping) and isinstance(config.get(key), Mapping):
            merged[key] = {**defaults[key], **config[key]}
    values = {key: value for key, value in merged.items() if key in known}
    if "selection" in values:
        values["selection"] = parse_selection(values["selection"])
    arm = values.get("arm", TrialSettings.arm)
    require(isinstance(arm, str), "arm", arm, "a string")
    resolved = config.get(RESOLVED_ARM) or {"kind": kind_of(arm), "selector": arm}
    settings = TrialSettings(
        **values,
        kind=resolved["kind"],
        selector=resolved["selector"],
        extra={key: merged[key] for key in own},
    )
    settings = replace(settings, milestones=_milestones(settings.milestones))
    _check_ranges(settings)
    evaluation = parse_evaluation(merged.get("evaluation", {}), settings.eval_every)
    return replace(settings, evaluation=evaluation)


def _check_arms(arms: Any, known: Collection[str]) -> None:
    """Check a map of arms where it is written, so that errors speak of the arm and not the trial.

    Raises:
        ValueError: As ``parse_settings``.
    """
    require(isinstance(arms, Mapping), "arms", arms, "a mapping")
    for name, variant in arms.items():
        require(isinstance(variant, Mapping), f"arms.{name}", variant,
                "a mapping with `selector` and what the arm changes")  # fmt: skip
        check_keys(variant, {*known, *KEYS, "selector"}, f"arms.{name}.")
        parse_selection({k: v for k, v in variant.items() if k in KEYS}, f"arms.{name}.")


def _check_ranges(settings: TrialSettings) -> None:
    texts = ("model", "optimizer", "schedule", "schedule_by", "device")
    for key in texts:
        require(isinstance(getattr(settings, key), str), key, getattr(settings, key), "a string")
    for key in ("batch_size", "max_epochs", "eval_every"):
        integer(key, getattr(settings, key), least=1)
    integer("seed", settings.seed, least=0)
    number("learning_rate", settings.learning_rate, above=0)
    number("momentum", settings.momentum, least=0, below=1)
    for key in ("weight_decay", "warmup_epochs", "wait_s"):
        number(key, getattr(settings, key), least=0)
    number("gamma", settings.gamma, above=0)
    for key in ("clip_norm", "time_budget_s"):
        if getattr(settings, key) is not None:
            number(key, getattr(settings, key), above=0)
    for key in ("data", "model_settings"):
        require(isinstance(getattr(settings, key), Mapping), key, getattr(settings, key),
                 "a mapping")  # fmt: skip
    weights, freeze = settings.weights, settings.freeze
    require(weights is None or (isinstance(weights, str) and weights != ""), "weights", weights,
             "a file, default, or null for fresh weights")  # fmt: skip
    names = [freeze] if isinstance(freeze, str) else freeze
    require(names is None or (isinstance(names, (list, tuple))
             and all(isinstance(name, str) and name for name in names)), "freeze", freeze,
             "backbone, or the names of modules or parameters")  # fmt: skip
    require(isinstance(settings.deterministic, bool), "deterministic", settings.deterministic,
             "true or false")  # fmt: skip
    require(isinstance(settings.compile, (bool, str)), "compile", settings.compile,
             "true, false or the name of a backend of torch.compile")  # fmt: skip
    require(settings.amp in ("auto", True, False, "bf16", "fp16"), "amp", settings.amp,
             "auto, true, false, bf16 or fp16")  # fmt: skip


def _milestones(value: Any) -> tuple[float, ...]:
    require(isinstance(value, (list, tuple)), "milestones", value, "a list of shares of the run")
    for share in value:
        number("milestones", share, above=0, below=1)
    return tuple(sorted(float(share) for share in value))
