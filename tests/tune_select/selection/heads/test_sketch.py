from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tune_select.selection.heads.sketch import OuterProductSketch


def matrices(examples: int, length: int, outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(examples, length, outputs, generator=generator)
    h = torch.randn(examples, length, inputs, generator=generator)
    return p, h


def test_equals_hashing_every_entry_of_the_matrix() -> None:
    p, h = matrices(3, 4, 11, 5)
    sketch = OuterProductSketch(11, 5, 8, seed=3)
    left, right = sketch._hashes
    expected = torch.zeros(3, 8)
    gradients = p.mT @ h
    for c in range(11):
        for d in range(5):
            bucket = int(left._buckets[c] + right._buckets[d]) % 8
            expected[:, bucket] += left._signs[c] * right._signs[d] * gradients[:, c, d]
    torch.testing.assert_close(sketch(p, h), expected, rtol=1e-5, atol=1e-5)


def test_inner_products_are_unbiased_and_within_the_stated_deviation() -> None:
    p, h = matrices(4, 3, 40, 10)
    gradients = (p.mT @ h).flatten(1)
    exact, norms = gradients @ gradients.T, gradients.norm(dim=1)
    size, seeds = 64, 400
    errors = torch.stack(
        [
            (sketched @ sketched.T - exact) / norms.outer(norms)
            for sketched in (OuterProductSketch(40, 10, size, seed=s)(p, h) for s in range(seeds))
        ]
    )
    bound = (11 / size) ** 0.5
    assert float(errors.std(0).max()) < bound
    # The mean of 400 draws is within five of its own deviations of zero.
    assert float(errors.mean(0).abs().max()) < 5 * bound / seeds**0.5


def test_same_seed_same_map_whatever_the_batch() -> None:
    p, h = matrices(6, 3, 40, 10)
    whole = OuterProductSketch(40, 10, 32, seed=1)(p, h)
    again = OuterProductSketch(40, 10, 32, seed=1)
    parts = torch.cat([again(p[:2], h[:2]), again(p[2:], h[2:])])
    torch.testing.assert_close(whole, parts)
    assert not torch.allclose(whole, OuterProductSketch(40, 10, 32, seed=2)(p, h))


def test_gathering_equals_adding() -> None:
    p, _ = matrices(2, 3, 40, 10)
    hashed = OuterProductSketch(40, 10, 16, seed=0)._hashes[0]
    torch.testing.assert_close(hashed._gathered(p), hashed._added(p), rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
def test_gpu_repeats_itself_bit_by_bit_and_agrees_with_the_cpu() -> None:
    p, h = matrices(16, 35, 5000, 64)
    sketch = OuterProductSketch(5000, 64, 512, seed=0)
    expected = sketch(p, h)
    results = [sketch(p.cuda(), h.cuda()).cpu() for _ in range(3)]
    assert all(torch.equal(results[0], result) for result in results)
    torch.testing.assert_close(results[0], expected, rtol=1e-3, atol=1e-2)


def test_sizes_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1, got 3, 2, 0"):
        OuterProductSketch(3, 2, 0, seed=0)


@pytest.mark.parametrize("leading", [(0,), (0, 4), (3, 0)])
def test_no_rows_give_no_sketches(leading: tuple[int, ...]) -> None:
    # A pyramid level without an active cell in a batch: torch 2.11 to 2.14 refuse that transform.
    sketch = OuterProductSketch(11, 5, 8, seed=3)
    spectrum = sketch.spectrum(torch.empty(*leading, 11), torch.empty(*leading, 5))
    assert spectrum.shape == (*leading, 5)
    assert spectrum.dtype == torch.complex64
    assert sketch.inverse(spectrum).shape == (*leading, 8)
