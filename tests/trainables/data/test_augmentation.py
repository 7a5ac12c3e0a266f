"""The batched augmentation against one example at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.augmentation import PadCropFlip, augmentation_for
from trainables.data.settings.images import Augment, AugmentSettings


@given(pad=st.integers(0, 3), flip=st.booleans(), height=st.integers(1, 6), width=st.integers(1, 6))
def test_each_example_is_a_crop_of_its_own_padding(
    pad: int, flip: bool, height: int, width: int
) -> None:
    images = torch.randint(1, 255, (9, 2, height, width), dtype=torch.uint8)
    result = PadCropFlip(pad, flip)(images, torch.Generator().manual_seed(1))
    assert result.shape == images.shape
    assert result.dtype == torch.uint8
    for before, after in zip(images, result, strict=True):
        padded = torch.zeros(2, height + 2 * pad, width + 2 * pad, dtype=torch.uint8)
        padded[:, pad : pad + height, pad : pad + width] = before
        crops = [
            padded[:, top : top + height, left : left + width]
            for top in range(2 * pad + 1)
            for left in range(2 * pad + 1)
        ]
        if flip:
            crops += [crop.flip(2) for crop in crops]
        assert any(torch.equal(after, crop) for crop in crops)


@given(side=st.integers(1, 6), height=st.integers(2, 6), width=st.integers(2, 6))
def test_cutout_is_one_square_around_a_pixel(side: int, height: int, width: int) -> None:
    images = torch.full((40, 2, height, width), 7, dtype=torch.uint8)
    result = PadCropFlip(0, False, side)(images, torch.Generator().manual_seed(0))
    assert result.dtype == torch.uint8
    squares = []
    for row in range(height):
        for column in range(width):
            square = torch.full((2, height, width), 7, dtype=torch.uint8)
            top, left = row - side // 2, column - side // 2
            square[:, max(top, 0) : top + side, max(left, 0) : left + side] = 0
            squares.append(square)
    assert all(any(torch.equal(image, square) for square in squares) for image in result)
    assert len({tuple(image.flatten().tolist()) for image in result}) > 1 or side > height


def test_every_place_and_both_mirrorings_are_as_likely() -> None:
    image = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 1, 3, 3).expand(9000, 1, 3, 3)
    result = PadCropFlip(1, True)(image, torch.Generator().manual_seed(0))
    _, counts = torch.unique(result.flatten(1), dim=0, return_counts=True)
    assert len(counts) == 18  # nine places, two mirrorings
    assert int(counts.min()) > 380  # of 500 on average; five standard deviations are 109
    assert int(counts.max()) < 620


def test_draws_come_from_the_generator_alone() -> None:
    images = torch.randint(0, 255, (16, 3, 8, 8), dtype=torch.uint8)
    before = torch.random.get_rng_state()
    first, again, other = (
        PadCropFlip(2)(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("setting", "name", "expected"),
    [
        ("auto", "cifar10", PadCropFlip(4, True)),
        ("auto", "svhn", PadCropFlip(4, False)),
        ("auto", "mnist", None),
        ("auto", "arrays", None),
        (True, "mnist", PadCropFlip(4, False)),
        (False, "cifar10", None),
        (AugmentSettings(pad=2, flip=True), "arrays", PadCropFlip(2, True)),
    ],
)
def test_what_is_customary(setting: Augment, name: str, expected: PadCropFlip | None) -> None:
    assert augmentation_for(setting, name, 32) == expected
