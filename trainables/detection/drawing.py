"""Pictures with what a detector found, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from trainables.detection.dataset import DetectionSet
from trainables.detection.prediction import Detections

TRUTH_COLOUR = (0, 220, 80)
FOUND_COLOUR = (255, 60, 40)


def draw_detections(
    dataset: DetectionSet, position: int, found: Detections, *, min_score: float = 0.4
) -> Tensor:
    """A picture with its objects in green and the detections, named and scored, in red.

    Args:
        dataset: Whose picture.
        position: Which of its pictures.
        found: The detections in the picture's original pixels, as
            ``ObjectDetectionTask.detections`` gives them.
        min_score: Detections below it are not drawn.

    Returns:
        uint8 (3, H, W), in the size in which the picture is stored.
    """
    picture = dataset.images.read(position)
    height, width = dataset.sizes[position]
    scale = torch.tensor([picture.shape[2] / width, picture.shape[1] / height] * 2)
    boxes, _ = dataset.trainable_boxes(position)
    picture = _draw(picture, torch.from_numpy(boxes) * scale, None, TRUTH_COLOUR)
    shown = found.scores >= min_score
    names = [
        f"{dataset.categories[label - 1].name} {score:.2f}"
        for label, score in zip(found.labels[shown], found.scores[shown], strict=True)
    ]
    return _draw(picture, torch.from_numpy(found.boxes[shown]) * scale, names, FOUND_COLOUR)


def _draw(
    picture: Tensor, boxes: Tensor, names: Sequence[str] | None, colour: tuple[int, int, int]
) -> Tensor:
    if len(boxes) == 0:
        return picture
    labels = None if names is None else list(names)
    drawn: Tensor = draw_bounding_boxes(picture, boxes, labels, colors=colour)
    return drawn
