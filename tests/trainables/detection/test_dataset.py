from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from trainables.detection.dataset import Category, from_lists
from trainables.detection.images import StoredImages
from trainables.detection.synthetic import shapes


def test_taking_pictures_takes_their_boxes() -> None:
    dataset = shapes(6, size_px=32, objects=(0, 3))
    taken = dataset.take(np.array([4, 0, 4]))
    assert taken.image_ids.tolist() == [5, 1, 5]
    for new, old in enumerate([4, 0, 4]):
        assert torch.equal(taken.images.read(new), dataset.images.read(old))
        for one, other in zip(
            taken.trainable_boxes(new), dataset.trainable_boxes(old), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    assert len(dataset.take(np.array([], dtype=np.int64))) == 0


def test_counts_leave_crowds_out() -> None:
    dataset = shapes(4, size_px=32, objects=(2, 2))
    crowd = np.zeros_like(dataset.crowd)
    crowd[0] = True
    counts = dataset.trainable_box_counts()
    fewer = dataclasses.replace(dataset, crowd=crowd).trainable_box_counts()
    np.testing.assert_array_equal(counts, np.diff(dataset.offsets))
    np.testing.assert_array_equal(fewer, counts - [1, 0, 0, 0])


def test_the_fingerprint_tells_sets_apart_and_survives_pickling() -> None:
    dataset = shapes(3, size_px=32)
    assert dataset.fingerprint() == shapes(3, size_px=32).fingerprint()
    assert dataset.fingerprint() == pickle.loads(pickle.dumps(dataset)).fingerprint()
    others = [
        shapes(4, size_px=32),
        shapes(3, size_px=32, seed=1),
        dataclasses.replace(dataset, labels=dataset.labels % 3 + 1),
        dataclasses.replace(dataset, categories=tuple(reversed(dataset.categories))),
    ]
    assert len({dataset.fingerprint(), *(other.fingerprint() for other in others)}) == 5


def test_storing_resizes_the_pictures_and_not_the_boxes() -> None:
    dataset = shapes(2, size_px=64)
    small = dataset.stored(32)
    assert small.images.read(1).shape == (3, 32, 32)
    np.testing.assert_array_equal(small.boxes, dataset.boxes)
    means = [d.images.read(1).float().mean().item() for d in (small, dataset)]
    assert means[0] == pytest.approx(means[1], abs=1.0)


def test_lists_of_different_lengths_are_refused() -> None:
    images = StoredImages(np.zeros((2, 3, 8, 8), np.uint8), np.arange(2))
    with pytest.raises(ValueError, match="1 box arrays"):
        from_lists(
            "odd", images, np.full((2, 2), 8, np.int32), [np.zeros((0, 4), np.float32)],
            [np.zeros(0, np.int64)] * 2, (Category(1, "thing"),),
        )  # fmt: skip
