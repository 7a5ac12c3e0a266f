"""From what the heads saw to what selectors match, exact where it factorises, else as vectors.

One linear head that sees one vector of each example gives h and p themselves, and so do several
heads on the same input: <g, g'> = (h . h' + 1)(sum over heads of p . p'). Everything else (a head
over T positions or called several times, a convolution, a cosine head, heads on different inputs)
gives one vector z for each example with <z, z'> = <g, g'>: the gradient itself where it has few
entries, a seeded sketch of it otherwise, for which that holds in expectation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from tune_select.selection.heads.capture import HeadCall
from tune_select.selection.heads.find import Named
from tune_select.selection.heads.matrix import MatrixHead
from tune_select.selection.heads.sketch import OuterProductSketch, VectorSketch
from tune_select.selection.heads.verify import example_gradients

SKETCH_SIZE = 2048
_ENTRIES_AT_ONCE = 2**24  # of explicit gradients, 64 MiB in float32

Features = tuple[Tensor, Tensor, bool]
"""Inputs (B, D), output gradients (B, C) and whether a bias counts, as ``Signals`` has them."""


class HeadGradients:
    """Turns the captured calls of a forward pass into features of its B examples.

    Args:
        heads: Names and layers, as ``find_heads`` found them.
        sketch_size: Most entries of a vector that does not factorise.
        seed: The seed of the sketches; vectors of different batches compare because it is fixed.
    """

    def __init__(
        self, heads: Sequence[Named], *, sketch_size: int = SKETCH_SIZE, seed: int = 0
    ) -> None:
        self._modules = [module for _, module in heads]
        self._sizes = [sum(p.numel() for p in m.parameters()) for m in self._modules]
        self._exact = sum(self._sizes) <= sketch_size
        self._size = sketch_size
        self._seed = seed
        self._sketches: dict[int, OuterProductSketch | VectorSketch] = {}

    def __call__(self, calls: Sequence[HeadCall], gradients: Sequence[Tensor]) -> Features:
        """Features of one forward pass.

        Args:
            calls: The calls of the heads, in order.
            gradients: p of each call.

        Raises:
            ValueError: A call's first dimension is not the batch of another's.
        """
        if self._factorises(calls):
            inputs = calls[0].inputs.float().flatten(1)
            p = torch.cat([g.flatten(1) for g in gradients], dim=1)
            return inputs, p, _bias(calls[0].head) is not None
        vectors = self._vectors(calls, gradients)
        return vectors, vectors.new_ones(len(vectors), 1), False

    def _factorises(self, calls: Sequence[HeadCall]) -> bool:
        first = calls[0]
        once = len({id(call.head) for call in calls}) == len(calls)
        return once and all(
            is_plain_linear(call.head)
            and call.inputs[0].numel() == call.inputs.shape[-1]
            and call.inputs.data_ptr() == first.inputs.data_ptr()
            and call.inputs.shape == first.inputs.shape
            and (_bias(call.head) is None) == (_bias(first.head) is None)
            for call in calls
        )

    def _vectors(self, calls: Sequence[HeadCall], gradients: Sequence[Tensor]) -> Tensor:
        """Sum over calls within a head; heads side by side, or their sketches added."""
        parts: dict[int, Tensor] = {}
        for call, p in zip(calls, gradients, strict=True):
            number = next(i for i, module in enumerate(self._modules) if module is call.head)
            part = self._vector(number, call, p)
            parts[number] = parts[number] + part if number in parts else part
        rows = {len(part) for part in parts.values()}
        if len(rows) > 1:
            raise ValueError(
                f"the heads saw {sorted(rows)} rows in one batch: name one of them with head="
            )
        some = next(iter(parts.values()))
        ordered = [
            parts.get(i, some.new_zeros(len(some), size)) for i, size in enumerate(self._sizes)
        ] if self._exact else list(parts.values())  # fmt: skip
        # Sketches of orthogonal blocks, hashed independently, add: cross terms have mean zero.
        return torch.cat(ordered, dim=1) if self._exact else torch.stack(ordered).sum(0)

    def _vector(self, number: int, call: HeadCall, p: Tensor) -> Tensor:
        if is_plain_linear(call.head):
            inputs = call.inputs.float().flatten(1, -2) if call.inputs.ndim > 2 else (
                call.inputs.float()[:, None])  # fmt: skip
            if _bias(call.head) is not None:
                inputs = functional.pad(inputs, (0, 1), value=1.0)
            p = p.reshape(len(p), -1, p.shape[-1])
            if self._exact:
                return (p.mT @ inputs).flatten(1)
            sketch = self._sketches.setdefault(
                number,
                OuterProductSketch(
                    p.shape[-1], inputs.shape[-1], self._size, self._seed + 1000 * number
                ),
            )
            assert isinstance(sketch, OuterProductSketch)
            return sketch(p, inputs)
        # A layer of any kind: few examples at once, as each has a gradient of its own.
        rows = max(1, _ENTRIES_AT_ONCE // self._sizes[number])
        parts = []
        for some_inputs, some_p in zip(
            torch.split(call.inputs, rows), torch.split(p, rows), strict=True
        ):
            part = example_gradients(call.head, some_inputs, some_p)
            if not self._exact:
                vector_sketch = self._sketches.setdefault(
                    number,
                    VectorSketch(self._sizes[number], self._size, self._seed + 1000 * number),
                )
                assert isinstance(vector_sketch, VectorSketch)
                part = vector_sketch(part)
            parts.append(part)
        return torch.cat(parts)


def is_plain_linear(module: nn.Module) -> bool:
    """Whether a layer is x W^T + b with W and b its own parameters and nothing else."""
    return isinstance(module, MatrixHead) or (
        isinstance(module, nn.Linear)
        and type(module).forward is nn.Linear.forward
        and not parametrize.is_parametrized(module)
        and set(module._parameters) == {"weight", "bias"}
        and not list(module.children())
    )


def _bias(module: nn.Module) -> Tensor | None:
    bias: Tensor | None = module._parameters.get("bias")
    return bias
