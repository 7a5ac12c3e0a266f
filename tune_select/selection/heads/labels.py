"""Classes as users' batches and arrays have them, in the one form that selectors group by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tune_select.selection.heads.precision import with_doubles

_LABEL_KEYS = ("labels", "label", "targets", "target", "y", "label_ids")
_CLEARLY = 0.9  # share of the gradient that speaks for a column


class LabelColumns:
    """What may be the examples' classes, gathered batch by batch.

    Of a mapping, a named tuple or an object with attributes it is what is called ``labels``,
    ``targets`` and the like; of a plain tuple, every entry but the first that could be classes.
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[Tensor]] | None = None
        self._size = 0

    def add(self, batch: Any, size: int) -> None:
        """Take note of a batch of ``size`` examples."""
        found = dict(_columns_of(batch, size))
        self._size += size
        if self._columns is None:
            self._columns = {name: [] for name in found}
        # Targets that happen to be one-hot in one batch alone are no classes.
        self._columns = {name: c for name, c in self._columns.items() if name in found}
        for name, column in self._columns.items():
            column.append(found[name])

    def classes(self, output_gradients: Tensor | None = None) -> Tensor:
        """The classes, int64 (n,); zeros where there are none (regression, say).

        Args:
            output_gradients: p, (n, C); of several columns, the classes are the one whose outputs
                the loss wants raised.

        Raises:
            ValueError: Several columns might be meant.
        """
        columns = {name: torch.cat(parts) for name, parts in (self._columns or {}).items()}
        if len(columns) > 1:  # positions in the dataset are no classes
            columns = {n: c for n, c in columns.items() if len(set(c.tolist())) < max(len(c), 3)}
        if len(columns) > 1 and output_gradients is not None:
            shares = {n: share_of_classes(c, output_gradients) for n, c in columns.items()}
            best = max(shares.values())
            likely = [name for name, share in shares.items() if share == best]
            if best >= _CLEARLY and len(likely) == 1:
                return columns[likely[0]]
        if len(columns) > 1:
            raise ValueError(
                f"the batches hold whole numbers in {' and in '.join(columns)}, so that it is not "
                "clear which are the classes: give labels= (a class for each example, or zeros "
                "where there are none), or let items be mappings with an entry 'labels'"
            )
        return next(iter(columns.values()), torch.zeros(self._size, dtype=torch.int64))


def share_of_classes(labels: Tensor, output_gradients: Tensor) -> float:
    """How much of the gradient agrees that output c is the score of class c, in [0, 1].

    A loss of class scores (softmax or sigmoid cross-entropy, a margin, the likelihood) wants the
    score of the example's own class raised and the others lowered, so that p is least at the own
    class. Each example counts with the length of its p: an example that is fitted says nothing.

    Args:
        labels: int64 (n,).
        output_gradients: p, float (n, C).
    """
    n, outputs = output_gradients.shape
    if n == 0 or int(labels.min()) < 0 or int(labels.max()) >= outputs:
        return 0.0
    output_gradients = with_doubles(output_gradients)
    own = output_gradients.gather(1, labels.to(output_gradients.device)[:, None])[:, 0]
    lengths = output_gradients.abs().sum(1).double()
    total = float(lengths.sum())
    return float(lengths[own <= output_gradients.amin(1)].sum()) / total if total > 0 else 1.0


def are_class_scores(labels: Tensor, output_gradients: Tensor) -> bool:
    """Whether column c of the output gradients belongs to class c, see ``share_of_classes``.

    Args:
        labels: int64 (n,).
        output_gradients: p, float (n, C).
    """
    return share_of_classes(labels, output_gradients) >= _CLEARLY


def labels_in(batch: Any, size: int) -> Tensor:
    """The classes in a batch of (inputs, targets) or a mapping, int64 (B,); zeros for none."""
    none = torch.zeros(size, dtype=torch.int64)
    return next((column for _, column in _columns_of(batch, size)), none)


def _columns_of(batch: Any, size: int) -> Iterator[tuple[str, Tensor]]:
    """What may be the classes in a batch, with where it stands."""
    if isinstance(batch, list | tuple) and not hasattr(batch, "_fields"):
        for number, value in enumerate(batch[1:], start=2):
            column = _column(value, size)
            if column is not None:
                yield f"entry {number}", column
        return
    if isinstance(batch, Tensor):
        return
    for key in _LABEL_KEYS:
        held = batch.get(key) if isinstance(batch, Mapping) else getattr(batch, key, None)
        if held is not None:
            column = _column(held, size)
            if column is not None:
                yield repr(key), column
            return


def _column(value: Any, size: int) -> Tensor | None:
    """Classes (B,) or one-hot rows as int64 (B,), and nothing else."""
    if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != size:
        return None
    if value.ndim == 1 and not (value.is_floating_point() or value.is_complex()):
        return value.detach().cpu().long()
    return value.detach().argmax(1).cpu() if _is_one_hot(value) else None


def classes(labels: Any, size: int) -> Tensor:
    """Labels as a user has them, as int64 (n,) on the CPU.

    Args:
        labels: Classes (n,) or one-hot rows (n, C): a tensor, a NumPy array or a list.
        size: n.

    Raises:
        ValueError: Another shape, fractions, or rows that are not one-hot.
    """
    given = _as_tensor(labels)
    if len(given.shape) == 0 or len(given) != size:
        raise ValueError(f"labels have shape {tuple(given.shape)} for {size} examples")
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim == 2 and _is_one_hot(given):
        return given.argmax(1)
    if given.ndim != 1 or bool((given != given.long()).any()):
        raise ValueError(
            f"labels must be classes (n,) or one-hot rows (n, C), got {given.dtype} of shape "
            f"{tuple(given.shape)}: soft or multiple labels name no single class, so leave them "
            "out or give a grouping of your own"
        )
    return given.long()


def _as_tensor(labels: Any) -> Tensor:
    try:
        return torch.as_tensor(labels).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(labels).__name__
        if isinstance(labels, Sequence) and len(labels):
            kind += f" of {type(labels[0]).__name__}"
        raise ValueError(
            f"labels must be whole numbers, one for each example, got a {kind}: number the classes "
            "from 0"
        ) from error


def _is_one_hot(values: Tensor) -> bool:
    if values.ndim != 2 or values.shape[1] < 2:
        return False
    ones = values == 1
    return bool((ones | (values == 0)).all()) and bool((ones.sum(1) == 1).all())
