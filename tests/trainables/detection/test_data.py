from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.detection.data import load_detection
from trainables.detection.settings import DetectionSettings
from trainables.detection.synthetic import write_coco_folder

SMALL = {"name": "shapes", "train_size": 20, "test_size": 4, "image_size": 32}


def test_splits_are_disjoint_and_seeded() -> None:
    data = load_detection(SMALL)
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 2, 4)
    assert not set(data.train.image_ids) & set(data.validation.image_ids)
    assert data.identity.size == 18
    again = load_detection({**SMALL, "augmentation": "none", "workers": 1})
    assert again.identity == data.identity
    other = load_detection({**SMALL, "split_seed": 1})
    assert other.identity.fingerprint != data.identity.fingerprint
    assert data.train.images.pixels is data.validation.images.pixels  # type: ignore[attr-defined]


def test_same_data_ignores_how_they_are_fed() -> None:
    settings = DetectionSettings.of(SMALL)
    fed = DetectionSettings.of({**SMALL, "augmentation": "crop", "workers": 2})
    assert settings.same_examples(fed)
    assert not settings.same_examples(DetectionSettings.of({**SMALL, "train_size": 21}))
    assert not settings.same_examples(DetectionSettings.of({"name": "coco"}))


def test_statistics_are_those_of_the_training_pixels() -> None:
    data = load_detection(SMALL)
    pixels = np.stack([data.train.images.read(i).numpy() for i in range(len(data.train))])
    np.testing.assert_allclose(data.pixel_mean, pixels.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.pixel_std, pixels.std((0, 2, 3)), rtol=1e-6)


def test_a_coco_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_coco_folder(tmp_path / "coco", {"train2017": 10, "val2017": 4}, size_px=32)
    data = load_detection({"name": "coco", "root": str(root), "validation_fraction": 0.2})
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 2, 4)
    assert (data.settings.augmented_by, data.settings.worker_count) == ("ssd", 4)
    monkeypatch.setenv("TUNE_SELECT_DATA", str(tmp_path))
    stored = load_detection({"name": "coco", "stored_size": 16, "validation_fraction": 0.2})
    assert stored.train.images.read(0).shape == (3, 16, 16)
    assert stored.settings.worker_count == 0
    np.testing.assert_array_equal(stored.train.boxes, data.train.boxes)
    half = load_detection({"name": "coco", "fraction": 0.5, "validation_fraction": 0})
    assert (len(half.train), len(half.validation), len(half.test)) == (5, 0, 2)


def test_pictures_without_boxes_are_only_evaluated_on(tmp_path: Path) -> None:
    root = write_coco_folder(tmp_path, {"train2017": 6, "val2017": 3}, size_px=32)
    for split in ("train2017", "val2017"):
        file = root / "annotations" / f"instances_{split}.json"
        content = json.loads(file.read_text())
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 2]
        file.write_text(json.dumps(content))
    data = load_detection({"name": "coco", "root": str(root), "validation_fraction": 0})
    assert 2 not in data.train.image_ids
    assert data.train.skipped.images_without_boxes == 1
    assert 2 in data.test.image_ids


def test_splits_with_different_categories_are_refused(tmp_path: Path) -> None:
    write_coco_folder(tmp_path, {"train2017": 3}, size_px=32)
    write_coco_folder(tmp_path, {"val2017": 3}, size_px=32, shapes=("star",))
    with pytest.raises(ValueError, match="list different categories"):
        load_detection({"name": "coco", "root": str(tmp_path)})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "voc"}, "data.name must be shapes or coco, got 'voc'"),
        ({"fracton": 0.5}, r"data.fracton=0.5 is an unknown key; did you mean fraction\?"),
        ({"validation_fraction": 1.0}, r"data.validation_fraction must be a number in \[0, 1\)"),
        ({"shapes": 7}, r"data.shapes must be an integer in \[1, 6\], got 7"),
        ({"fraction": 0.5}, "data.fraction: 0.5 is a setting of coco, but data.name is shapes"),
        ({"train_size": 0}, "data.train_size must be an integer of at least 1"),
        ({"augmentation": "mosaic"}, "data.augmentation must be auto, ssd, .*got 'mosaic'"),
        ({"workers": -1}, "data.workers must be auto or a number of processes, got -1"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DetectionSettings.of({**SMALL, **wrong})


def test_nothing_left_to_train_on_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves none of 2 pictures"):
        load_detection({**SMALL, "train_size": 2, "validation_fraction": 0.9})
