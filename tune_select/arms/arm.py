"""One arm: written once, crossed with points once, read back from any trial's configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_select.arms.epochs import EpochPlan, epochs_of
from tune_select.arms.kinds import SEED_ARM, ArmKind, kind_of
from tune_select.arms.selection import KEYS, Selection, with_changes
from tune_select.mappings import merged
from tune_select.plain import plain

RESOLVED_ARM = "resolved_arm"
"""Key of a trial's configuration: its arm's kind and selector, and what the arm replaced."""


@dataclass(frozen=True)
class Arm:
    """What trains on what, and with which settings changed.

    Attributes:
        name: The name of the arm, as tables and legends show it.
        selector: Name or import string of the selector; ``cached`` or a replay's name for replays,
            ``full`` for full training, ``seed`` for the trial that selects for the replays.
        kind: What the arm does with it.
        selection: What the arm changes in the ``selection`` table.
        training: What it changes in the rest of a trial's configuration, such as ``max_epochs``.
    """

    name: str
    selector: str
    kind: ArmKind
    selection: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, variant: Mapping[str, Any] | None = None) -> Arm:
        """The arm of a name, or of an entry of ``arms``.

        Args:
            name: The name of the arm; without a variant, the selector's too.
            variant: ``selector`` (required) and what the arm changes: keys of ``selection``, and
                any others for the trial's configuration itself.

        Raises:
            ValueError: The variant names no selector.
        """
        if variant is None:
            return cls(name, name, kind_of(name))
        selector = variant.get("selector")
        if not isinstance(selector, str):
            raise ValueError(
                f"arms.{name}.selector must be a selector's name, cached, seed or full, "
                f"got {selector!r}"
            )
        changes = {key: value for key, value in variant.items() if key != "selector"}
        return cls(
            name,
            selector,
            kind_of(selector),
            selection={key: value for key, value in changes.items() if key in KEYS},
            training={key: value for key, value in changes.items() if key not in KEYS},
        )

    def on(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The whole configuration of this arm's trial at a point.

        Args:
            point: A configuration without an arm, or another arm's trial at the same point: what
                that arm had changed is taken back first.

        Returns:
            The point with this arm's settings laid over it, final: nothing else need be resolved.
        """
        base = point_of(point)
        changed = merged(
            {key: base[key] for key in self.training if key in base}, dict(self.training)
        )
        if self.selection:
            changed["selection"] = with_changes(base.get("selection") or {}, self.selection)
        resolved: dict[str, Any] = {"kind": self.kind, "selector": self.selector}
        if changed:
            resolved["replaced"] = {key: base[key] for key in changed if key in base}
            resolved["added"] = [key for key in changed if key not in base]
        return {**base, **changed, "arm": self.name, RESOLVED_ARM: resolved}


@dataclass(frozen=True)
class ArmOfTrial:
    """What a trial's arm came to.

    Attributes:
        name: The name of the arm.
        kind: What it does.
        selector: The selector's name or import string; for a seed, the one that it publishes.
        selection: The trial's final ``selection`` table.
        plan: How long the trial runs; ``None`` where its configuration leaves ``max_epochs`` to the
            trainable.
    """

    name: str
    kind: ArmKind
    selector: str
    selection: Selection
    plan: EpochPlan | None

    @property
    def fraction(self) -> float:
        """Share of the training examples that the trial's subsets hold."""
        return 1.0 if self.kind == "full" else self.selection.fraction


def arm_of(config: Mapping[str, Any]) -> ArmOfTrial:
    """The arm of a trial, from its configuration alone.

    Args:
        config: What ``Arm.on`` returned, or a configuration of one's own: a bare ``arm``, or one
            that names an entry of a map ``arms``, as sweeps wrote them before.

    Raises:
        ValueError: The entry names no selector, or a value of ``selection`` is out of range.
    """
    config = plain(settled(config))
    name = str(config.get("arm", ""))
    resolved = config.get(RESOLVED_ARM)
    selector = str(resolved["selector"]) if isinstance(resolved, Mapping) else name
    kind: ArmKind = resolved["kind"] if isinstance(resolved, Mapping) else kind_of(name)
    selection = Selection.model_validate(config.get("selection") or {})
    max_epochs = config.get("max_epochs")
    return ArmOfTrial(
        name,
        kind,
        selection.algorithm if kind == SEED_ARM else selector,
        selection,
        None if max_epochs is None else epochs_of(kind, selection, int(max_epochs)),
    )


def settled(config: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's configuration with its arm's changes in place.

    Only a configuration with a map ``arms``, of a Tuner of one's own or written by an earlier
    version, still has any to make; the map is gone afterwards.

    Raises:
        ValueError: The arm's entry of the map is malformed.
    """
    arms = config.get("arms")
    if not isinstance(arms, Mapping):
        return dict(config)
    rest = {key: value for key, value in config.items() if key != "arms"}
    name = str(config.get("arm", ""))
    variant = arms.get(name)
    if not variant:
        return rest
    if not isinstance(variant, Mapping):
        raise ValueError(
            f"arms.{name} must be a mapping with `selector` and what the arm changes, "
            f"got {variant!r}"
        )
    return Arm.of(name, variant).on(rest)


def final_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's configuration for people to read: without the record of what its arm replaced."""
    return {key: value for key, value in config.items() if key != RESOLVED_ARM}


def publishing(seed: Mapping[str, Any], arms: Iterable[str | Arm]) -> dict[str, Any]:
    """A seed's configuration that publishes at every fraction which a replay sets for itself.

    Args:
        seed: A seed trial's configuration.
        arms: The arms of the search; those that do not replay are passed over.

    Returns:
        The same, with those fractions among its ``selection.rungs``.
    """
    replays = (arm for arm in arms if isinstance(arm, Arm) and arm.kind == "cached")
    own = {arm.selection["fraction"] for arm in replays if "fraction" in arm.selection}
    selection = dict(seed.get("selection") or {})
    rungs = sorted({*own, *(selection.get("rungs") or ())})
    return {**seed, "selection": {**selection, "rungs": rungs}} if own else dict(seed)


def point_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's configuration without its arm and what the arm had changed."""
    config = settled(config)
    resolved = config.get(RESOLVED_ARM) or {}
    gone = {"arm", RESOLVED_ARM, *resolved.get("added", ())}
    kept = {key: value for key, value in config.items() if key not in gone}
    return {**kept, **resolved.get("replaced", {})}
