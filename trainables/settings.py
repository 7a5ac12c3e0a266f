"""A trial's flat configuration, checked once and typed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, Literal

from tune_select.selection import minibatch

ArmKind = Literal["seed", "cached", "full", "selector", "mini_batch"]

BOOKKEEPING_KEYS = frozenset({"configuration", "phase"})
"""Keys that a sweep adds to a trial's configuration for its own tables; ignored here."""


@dataclass(frozen=True)
class SelectionSettings:
    """How an arm chooses its subsets (Killamsetty et al. 2021, Algorithm 1 and A.2.1).

    Attributes:
        algorithm: The seed's selector, by name or import string.
        fraction: Subset size over the number of training examples, k / n.
        select_every: The paper's R, epochs between selections.
        warm_start_epochs: The paper's T_f, epochs on all the data before the first subset.
        kappa: In place of ``warm_start_epochs``: the subset is trained on for T_s = kappa T epochs
            after T_f = T_s k / n epochs on all the data, so the run has T_f + T_s epochs.
        settings: Constructor keywords by selector name.
        record_gradient_error: Whether selections record their gradient error: ``"auto"`` does
            where the selector collected gradients anyway, ``True`` collects them for the record
            (booked as evaluation), ``False`` never.
        align: How a replay's epochs map onto its seed's: ``"epoch"`` takes the same epoch and
            refuses a history that is shorter than the trial; ``"progress"`` takes the epoch at the
            same share of training, whatever the two lengths are, warm start included.
    """

    algorithm: str = "gradmatch"
    fraction: float = 0.1
    select_every: int = 20
    warm_start_epochs: int = 0
    kappa: float | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    record_gradient_error: bool | Literal["auto"] = "auto"
    align: Literal["epoch", "progress"] = "epoch"


@dataclass(frozen=True)
class ArmPlan:
    """What an arm's name stands for.

    Attributes:
        name: The arm as the configuration names it.
        kind: ``seed`` publishes, ``cached`` replays, ``full`` trains on everything, ``selector``
            chooses from the whole training set and ``mini_batch`` from each mini-batch.
        selector: Name or import string of the selector; ``cached`` or a replay's name for replays;
            ``full`` for full training.
        selection: The trial's selection settings with the variant's overrides.
        epochs: How many epochs the trial runs.
        warm_start_epochs: How many of them, at the start, train on all the data.
        time_budget_s: Training and selection seconds after which the trial stops, or ``None``.
    """

    name: str
    kind: ArmKind
    selector: str
    selection: SelectionSettings
    epochs: int
    warm_start_epochs: int
    time_budget_s: float | None = None

    @property
    def selector_settings(self) -> dict[str, Any]:
        """Constructor keywords of this arm's selector."""
        return dict(self.selection.settings.get(self.selector, {}))


@dataclass(frozen=True)
class TrialSettings:
    """Everything a trial is told, with the defaults of Killamsetty et al. 2021.

    Attributes:
        arm: ``seed``, ``cached``, ``full``, a selector's name, or the name of an entry of ``arms``.
        model: Name of a model in ``trainables.models``, or an ``nn.Module``'s import string.
        model_settings: Further keywords for the model.
        optimizer: ``sgd``, ``adam``, ``adamw`` or ``rmsprop``.
        learning_rate: Before the schedule's factor.
        momentum: Of SGD alone.
        weight_decay: L2 penalty (decoupled for AdamW).
        nesterov: Whether SGD's momentum is Nesterov's.
        schedule: ``cosine``, ``multi_step`` or ``constant``.
        milestones: For ``multi_step``: shares of the run after which the rate drops.
        gamma: For ``multi_step``: the factor of each drop.
        warmup_epochs: Linear warm-up of the learning rate, in epochs.
        clip_norm: Largest norm of a step's gradient, or ``None``.
        batch_size: Examples per step.
        max_epochs: The paper's T.
        eval_every: Epochs between evaluations; the last epoch is always evaluated.
        seed: Of everything random in the trial.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<i>``.
        amp: ``auto`` (mixed precision on CUDA), ``True``, ``False``, ``bf16`` or ``fp16``.
        wait_s: How long a replay waits for an interval before it steps aside, seconds.
        time_budget_s: Training and selection seconds after which the trial stops (early-stopped
            full training of the paper), or ``None``.
        forgetting_record: File that full training writes its forgetting events to, for the
            ``forgetting`` selector, or ``None``.
        energy: Whether to read energy counters where there are any.
        data: Settings of the data set, checked by whoever loads it.
        selection: See ``SelectionSettings``.
        arms: Named variants: ``selector`` plus overrides of ``selection``, ``max_epochs`` and
            ``time_budget_s``.
        history: Path, URI or store of the history to publish to or to replay.
        extra: Keys that the task added through ``SelectionTrainable.defaults``.
    """

    arm: str = "full"
    model: str = "resnet18"
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    nesterov: bool = False
    schedule: str = "cosine"
    milestones: tuple[float, ...] = (0.3, 0.6, 0.8)
    gamma: float = 0.2
    warmup_epochs: float = 0.0
    clip_norm: float | None = None
    batch_size: int = 128
    max_epochs: int = 300
    eval_every: int = 1
    seed: int = 0
    device: str = "auto"
    amp: bool | str = "auto"
    wait_s: float = 10.0
    time_budget_s: float | None = None
    forgetting_record: str | None = None
    energy: bool = True
    data: Mapping[str, Any] = field(default_factory=lambda: {"name": "digits"})
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    history: str | Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> ArmPlan:
        """What ``arm`` stands for; raises ``ValueError`` where it contradicts itself."""
        return plan_arm(self)


def parse_settings(
    config: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})
) -> TrialSettings:
    """Check a trial's configuration and fill in what it leaves out.

    Args:
        config: The flat dictionary that Ray Tune hands a trial.
        defaults: The trainable's own: values in place of the paper's for the keys above, and
            keys of its own, which are returned in ``extra``.

    Raises:
        ValueError: An unknown key, a wrong type or a value out of range; names key and value.
    """
    known = {f.name for f in fields(TrialSettings)} - {"extra"}
    own = set(defaults) - known
    check_keys(config, known | own | BOOKKEEPING_KEYS, "")
    merged = {**defaults, **config}
    for key in ("data", "selection"):  # nested tables are filled in, not replaced
        if isinstance(defaults.get(key), Mapping) and isinstance(config.get(key), Mapping):
            merged[key] = {**defaults[key], **config[key]}
    values = {key: value for key, value in merged.items() if key in known}
    if "selection" in values:
        values["selection"] = parse_selection(values["selection"])
    settings = TrialSettings(**values, extra={key: merged[key] for key in own})
    settings = replace(settings, milestones=_milestones(settings.milestones))
    _check_ranges(settings)
    return settings


def parse_selection(value: Any, prefix: str = "selection.") -> SelectionSettings:
    """Check the ``selection`` table.

    Raises:
        ValueError: As ``parse_settings``.
    """
    if isinstance(value, SelectionSettings):
        return value
    _require(isinstance(value, Mapping), prefix.rstrip("."), value, "a mapping")
    check_keys(value, {f.name for f in fields(SelectionSettings)}, prefix)
    selection = SelectionSettings(**value)
    name = prefix + "{}"
    _require(isinstance(selection.algorithm, str), name.format("algorithm"), selection.algorithm,
             "a selector's name or import string")  # fmt: skip
    _number(name.format("fraction"), selection.fraction, above=0, most=1)
    _integer(name.format("select_every"), selection.select_every, least=1)
    _integer(name.format("warm_start_epochs"), selection.warm_start_epochs, least=0)
    _require(isinstance(selection.settings, Mapping), name.format("settings"), selection.settings,
             "a mapping from selector names to their keywords")  # fmt: skip
    for selector, keywords in selection.settings.items():
        _require(isinstance(keywords, Mapping), name.format(f"settings.{selector}"), keywords,
                 "a mapping of constructor keywords")  # fmt: skip
    _require(selection.record_gradient_error in ("auto", True, False),
             name.format("record_gradient_error"), selection.record_gradient_error,
             "auto, true or false")  # fmt: skip
    _require(selection.align in ("epoch", "progress"), name.format("align"), selection.align,
             "epoch or progress")  # fmt: skip
    if selection.kappa is not None:
        _number(name.format("kappa"), selection.kappa, above=0, most=1)
        if selection.warm_start_epochs:
            raise ValueError(
                f"{prefix}kappa={selection.kappa} and {prefix}warm_start_epochs="
                f"{selection.warm_start_epochs} both set the warm start: leave one of them out"
            )
    return selection


def plan_arm(settings: TrialSettings) -> ArmPlan:
    """Resolve ``settings.arm`` into what the trial does.

    Raises:
        ValueError: A variant is malformed, or the interval does not fit the epochs.
    """
    variant = dict(settings.arms.get(settings.arm, {}))
    prefix = f"arms.{settings.arm}."
    selector = variant.pop("selector", None if variant else settings.arm)
    _require(isinstance(selector, str), prefix + "selector", selector,
             "a selector's name, cached, seed or full")  # fmt: skip
    max_epochs = variant.pop("max_epochs", settings.max_epochs)
    _integer(prefix + "max_epochs", max_epochs, least=1)
    budget_s = variant.pop("time_budget_s", settings.time_budget_s)
    if budget_s is not None:
        _number(prefix + "time_budget_s", budget_s, above=0)
    base = {f.name: getattr(settings.selection, f.name) for f in fields(SelectionSettings)}
    if "settings" in variant:
        variant["settings"] = {**base["settings"], **variant["settings"]}
    if "warm_start_epochs" in variant:  # a variant's own choice replaces the sweep's
        base["kappa"] = None
    elif "kappa" in variant:
        base["warm_start_epochs"] = 0
    check_keys(variant, set(base), prefix)
    selection = parse_selection({**base, **variant}, prefix if variant else "selection.")
    kind = _kind(selector)
    if kind == "full":
        return ArmPlan(settings.arm, kind, "full", selection, max_epochs, 0, budget_s)
    warm, epochs = epochs_of(selection, max_epochs)
    if kind == "cached" and selection.align == "progress":
        return ArmPlan(settings.arm, kind, str(selector), selection, max_epochs, 0, budget_s)
    if kind != "mini_batch" and selection.select_every > epochs - warm:
        raise ValueError(
            f"selection.select_every={selection.select_every} is larger than the {epochs - warm} "
            f"epochs on subsets (max_epochs={max_epochs}, {warm} of warm start): lower it, or "
            "train for more epochs"
        )
    name = selection.algorithm if kind == "seed" else selector
    if settings.forgetting_record is not None:
        raise ValueError(
            f"forgetting_record={settings.forgetting_record!r} needs arm full, where every epoch "
            f"sees every example; arm {settings.arm!r} does not"
        )
    return ArmPlan(settings.arm, kind, name, selection, epochs, warm, budget_s)


def epochs_of(selection: SelectionSettings, max_epochs: int) -> tuple[int, int]:
    """(warm-start epochs T_f, epochs of the whole run).

    With ``kappa``, T_s = kappa T epochs on subsets follow T_f = T_s k / n on all the data
    (Killamsetty et al. 2021, A.2.1); at kappa = 1/2 the run costs what T subset epochs cost.
    """
    if selection.kappa is None:
        return selection.warm_start_epochs, max_epochs
    subset_epochs = max(1, round(selection.kappa * max_epochs))
    warm = round(subset_epochs * selection.fraction)
    return warm, warm + subset_epochs


def check_keys(config: Mapping[str, Any], known: Collection[str], prefix: str) -> None:
    """Refuse keys that nothing reads.

    Raises:
        ValueError: Names the key and the one that was probably meant.
    """
    for key in config:
        if key in known:
            continue
        near = difflib.get_close_matches(str(key), sorted(known), n=1)
        meant = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(sorted(known))}"
        raise ValueError(f"unknown key {prefix}{key}={config[key]!r}; {meant}")


def _kind(selector: str) -> ArmKind:
    if selector in ("seed", "full"):
        return selector  # type: ignore[return-value]
    if selector.split("_")[0] == "cached":
        return "cached"
    return "mini_batch" if minibatch.is_selector_name(selector) else "selector"


def _check_ranges(settings: TrialSettings) -> None:
    texts = ("arm", "model", "optimizer", "schedule", "device")
    for key in texts:
        _require(isinstance(getattr(settings, key), str), key, getattr(settings, key), "a string")
    for key in ("batch_size", "max_epochs", "eval_every"):
        _integer(key, getattr(settings, key), least=1)
    _integer("seed", settings.seed, least=0)
    _number("learning_rate", settings.learning_rate, above=0)
    _number("momentum", settings.momentum, least=0, below=1)
    for key in ("weight_decay", "warmup_epochs", "wait_s"):
        _number(key, getattr(settings, key), least=0)
    _number("gamma", settings.gamma, above=0)
    for key in ("clip_norm", "time_budget_s"):
        if getattr(settings, key) is not None:
            _number(key, getattr(settings, key), above=0)
    for key in ("data", "arms", "model_settings"):
        _require(isinstance(getattr(settings, key), Mapping), key, getattr(settings, key),
                 "a mapping")  # fmt: skip
    for name, variant in settings.arms.items():
        _require(isinstance(variant, Mapping), f"arms.{name}", variant,
                 "a mapping with `selector` and overrides of `selection`")  # fmt: skip
    _require(settings.amp in ("auto", True, False, "bf16", "fp16"), "amp", settings.amp,
             "auto, true, false, bf16 or fp16")  # fmt: skip
    plan_arm(settings)


def _milestones(value: Any) -> tuple[float, ...]:
    _require(isinstance(value, (list, tuple)), "milestones", value, "a list of shares of the run")
    for share in value:
        _number("milestones", share, above=0, below=1)
    return tuple(sorted(float(share) for share in value))


def _integer(key: str, value: Any, *, least: int) -> None:
    good = isinstance(value, Integral) and not isinstance(value, bool)
    _require(good and value >= least, key, value, f"an integer of at least {least}")


def _number(
    key: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> None:
    left = f"({above}" if above is not None else f"[{least}"
    right = f"{below})" if below is not None else f"{most}]" if most is not None else "inf)"
    good = isinstance(value, Real) and not isinstance(value, bool)
    if good:
        number = float(value)
        good = (
            (above is None or number > above)
            and (least is None or number >= least)
            and (below is None or number < below)
            and (most is None or number <= most)
            and number < float("inf")
        )
    _require(good, key, value, f"in {left}, {right}")


def _require(good: bool, key: str, value: Any, expected: str) -> None:
    if not good:
        raise ValueError(f"{key} must be {expected}, got {value!r}")
