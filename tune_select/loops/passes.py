"""Forward passes over a user's dataset, for what a selector asks to know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tune_select.history.fingerprint import length_of
from tune_select.selection import Full, PerBatch, Random, Selector, Signals, collect_signals
from tune_select.selection.heads.find import Head
from tune_select.selection.heads.losses import Loss, classes, labels_in

Collate = Callable[[list[Any]], Any]


@dataclass(frozen=True)
class Passes:
    """How signals of a dataset are collected.

    Attributes:
        dataset: The training set, as clean as selection should see it.
        model: Whose gradients count; ``None`` where none do.
        loss: See ``collect_signals``.
        head: See ``collect_signals``.
        labels: Classes (n,), or ``None`` to look for them.
        collate_fn: Makes a batch of a list of items; torch's own by default.
        batch_size: Examples per forward pass.
        validation: Dataset of the validation examples, for selectors that match those.
    """

    dataset: Any
    model: nn.Module | None = None
    loss: Loss | None = None
    head: Head | None = None
    labels: Any = None
    collate_fn: Collate | None = None
    batch_size: int = 256
    validation: Any = None

    def check(self, selector: Selector, arm: str) -> None:
        """Refuse a selector that asks for what was not given.

        Raises:
            ValueError: Names what is missing.
        """
        missing = [name for name in ("model", "loss") if getattr(self, name) is None]
        if selector.needs_gradients and missing:
            raise ValueError(
                f"arm {arm!r} selects by gradients: give {' and '.join(missing)}= (the loss that "
                "you train with, as a function of (model, batch))"
            )
        if selector.needs_validation and self.validation is None:
            raise ValueError(f"arm {arm!r} looks at validation examples: give validation=")

    def signals(self, selector: Selector) -> Signals:
        """What ``selector`` asks for, and no more."""
        if selector.needs_gradients:
            signals = self._collected(self.dataset, self.labels)
        else:
            signals = Signals.labels_only(self._labels(selector))
        if not selector.needs_validation:
            return signals
        return signals.with_validation(self._collected(self.validation, None))

    def _collected(self, dataset: Any, labels: Any) -> Signals:
        assert self.model is not None  # check() was asked
        assert self.loss is not None
        return collect_signals(
            plain_model(self.model),
            self._batches(dataset),
            self.loss,
            head=self.head,
            labels=labels,
        )

    def _batches(self, dataset: Any) -> Iterator[Any]:
        collate: Collate = self.collate_fn or torch.utils.data.default_collate
        for part in torch.split(torch.arange(len(dataset)), self.batch_size):
            yield collate([dataset[int(position)] for position in part])

    def _labels(self, selector: Selector) -> Tensor:
        size = length_of(self.dataset)
        if self.labels is not None:
            return classes(self.labels, size)
        inner = selector.selector if isinstance(selector, PerBatch) else selector
        if isinstance(inner, Random | Full):  # the only ones that look at no label
            return torch.zeros(size, dtype=torch.int64)
        for name in ("targets", "labels"):  # as torchvision's datasets have them
            held = getattr(self.dataset, name, None)
            if isinstance(held, Tensor | Sequence) and len(held) == size:
                return classes(held, size)
        return torch.cat([labels_in(b, _rows(b)) for b in self._batches(self.dataset)])


def _rows(batch: Any) -> int:
    values = batch.values() if isinstance(batch, Mapping) else batch
    return next(len(value) for value in values if isinstance(value, Tensor))


def plain_model(model: nn.Module) -> nn.Module:
    """The model without the wrapper that keeps several processes in step."""
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        inner: nn.Module = model.module
        return inner
    return model
