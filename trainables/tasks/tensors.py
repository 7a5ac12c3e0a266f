"""Classification of tensors in memory: the shortest way to a task of one's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.data.identity import DatasetIdentity, fingerprint
from trainables.tasks.evaluation import classifier_metrics, split_means
from trainables.tasks.task import Batch, Split, Task
from tune_select.selection.heads.precision import double


class TensorTask(Task):
    """Cross-entropy of a model over tensors; override ``losses_of`` and ``scores_of`` for
    another goal.

    Args:
        model: Takes inputs (B, ...) and returns logits (B, C).
        train: Inputs (n, ...) and their classes, int (n,).
        validation: The same of the split that searches optimise; may be left out.
        test: The same of the split for the report alone; may be left out.
        name: The name of the data set.
        device: Where everything is kept.

    Where ``losses_of`` is overridden, targets may be anything of length n: numbers, several labels,
    masks. They name no class then, and ``labels`` are zeros.

    Raises:
        ValueError: A split's inputs and targets differ in length, or targets are no classes and the
            loss is still cross-entropy.
    """

    takes_device_indices = True

    def __init__(
        self,
        model: nn.Module,
        train: tuple[Tensor, Tensor],
        validation: tuple[Tensor, Tensor] | None = None,
        test: tuple[Tensor, Tensor] | None = None,
        *,
        name: str = "tensors",
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device)
        empty = (train[0][:0], train[1][:0])
        given: dict[Split, tuple[Tensor, Tensor]] = {
            "train": train,
            "validation": validation or empty,
            "test": test or empty,
        }
        for split, (inputs, targets) in given.items():
            if len(inputs) != len(targets):
                raise ValueError(f"{split} has {len(inputs)} inputs but {len(targets)} targets")
        mine = type(self).losses_of is TensorTask.losses_of
        mine = mine and type(self).losses is TensorTask.losses
        if mine and not _are_classes(train[1]):
            raise ValueError(
                f"targets are {train[1].dtype} of shape {tuple(train[1].shape)}, not classes (n,): "
                "override losses_of and scores_of, or give DatasetTask a loss over a TensorDataset"
            )
        self._labels = {split: _classes(targets) for split, (_, targets) in given.items()}
        self._data = {
            s: (x.to(self.device), (y.long() if mine else y).to(self.device))
            for s, (x, y) in given.items()
        }
        self.labels = self._labels["train"]
        digest = fingerprint([tensor.cpu().numpy() for tensor in train], {"name": name})
        self.dataset = DatasetIdentity(name, len(self.labels), digest)

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """Inputs and targets at ``indices``, never augmented."""
        where = indices.to(self.device, non_blocking=True)
        inputs, targets = self._data[split]
        return Batch(indices, inputs[where], targets[where])

    def losses(self, batch: Batch) -> Tensor:
        """``losses_of`` what the model says."""
        return self.losses_of(self.model(batch.inputs), batch.targets)

    def losses_of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of each example (B,): cross-entropy of logits (B, C) and classes (B,)."""
        return functional.cross_entropy(outputs, targets, reduction="none")

    def scores_of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What ``metric`` is the mean of, (B,): whether the prediction is right."""
        return outputs.argmax(1) == targets

    def evaluate(self, split: Split) -> dict[str, float]:
        """Mean loss and mean score; the loss alone where ``scores_of`` does not fit the targets."""
        own = (type(self).losses_of, type(self).scores_of, self.metric)
        if own == (TensorTask.losses_of, TensorTask.scores_of, "accuracy"):
            return classifier_metrics(self, split, lambda batch: self.model(batch.inputs))

        scored = type(self).scores_of is not TensorTask.scores_of or _are_classes(
            self._data[split][1]
        )

        def sums(batch: Batch) -> Tensor:
            outputs = self.model(batch.inputs).float()
            losses = self.losses_of(outputs, batch.targets)
            if not scored:
                return double(losses).sum()[None]
            scores = self.scores_of(outputs, batch.targets)
            return torch.stack([double(losses).sum(), double(scores).sum()])

        return dict(zip(("loss", self.metric), split_means(self, split, sums), strict=False))

    def split_labels(self, split: Split) -> Tensor:
        """Classes of a split's examples."""
        return self._labels[split]


def _are_classes(targets: Tensor) -> bool:
    return targets.ndim == 1 and not (targets.is_floating_point() or targets.is_complex())


def _classes(targets: Tensor) -> Tensor:
    if _are_classes(targets):
        return targets.cpu().long()
    return torch.zeros(len(targets), dtype=torch.int64)
