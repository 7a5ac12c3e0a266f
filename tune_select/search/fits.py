"""Whether a trial can replay a history: one that its seed will write, or one that is finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tune_select.arms import Arm, EpochPlan, Selection, epochs_of, settled
from tune_select.history import HistoryIdentity
from tune_select.plain import plain

_BY_EPOCH = ("select_every", "kappa", "kappa_of", "warm_start_epochs", "max_epochs")
"""Keys that say when a subset is trained on; a replay by progress stretches its seed's."""

_IN_SPACE = (
    "Take {key} out of the space, let seed_by run a seed for each of its values, or compare it in "
    "arms that select for themselves"
)
_LONGER = "Train for at most as many epochs as the seed, or set selection.align: progress"


@dataclass(frozen=True)
class Offer:
    """What a history holds for replays; ``None`` and no fractions where it is not known.

    A seed trial's configuration says only what differs from the defaults of its trainable, which
    are the trainable's own business.

    Attributes:
        source: Which history it is, for people.
        fractions: The fractions at which it has subsets.
        select_every: R, epochs between its selections.
        warm_start_epochs: W, epochs before its first subset.
        max_epochs: T, epochs that it covers.
        algorithm: The selector that wrote it.
    """

    source: str
    fractions: tuple[float, ...] = ()
    select_every: int | None = None
    warm_start_epochs: int | None = None
    max_epochs: int | None = None
    algorithm: str | None = None

    @classmethod
    def of_seed(cls, config: Mapping[str, Any]) -> Offer:
        """What the seed trial of a configuration will write."""
        found = _Schedule.of("seed", config)
        own = found.selection
        fractions = (own["fraction"], *(own.get("rungs") or ())) if "fraction" in own else ()
        return cls(
            "the seed whose history it replays",
            tuple(sorted({*fractions})),
            own.get("select_every"),
            found.warm_start_epochs,
            found.epochs,
            own.get("algorithm"),
        )

    @classmethod
    def of_identity(cls, identity: HistoryIdentity, source: str) -> Offer:
        """What a finished history holds.

        Args:
            identity: The identity of the history.
            source: Where it lies.
        """
        return cls(
            source,
            identity.fractions,
            identity.select_every,
            identity.warm_start_epochs,
            identity.max_epochs,
            identity.algorithm,
        )


def check_replay(
    replay: Mapping[str, Any], seed: Mapping[str, Any] | Offer, arm: str | Arm = "cached"
) -> None:
    """Refuse a replay that no history of its seed fits, however the two came to disagree.

    Without this, each such replay would start once its history is there, and fail by itself. What
    the trial leaves to the defaults of its trainable is left to the trial, which knows them; what
    its arm sets for itself must be known of the seed.

    Args:
        replay: The replay's whole configuration.
        seed: The configuration of the seed whose history it replays, or what that holds.
        arm: The replay's arm, which the message names where the arm itself set the key.

    Raises:
        ValueError: Names each key, both values and the remedy.
    """
    offer = seed if isinstance(seed, Offer) else Offer.of_seed(seed)
    mine = _Schedule.of("cached", replay)
    wrong = [*_differences(mine, offer, arm), *_unanswered(mine, offer, arm)]
    if wrong:
        raise ValueError("; ".join(wrong))


@dataclass(frozen=True)
class _Schedule:
    """When a configuration trains on subsets, as far as it says so."""

    selection: Mapping[str, Any]
    warm_start_epochs: int | None
    epochs: int | None

    @classmethod
    def of(cls, kind: Any, config: Mapping[str, Any]) -> _Schedule:
        """Read a configuration; what is malformed counts as not said, for the trial refuses it."""
        whole: dict[str, Any] = plain(settled(config))
        table = whole.get("selection")
        own = (
            {k: v for k, v in table.items() if v is not None} if isinstance(table, Mapping) else {}
        )
        try:
            selection = Selection.model_validate(own)
        except (AttributeError, ValueError):
            return cls({}, None, None)
        epochs = whole.get("max_epochs")
        if not isinstance(epochs, int) or isinstance(epochs, bool):
            return cls(own, own.get("warm_start_epochs"), None)
        plan: EpochPlan = epochs_of(kind, selection, epochs)
        if "kappa" in own and "fraction" not in own:  # then the share of the cost is not known
            return cls(own, None, None)
        said = "kappa" in own or "warm_start_epochs" in own
        return cls(own, plan.warm_start_epochs if said else None, plan.epochs)


def _differences(mine: _Schedule, offer: Offer, arm: str | Arm) -> list[str]:
    """What both sides say, and say otherwise."""
    own, by_epoch = mine.selection, mine.selection.get("align") != "progress"
    held: dict[str, tuple[Any, Any]] = {"algorithm": (own.get("algorithm"), offer.algorithm)}
    if by_epoch:
        held["select_every"] = (own.get("select_every"), offer.select_every)
        held["warm_start_epochs"] = (mine.warm_start_epochs, offer.warm_start_epochs)
    wrong = [
        _sentence(key, value, f"{theirs!r}", offer, arm)
        for key, (value, theirs) in held.items()
        if value is not None and theirs is not None and value != theirs
    ]
    if "fraction" in own and offer.fractions and own["fraction"] not in offer.fractions:
        held_at = " and ".join(f"{fraction:g}" for fraction in offer.fractions)
        wrong.append(_sentence("fraction", own["fraction"], held_at, offer, arm))
    known = mine.epochs is not None and offer.max_epochs is not None
    if by_epoch and known and mine.epochs > offer.max_epochs:  # type: ignore[operator]
        wrong.append(_sentence("max_epochs", mine.epochs, f"{offer.max_epochs}", offer, arm))
    return wrong


def _unanswered(mine: _Schedule, offer: Offer, arm: str | Arm) -> list[str]:
    """What the arm says of how it selects, of which nothing is known on the seed's side."""
    if not isinstance(arm, Arm):
        return []
    unknown = {"algorithm": offer.algorithm is None}
    if mine.selection.get("align") != "progress":
        unknown["select_every"] = offer.select_every is None
        unknown["warm_start_epochs"] = unknown["kappa"] = offer.warm_start_epochs is None
    return [
        f"arms.{arm.name}.{key}={arm.selection[key]!r} is to be that of the seed whose history the "
        f"arm replays, but the seed says none: write selection.{key} where all trials have it "
        "(for the seed as well), or leave it out of the arm"
        for key, is_unknown in unknown.items()
        if is_unknown and arm.selection.get(key) is not None
    ]


def _sentence(key: str, value: Any, theirs: str, offer: Offer, arm: str | Arm) -> str:
    """One disagreement in the user's words.

    Args:
        key: The key of the ``selection`` table, or ``max_epochs``.
        value: The replay's.
        theirs: The history's, as text.
        offer: The offer of the history.
        arm: The replay's arm.
    """
    asked = ("kappa", "warm_start_epochs") if key == "warm_start_epochs" else (key,)
    its_own = {} if isinstance(arm, str) else {**arm.selection, **arm.training}
    source = next((name for name in asked if its_own.get(name) is not None), None)
    name = arm if isinstance(arm, str) else arm.name
    table = "" if key == "max_epochs" else "selection."
    where = f"arm {name} has {table}{key}" if source is None else f"arms.{name}.{source}"
    if source == "kappa":  # which says it by way of what it computes
        where = f"arms.{name}.kappa={its_own['kappa']!r} makes warm_start_epochs"
    remedy = _remedy(key, source, name)
    return (
        f"{where}={value!r}, but {offer.source} has {key} {theirs}: no replay of it could train. "
        f"{remedy}"
    )


def _remedy(key: str, source: str | None, arm: str) -> str:
    if key == "max_epochs":
        return _LONGER
    if source is None:
        return _IN_SPACE.format(key=f"selection.{key}")
    if key in _BY_EPOCH:
        return (
            f"Leave {source} out of the arm, for a replay trains on what its seed selected, when "
            "it selected it; or set align: progress there, which stretches the seed's schedule"
        )
    if key == "algorithm":
        return f"Run a seed with it, or compare it as an arm of its own (arms.{arm}.selector)"
    return "Choose among those fractions, or run a seed, which publishes at every arm's"
