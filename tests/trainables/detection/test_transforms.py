from __future__ import annotations

import numpy as np
import pytest
import torch

from trainables.detection.dataset import Category, DetectionSet, from_lists
from trainables.detection.images import StoredImages
from trainables.detection.synthetic import shapes
from trainables.detection.transforms import AUGMENTATIONS, Example, Preparation, seeded


def white_rectangle(size_px: int = 96) -> DetectionSet:
    """One white rectangle on black, whose box is where the white is."""
    pixels = np.zeros((1, 3, size_px, size_px), np.uint8)
    pixels[:, :, 30:70, 20:60] = 255
    return from_lists(
        "white", StoredImages(pixels, np.arange(1)), np.array([[size_px, size_px]], np.int32),
        [np.array([[20, 30, 60, 70]], np.float32)], [np.array([1])], (Category(1, "thing"),),
    )  # fmt: skip


def test_the_seed_alone_decides_and_the_global_generator_is_left_as_it_was() -> None:
    dataset, prepare = shapes(2, size_px=48), Preparation(32)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one = prepare(dataset, 0, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    again, other = prepare(dataset, 0, seed=1), prepare(dataset, 0, seed=2)
    assert torch.equal(one.image, again.image)
    assert torch.equal(one.boxes, again.boxes)
    assert not torch.equal(one.image, other.image)


def test_the_generator_is_put_back_after_an_error() -> None:
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="inside"), seeded(3):
        raise RuntimeError(f"inside {torch.rand(1)}")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("augmentation", ["crop", "flip", "ssd"])
def test_boxes_move_with_the_pixels(augmentation: str) -> None:
    dataset = white_rectangle()
    prepare = Preparation(64, augmentation, fill=(0.0, 0.0, 0.0))
    prepare._photometric = None  # colours must stay, to find the rectangle again
    moved = 0
    for seed in range(40):
        example = prepare(dataset, 0, seed=seed)
        assert len(example.boxes) == 1
        found = torch.nonzero(example.image[0] > 127)
        low, high = found.min(0).values.flip(0), found.max(0).values.flip(0) + 1
        # Antialiased edges are within a pixel of where they belong.
        torch.testing.assert_close(
            example.boxes[0], torch.cat([low, high]).float(), atol=1.1, rtol=0
        )
        moved += int((example.boxes[0] - torch.tensor([13.3, 20, 40, 46.7])).abs().max() > 2)
    assert moved >= 10


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_shapes_types_and_ranges(augmentation: str) -> None:
    dataset, prepare = shapes(8, size_px=64, objects=(0, 3)), Preparation(32, augmentation)
    for position in range(8):
        for seed in (None, position):
            example = prepare(dataset, position, seed)
            assert example.image.dtype == torch.uint8
            assert example.image.shape == (3, 32, 32)
            assert len(example.boxes) == len(example.labels)
            assert ((example.boxes >= 0) & (example.boxes <= 32)).all()
            assert (example.boxes[:, 2:] > example.boxes[:, :2]).all()


def test_without_a_seed_boxes_are_only_scaled() -> None:
    dataset, prepare = white_rectangle(), Preparation(48)
    example: Example = prepare(dataset, 0)
    torch.testing.assert_close(example.boxes, torch.tensor([[10.0, 15, 30, 35]]))
    stored = prepare(dataset.stored(24), 0)
    torch.testing.assert_close(stored.boxes, example.boxes)


def test_photometric_distortion_changes_colours() -> None:
    dataset = white_rectangle()
    plain = [Preparation(96, "crop")(dataset, 0, seed).image.unique() for seed in range(10)]
    distorted = [Preparation(96, "ssd")(dataset, 0, seed).image.unique() for seed in range(10)]
    assert all(set(values.tolist()) >= {255} for values in plain)
    assert any(255 not in values for values in distorted)


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        Preparation(32, "mosaic")
