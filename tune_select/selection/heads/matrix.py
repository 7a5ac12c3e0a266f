"""A head that is no layer but a matrix: ``h @ W``, ``h @ W.T`` or ``linear(h, W)``.

Hooks watch layers. Inside ``routed``, a product of anything with the matrix goes through a stand-in
layer that computes the same, so that everything which watches layers watches it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_PRODUCTS = (torch.matmul, torch.mm, Tensor.matmul, Tensor.__matmul__, Tensor.mm)
_TRANSPOSES = (torch.t, Tensor.t, Tensor.T.__get__, Tensor.mT.__get__)  # type: ignore[attr-defined]


class MatrixHead(nn.Module):
    """h W or h W^T, with W a model's own parameter.

    Either way the gradient with respect to W is made of outer products of h and p, and inner
    products of such gradients are (h . h')(p . p'): it factorises as a linear layer's does.

    Args:
        weight: The model's parameter, (D, C) or (C, D).
        transposed: Whether its transpose is multiplied with.
        bias: (C,), what the model adds to the product, whose gradient is then matched as well; it
            is the model that adds it, not this module.
    """

    def __init__(
        self, weight: nn.Parameter, *, transposed: bool, bias: nn.Parameter | None = None
    ) -> None:
        super().__init__()
        self.weight = weight
        self.bias = bias
        self.transposed = transposed
        self.original = (weight,)  # in a tuple: the module's own may be replaced by a copy

    def forward(self, inputs: Tensor) -> Tensor:
        """The product (..., C) with inputs (..., D)."""
        if self.transposed:
            return functional.linear(inputs, self.weight)
        return torch.matmul(inputs, self.weight)


class _Routes(TorchFunctionMode):
    """Sends products with some matrices through their stand-ins."""

    def __init__(self, heads: Sequence[MatrixHead]) -> None:
        super().__init__()
        self._heads = heads
        self._transposes: list[tuple[Tensor, MatrixHead]] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        keywords = kwargs or {}
        if func in _TRANSPOSES and args:
            made = func(*args, **keywords)
            for head in self._heads:
                if head.transposed and args[0] is head.original[0]:
                    self._transposes.append((made, head))
            return made
        if func in _PRODUCTS and len(args) == 2 and not keywords:
            head_of = self._head_of(args[1])
            if head_of is not None:
                return head_of(args[0])
        if func is functional.linear and len(args) >= 2:
            for head in self._heads:
                if head.transposed and args[1] is head.original[0]:
                    bias = args[2] if len(args) > 2 else keywords.get("bias")
                    outputs = head(args[0])
                    return outputs if bias is None else outputs + bias
        return func(*args, **keywords)

    def _head_of(self, factor: Any) -> MatrixHead | None:
        for head in self._heads:
            if not head.transposed and factor is head.original[0]:
                return head
        return next((head for made, head in self._transposes if made is factor), None)


@contextmanager
def routed(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let products with the matrices of those modules that are ``MatrixHead`` go through these."""
    heads = [module for module in modules if isinstance(module, MatrixHead)]
    if not heads:
        yield
        return
    with _Routes(heads):
        yield


def stand_ins(model: nn.Module, matrices: Iterable[Tensor]) -> dict[str, MatrixHead]:
    """For each matrix that is used outside of any layer, both ways of multiplying with it.

    Args:
        model: Whose parameters they are.
        matrices: Parameters of two dimensions; others are passed over.

    Returns:
        Stand-ins by the parameter's name, that of the transpose with ``.T`` behind it.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[str, MatrixHead] = {}
    for matrix in matrices:
        name = names.get(id(matrix))
        if name is not None and isinstance(matrix, nn.Parameter) and matrix.ndim == 2:
            found[name] = MatrixHead(matrix, transposed=False)
            found[f"{name}.T"] = MatrixHead(matrix, transposed=True)
    return found
