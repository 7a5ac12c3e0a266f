from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.detection.coco import read_coco
from trainables.detection.synthetic import SHAPES, shapes, write_coco_folder


def test_a_picture_depends_on_the_seed_and_its_number_alone() -> None:
    few, many = shapes(3, seed=5, size_px=48), shapes(6, seed=5, size_px=48)
    for i in range(3):
        assert torch.equal(few.images.read(i), many.images.read(i))
        np.testing.assert_array_equal(few.trainable_boxes(i)[0], many.trainable_boxes(i)[0])
    other = shapes(3, seed=6, size_px=48)
    assert not torch.equal(few.images.read(0), other.images.read(0))


def test_boxes_lie_inside_and_every_class_is_drawn() -> None:
    dataset = shapes(40, shapes=SHAPES, size_px=64, objects=(1, 3))
    assert set(dataset.labels) == set(range(1, len(SHAPES) + 1))
    assert (dataset.boxes >= 0).all()
    assert (dataset.boxes <= 64).all()
    sides = dataset.boxes[:, 2:] - dataset.boxes[:, :2]
    assert (sides > 2).all()
    # A polygon fills its box at most, and no shape here is thinner than a turned bar.
    assert (dataset.areas <= sides.prod(axis=1) + 1e-3).all()
    assert (dataset.areas >= 0.15 * sides.prod(axis=1)).all()


def test_the_box_is_where_the_shape_is_drawn() -> None:
    dataset = shapes(20, shapes=("square",), size_px=96, objects=(1, 1), seed=3)
    for i in range(len(dataset)):
        pixels = dataset.images.read(i).float()
        x1, y1, x2, y2 = dataset.trainable_boxes(i)[0][0].round().astype(int)
        middle = pixels[:, (y1 + y2) // 2 - 1 : (y1 + y2) // 2 + 2,
                        (x1 + x2) // 2 - 1 : (x1 + x2) // 2 + 2].mean((1, 2))  # fmt: skip
        outside = torch.ones(96, 96, dtype=torch.bool)
        outside[y1 : y2 + 1, x1 : x2 + 1] = False
        assert (middle - pixels[:, outside].mean(1)).abs().max() > 30


def test_the_folder_holds_the_same_set(tmp_path: Path) -> None:
    memory = shapes(5, seed=1, size_px=64)
    write_coco_folder(tmp_path, {"train2017": 5, "val2017": 2}, seed=1, size_px=64)
    folder = read_coco(tmp_path, "train2017")
    np.testing.assert_allclose(folder.boxes, memory.boxes, atol=1e-4)
    np.testing.assert_array_equal(folder.labels, memory.labels)
    np.testing.assert_allclose(folder.areas, memory.areas, rtol=1e-5)
    assert folder.categories == memory.categories
    # JPEG is lossy, but of the same picture.
    difference = folder.images.read(4).float() - memory.images.read(4).float()
    assert difference.abs().mean() < 8
    assert len(read_coco(tmp_path, "val2017")) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shapes": ("circle", "dodecahedron")}, "distinct names"),
        ({"shapes": ()}, "distinct names"),
        ({"count": 0}, "at least 1 picture"),
        ({"size_px": 4}, "at least 16 pixels"),
    ],
)
def test_impossible_requests_are_refused(wrong: dict[str, object], message: str) -> None:
    arguments = {"count": 2, **wrong}
    with pytest.raises(ValueError, match=message):
        shapes(**arguments)  # type: ignore[arg-type]
