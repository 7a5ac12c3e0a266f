"""One history out of those of several seed trials, for replays that share no seed's errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from tune_select.history.errors import HistoryError
from tune_select.history.subset_history import SubsetHistory
from tune_select.history.subsets import interval_of, subset_of
from tune_select.selection import compose_histories

COMPOSED_ALGORITHM = "composed"


def compose(histories: Sequence[SubsetHistory], seed: int = 0) -> SubsetHistory:
    """Draw a history from the mean w-scores of several, afresh for every interval.

    Args:
        histories: Complete, of the same data and with the same intervals and sizes; what selected
            them may differ.
        seed: The seed of the drawing.

    Returns:
        A complete history of the seeds' own subsets (``SubsetHistory.rung`` gives those of another
        fraction), whose identity is the first one's, with the algorithm ``composed``; its
        ``settings`` list what it was composed of.

    Raises:
        HistoryError: The histories differ in more than their seeds, or one is not complete.
        ValueError: There is none, or subsets differ in size.
    """
    if not histories:
        raise ValueError("histories must hold at least one history, got none")
    first = histories[0].identity
    for number, history in enumerate(histories):
        _check_alike(number, history, histories[0])
    epochs = [interval.end - interval.start for interval in histories[0].intervals]
    drawn = compose_histories(
        [[subset_of(interval) for interval in history.intervals] for history in histories],
        epochs,
        first.dataset.size,
        torch.Generator().manual_seed(seed),
    )
    intervals = [
        interval_of(new, old.number, (old.start, old.end))
        for old, new in zip(histories[0].intervals, drawn, strict=True)
    ]
    members = [
        {"algorithm": h.identity.algorithm, "seed": h.identity.seed_config.get("seed")}
        for h in histories
    ]
    identity = replace(
        first,
        algorithm=COMPOSED_ALGORITHM,
        settings={"members": members, "seed": seed},
        rungs=(),
    )
    return SubsetHistory(identity, intervals, complete=True)


def _check_alike(number: int, history: SubsetHistory, first: SubsetHistory) -> None:
    mine, theirs = history.identity, first.identity
    if not history.complete:
        raise HistoryError(
            f"histories[{number}] ends after {len(history.intervals)} intervals: let its seed "
            "finish before composing"
        )
    for name in ("dataset", "fraction", "select_every", "warm_start_epochs", "max_epochs"):
        if getattr(mine, name) != getattr(theirs, name):
            raise HistoryError(
                f"histories[{number}] has {name}={getattr(mine, name)!r} but histories[0] has "
                f"{getattr(theirs, name)!r}: compose histories of one data set, fraction and length"
            )
    if any(interval.batches is not None for interval in history.intervals):
        raise HistoryError(
            f"histories[{number}] holds whole batches ({mine.algorithm}), whose examples cannot be "
            "drawn one by one: compose histories of selectors of examples"
        )
