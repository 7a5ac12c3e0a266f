"""Single examples: their losses, a classifier's confidence in them, how likely they are chosen.

Jiang et al. 2019, Figs. 3 (distribution of losses), 8 and 9 (confidence and accuracy by percentile)
and 15 (probabilities of selection), from the losses that trials record after chosen epochs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import setting
from analysis.results.trial_files import read_trial_files, trial_of

FILE = "losses.parquet"
"""In a trial's folder: ``epoch``, ``split``, ``example``, ``loss`` and ``correct``."""

HARDEST = 20
"""Per cent of the test examples that count as hard: those with the least confidence."""

_COLUMNS = ("epoch", "split", "example", "loss", "correct")
_HUNDREDTHS = np.linspace(0.0, 1.0, 101)
_BINS = 20


@dataclass(frozen=True)
class ExampleLosses:
    """What all recorded trials of a sweep say, by arm.

    Attributes:
        losses: ``arm``, ``epoch``, ``share``, ``loss``: this share of the training examples has at
            most this loss; with ``low`` and ``high``, the range over trials.
        confidence: ``arm``, ``epoch``, ``percentile`` of the test examples from the least
            confidence up (the middle of a twentieth), ``confidence`` and ``accuracy`` there.
        probabilities: ``arm``, ``example``, ``epoch``, ``probability`` for five training examples
            of each arm's first trial.
        fluctuation: ``arm`` and ``deviation``, how far an example's probability moves from record
            to record: the standard deviation over epochs, mean over examples and trials.
        problems: A sentence for each file that cannot be read.
    """

    losses: pd.DataFrame
    confidence: pd.DataFrame
    probabilities: pd.DataFrame
    fluctuation: pd.DataFrame
    problems: Sequence[str]


def example_losses(results: Results) -> ExampleLosses:
    """Read every trial's records and reduce them, one trial at a time."""
    found, problems = read_trial_files(results.folder, FILE, _COLUMNS)
    shares = _shares(results)
    parts: dict[str, list[pd.DataFrame]] = {"losses": [], "confidence": [], "moves": []}
    chosen: dict[str, pd.DataFrame] = {}
    for name in sorted(found, key=lambda folder: _order(results, folder)):
        trial = trial_of(results.search, name)
        if trial is None or trial.outcome not in USABLE:
            continue
        frame = found[name]
        train, test = (frame[frame["split"] == split] for split in ("train", "test"))
        parts["losses"].append(loss_quantiles(train).assign(arm=trial.arm))
        parts["confidence"].append(by_percentile(test).assign(arm=trial.arm))
        share = float(shares.loc[trial.Index])
        if train["epoch"].nunique() < 2 or not 0 < share < 1:
            continue
        table = selection_probabilities(train, share)
        deviation = float(table.std(axis=1, ddof=0).mean())
        parts["moves"].append(pd.DataFrame({"arm": [trial.arm], "deviation": [deviation]}))
        chosen.setdefault(str(trial.arm), typical_examples(table).assign(arm=trial.arm))
    losses = _range(_joined(parts["losses"], "epoch", "share", "loss"), "share", "loss")
    keys = ["arm", "epoch", "percentile"]
    confidence = _joined(parts["confidence"], "epoch", "percentile", "confidence", "accuracy")
    moves = _joined(parts["moves"], "deviation")
    return ExampleLosses(
        losses,
        confidence.groupby(keys, sort=False).mean().reset_index(),
        _joined(list(chosen.values()), "example", "epoch", "probability"),
        moves.groupby("arm", sort=False).mean().reset_index(),
        problems,
    )


def loss_quantiles(train: pd.DataFrame) -> pd.DataFrame:
    """The distribution of losses after each epoch.

    Args:
        train: ``epoch`` and ``loss`` of training examples.

    Returns:
        ``epoch``, ``share`` (0 to 1 in hundredths) and ``loss``, the least that this share of the
        examples does not exceed.
    """
    frames = [
        pd.DataFrame(
            {"epoch": epoch, "share": _HUNDREDTHS,
             "loss": np.quantile(own["loss"], _HUNDREDTHS, method="inverted_cdf")}
        )
        for epoch, own in train.groupby("epoch")
    ]  # fmt: skip
    empty = pd.DataFrame(columns=["epoch", "share", "loss"], dtype=float)
    return pd.concat(frames, ignore_index=True) if frames else empty


def by_percentile(test: pd.DataFrame) -> pd.DataFrame:
    """Confidence and accuracy of the test examples, ordered by confidence, a twentieth at a time.

    The confidence in the true class is exp(-l) of a cross-entropy l. A split of fewer than 20
    examples has a row for each of them.

    Args:
        test: ``epoch``, ``loss`` and ``correct`` of test examples; where nothing is known to be
            correct or wrong, the task is no classifier and there are no rows.

    Returns:
        ``epoch``, ``percentile``, ``confidence`` and ``accuracy``, both shares.
    """
    rows = []
    for epoch, own in test[test["correct"].notna()].groupby("epoch"):
        confidence = np.exp(-own["loss"].to_numpy(dtype=float))
        order = np.argsort(confidence, kind="stable")
        right = own["correct"].to_numpy(dtype=float)[order]
        edges = np.linspace(0, len(own), min(_BINS, len(own)) + 1).round().astype(int)
        for first, stop in itertools.pairwise(edges):
            rows.append(
                {"epoch": epoch, "percentile": 50 * (first + stop) / len(own),
                 "confidence": confidence[order[first:stop]].mean(),
                 "accuracy": right[first:stop].mean()}
            )  # fmt: skip
    return pd.DataFrame(rows, columns=["epoch", "percentile", "confidence", "accuracy"])


def selection_probabilities(train: pd.DataFrame, share: float) -> pd.DataFrame:
    """How likely Selective-Backprop would choose each example by its loss, after each epoch.

    P = CDF(l)^beta (Jiang et al., eq. 1) with the CDF over all recorded losses of the epoch in
    place of the last R ones, and beta = 1 / share - 1, at which the mean of P is the share.

    Args:
        train: ``epoch``, ``example`` and ``loss`` of training examples.
        share: Share of the examples that is to be chosen, in (0, 1).

    Returns:
        A row for each example, a column for each epoch.
    """
    losses = train.pivot_table(index="example", columns="epoch", values="loss")
    # Rank of the last of equal losses over n: the share of losses that are at most this one.
    return losses.rank(method="max").div(losses.count()).pow(1 / share - 1)


def typical_examples(probabilities: pd.DataFrame, count: int = 5) -> pd.DataFrame:
    """Examples across the range, from seldom to often chosen, in long form.

    Args:
        probabilities: The result of :func:`selection_probabilities`.
        count: How many examples: those in the middle of as many equal parts by mean probability.

    Returns:
        ``example``, ``epoch`` and ``probability``.
    """
    ranked = probabilities.mean(axis=1).sort_values(kind="stable").index
    middles = np.unique(((np.arange(count) + 0.5) / count * len(ranked)).astype(int))
    long = probabilities.loc[ranked[middles]].stack().rename("probability").reset_index()
    return long[["example", "epoch", "probability"]]


def hardest(confidence: pd.DataFrame) -> pd.DataFrame:
    """Means over the hardest fifth of the test examples: ``arm``, ``epoch`` and both shares."""
    own = confidence[confidence["percentile"] < HARDEST]
    means = own.groupby(["arm", "epoch"], sort=False)[["confidence", "accuracy"]].mean()
    return means.reset_index()


def ends(epochs: pd.Series) -> list[int]:
    """The first and the last epoch that is recorded, once where they are the same."""
    return sorted({int(epochs.min()), int(epochs.max())}) if len(epochs) else []


def _shares(results: Results) -> pd.Series:
    """The share of the data that each trial trains on; of full training, what the others do."""
    shares = pd.to_numeric(setting(results.search, results.sweep, "fraction"), errors="coerce")
    partial = shares.where((shares > 0) & (shares < 1))
    return partial.fillna(float(partial.median())) if partial.notna().any() else partial


def _order(results: Results, folder: str) -> tuple[int, int]:
    """Trials in the order of the table, whatever their folders are called."""
    trial = trial_of(results.search, folder)
    place = results.search.index.get_indexer([trial.Index])[0] if trial is not None else -1
    return (trial is None, int(place))


def _range(frame: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    grouped = frame.groupby(["arm", "epoch", x], sort=False)[y]
    return grouped.agg(**{y: "mean", "low": "min", "high": "max"}).reset_index()


def _joined(frames: Sequence[pd.DataFrame], *columns: str) -> pd.DataFrame:
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return pd.DataFrame({"arm": pd.Series(dtype=str)} | _numbers(columns))
    return pd.concat(frames, ignore_index=True)[["arm", *columns]]


def _numbers(columns: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    return {column: np.empty(0) for column in columns}
