"""Label noise and class imbalance: seeded, pure transforms of any loaded training split.

Validation and test data are never touched: a task splits first, corrupts the training part and
gives the result the fingerprint that ``Corruption.fingerprint`` derives, so that a history of the
clean data is refused on the corrupted and the other way round.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_NOISE_STREAM = 1 << 40  # keeps the noise draws apart from the imbalance draws of the same seed


@dataclass(frozen=True)
class Corruption:
    """What is done to the training split.

    Class imbalance comes first (Killamsetty et al. 2021, section 4 and A.3: 30% of the classes keep
    about 10%, elsewhere one half, of their examples), label noise is then a share of the
    examples that remain (UniformFlip; Jiang et al. 2019, section 5.4, and Balles et al., 5.2).

    Attributes:
        label_noise: Share of training labels replaced by another class, in [0, 1). Balles et al.
            "reassign random labels", which leaves 1/C of them right by chance; here every noisy
            label is wrong, so the share is the share of wrong labels.
        imbalanced_classes: Share of the classes that lose examples, in [0, 1]; rounded to whole
            classes, at least one when positive.
        keep: Share of its examples that an imbalanced class keeps, in (0, 1]; at least one example.
        seed: The seed of both. With one seed, the examples that are noisy at 1% are also noisy at
            10%, with the same wrong labels, so that levels of noise are paired.
    """

    label_noise: float = 0.0
    imbalanced_classes: float = 0.0
    keep: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.label_noise < 1:
            raise ValueError(
                f"data.label_noise must be in [0, 1), got {self.label_noise}; "
                "it is the share of training labels to replace"
            )
        if not 0 <= self.imbalanced_classes <= 1:
            raise ValueError(
                f"data.imbalance.classes must be in [0, 1], got {self.imbalanced_classes}; "
                "it is the share of the classes that lose examples"
            )
        if not 0 < self.keep <= 1:
            raise ValueError(
                f"data.imbalance.keep must be in (0, 1], got {self.keep}; "
                "it is the share of its examples that an imbalanced class keeps"
            )

    @property
    def imbalances(self) -> bool:
        """Whether any class may lose examples."""
        return self.imbalanced_classes > 0 and self.keep < 1

    @property
    def changes_anything(self) -> bool:
        """Whether the training split differs from the clean one."""
        return self.label_noise > 0 or self.imbalances

    def fingerprint(self, clean: str) -> str:
        """Fingerprint of the corrupted split, from that of the clean one (unchanged when clean)."""
        if not self.changes_anything:
            return clean
        recipe: dict[str, Any] = {"label_noise": self.label_noise, "seed": self.seed}
        if self.imbalances:
            recipe |= {"classes": self.imbalanced_classes, "keep": self.keep}
        text = json.dumps([clean, recipe], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def corrupt(labels: Tensor, corruption: Corruption, classes: int) -> tuple[Tensor, Tensor]:
    """Apply a corruption to the labels of a training split.

    Args:
        labels: int64 (n,) in [0, classes).
        corruption: What to do.
        classes: Number C of classes.

    Returns:
        ``kept``, int64 (m,), the ascending positions that stay in the training split, and the int64
        (m,) labels they now carry. A data set follows with ``inputs[kept]``.

    Raises:
        ValueError: Fewer than two classes, for which neither noise nor imbalance has a meaning.
    """
    if not corruption.changes_anything:
        return torch.arange(labels.shape[0]), labels
    if classes < 2:
        raise ValueError(
            f"data.label_noise and data.imbalance need at least 2 classes, got {classes}; "
            "remove both keys, or use a classification task"
        )
    kept = imbalanced_positions(labels, corruption, classes)
    return kept, noisy_labels(labels[kept], corruption, classes)


def imbalanced_positions(labels: Tensor, corruption: Corruption, classes: int) -> Tensor:
    """Ascending positions int64 (m,) that remain when some classes lose examples.

    Args:
        labels: int64 (n,) in [0, classes).
        corruption: Its ``imbalanced_classes``, ``keep`` and ``seed`` are used.
        classes: Number C of classes.
    """
    if not corruption.imbalances:
        return torch.arange(labels.shape[0])
    generator = torch.Generator().manual_seed(corruption.seed)
    affected = max(1, round(corruption.imbalanced_classes * classes))
    stays = torch.ones(labels.shape[0], dtype=torch.bool)
    for label in torch.randperm(classes, generator=generator)[:affected].tolist():
        members = torch.nonzero(labels == label).flatten()
        order = torch.randperm(members.shape[0], generator=generator)
        remaining = max(1, round(corruption.keep * members.shape[0]))
        stays[members[order[remaining:]]] = False
    return torch.nonzero(stays).flatten()


def noisy_labels(labels: Tensor, corruption: Corruption, classes: int) -> Tensor:
    """Labels int64 (n,) of which exactly ``round(label_noise n)`` are another class.

    Args:
        labels: int64 (n,) in [0, classes).
        corruption: Its ``label_noise`` and ``seed`` are used.
        classes: Number C of classes.
    """
    count = labels.shape[0]
    generator = torch.Generator().manual_seed(corruption.seed + _NOISE_STREAM)
    # Both draws are made for all examples whatever the share: that nests the levels of noise.
    order = torch.randperm(count, generator=generator)
    shifts = torch.randint(1, max(classes, 2), (count,), generator=generator)
    chosen = order[: round(corruption.label_noise * count)]
    noisy = labels.clone()
    noisy[chosen] = (labels[chosen] + shifts[chosen]) % classes
    return noisy


def noisy_targets(targets: Tensor, corruption: Corruption) -> Tensor:
    """Regression's counterpart of label noise: a share of the targets is exchanged among itself.

    Args:
        targets: (n,) real values.
        corruption: Its ``label_noise`` and ``seed`` are used.

    Returns:
        A copy in which ``round(label_noise n)`` examples (none when that is one, which has nobody
        to exchange with) carry the target of the next of them in a seeded order: the
        distribution of the targets stays as it was, and no example of the share keeps its own.
    """
    count = targets.shape[0]
    generator = torch.Generator().manual_seed(corruption.seed + _NOISE_STREAM)
    order = torch.randperm(count, generator=generator)
    chosen = order[: round(corruption.label_noise * count)]
    noisy = targets.clone()
    noisy[chosen] = targets[chosen.roll(1)]
    return noisy
