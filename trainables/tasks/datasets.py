"""Any map-style dataset as a task: classes, numbers, several labels, masks, several inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.data.identity import DatasetIdentity
from trainables.data.items import (
    Collate,
    batches_of,
    check_order,
    draws,
    item_labels,
    split_batch,
)
from trainables.tasks.batches import read_in_order
from trainables.tasks.evaluation import classifier_metrics, split_means
from trainables.tasks.example_losses import Scored, by_example, position_weights, unreduced
from trainables.tasks.task import Batch, Split, Task
from tune_select.history.fingerprint import length_of
from tune_select.selection.heads.find import tensors_in
from tune_select.selection.heads.losses import moved
from tune_select.selection.heads.precision import double


class DatasetTask(Task):
    """A model over torch datasets, with a loss and scores of one's own.

    Items are what the dataset gives: (inputs, targets), several inputs before the targets, or a
    mapping with ``labels`` or ``targets``. The model is called with the inputs: a tensor, each of
    several, or a mapping's entries by name. Random augmentation in the dataset draws under a seed
    of each example's own, the same for a seed trial and its replays; selection and evaluation see
    each example under a seed that never changes.

    Args:
        model: Anything that takes the inputs.
        train: The training set.
        validation: The split that searches optimise; may be left out.
        test: The split for the report alone; may be left out.
        loss: The loss of outputs and targets, one value per example; torch's own are asked for
            that. Several values per example (pixels, labels) are averaged, as torch does it: over
            those whose class is not ``ignore_index``, by their classes' weights. By default
            cross-entropy, where targets are classes.
        metrics: Scores by name, of outputs and targets, one or several values per example; they are
            averaged over a split. By default accuracy, where targets are classes. A trainable's
            ``metric`` names the one that searches optimise, ``loss`` included.
        labels: Classes of the training examples, int (n,), for selectors that go class by class; by
            default what the dataset holds as ``targets`` or ``labels`` or in its items, or none.
        collate_fn: The same as of a DataLoader.
        workers: Processes that read ahead.
        name: The name of the data set; its type's by default.
        fingerprint: See ``DatasetIdentity.of``.
        device: Where the model is and batches go.

    Raises:
        ValueError: A dataset has no length, ``loss`` is missing, labels do not fit, or
            ``collate_fn`` sorts.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Any,
        validation: Any = None,
        test: Any = None,
        *,
        loss: Scored | None = None,
        metrics: Mapping[str, Scored] | None = None,
        labels: Any = None,
        collate_fn: Collate | None = None,
        workers: int = 0,
        name: str | None = None,
        fingerprint: str | None = None,
        device: torch.device | str = "cpu",
        identity: DatasetIdentity | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self._sets: dict[Split, Any] = {"train": train, "validation": validation, "test": test}
        self._sizes = {
            split: 0 if part is None else length_of(part) for split, part in self._sets.items()
        }
        self._collate: Collate = collate_fn or torch.utils.data.default_collate
        if collate_fn is not None:
            check_order(train, collate_fn)
        self._workers = workers
        self.dataset = identity or DatasetIdentity.of(train, name=name, fingerprint=fingerprint)
        self._labels: dict[Split, Tensor] = {"train": item_labels(train, self._collate, labels)}
        self.labels = self._labels["train"]
        self._classifies = loss is None
        if loss is None:
            self._check_classes()
        self._loss = unreduced(loss or functional.cross_entropy)
        self._weights = position_weights(loss or functional.cross_entropy)
        self._metrics = dict(metrics or {})

    @property
    def train_size(self) -> int:
        """Number n of training examples."""
        return self._sizes["train"]

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """One batch, read in this process."""
        wanted = iter([draws(indices, generator)])
        (batch,) = batches_of(self._sets[split], self._collate, wanted, 0, pin=False)
        return self._moved(indices, batch)

    def batches(
        self,
        index_batches: Iterable[Tensor],
        *,
        split: Split = "train",
        generator: torch.Generator | None = None,
    ) -> Iterator[Batch]:
        """Batches in order, read ahead where there are workers."""
        pin = self.device.type == "cuda"
        read = read_in_order(
            index_batches,
            lambda indices: draws(indices, generator),
            lambda wanted: batches_of(
                self._sets[split], self._collate, wanted, self._workers, pin=pin
            ),
        )
        for indices, batch in read:
            yield self._moved(indices, batch)

    def outputs(self, inputs: Any) -> Any:
        """What the model makes of a batch's inputs."""
        if isinstance(inputs, Mapping):
            return self.model(**inputs)
        return self.model(*inputs) if isinstance(inputs, tuple) else self.model(inputs)

    def losses(self, batch: Batch) -> Tensor:
        """Loss of each example."""
        return self._losses_of(self.outputs(batch.inputs), batch)

    def evaluate(self, split: Split) -> dict[str, float]:
        """Mean loss and mean scores."""
        if self._sizes[split] == 0:
            return {}
        if self._classifies and not self._metrics:
            return classifier_metrics(self, split, lambda batch: self.outputs(batch.inputs))

        def sums(batch: Batch) -> Tensor:
            outputs = self.outputs(batch.inputs)
            values = [self._losses_of(outputs, batch)]
            for name, score in self._metrics.items():
                found = score(outputs, batch.targets)
                values.append(by_example(found, len(batch), f"metrics[{name!r}]"))
            return torch.stack([double(value).sum() for value in values])

        return dict(zip(["loss", *self._metrics], split_means(self, split, sums), strict=True))

    def split_labels(self, split: Split) -> Tensor:
        """Classes of a split's examples, zeros where it has none; found when first asked for."""
        if split not in self._labels:
            part = self._sets[split]
            empty = torch.empty(0, dtype=torch.int64)
            self._labels[split] = empty if part is None else item_labels(part, self._collate)
        return self._labels[split]

    def _losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        weigh, targets = self._weights, batch.targets
        if weigh is not None and targets.is_floating_point():  # shares of all classes, none ignored
            weigh = None
        weights = None if weigh is None else partial(weigh, outputs, targets)
        return by_example(self._loss(outputs, targets), len(batch), "loss", weights)

    def _moved(self, indices: Tensor, batch: Any) -> Batch:
        rows = next((len(tensor) for tensor in tensors_in(batch) if tensor.ndim), None)
        if rows is not None and rows != len(indices):
            raise ValueError(
                f"collate_fn made {rows} rows of {len(indices)} items: the first dimension must "
                "count the examples"
            )
        return Batch(indices, *split_batch(moved(batch, self.device)))

    def _check_classes(self) -> None:
        targets = self.batch(torch.arange(min(2, self.train_size))).targets
        if isinstance(targets, Tensor) and targets.ndim == 1 and not targets.is_floating_point():
            return
        kind = type(targets).__name__
        if isinstance(targets, Tensor):
            kind = f"{targets.dtype} of shape (B, {', '.join(map(str, targets.shape[1:]))})"
        raise ValueError(
            f"loss is missing: targets are {kind}, not classes (B,), so that cross-entropy is not "
            "what they call for; give a loss, such as torch.nn.functional.mse_loss or "
            "binary_cross_entropy_with_logits"
        )
