"""Everything that a sweep's points name, built and tried once before any trial is paid for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from ray.tune.search.variant_generator import generate_variants

from tune_select.arms import SEED_ARM
from tune_select.search.foreseen import branches
from tune_select.search.space import Space, merged, spread
from tune_select.sweep.config import SweepError
from tune_select.sweep.plan import Plan

MOST_POINTS = 512
"""Points of a grid that are looked at; a grid's values are all looked at whatever their number."""

MOST_MODELS = 24
"""Distinct models that are built: seconds, not minutes."""


@dataclass(frozen=True)
class Rehearsal:
    """What was tried.

    Attributes:
        rows: One of each distinct model; see ``SelectionTrainable.rehearse``.
        points: How many points of the space were looked at.
        left_out: Why something was not built, for people; empty where all was.
        of_points: How many there were to choose among.
    """

    rows: tuple[dict[str, Any], ...] = ()
    points: int = 0
    left_out: str = ""
    of_points: int = 0


def rehearse(plan: Plan, dataset: Any) -> Rehearsal:
    """Build each distinct model that the sweep's points name, and pass one batch through it.

    The trainable does it, if it has a class method ``rehearse(config, dataset, seen)``.

    Args:
        plan: The plan of the sweep.
        dataset: What the trainable's ``load_dataset`` returned.

    Raises:
        SweepError: The arm, the field, its value and the remedy.
    """
    attempt = getattr(plan.trainable, "rehearse", None)
    if attempt is None:
        return Rehearsal(left_out=f"{plan.config.trainable} has no rehearse")
    if plan.config.resources.get("gpu", 0) > 0 and not torch.cuda.is_available():
        return Rehearsal(left_out="trials have a GPU, and this machine has none to try them on")
    seen: dict[str, dict[str, Any]] = {}
    # A point is itself whatever order its keys stand in; what is drawn may not compare or hash.
    by_text = {json.dumps(p, sort_keys=True, default=repr): p for p in _points(plan.space)}
    everything = list(by_text.values())
    points = spread(everything, 2 * MOST_POINTS)
    seeds = plan.seed_configs("", "") if plan.config.needs_seed() else []
    base = plan.base_config()
    trials = itertools.chain(
        ((SEED_ARM, seed) for seed in seeds),
        *(_trials(plan, base, point) for point in points),
    )
    for arm, config in trials:
        if len(seen) >= MOST_MODELS:
            more = f"models beyond the first {MOST_MODELS}"
            return Rehearsal(tuple(seen.values()), len(points), more, len(everything))
        try:
            attempt(config, dataset, seen)
        except ValueError as error:
            raise SweepError(f"arm {arm}: {error}") from None
    return Rehearsal(tuple(seen.values()), len(points), of_points=len(everything))


def rehearsal_text(found: Rehearsal) -> str:
    """The table for people."""
    if not found.rows:
        return f"Nothing was built: {found.left_out}."
    head = ("model", "parameters", "optimizer", "matched layer", "batch", "loss")
    lines = [head] + [
        (
            str(row["model"]),
            f"{row['parameters']:,}"
            if row["trained"] == row["parameters"]
            else f"{row['trained']:,} of {row['parameters']:,}",
            str(row["optimizer"]),
            str(row["head"]),
            str(row["batch"]),
            f"{row['loss']:.3g}",
        )
        for row in found.rows
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    of = f" of {found.of_points:,}" if found.points < found.of_points else ""
    text = [
        "Built once each, with one batch forward and backward "
        f"({found.points:,}{of} points looked at):",
        f"  {shown[0]}",
    ]
    for line, row in zip(shown[1:], found.rows, strict=True):
        text += [f"  {line}", *(f"      {note}" for note in row["notes"])]
    if found.left_out:
        text.append(f"  not built: {found.left_out}")
    return "\n".join(text)


def _points(space: Space) -> Iterator[dict[str, Any]]:
    """Every listed value, then combinations; of a define-by-run space its branches, as drawn."""
    if space.define_by_run is not None:
        try:
            yield from branches(space.define_by_run)
        except ValueError as error:
            raise SweepError(str(error)) from None
        return
    yield from space.examples()
    if space.params:
        for _, point in itertools.islice(
            generate_variants(space.params, random_state=0), MOST_POINTS
        ):
            yield dict(point)


def _trials(
    plan: Plan, base: dict[str, Any], point: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A trial of each arm at a point; ``base`` is what all trials share."""
    config = plan.config
    place = config.history or plan.location("", "")
    whole = merged(base, point) | {"seed": config.tune.seeds[0], "history": place}
    for arm in config.arm_names():
        yield arm, config.arm(arm).on(whole)
