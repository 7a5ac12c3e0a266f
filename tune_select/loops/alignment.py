"""Whether row i of what is collected is example i's, tried once on a few examples.

Examples are known by their positions alone, so a collate function that sorts its batch by length, a
model that puts time first or a loss that sums would select other examples than it seems, without a
word. The same few examples in the opposite order must give the same rows in the opposite order, and
in a batch of twice their number the same rows again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from tune_select.selection import Signals
from tune_select.selection.heads.collect import Reduction, RowsError

FEW = 8
_TOLERANCE = 0.05  # of a gap's length to that of the rows; rows of other examples differ by about 1
_NOTHING = 1e-5  # gradients, root mean square, of which rounding is all that is left

Collect = Callable[[Sequence[Any], int], Signals]
"""Signals of one batch of items, its random draws under a seed; a number is taken for a mean."""


class CoupledLossWarning(UserWarning):
    """An example's gradient depends on which others share its batch."""


def reduction_of(collect: Collect, items: Sequence[Any]) -> Reduction:
    """What a loss that is one number does with its batch, once the rows are seen to be right.

    Rows cannot be compared where the loss draws at random (a sampled code, a random mask), nor
    where so few examples have none (no pair of one class, say).

    Args:
        collect: See ``Collect``.
        items: The items of at least two examples of the dataset.

    Raises:
        ValueError: The rows are not the examples, or not in their order.
    """
    plain, turned = _rows(collect, items), _rows(collect, items[::-1])
    if plain is None or turned is None:
        return "mean"
    if not _equal(plain, [part.flip(0) for part in turned]):
        again = _rows(collect, items, seed=1)
        if again is None or not _equal(plain, again):
            return "mean"
        raise ValueError(
            f"the gradients of {len(items)} examples do not follow them when their order is "
            "reversed, so that other examples would be selected than were chosen: a collate_fn "
            "must keep the order of its items (no sorting by length), and the first dimension of "
            "the head's inputs must be the examples (batch_first=True)"
        )
    doubled = _rows(collect, [*items[::-1], *items])
    second = None if doubled is None else [part[len(items) :] for part in doubled]
    # Each row was multiplied by the size of its batch: twice as much shows that nothing divided it.
    total = second is not None and _equal(plain, [*second[:-1], second[-1] / 2])
    half = _rows(collect, items[: len(items) // 2])
    if half is not None and not _equal(
        [part[: len(half[0])] for part in plain], _fitted(half, plain)
    ):
        warnings.warn(
            "the gradient of an example depends on which others share its batch (a contrastive "
            "loss, padding that is not masked): examples are matched by what they are in batches "
            "of neighbours in the dataset",
            CoupledLossWarning,
            stacklevel=2,
        )
    return "sum" if total else "mean"


def _rows(collect: Collect, items: Sequence[Any], seed: int = 0) -> list[Tensor] | None:
    """Inputs and output gradients, or the vectors alone where gradients do not factorise.

    ``None`` where the loss has no gradients of so few examples; if it has none of whole batches
    either, these will say so.
    """
    try:
        signals = collect(items, seed)
    except RowsError:
        raise
    except (ValueError, RuntimeError):
        return None
    inputs, p = signals.inputs.double(), signals.output_gradients.double()
    vectors = p.shape[1] == 1 and bool((p == 1).all()) and not signals.bias
    return [inputs] if vectors else [inputs, p]


def _fitted(rows: Sequence[Tensor], to: Sequence[Tensor]) -> list[Tensor]:
    """The rows, their gradients scaled as a whole, as a mean by class weights may divide them."""
    own, other = rows[-1], to[-1][: len(rows[-1])]
    if own.shape != other.shape or not bool(own.any()):
        return list(rows)
    return [*rows[:-1], own * ((own * other).sum() / own.square().sum())]


def _equal(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    if float(one[-1].square().mean()) < _NOTHING**2:
        return True
    return all(
        a.shape == b.shape and float((a - b).norm()) <= _TOLERANCE * float(a.norm())
        for a, b in zip(one, other, strict=True)
    )
