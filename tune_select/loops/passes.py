"""Forward passes over a user's dataset, for what a selector asks to know."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tune_select.history.fingerprint import length_of
from tune_select.loops.alignment import FEW, reduction_of
from tune_select.plain import check_whole
from tune_select.selection import Full, PerBatch, Random, Selector, Signals, collect_signals
from tune_select.selection.heads.collect import Reduction
from tune_select.selection.heads.find import Head
from tune_select.selection.heads.labels import LabelColumns, classes
from tune_select.selection.heads.losses import Loss
from tune_select.streams import kept_randomness
from tune_select.wording import shown

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
    _reduction: list[Reduction] = field(default_factory=list, init=False)

    def check(self, selector: Selector, arm: str) -> None:
        """Refuse a selector that asks for what was not given.

        Raises:
            ValueError: Names what is missing, or no such thing.
        """
        check_whole("batch_size", self.batch_size, 1)
        missing = [name for name in ("model", "loss") if getattr(self, name) is None]
        if selector.needs_gradients and missing:
            raise ValueError(
                f"arm {arm!r} selects by gradients: give {' and '.join(missing)}= (the loss that "
                "you train with, as a function of (model, batch))"
            )
        if selector.needs_gradients and not isinstance(self.model, nn.Module):
            raise ValueError(f"model must be a torch.nn.Module, got {shown(self.model)}")
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
        if not self._reduction:  # once: it says what code does, not what weights are
            self._reduction.append(self._tried_out())
        parts = self._parts(len(dataset))
        return collect_signals(
            plain_model(self.model),
            (self._batch([dataset[i] for i in part]) for part in parts),
            self.loss,
            head=self.head,
            labels=labels,
            sizes=map(len, parts),
            reduction=self._reduction[0],
        )

    def _tried_out(self) -> Reduction:
        """What the loss does with a batch; see ``reduction_of``."""
        size = len(self.dataset)
        count = min(FEW, max(self.batch_size // 2, 2), size)
        if count < 2:
            return "mean"
        spread = torch.linspace(0, size - 1, count).long().tolist()  # of different lengths, say
        return reduction_of(self._collected_alone, [self.dataset[i] for i in spread])

    def _collected_alone(self, items: Sequence[Any], seed: int) -> Signals:
        assert self.model is not None
        assert self.loss is not None
        with kept_randomness(seed):
            return collect_signals(
                plain_model(self.model),
                # Copies, as collate functions take entries out of items that are mappings.
                [self._batch([copy.copy(item) for item in items])],
                self.loss,
                head=self.head,
                labels=torch.zeros(len(items), dtype=torch.int64),
                sizes=[len(items)],
            )

    def _parts(self, size: int) -> list[list[int]]:
        """Positions batch by batch, in batches of one size, or nearly so.

        A short last one would weigh its examples otherwise where a loss averages by class weights
        or over positions.
        """
        count = -(-size // self.batch_size)
        return [part.tolist() for part in torch.tensor_split(torch.arange(size), count)]

    def _batch(self, items: list[Any]) -> Any:
        return (self.collate_fn or torch.utils.data.default_collate)(items)

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
        columns = LabelColumns()
        for part in self._parts(size):
            columns.add(self._batch([self.dataset[i] for i in part]), len(part))
        return columns.classes()


def plain_model(model: nn.Module) -> nn.Module:
    """The model without the wrapper that keeps several processes in step."""
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        inner: nn.Module = model.module
        return inner
    return model
