from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.detection.coco import read_coco
from trainables.detection.synthetic import write_coco_folder

Content = dict[str, Any]
REAL = os.environ.get("TUNE_SELECT_DATA")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_coco_folder(tmp_path, {"train2017": 6}, size_px=48)


def edit(folder: Path, change: Callable[[Content], None]) -> Path:
    file = folder / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return file


def annotation(content: Content, **values: Any) -> None:
    """Append one annotation to image 1."""
    base = {"image_id": 1, "category_id": 1, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0}
    content["annotations"].append({"id": 900 + len(content["annotations"]), **base, **values})


def test_bad_boxes_are_clipped_or_left_out_and_counted(folder: Path) -> None:
    before = read_coco(folder)

    def change(content: Content) -> None:
        annotation(content, bbox=[-10, 30, 30, 30])  # beyond the left and lower border
        annotation(content, bbox=[60, 10, 10, 10])  # wholly outside
        annotation(content, bbox=[10, 10, 0, 10])  # no area
        annotation(content, bbox=[10, 10, 5, 0.2])  # thinner than a pixel
        annotation(content, iscrowd=1)

    edit(folder, change)
    after = read_coco(folder)
    skipped = after.skipped
    assert (skipped.clipped_boxes, skipped.outside_boxes, skipped.empty_boxes) == (1, 1, 2)
    assert skipped.crowd_boxes == 1
    assert str(skipped) == "1 crowd boxes, 1 clipped boxes, 1 outside boxes, 2 empty boxes"
    boxes, _ = after.trainable_boxes(0)
    np.testing.assert_array_equal(boxes[-1], [0, 30, 20, 48])
    # The crowd is there for evaluation, not for training.
    assert len(after.boxes) == len(before.boxes) + 2
    assert after.crowd.sum() == 1
    assert len(boxes) == len(before.trainable_boxes(0)[0]) + 1


def test_pictures_without_boxes_stay_for_evaluation_and_leave_training(folder: Path) -> None:
    edit(folder, lambda c: c.update(annotations=[a for a in c["annotations"] if a["image_id"] > 2]))
    dataset = read_coco(folder)
    assert len(dataset) == 6
    trainable = dataset.with_boxes()
    assert trainable.image_ids.tolist() == [3, 4, 5, 6]
    assert trainable.skipped.images_without_boxes == 2


def test_a_set_without_any_box_cannot_be_trained_on(folder: Path) -> None:
    edit(folder, lambda c: c.update(annotations=[]))
    with pytest.raises(ValueError, match="none of its 6 pictures has a box"):
        read_coco(folder).with_boxes()


def test_filters(folder: Path) -> None:
    everything = read_coco(folder)
    circles = read_coco(folder, categories=["circle"])
    assert circles.labels.tolist() == [1] * int((everything.labels == 1).sum())
    assert (np.diff(circles.offsets) > 0).all()
    by_id = read_coco(folder, categories=[3, 1])
    assert [c.id for c in by_id.categories] == [1, 3]
    assert set(by_id.labels) <= {1, 2}
    assert read_coco(folder, images=[4, 2, 4]).image_ids.tolist() == [4, 2]
    half = read_coco(folder, fraction=0.5, seed=1)
    assert len(half) == 3
    assert half.image_ids.tolist() == read_coco(folder, fraction=0.5, seed=1).image_ids.tolist()
    assert half.image_ids.tolist() == sorted(half.image_ids.tolist())


def test_category_ids_with_gaps_become_dense_labels(folder: Path) -> None:
    def change(content: Content) -> None:
        renumber = {1: 90, 2: 7, 3: 18}
        for entry in content["categories"]:
            entry["id"] = renumber[entry["id"]]
        for entry in content["annotations"]:
            entry["category_id"] = renumber[entry["category_id"]]

    before = read_coco(folder).labels
    edit(folder, change)
    dataset = read_coco(folder)
    assert [c.id for c in dataset.categories] == [7, 18, 90]
    np.testing.assert_array_equal(dataset.labels, np.array([0, 3, 1, 2])[before])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda c: annotation(c, category_id=55), ValueError, r"annotation 9\d\d names the unknown "
         "category 55"),
        (lambda c: annotation(c, image_id=77), ValueError, r"annotation 9\d\d names the unknown "
         "image 77"),
        (lambda c: annotation(c, bbox=[1, 2, 3]), ValueError, "bbox must be four numbers"),
        (lambda c: annotation(c, bbox=[1, 2, float("nan"), 3]), ValueError, "must be finite"),
        (lambda c: c.pop("annotations"), ValueError, "no list 'annotations'"),
        (lambda c: c["images"][2].pop("width"), ValueError, r"images\[2\] \(3\) has no width"),
        (lambda c: c.update(categories=[], annotations=[]), ValueError, "has no categories"),
        (lambda c: c.update(images=[], annotations=[]), ValueError, "no picture is left"),
        (lambda c: c["images"][3].update(file_name="gone.jpg"), FileNotFoundError,
         r"1 of 6 picture files are missing.*gone.jpg of image 4"),
    ],
)  # fmt: skip
def test_damage_is_reported_with_file_and_id(
    folder: Path, change: Callable[[Content], None], error: type[Exception], message: str
) -> None:
    file = edit(folder, change)
    with pytest.raises(error, match=message) as caught:
        read_coco(folder)
    assert str(file) in str(caught.value)


def test_other_files_and_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="instances_val2017"):
        read_coco(folder, "val2017")
    with pytest.raises(FileNotFoundError, match="no folder"):
        read_coco(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no category 'dog'"):
        read_coco(folder, categories=["dog"])
    with pytest.raises(ValueError, match="no image 99"):
        read_coco(folder, images=[99])
    with pytest.raises(ValueError, match=r"data.fraction must be in \(0, 1\], got 0"):
        read_coco(folder, fraction=0)
    file = folder / "annotations" / "instances_train2017.json"
    file.write_text("[1, 2]")
    with pytest.raises(ValueError, match="not a COCO instances file"):
        read_coco(folder)
    file.write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        read_coco(folder)


def test_a_picture_that_cannot_be_decoded_is_named(folder: Path) -> None:
    (folder / "train2017" / "000000000002.jpg").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"cannot read the picture .*000000000002\.jpg"):
        read_coco(folder).images.read(1)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="TUNE_SELECT_DATA is not set")
def test_real_coco() -> None:
    train = read_coco(f"{REAL}/coco", "train2017")
    assert (len(train), len(train.boxes), int(train.crowd.sum())) == (80, 705, 6)
    assert len(train.categories) == 80
    assert train.categories[-1].id == 90
    assert train.images.read(0).shape == (3, *train.sizes[0])
    assert len(train.with_boxes()) == 80
