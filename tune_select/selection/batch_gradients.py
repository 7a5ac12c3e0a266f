"""Mini-batches as examples: their gradients, or coordinates with the same inner products."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from tune_select.selection.base import Signals

_DIRECT_VALUES = 1 << 27  # numbers of gradients held as they are: 512 MiB
_CHUNK_VALUES = 1 << 25  # numbers of gradients at a time where only inner products are kept
_GATHERED = 64  # batches whose examples are gathered at a time
_JITTER = 1e-7  # of the mean squared norm, where rounding left a Gram matrix without a factor


def batch_vectors(signals: Signals, batches: Sequence[Tensor], extra: Tensor | None) -> Tensor:
    """Vectors that stand for the sums of the batches' last-layer gradients.

    Where b batches of C outputs and D + 1 inputs have too many numbers (b C (D + 1); 19 GiB at
    ImageNet's size), only their Gram matrix is built, chunk by chunk of the outputs, and the
    vectors are the rows of its Cholesky factor. They have b dimensions and the same inner products,
    hence the same distances, and the same sums wherever only inner products with sums count: all
    that matching pursuit and facility location ever look at. That takes b^2 numbers and
    b^2 C (D + 1) operations, about a hundredth of a ResNet-18's pass over ImageNet.

    Args:
        signals: The signals of n examples.
        batches: Positions of each batch's examples, int64.
        extra: One more vector to put in the same coordinates, (C (D + 1),), as the last row.

    Returns:
        float32 (b, d), or (b + 1, d) with ``extra``.
    """
    outputs = signals.output_gradients.shape[1]
    width = signals.inputs.shape[1] + int(signals.bias)
    if len(batches) * outputs * width <= _DIRECT_VALUES or len(batches) >= outputs * width:
        vectors = batch_sums(signals, batches, slice(0, outputs))
        return vectors if extra is None else torch.cat([vectors, extra.to(vectors)[None]])
    return _factor(_gram(signals, batches, extra))


def batch_sums(signals: Signals, batches: Sequence[Tensor], columns: slice) -> Tensor:
    """Sums of the gradients' rows of some outputs, float32 (b, c (D + 1)).

    Args:
        signals: The signals of n examples.
        batches: Positions of each batch's examples, int64.
        columns: Which outputs, c of them.
    """
    inputs, outputs = signals.inputs, signals.output_gradients
    d, c = inputs.shape[1], columns.stop - columns.start
    sums = inputs.new_empty(len(batches), c, d + int(signals.bias))
    start = 0
    for _, alike in groupby(batches, key=len):
        for part in torch.split(torch.stack(list(alike)), _GATHERED):
            end = start + len(part)
            scaled = outputs[part.to(outputs.device), columns].mT
            torch.bmm(scaled, inputs[part.to(inputs.device)], out=sums[start:end, :, :d])
            if signals.bias:
                sums[start:end, :, d] = scaled.sum(2)
            start = end
    return sums.flatten(1)


def _gram(signals: Signals, batches: Sequence[Tensor], extra: Tensor | None) -> Tensor:
    """Inner products of the batches' gradients (and of ``extra``, last), float64 (b, b)."""
    outputs = signals.output_gradients.shape[1]
    width = signals.inputs.shape[1] + int(signals.bias)
    size = len(batches) + int(extra is not None)
    gram = torch.zeros(size, size, dtype=torch.float64, device=signals.inputs.device)
    step = max(1, _CHUNK_VALUES // (size * width))
    for start in range(0, outputs, step):
        columns = slice(start, min(start + step, outputs))
        vectors = batch_sums(signals, batches, columns)
        if extra is not None:
            part = extra.view(outputs, width)[columns].flatten().to(vectors)
            vectors = torch.cat([vectors, part[None]])
        gram += vectors @ vectors.T
    return gram


def _factor(gram: Tensor) -> Tensor:
    """Rows whose inner products are ``gram``, float32 (b, b).

    Sums in single precision, and batches that depend on each other, leave eigenvalues of zero a
    little on the wrong side; the diagonal is raised by as little as it takes.
    """
    diagonal = gram.diagonal()
    energy = float(diagonal.mean())
    if energy == 0.0:
        return torch.zeros_like(gram, dtype=torch.float32)
    added = 0.0
    while True:
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(gram)
        if not int(failed):
            return factor.float()
        raised = max(10.0 * added, _JITTER)
        diagonal += (raised - added) * energy
        added = raised
