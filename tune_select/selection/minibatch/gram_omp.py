"""Orthogonal matching pursuit from inner products alone, for many problems at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tune_select.selection.minibatch.gram_omp_host import pursue_on_host


def gram_omp(gram: Tensor, target: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    """Match b = A w with at most ``budget`` atoms, given K = A^T A and t = A^T b.

    Balles et al., Algorithm 2 (Rubinstein et al. 2008): each step takes the atom with the largest
    correlation with the residual, and the weights are those of least squares on the support.

    Each step projects the chosen atom out of all others, in their inner products: K and t lose a
    rank-one term. The terms are the columns of the support's Cholesky factor, so least squares
    takes one triangular system at the very end. On a GPU problems advance in step, and the host
    never waits for the device; in the host's memory each is solved on its own.

    Args:
        gram: K, (M, M) or (B, M, M), symmetric, positive semi-definite.
        target: t, (M,) or (B, M).
        budget: m, in [1, M].

    Returns:
        Support, int64 (m,) or (B, m), in the order of selection; and weights of its shape, of
        either sign. An atom that the support already spans (a duplicate) gets weight zero.

    Raises:
        ValueError: Shapes do not fit, or ``budget`` is outside [1, M].
    """
    if gram.ndim not in (2, 3) or gram.shape[-1] != gram.shape[-2]:
        raise ValueError(f"gram must be (M, M) or (B, M, M), got {tuple(gram.shape)}")
    if target.shape != gram.shape[:-1]:
        raise ValueError(
            f"target must have the shape {tuple(gram.shape[:-1])} of gram's rows, "
            f"got {tuple(target.shape)}"
        )
    if not 1 <= budget <= gram.shape[-1]:
        raise ValueError(f"budget must be in [1, {gram.shape[-1]}], got {budget}")
    if gram.ndim == 2:
        support, weights = gram_omp(gram[None], target[None], budget)
        return support[0], weights[0]
    pursue = _pursue_one_by_one if gram.device.type == "cpu" else _pursue_in_step
    support, basis, coefficients = pursue(gram, target, budget)
    return support, _least_squares(support, basis, coefficients)


def _pursue_one_by_one(gram: Tensor, target: Tensor, budget: int) -> tuple[Tensor, Tensor, Tensor]:
    """As below."""
    problems = zip(gram.detach().numpy(), target.detach().numpy(), strict=True)
    solved = [pursue_on_host(matrix, vector, budget) for matrix, vector in problems]
    support, basis, coefficients = (
        torch.from_numpy(np.stack(parts)) for parts in zip(*solved, strict=True)
    )
    return support, basis, coefficients


def _pursue_in_step(gram: Tensor, target: Tensor, budget: int) -> tuple[Tensor, Tensor, Tensor]:
    """Support (B, m), basis (B, m, M) and the target's coefficients in it (B, m).

    Row j of the basis holds the inner products of the j-th orthonormalised atom with all atoms:
    column j of the pivoted Cholesky factor L, with K = L L^T on the support. The target rides along
    as one more atom that is never chosen, which yields its coefficients in passing. A step is ten
    small operations, whose number is what it costs, not their size.
    """
    problems, size = target.shape
    limits = torch.finfo(gram.dtype)
    # Below this squared norm a projected atom is rounding error.
    floor = (gram.diagonal(dim1=1, dim2=2) * (size * limits.eps) + limits.tiny).unsqueeze(1)
    products = torch.cat([gram, target.unsqueeze(2)], dim=2)
    correlations = products[:, :, size:]
    basis = gram.new_zeros(problems, budget, size + 1)
    # Views made once: (B, 1, M + 1) to write a row to, (B, M, 1) to project with.
    rows = basis.unsqueeze(2).unbind(1)
    columns = basis[:, :, :size].unsqueeze(3).unbind(1)
    support = []
    for row, column in zip(rows, columns, strict=True):
        best = correlations.argmax(1, keepdim=True)  # (B, 1, 1), as all below but the rows
        chosen = products.gather(1, best.expand(problems, 1, size + 1))
        squared_norm = chosen.gather(2, best)
        spanned = squared_norm <= floor.gather(2, best)
        torch.mul(chosen, squared_norm.rsqrt().masked_fill_(spanned, 0.0), out=row)
        products.baddbmm_(column, row, alpha=-1)
        correlations.scatter_(1, best, -torch.inf)
        support.append(best)
    return torch.cat(support, dim=2).squeeze(1), basis[:, :, :size], basis[:, :, size]


def _least_squares(support: Tensor, basis: Tensor, coefficients: Tensor) -> Tensor:
    """Weights (B, m) on the support: one triangular system per problem."""
    budget = support.shape[1]
    factor = basis.gather(2, support.unsqueeze(1).expand(-1, budget, -1))  # L^T on the support
    # Spanned atoms left a row of zeros; a one on its diagonal gives them weight zero.
    diagonal = factor.diagonal(dim1=1, dim2=2)
    diagonal += (diagonal == 0).to(diagonal.dtype)
    solved: Tensor = torch.linalg.solve_triangular(factor, coefficients.unsqueeze(2), upper=True)
    return solved.squeeze(2)
