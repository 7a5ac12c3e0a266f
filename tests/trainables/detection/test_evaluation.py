from __future__ import annotations

import contextlib
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from trainables.detection import evaluation
from trainables.detection.coco import read_coco
from trainables.detection.dataset import DetectionSet
from trainables.detection.evaluation import METRICS, coco_ground_truth, mean_average_precision
from trainables.detection.prediction import Detections
from trainables.detection.synthetic import shapes, write_coco_folder


def perfect(dataset: DetectionSet) -> list[Detections]:
    answers = []
    for i in range(len(dataset)):
        boxes, labels = dataset.trainable_boxes(i)
        answers.append(Detections(boxes, np.full(len(boxes), 0.9, np.float32), labels))
    return answers


def noisy(dataset: DetectionSet, seed: int = 0) -> list[Detections]:
    """Shifted, sometimes missing, sometimes mislabelled boxes with false alarms among them."""
    generator = np.random.default_rng(seed)
    answers = []
    for answer in perfect(dataset):
        extra = int(generator.integers(0, 4))
        corners = generator.uniform(0, 60, (extra, 2))
        alarms = np.concatenate([corners, corners + generator.uniform(8, 60, (extra, 2))], 1)
        boxes = np.concatenate(
            [answer.boxes + generator.normal(0, 2.5, answer.boxes.shape), alarms]
        )
        labels = np.concatenate([answer.labels, generator.integers(1, 4, extra)])
        keep = generator.random(len(boxes)) > 0.15
        scores = generator.random(len(boxes)).astype(np.float32)
        answers.append(Detections(boxes[keep].astype(np.float32), scores[keep], labels[keep]))
    return answers


def test_perfect_detections_score_one() -> None:
    dataset = shapes(10, seed=2)
    scores = mean_average_precision(perfect(dataset), dataset)
    assert scores["map"] == pytest.approx(1.0)
    assert scores["map_small"] == pytest.approx(1.0)
    assert scores["map_large"] == -1.0
    assert tuple(scores) == METRICS


@pytest.mark.parametrize("seed", range(3))
def test_both_backends_give_equal_numbers(seed: int) -> None:
    pytest.importorskip("faster_coco_eval")
    dataset = shapes(40, seed=seed)
    dataset = dataclasses.replace(dataset, crowd=np.arange(len(dataset.crowd)) % 9 == 0)
    answers = noisy(dataset, seed)
    one = mean_average_precision(answers, dataset, backend="pycocotools")
    other = mean_average_precision(answers, dataset, backend="faster-coco-eval")
    assert one == pytest.approx(other, abs=1e-9)
    assert 0.05 < one["map"] < 0.9


def test_equals_pycocotools_on_the_annotation_file(tmp_path: Path) -> None:
    write_coco_folder(tmp_path, {"val2017": 15})
    dataset = read_coco(tmp_path, "val2017")
    answers = noisy(dataset)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "annotations" / "instances_val2017.json"))
        results = [
            {"image_id": int(i), "category_id": int(c), "score": float(s),
             "bbox": [float(v) for v in (b[0], b[1], b[2] - b[0], b[3] - b[1])]}
            for i, answer in zip(dataset.image_ids, answers, strict=True)
            for b, s, c in zip(answer.boxes, answer.scores, answer.labels, strict=True)
        ]  # fmt: skip
        run = COCOeval(truth, truth.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    scores = mean_average_precision(answers, dataset, backend="pycocotools")
    np.testing.assert_allclose([scores[name] for name in METRICS], run.stats[:6], atol=1e-6)


def test_detections_on_crowds_are_neither_right_nor_wrong() -> None:
    dataset = shapes(12, seed=4, objects=(2, 4))
    answers = perfect(dataset)
    crowd = np.zeros_like(dataset.crowd)
    crowd[dataset.offsets[:-1]] = True
    # Every answer on what is now a crowd would be a false alarm if it counted.
    ignored = mean_average_precision(answers, dataclasses.replace(dataset, crowd=crowd))
    assert ignored["map"] == pytest.approx(1.0)


def test_no_detections_and_no_objects() -> None:
    dataset = shapes(4, seed=4)
    nothing = [Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32),
                          np.zeros(0, np.int64))] * 4  # fmt: skip
    scores = mean_average_precision(nothing, dataset)
    assert scores["map"] == scores["map_50"] == 0.0
    assert scores["map_large"] == -1.0
    empty = dataclasses.replace(dataset, crowd=np.ones_like(dataset.crowd))
    assert set(mean_average_precision(nothing, empty).values()) == {-1.0}


def test_ids_of_categories_and_images_are_kept() -> None:
    dataset = shapes(3, seed=1)
    truth = coco_ground_truth(dataset)
    assert [image["id"] for image in truth["images"]] == [1, 2, 3]
    assert min(entry["id"] for entry in truth["annotations"]) == 1
    assert len(truth["annotations"]) == len(dataset.boxes)


def test_bad_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = shapes(2)
    with pytest.raises(ValueError, match="1 detection lists for 2 pictures"):
        mean_average_precision(perfect(dataset)[:1], dataset)
    with pytest.raises(ValueError, match="evaluator must be one of"):
        mean_average_precision(perfect(dataset), dataset, backend="mmdet")
    monkeypatch.setattr(evaluation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="not installed"):
        mean_average_precision(perfect(dataset), dataset, backend="faster-coco-eval")
    assert mean_average_precision(perfect(dataset), dataset)["map"] == pytest.approx(1.0)
