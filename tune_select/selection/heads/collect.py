"""Signals of any model and loss, from one forward pass over the examples."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tune_select.selection.base import Signals
from tune_select.selection.heads.bias import with_biases
from tune_select.selection.heads.capture import capture_head, evaluation_mode
from tune_select.selection.heads.find import Head, Named, check_loss, find_heads, recording
from tune_select.selection.heads.gradients import SKETCH_SIZE, Features, HeadGradients
from tune_select.selection.heads.labels import LabelColumns, are_class_scores, classes
from tune_select.selection.heads.losses import (
    Loss,
    batch_size_of,
    by_example,
    described,
    loss_of_batch,
    moved,
)
from tune_select.selection.heads.notes import kept_notes
from tune_select.selection.heads.precision import with_doubles
from tune_select.selection.heads.verify import verify_heads
from tune_select.streams import kept_randomness

Reduction = Literal["mean", "sum"]


def collect_signals(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Loss,
    *,
    head: Head | None = None,
    labels: Any = None,
    sketch_size: int = SKETCH_SIZE,
    sizes: Iterable[int] | None = None,
    reduction: Reduction = "mean",
) -> Signals:
    """Signals of every example, in evaluation mode and without touching model or gradients.

    Output gradients come from the loss that the training uses. Losses of each example give
    p = dl/dz, several values of one example (labels, positions) their mean's. Of a mean over the B
    examples of a batch, p = B dL/dz, which is the same wherever the mean is over independent terms
    (cross-entropy, label smoothing, squared error). The last layer is found and checked on the
    first batch (see ``find_heads``, ``verify_heads``).

    Args:
        model: Any module; random states, modes, gradients and their flags are left as they were,
            and so is what its own code notes on it (metrics, counters, lists of outputs).
        batches: The batches of all n examples in order, on any device, as a DataLoader without
            shuffling gives.
        loss: ``loss(batch)``, ``loss(model, batch)`` or one of torch's own for batches of (inputs,
            targets); returns losses (B,) or (B, ...), their mean or their sum.
        head: Name of the last layer, or the layer, or several, where it is not found.
        labels: Classes (n,) or one-hot rows (n, C); by default what the batches hold, see
            ``LabelColumns``.
        sketch_size: Length of the vectors where gradients neither factorise nor are short.
        sizes: How many examples each batch holds; by default told by its tensors.
        reduction: What a loss that is one number is of a batch's losses.

    Returns:
        Signals on the model's device, or on the CPU where that has no double precision, which
        selectors add up in; ``losses`` are the examples' own, or empty for a mean.

    Raises:
        ValueError: There is no batch, no clear head, the loss is not finite or has no graph, labels
            do not fit or are not clear, or a batch's rows are not its examples.
    """
    loss_of = loss_of_batch(loss, model)
    device = device_of(model)
    rows = _Rows()
    known_sizes = None if sizes is None else iter(sizes)
    ready = (moved(batch, device) for batch in batches)
    with kept_randomness(), evaluation_mode(model), recording(), kept_notes(model) as undo:
        first = next(ready, None)
        if first is None:
            raise ValueError("batches are empty: there is no example to collect signals of")
        known = found_heads(model, lambda: _asked(loss_of, first), head)
        to_features = HeadGradients(known, sketch_size=sketch_size)
        with capture_head(model, *(module for _, module in known)) as capture:
            for number, batch in enumerate(_chain(first, ready)):
                losses = _differentiable(loss_of, batch, number)
                size = batch_size_of(batch, losses) if known_sizes is None else next(known_sizes)
                own = by_example(losses, size)
                # Of one number, each example's share is what the mean divided it by.
                whole = own is None and losses.numel() == 1 and reduction == "mean"
                gradients = capture.call_gradients(losses if own is None else own)
                features = to_features(
                    capture.calls, [size * p for p in gradients] if whole else gradients
                )
                _check_rows(features, size, known)
                rows.add(features, own, batch, size)
                undo()  # batch by batch: a list of outputs would hold every graph
    return rows.signals(labels)


def found_heads(
    model: nn.Module, loss_of: Callable[[], Tensor], head: Head | None = None
) -> list[Named]:
    """The heads, found and verified on one batch, with the biases that stand beside them.

    Args:
        model: Whose heads are looked for.
        loss_of: Runs the model on one batch and returns the loss.
        head: The head itself or its name, where the user gave one.

    Raises:
        ValueError: See ``find_heads`` and ``verify_heads``.
    """
    heads = find_heads(model, loss_of, head)
    verify_heads(model, heads, loss_of)
    return with_biases(model, heads, loss_of)


def device_of(model: nn.Module) -> torch.device:
    """Where the model's first parameter or buffer is; the CPU for one without any."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def _asked(loss_of: Callable[[Any], Tensor], batch: Any) -> Tensor:
    """The loss; an error of the user's own code says what it was called with."""
    try:
        return loss_of(batch)
    except Exception as error:
        error.add_note(
            f"loss was asked for the loss of a batch of the dataset, {described(batch)}. It must "
            "be loss(batch), loss(model, batch) or one of torch's own for (inputs, targets)"
        )
        raise


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _differentiable(loss_of: Callable[[Any], Tensor], batch: Any, number: int) -> Tensor:
    losses = loss_of(batch)
    check_loss(losses, f" of batch {number + 1}")
    return losses


class RowsError(ValueError):
    """The rows that the head saw are not the examples of the batch."""


def _check_rows(features: Features, size: int, heads: list[Named]) -> None:
    if len(features[0]) != size:
        raise RowsError(
            f"the head {heads[0][0]} saw {len(features[0])} rows for {size} examples: make the "
            "examples the first dimension of its inputs (no positions flattened into it or put "
            "before it, no example dropped by a collate_fn), or name another layer with head="
        )


class _Rows:
    """Features of batch after batch."""

    def __init__(self) -> None:
        self._features: list[Features] = []
        self._losses: list[Tensor] = []
        self._labels = LabelColumns()

    def add(self, features: Features, losses: Tensor | None, batch: Any, size: int) -> None:
        self._features.append(features)
        self._labels.add(batch, size)
        if losses is not None:
            self._losses.append(losses.detach().float())

    def signals(self, labels: Any) -> Signals:
        inputs = with_doubles(torch.cat([one[0] for one in self._features]))
        p = with_doubles(torch.cat([one[1] for one in self._features]))
        size = len(inputs)
        found = self._labels.classes(p) if labels is None else classes(labels, size)
        losses = with_doubles(torch.cat(self._losses)) if self._losses else torch.empty(0)
        return Signals(
            labels=found.to(inputs.device),
            inputs=inputs,
            output_gradients=p,
            bias=self._features[0][2],
            losses=losses if len(losses) == size else torch.empty(0),
            class_outputs=are_class_scores(found, p),
        )
