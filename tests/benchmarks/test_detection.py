"""What selection costs in a detection epoch, and how long COCO's mAP takes.

Ratios of times measured in one process, in turns, so that whatever else the machine does hits both.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from trainables.detection.data import load_detection
from trainables.detection.dataset import Category, DetectionSet, from_lists
from trainables.detection.evaluation import mean_average_precision
from trainables.detection.images import StoredImages
from trainables.detection.models import build_ssd
from trainables.detection.prediction import Detections
from trainables.detection.task import ObjectDetectionTask
from trainables.tasks.task import index_batches
from tune_select.selection import GradMatch, PerBatch
from tune_select.selection.heads.capture import evaluation_mode

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SELECTION_LIMIT = 1.3  # forward passes
EVALUATION_LIMIT = 1 / 3  # of pycocotools' time


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds: on a shared machine they repeat themselves better than the clock on the wall."""
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize(("model", "images"), [("ssd128", 192), ("ssd300", 24)])
@pytest.mark.parametrize("per_batch", [False, True])
def test_selection_costs_at_most_1_3_forward_passes(
    model: str, images: int, per_batch: bool
) -> None:
    torch.set_num_threads(1)
    data = load_detection({"name": "shapes", "train_size": images, "validation_fraction": 0})
    torch.manual_seed(0)
    task = ObjectDetectionTask(build_ssd(model, 81), data)
    selector = PerBatch(GradMatch(), batch_size=8) if per_batch else GradMatch()

    def forward() -> None:
        with evaluation_mode(task.model), torch.no_grad():
            for batch in task.batches(index_batches(images, task.eval_batch_size)):
                task.model(batch.inputs)

    def select() -> None:
        signals = task.signals()
        selector.select(signals, images // 4, torch.Generator().manual_seed(0))

    forward()
    ratios = []
    for _ in range(5):
        passed = seconds(forward)
        ratios.append(seconds(select) / passed)
    ratio = statistics.median(ratios)
    print(f"\n{model}, per batch {per_batch}: selection is {ratio:.2f} forward passes "
          f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
    assert ratio <= SELECTION_LIMIT


def crowded_set(images: int, classes: int = 80) -> tuple[DetectionSet, list[Detections]]:
    """Seven objects a picture, and a hundred detections of them, the first ones near the truth."""
    generator = np.random.default_rng(0)
    boxes, labels, answers = [], [], []
    for _ in range(images):
        corners = generator.uniform(0, 400, (7, 2))
        own = np.concatenate([corners, corners + generator.uniform(10, 200, (7, 2))], 1)
        kinds = generator.integers(1, classes + 1, 7)
        copies = generator.integers(0, 7, 100)
        found = own[copies] + generator.normal(0, 8, (100, 4))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        wrong = generator.random(100) < 0.5
        guessed = np.where(wrong, generator.integers(1, classes + 1, 100), kinds[copies])
        boxes.append(own.astype(np.float32))
        labels.append(kinds)
        answers.append(
            Detections(found.astype(np.float32), generator.random(100).astype(np.float32), guessed)
        )
    dataset = from_lists(
        "crowded", StoredImages(np.zeros((1, 3, 1, 1), np.uint8), np.zeros(images, np.int64)),
        np.full((images, 2), 640, np.int32), boxes, labels,
        tuple(Category(i + 1, f"kind {i}") for i in range(classes)),
    )  # fmt: skip
    return dataset, answers


@pytest.mark.skipif(
    importlib.util.find_spec("faster_coco_eval") is None, reason="faster-coco-eval not installed"
)
def test_map_of_5000_images_takes_a_third_of_pycocotools_time() -> None:
    dataset, answers = crowded_set(5000)
    scores, taken = {}, {}
    for backend in ("pycocotools", "faster-coco-eval"):

        def evaluate(backend: str = backend) -> None:
            scores[backend] = mean_average_precision(answers, dataset, backend=backend)

        taken[backend] = seconds(evaluate)
    ratio = taken["faster-coco-eval"] / taken["pycocotools"]
    print(f"\nmAP of 5,000 x 100: pycocotools {taken['pycocotools']:.1f} s, faster-coco-eval "
          f"{taken['faster-coco-eval']:.1f} s, ratio {ratio:.2f}")  # fmt: skip
    assert scores["faster-coco-eval"] == pytest.approx(scores["pycocotools"], abs=1e-9)
    assert 0.05 < scores["pycocotools"]["map"] < 0.95
    assert ratio <= EVALUATION_LIMIT
