from __future__ import annotations

import numpy as np
import torch

from trainables.detection.drawing import FOUND_COLOUR, TRUTH_COLOUR, draw_detections
from trainables.detection.prediction import Detections
from trainables.detection.synthetic import shapes


def has_colour(picture: torch.Tensor, colour: tuple[int, int, int], x: int, y: int) -> bool:
    return tuple(picture[:, y, x].tolist()) == colour


def test_truth_and_detections_are_drawn_where_they_are() -> None:
    dataset = shapes(2, seed=3, objects=(1, 1))
    x1, _, x2, y2 = dataset.trainable_boxes(0)[0][0]
    found = Detections(
        np.array([[10, 80, 60, 120], [1, 1, 5, 5]], np.float32),
        np.array([0.9, 0.1], np.float32),
        np.array([2, 1]),
    )
    picture = draw_detections(dataset, 0, found)
    assert has_colour(picture, TRUTH_COLOUR, int((x1 + x2) / 2), int(y2))
    assert has_colour(picture, FOUND_COLOUR, 35, 120)
    assert not has_colour(picture, FOUND_COLOUR, 3, 5)
    # Half the size: the same places at half the distance.
    small = draw_detections(dataset.stored(64), 0, found)
    assert small.shape == (3, 64, 64)
    assert has_colour(small, FOUND_COLOUR, 17, 60)


def test_nothing_found_leaves_the_truth() -> None:
    dataset = shapes(1, objects=(0, 0))
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int))
    assert torch.equal(draw_detections(dataset, 0, nothing), dataset.images.read(0))
