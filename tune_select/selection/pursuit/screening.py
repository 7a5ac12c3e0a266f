"""Finding the largest of many inner products from half as many bytes, exactly."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALLEST = 1 << 20  # numbers; less stays in a core's cache, where there is nothing to gain
_MOST_CANDIDATES = 128  # beyond these the exact pass over all rows is cheaper
# A bfloat16 has 8 significant bits: rounding both factors errs by at most 2 * 2^-8 / 2 of the
# product of their norms, rounding the result by 2^-9 of its size; a little is added for float32.
_FACTORS, _RESULT = 0.0041, 0.0021


class Screen:
    """A bfloat16 copy of the rows that rules out all but a few of them.

    A pass over all rows is bound by memory, the more so when other processes share the caches; the
    copy halves it. Rows whose rounded product, plus all that rounding can have taken, stays below
    what another row has for sure cannot be the largest; the others are computed exactly.

    Args:
        rows: float32 (n, d).
    """

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows
        self._rounded = rows.bfloat16()
        self._slack = torch.linalg.vector_norm(rows, dim=1) * _FACTORS

    @staticmethod
    def pays(rows: Tensor) -> bool:
        """Whether products in bfloat16 are fast here; the same answer every time on a machine."""
        # PyTorch has no public name for this yet; without it the exact pass does the same.
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        large = rows.dtype == torch.float32 and rows.numel() >= _SMALLEST
        return large and rows.device.type == "cpu" and bool(supported())

    def candidates(self, unit: Tensor, scales: Tensor, excluded: Tensor) -> Tensor | None:
        """Rows that may have the largest ``scale * <row, unit>``.

        Args:
            unit: float32 (d,) of norm at most 1.
            scales: float32 (n,).
            excluded: bool (n,) rows that do not count.

        Returns:
            int64 positions, or ``None`` when they are too many to be worth it.
        """
        products = (self._rounded @ unit.bfloat16()).float()
        slack = (self._slack + products.abs() * _RESULT) * scales.abs()
        products *= scales
        products.masked_fill_(excluded, -torch.inf)
        sure = float((products - slack).max())
        found = (products + slack >= sure).nonzero().squeeze(1)
        return found if found.shape[0] <= _MOST_CANDIDATES else None
