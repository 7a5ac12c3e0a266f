"""Which ladders can be replayed on what was recorded, and what each is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.questions.ladder.recorded import Recorded, Rung
from analysis.words import arm_name

KEEP, CONFIRM = 3, 1
"""What a ladder's name leaves out."""

DEFAULT: Mapping[str, Any] = {
    "fractions": (0.03, 0.3), "keep": 9, "rank_by": "both", "confirm": 2, "train_on": "cached",
}  # fmt: skip
"""The ladder of a sweep that does not say; ``tune.ladder``'s own defaults."""

_STEP = 2.5  # a rung of a mixed ladder has at least so many times the examples of the one below


@dataclass(frozen=True)
class Variant:
    """One ladder.

    Attributes:
        name: The name in tables.
        rungs: Arms, the lowest rung first.
        keep: One in how many goes up.
        confirm: How many of the highest rung are trained on all the data.
    """

    name: str
    rungs: tuple[str, ...]
    keep: int = KEEP
    confirm: int = CONFIRM

    @property
    def is_plain(self) -> bool:
        """Whether it climbs all rungs of one selector as a ladder does by default."""
        return "," not in self.name


def variants(recorded: Recorded, sweep: Mapping[str, Any]) -> list[Variant]:
    """Every ladder that is replayed: few enough that the best of them is no accident of many.

    All rungs of one selector, keeping one in 3 or 4 and confirming one to three; each rung alone,
    confirming one or three; a selector's lowest rung followed by short full trainings; and the
    ladder that the sweep itself sets, where its rungs were recorded.

    Args:
        recorded: What there is to climb.
        sweep: Its ``sweep.yaml``.
    """
    own = own_variant(recorded, sweep)
    found = [*([] if own is None else [own]), *_of_one_selector(recorded), *_mixed(recorded)]
    return list({variant.name: variant for variant in found}.values())


def own_variant(recorded: Recorded, sweep: Mapping[str, Any]) -> Variant | None:
    """The ladder as a sweep sets it, or as it is by default; ``None`` unless its rungs are there.

    A warm ladder's never are: what was recorded began afresh on every rung.

    Args:
        recorded: What there is to climb.
        sweep: Its ``sweep.yaml``.
    """
    said = _resolved(sweep)
    if any(said.get(key) for key in ("epochs", "rungs")):
        said["fractions"] = settings_of(sweep).get("fractions")
    if said.get("warm"):
        return None
    trained = str(said["train_on"])
    wanted = [
        *(said.get("rungs") or ()),
        *({"epochs": epochs} for epochs in said.get("epochs") or ()),
        *({"fraction": fraction} for fraction in said.get("fractions") or ()),
    ]
    arms = [_matching(recorded, rung, trained) for rung in wanted]
    known = tuple(arm for arm in arms if arm is not None)
    if not known or len(known) < len(arms):
        return None
    return _variant(recorded, known, int(said["keep"]), int(said["confirm"]))


def settings_of(sweep: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a sweep says of its ladder; empty where it climbs none."""
    tune = sweep.get("tune")
    said = tune.get("ladder") if isinstance(tune, Mapping) else None
    return said if isinstance(said, Mapping) else {}


def _resolved(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with the defaults of what is not said, or is null."""
    said = {key: value for key, value in settings_of(sweep).items() if value is not None}
    return {**DEFAULT, **said}


def ranks_of(sweep: Mapping[str, Any]) -> str:
    """By what a sweep's ladder ranks, as replays call it."""
    said = str(_resolved(sweep)["rank_by"])
    return "metric" if said == "accuracy" else said


def _matching(recorded: Recorded, wanted: Mapping[str, Any], trained: str) -> str | None:
    """The arm that trained as a rung of ``tune.ladder`` does."""
    fraction = wanted.get("fraction")
    title = f"{100 * fraction:.3g}%" if fraction is not None else ""
    epochs = wanted.get("epochs")
    if epochs is not None:
        trained, title = "full", f"{epochs} epoch{'s' * (epochs > 1)}"
    for rung in recorded.rungs.values():
        if (rung.selector, rung.title) == (trained, title):
            return rung.arm
    return None


def by_selector(recorded: Recorded) -> dict[str, list[Rung]]:
    """The rungs of each selector, the cheapest first."""
    found: dict[str, list[Rung]] = {}
    for rung in recorded.rungs.values():
        found.setdefault(rung.selector, []).append(rung)
    return found


def _of_one_selector(recorded: Recorded) -> Iterator[Variant]:
    for rungs in by_selector(recorded).values():
        arms = tuple(rung.arm for rung in rungs)
        if len(arms) > 1:
            for keep in (3, 4):
                for confirm in (1, 2, 3):
                    yield _variant(recorded, arms, keep, confirm)
        for arm in arms:
            for confirm in (1, 3):
                yield _variant(recorded, (arm,), KEEP, confirm)


def _mixed(recorded: Recorded) -> Iterator[Variant]:
    """The lowest rung of a selector, then short full trainings: all that grow enough, and one."""
    found = by_selector(recorded)
    short = found.pop("full", [])
    for rungs in found.values():
        chain = [rungs[0]]
        for rung in short:
            if rung.share >= _STEP * chain[-1].share:
                chain.append(rung)
        arms = tuple(rung.arm for rung in chain)
        for several in dict.fromkeys([arms, (arms[0], arms[-1])]) if len(arms) > 1 else ():
            for confirm in (1, 3):
                yield _variant(recorded, several, KEEP, confirm)


def _variant(recorded: Recorded, arms: tuple[str, ...], keep: int, confirm: int) -> Variant:
    rungs = [recorded.rungs[arm] for arm in arms]
    selectors = list(dict.fromkeys(rung.selector for rung in rungs))
    name = f"ladder of {selectors[0]}"
    if len(selectors) > 1:
        parts = [f"{rung.title}{_of(rung.selector)}" for rung in rungs]
        name = f"ladder of mixed rungs, {' then '.join(parts)}"
    elif len(rungs) == 1:
        name += f", {rungs[0].title} alone"
    elif len(rungs) < len(by_selector(recorded)[selectors[0]]):
        name += f", {' then '.join(rung.title for rung in rungs)}"
    if len(rungs) > 1 and keep != KEEP:
        name += f", keep {keep}"
    if confirm != CONFIRM:
        name += f", confirm {confirm}"
    return Variant(name, arms, keep, confirm)


def _of(selector: str) -> str:
    return "" if selector == "full" else f" of {arm_name(selector)}"
