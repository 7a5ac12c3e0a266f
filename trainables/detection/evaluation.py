"""COCO's mean average precision, through pycocotools or faster-coco-eval."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.detection.dataset import DetectionSet
from trainables.detection.prediction import Detections
from tune_select.wording import not_among

METRICS: tuple[str, ...] = ("map", "map_50", "map_75", "map_small", "map_medium", "map_large")
"""The first six of COCO's summary: IoU 0.50:0.95, 0.50, 0.75, and by object area in the picture's
own pixels: small under 32^2, medium under 96^2, large. -1 where there are no such objects."""

BACKENDS: tuple[str, ...] = ("auto", "pycocotools", "faster-coco-eval")


def mean_average_precision(
    detections: Sequence[Detections], dataset: DetectionSet, *, backend: str = "auto"
) -> dict[str, float]:
    """COCO's box metrics of one detection list per picture of ``dataset``.

    Crowds are ignored as COCO does: a detection on one is neither right nor wrong.

    Args:
        detections: The detections in the order of ``dataset``, boxes in original pixels.
        dataset: The pictures and their objects.
        backend: ``auto`` takes faster-coco-eval where it is installed: the same numbers, sooner.

    Returns:
        ``METRICS`` by name, shares in [0, 1] or -1.

    Raises:
        ValueError: The lengths differ, or the backend is unknown or not installed.
    """
    if len(detections) != len(dataset):
        raise ValueError(f"{len(detections)} detection lists for {len(dataset)} pictures")
    found = _detection_rows(detections, dataset)
    has_objects = bool((~dataset.crowd).any())
    if not has_objects:
        return dict.fromkeys(METRICS, -1.0)
    if len(found) == 0:
        # Neither library takes an empty result list; nothing found is a precision of zero.
        return _without_detections(dataset)
    coco, evaluator = _library(backend)
    # Both libraries print their progress, pycocotools without a switch.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco()
        truth.dataset = coco_ground_truth(dataset)
        truth.createIndex()
        run = evaluator(truth, truth.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {name: float(value) for name, value in zip(METRICS, run.stats[:6], strict=True)}


def _without_detections(dataset: DetectionSet) -> dict[str, float]:
    area = dataset.areas[~dataset.crowd]
    present = {
        "map_small": (area < 32**2).any(),
        "map_medium": ((area >= 32**2) & (area < 96**2)).any(),
        "map_large": (area >= 96**2).any(),
    }
    return {name: 0.0 if present.get(name, True) else -1.0 for name in METRICS}


def _library(backend: str) -> tuple[Any, Any]:
    """The classes COCO and COCOeval of a backend."""
    if backend not in BACKENDS:
        raise ValueError(not_among("evaluator", backend, BACKENDS))
    installed = importlib.util.find_spec("faster_coco_eval") is not None
    if backend == "faster-coco-eval" and not installed:
        raise ValueError("evaluation backend faster-coco-eval is not installed; use pycocotools")
    if backend == "pycocotools" or not installed:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        return COCO, COCOeval
    from faster_coco_eval import COCO as FasterCOCO
    from faster_coco_eval import COCOeval_faster

    return FasterCOCO, COCOeval_faster


def coco_ground_truth(dataset: DetectionSet) -> dict[str, Any]:
    """The set as the content of an ``instances_*.json``."""
    images = [
        {"id": int(image_id), "height": int(size[0]), "width": int(size[1])}
        for image_id, size in zip(dataset.image_ids, dataset.sizes, strict=True)
    ]
    owner = np.repeat(dataset.image_ids, np.diff(dataset.offsets))
    ids = [category.id for category in dataset.categories]
    annotations = []
    for row, (x1, y1, x2, y2) in enumerate(dataset.boxes.astype(np.float64).tolist()):
        annotations.append(
            {
                "id": row + 1,  # an id of 0 means "not matched" inside pycocotools
                "image_id": int(owner[row]),
                "category_id": ids[dataset.labels[row] - 1],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": float(dataset.areas[row]),
                "iscrowd": int(dataset.crowd[row]),
            }
        )
    categories = [{"id": c.id, "name": c.name} for c in dataset.categories]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def _detection_rows(detections: Sequence[Detections], dataset: DetectionSet) -> NDArray[np.float64]:
    """(m, 7): image id, x, y, width, height, score, category id, as ``loadRes`` takes them."""
    ids = np.array([category.id for category in dataset.categories])
    rows = [np.empty((0, 7))]
    for image_id, found in zip(dataset.image_ids, detections, strict=True):
        corners = found.boxes.astype(np.float64)
        rows.append(
            np.column_stack(
                (
                    np.full(len(corners), image_id),
                    corners[:, :2],
                    corners[:, 2:] - corners[:, :2],
                    found.scores,
                    ids[found.labels - 1],
                )
            )
        )
    return np.concatenate(rows)
