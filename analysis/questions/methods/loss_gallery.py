"""Which training examples are easy and which hard: the pictures of Jiang et al. 2019, Fig. 2.

The paper shows examples "that consistently produce low losses over the course of training" and
says no more. Losses fall by orders of magnitude while a model learns, so a mean of them would be
the first epochs' alone: what is averaged here is an example's *place* among all, which is what
Selective-Backprop looks at too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.questions.gallery import Scoring, galleries
from analysis.questions.methods.example_losses import FILE
from analysis.questions.pictures import Examples, Integers, extremes
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.trial_files import read_trial_files, trial_of
from analysis.tables import Gallery

LOSSES = Scoring(prefix="loss_gallery", plural="losses", column="place", values="Mean places")


@dataclass(frozen=True)
class LossPlaces:
    """Where each training example's loss stands among all, as one arm saw it.

    Attributes:
        arm: Full training where it recorded losses, for it has no say in what it trains on; else
            the first arm that did.
        trials: How many of its trials.
        epochs: The epochs after which the losses are, in order.
        values: Share of the training examples with a lower loss (n,), half of those with the same
            counted, in (0, 1): mean over epochs and trials.
    """

    arm: str
    trials: int
    epochs: tuple[int, ...]
    values: npt.NDArray[np.float64]


def loss_places(results: Results, size: int) -> LossPlaces | None:
    """Each training example's mean place by loss.

    Args:
        results: The results of the sweep.
        size: The number of training examples n. Trials on another number of them, and epochs of
            which some are missing, are left out.

    Returns:
        ``None`` where no trial recorded the losses of these examples.
    """
    found, _ = read_trial_files(results.folder, FILE, ("epoch", "split", "example", "loss"))
    by_arm: dict[str, list[pd.DataFrame]] = {}
    for name, frame in found.items():
        trial = trial_of(results.search, name)
        if trial is None or trial.outcome not in USABLE:
            continue
        places = _places(frame[frame["split"] == "train"], size)
        if places.shape[1]:
            by_arm.setdefault(str(trial.arm), []).append(places)
    arm = next((arm for arm in ("full", *results.arms()) if arm in by_arm), None)
    if arm is None:
        return None
    # Every record counts alike: a trial that stopped early counts for what it saw.
    records = pd.concat(by_arm[arm], axis=1)
    epochs = tuple(sorted({int(epoch) for epoch in records.columns}))
    return LossPlaces(arm, len(by_arm[arm]), epochs, records.to_numpy(dtype=float).mean(axis=1))


def pictured_by_loss(results: Results, labels: npt.ArrayLike) -> Integers:
    """The examples whose pictures the galleries need, int64 (m,), sorted; none without records.

    Args:
        results: The results of the sweep.
        labels: int64 (n,) classes of the training set.
    """
    classes = np.asarray(labels, dtype=np.int64)
    places = loss_places(results, len(classes))
    return np.empty(0, np.int64) if places is None else extremes(places.values, classes)


def loss_galleries(places: LossPlaces, examples: Examples) -> list[Gallery]:
    """The examples with the lowest and the highest losses, over all and per class.

    Args:
        places: The places of the training examples.
        examples: Pictures at hand.

    Returns:
        Nothing where some of the pictures are not at hand: half of a gallery would pass for the
        whole.
    """
    wanted = extremes(places.values, examples.labels)
    if not np.isin(wanted, examples.example).all():
        return []
    return galleries(examples, places.values, LOSSES)


def _places(train: pd.DataFrame, size: int) -> pd.DataFrame:
    """A row for each of ``size`` examples, a column for each epoch of which all are recorded."""
    losses = train.pivot_table(
        index="example", columns="epoch", values="loss", dropna=False
    ).reindex(range(size))
    whole = losses.columns[losses.notna().all() & (train["example"].max() < size)]
    return (losses[whole].rank(method="average") - 0.5) / size
