"""The searches that a ladder is set against, as they run on full training's own curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from analysis.questions.ladder.recorded import Recorded
from analysis.statistics.parzen import parzen_next
from analysis.statistics.searches import asha, halving, hyperband, rank_sum, some_fully
from analysis.statistics.traces import Trace

Array = npt.NDArray[np.float64]

_TRIED = (0.1, 0.2, 0.3, 0.5, 1.0)  # of the configurations, by random search

DRAWN_RIVALS = ("ASHA, eta 3", "HyperBand", "TPE with ASHA, eta 3", "random search, 100% trained")
"""Rivals of which curves are drawn: as users run them, on all configurations."""


@dataclass(frozen=True)
class View:
    """What a rival sees of a draw of n configurations with one training seed's curves.

    Attributes:
        full: Full training's scores after each epoch, (n, E).
        points: The configurations, (n, D).
    """

    full: Array
    points: Array


@dataclass(frozen=True)
class Rival:
    """A way to search.

    Attributes:
        name: The name in tables.
        run: The function from what it sees to what it does.
    """

    name: str
    run: Callable[[View], Trace]


def rivals(recorded: Recorded, by: str) -> Iterator[Rival]:
    """Every rival that can be replayed.

    Args:
        recorded: What there is to replay.
        by: What ranks. Searchers that learn, learn from the metric alone, and random search takes
            the best by it.
    """
    if set(keys_of(by)) <= recorded.evaluated:
        for eta in (3.0, 4.0):
            yield Rival(f"ASHA, eta {eta:g}", partial(_on_curves, partial(asha, eta=eta)))
            name = f"successive halving, eta {eta:g}"
            yield Rival(name, partial(_on_curves, partial(halving, eta=eta)))
        yield Rival("HyperBand", partial(_on_curves, hyperband))
        if by == "metric":
            yield Rival("TPE with ASHA, eta 3", partial(_learned, 1.0))
            yield Rival("TPE with ASHA, half tried", partial(_learned, 0.5))
    for part in _TRIED if by == "metric" or "metric" not in recorded.curves else ():
        yield Rival(f"random search, {100 * part:g}% trained", partial(_at_random, part))


def rankings(recorded: Recorded) -> tuple[str, ...]:
    """What may rank: each score, and the sum of ranks by metric and loss."""
    both = ("both",) if {"metric", "loss"} <= set(recorded.curves) else ()
    return (*recorded.curves, *both)


def keys_of(by: str) -> tuple[str, ...]:
    """The scores that a ranking reads."""
    return ("metric", "loss") if by == "both" else (by,)


def view(recorded: Recorded, by: str, own: npt.NDArray[np.int64], seed: int) -> View:
    """What a rival sees of a draw.

    A sum of ranks is over all of the draw at each epoch, which no scheduler can know: it flatters
    those rivals.

    Args:
        recorded: What there is to replay.
        by: What ranks.
        own: The draw, (n,).
        seed: Place of the training seed.
    """
    curves = [recorded.curves[key][seed][own] for key in keys_of(by)]
    full = curves[0] if len(curves) == 1 else rank_sum(*(part.T for part in curves)).T
    return View(full, recorded.points[own])


def _on_curves(search: Callable[[Array], Trace], view: View) -> Trace:
    return search(view.full)


def _learned(part: float, view: View) -> Trace:
    trials = max(round(part * len(view.full)), 2)
    return asha(view.full, propose=partial(parzen_next, points=view.points), trials=trials)


def _at_random(part: float, view: View) -> Trace:
    return some_fully(view.full, count=max(round(part * len(view.full)), 1))
