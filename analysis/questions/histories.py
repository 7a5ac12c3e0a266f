"""What a history selects (Cai et al., section 7): w-scores, their overlap, how subsets change."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.results.history_files import HistoryRecord
from analysis.statistics.ranking import places

Array = npt.NDArray[np.float64]


def w_scores(history: HistoryRecord) -> Array:
    """Each training example's normalised weights summed over all epochs, (n,).

    Weights are normalised to mean 1 within a subset, so that a score counts epochs: an example that
    was in every subset with the average weight scores the number of subset epochs. Epochs of a warm
    start, which train on everything alike, are left out, and so are those on an initial subset that
    was drawn at random: the selector has no part in either, and all histories of a training seed
    would share them.
    """
    scores = np.zeros(history.size)
    for interval in history.chosen:
        mean = interval.weights.mean() if len(interval.weights) else 0.0
        if mean > 0:
            epochs = interval.end - interval.start
            np.add.at(scores, interval.examples, epochs * interval.weights / mean)
    return scores


def cosine_similarity(x: Array, y: Array) -> float:
    """Cosine of the angle between two score vectors (n,); NaN where one is all zero."""
    norms = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norms if norms > 0 else math.nan


def independent_cosine(x: Array, y: Array) -> float:
    """The cosine that two score vectors (n,) would have if they had nothing to do with each other.

    Over random orders of either, x . y is n mean(x) mean(y) on average. It is no zero, for scores
    are not negative.
    """
    norms = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(len(x) * x.mean() * y.mean() / norms) if norms > 0 else math.nan


def top_overlap(x: Array, y: Array, share: float = 0.1) -> float:
    """Share of the top ``share`` of examples by ``x`` that are in the top ``share`` by ``y``.

    Two independent selections overlap by ``share`` on average. Ties share places, as in
    :func:`analysis.statistics.ranking.top_k_recall`.

    Args:
        x: Scores (n,) of one history.
        y: Scores (n,) of another.
        share: Share of the n examples that counts as the top, in (0, 1].
    """
    size = np.array(max(1, round(share * len(x))))
    return float(np.minimum(places(x, size), places(y, size)).sum() / size)


def similarity_table(histories: Sequence[HistoryRecord], share: float = 0.1) -> pd.DataFrame:
    """Cosine similarity of w-scores and overlap of the top tenth for every pair (Table 5).

    Only pairs over the same training set (same fingerprint).

    Returns:
        ``first``, ``second`` (labels), ``first_key``, ``second_key``, ``cosine``, ``independent``
        (of scores like these that have nothing to do with each other), ``overlap``.
    """
    names = labels(histories)
    scores = [w_scores(history) for history in histories]
    rows = []
    for i, a in enumerate(histories):
        for j in range(i + 1, len(histories)):
            b = histories[j]
            if (a.fingerprint, a.size) != (b.fingerprint, b.size):
                continue
            rows.append(
                {
                    "first": names[i],
                    "second": names[j],
                    "first_key": a.key,
                    "second_key": b.key,
                    "cosine": cosine_similarity(scores[i], scores[j]),
                    "independent": independent_cosine(scores[i], scores[j]),
                    "overlap": top_overlap(scores[i], scores[j], share),
                }
            )
    columns = ["first", "second", "first_key", "second_key", "cosine", "independent", "overlap"]
    return pd.DataFrame(rows, columns=columns)


def labels(histories: Sequence[HistoryRecord]) -> list[str]:
    """A label for each history; those that would read alike carry their key."""
    plain = [history.label for history in histories]
    return [
        f"{label} ({history.key})" if plain.count(label) > 1 else label
        for label, history in zip(plain, histories, strict=True)
    ]


def interval_table(history: HistoryRecord) -> pd.DataFrame:
    """A row per interval: how the subset differs from the one before, and what was used so far.

    Returns:
        ``interval``, ``start``, ``end``, ``size``, ``jaccard`` with the interval before,
        ``jaccard_random`` (expected of two independent subsets of these sizes, by the ratio of
        expectations), ``never_used`` (share of the training set in no subset so far; the warm start
        not counted), ``effective_share`` ((sum w)^2 / (k sum w^2): 1 for equal weights),
        ``gradient_error``, ``random_gradient_error``, ``select_s``.
    """
    used = np.zeros(history.size, dtype=bool)
    before: set[int] | None = None
    rows = []
    for number, interval in enumerate(history.intervals):
        now = set(interval.examples.tolist())
        used[interval.examples] = True
        row = {
            "interval": number,
            "start": interval.start,
            "end": interval.end,
            "size": len(now),
            "jaccard": jaccard(before, now) if before is not None else math.nan,
            "jaccard_random": math.nan,
            "never_used": 1.0 - float(used.mean()),
            "effective_share": _effective_share(interval.weights),
            "gradient_error": _number(interval.gradient_error),
            "random_gradient_error": _number(interval.random_gradient_error),
            "select_s": interval.select_s,
        }
        if before is not None:
            both = len(before) * len(now) / history.size
            row["jaccard_random"] = both / (len(before) + len(now) - both)
        rows.append(row)
        before = now
    return pd.DataFrame(rows)


def jaccard(a: set[int], b: set[int]) -> float:
    """Size of the intersection over size of the union; NaN for two empty sets."""
    union = len(a | b)
    return len(a & b) / union if union else math.nan


def never_used(history: HistoryRecord) -> float:
    """Share of the training set that is in no subset (Killamsetty et al., Table 9)."""
    used = np.zeros(history.size, dtype=bool)
    for interval in history.intervals:
        used[interval.examples] = True
    return 1.0 - float(used.mean()) if history.size else math.nan


def class_balance(history: HistoryRecord, classes: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Share of each class in each subset, beside its share of the training set.

    Args:
        history: The history over n examples.
        classes: int64 (n,) class of each training example.

    Returns:
        ``interval``, ``start``, ``label``, ``share`` of the subset's examples, ``weight_share`` of
        its weight, ``train_share`` of the training set.

    Raises:
        ValueError: ``classes`` is not of length n.
    """
    if classes.shape != (history.size,):
        raise ValueError(
            f"classes must have shape ({history.size},), one per training example of the history, "
            f"got {classes.shape}"
        )
    values, counts = np.unique(classes, return_counts=True)
    rows = []
    for number, interval in enumerate(history.intervals):
        own = classes[interval.examples]
        total = interval.weights.sum()
        for value, count in zip(values, counts, strict=True):
            mine = own == value
            rows.append(
                {
                    "interval": number,
                    "start": interval.start,
                    "label": int(value),
                    "share": float(mine.mean()) if len(own) else math.nan,
                    "weight_share": float(interval.weights[mine].sum() / total)
                    if total > 0
                    else math.nan,
                    "train_share": count / history.size,
                }
            )
    columns = ["interval", "start", "label", "share", "weight_share", "train_share"]
    return pd.DataFrame(rows, columns=columns)


def score_histogram(history: HistoryRecord, bins: int = 40) -> pd.DataFrame:
    """Histogram of w-scores over the training set (Fig. 6).

    Returns:
        ``low``, ``high`` (edges; the first bin holds exactly the examples with score zero),
        ``examples``.
    """
    scores = w_scores(history)
    positive = scores[scores > 0]
    rows = [{"low": 0.0, "high": 0.0, "examples": int((scores == 0).sum())}]
    if positive.size:
        counts, edges = np.histogram(positive, bins=bins, range=(0.0, float(positive.max())))
        rows += [
            {"low": float(low), "high": float(high), "examples": int(count)}
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
    return pd.DataFrame(rows)


def _effective_share(weights: Array) -> float:
    squares = float((weights**2).sum())
    return float(weights.sum() ** 2 / (len(weights) * squares)) if squares > 0 else math.nan


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
