from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.detection.coco import read_coco
from trainables.detection.dataset import DetectionSet
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
    pictures = read_coco(folder).images
    (folder / "train2017" / "000000000002.jpg").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"cannot read the picture .*000000000002\.jpg"):
        pictures.read(1)
    with pytest.raises(ValueError, match=r"1 of 6 pictures.*000000000002\.jpg.*data.broken: skip"):
        read_coco(folder)
    (folder / "train2017" / "000000000003.jpg").unlink()
    left = read_coco(folder, broken="skip")
    assert left.image_ids.tolist() == [1, 4, 5, 6]
    assert left.skipped.broken_pictures == 2


def quoted(content: Content) -> None:
    for entry in content["images"]:
        entry["id"] = str(entry["id"])
    for entry in content["annotations"]:
        entry |= {"image_id": float(entry["image_id"]), "category_id": str(entry["category_id"])}
        entry |= {"iscrowd": None, "area": None, "bbox": [str(side) for side in entry["bbox"]]}


def test_ids_as_text_and_null_fields_are_read(folder: Path) -> None:
    before = read_coco(folder)
    file = edit(folder, quoted)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    after = read_coco(folder)
    np.testing.assert_array_equal(after.image_ids, before.image_ids)
    np.testing.assert_array_equal(after.boxes, before.boxes)
    np.testing.assert_array_equal(after.labels, before.labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["images"][1].update(id="frame-1"),
         r"images\[1\].id must be a whole number of at most 64 bits, got 'frame-1': renumber"),
        (lambda c: c["images"][1].update(id=2**70), r"images\[1\].id must be a whole number"),
        (lambda c: c["images"][1].update(id=None), r"images\[1\].id must be a whole number"),
        (lambda c: c["images"][1].update(id=1), r"images\[0\] and images\[1\] have the same id 1"),
        (lambda c: c["images"][1].update(id=" 1"), r"images\[0\] and images\[1\] have the same"),
        (lambda c: c["categories"][1].update(id=1), r"categories\[0\] and categories\[1\]"),
        (lambda c: c["annotations"][1].update(id=c["annotations"][0]["id"]),
         r"annotations\[0\] and annotations\[1\] have the same id"),
        (lambda c: c["annotations"][0].update(image_id=True), r"annotations\[0\].image_id must be"),
        (lambda c: c["annotations"][0].update(category_id=1.5), r"annotations\[0\].category_id"),
        (lambda c: c["annotations"][0].update(bbox=None), "bbox must be four numbers, got None"),
        (lambda c: c["annotations"][0].update(area="big"), "area must be a number of at least 0"),
        (lambda c: c["annotations"][0].update(iscrowd="maybe"), "iscrowd must be 0 or 1"),
        (lambda c: c["images"][2].update(width=0), r"images\[2\].width must be a whole"),
        (lambda c: c["images"][2].update(file_name=None), r"images\[2\].file_name must be a name"),
        (lambda c: c["images"][2].update(width=500), r"3.jpg is 48 x 48 .* says 500 x 48 of"),
    ],
)  # fmt: skip
def test_entries_that_cannot_be_right_are_refused_with_a_remedy(
    folder: Path, change: Callable[[Content], None], message: str
) -> None:
    file = edit(folder, change)
    with pytest.raises(ValueError, match=message) as caught:
        read_coco(folder)
    assert str(file) in str(caught.value)


def one_object(folder: Path, orientation: int, said: str, scale: int = 1) -> DetectionSet:
    """A white object on black in picture 1, its box drawn on what is stored or on what is shown."""
    turns: dict[int, Callable[[Any], Any]] = {
        1: lambda a: a,
        3: lambda a: a[::-1, ::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].T,
        8: np.rot90,
    }
    turn = turns[orientation]
    stored = np.zeros((60, 80), np.uint8)
    stored[5:25, 10:40] = 255
    drawn_on = stored if said == "stored" else turn(stored)
    rows, columns = np.nonzero(drawn_on)
    left, top = int(columns.min()), int(rows.min())
    box = [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(stored.repeat(scale, 0).repeat(scale, 1))
    picture.save(folder / "train2017" / "000000000001.jpg", exif=exif, quality=95)
    height, width = drawn_on.shape

    def change(content: Content) -> None:
        content["images"] = content["images"][:1]
        content["images"][0].update(width=width, height=height)
        content["annotations"] = []
        annotation(content, bbox=box, area=600)

    edit(folder, change)
    return read_coco(folder)


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("said", ["shown", "stored"])
@pytest.mark.parametrize("scale", [1, 2])
def test_boxes_lie_on_their_object_however_it_is_turned(
    folder: Path, orientation: int, said: str, scale: int
) -> None:
    if orientation == 3 and said == "stored":
        pytest.skip("half a turn leaves the size alone: what is shown counts")
    found = one_object(folder, orientation, said, scale)
    pixels = found.images.read(0).float().mean(0)
    height, width = found.sizes[0]
    x1, y1, x2, y2 = (found.boxes[0] * (pixels.shape[1] / width)).astype(int)
    assert pixels.shape[0] / height == pixels.shape[1] / width == scale
    assert pixels[y1:y2, x1:x2].mean() > 245
    assert pixels.sum() == pytest.approx(pixels[y1:y2, x1:x2].sum().item(), rel=0.05)
    assert found.skipped.turned_pictures == (orientation != 1)
    assert found.skipped.resized_pictures == (scale != 1)
    assert found.skipped.files_without_entry == 5


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="TUNE_SELECT_DATA is not set")
def test_real_coco() -> None:
    train = read_coco(f"{REAL}/coco", "train2017")
    assert (len(train), len(train.boxes), int(train.crowd.sum())) == (80, 705, 6)
    assert len(train.categories) == 80
    assert train.categories[-1].id == 90
    assert train.images.read(0).shape == (3, *train.sizes[0])
    assert len(train.with_boxes()) == 80


@pytest.mark.parametrize(
    "written", ["caf\u00e9.jpg", "train2017/cafe\u0301.jpg", "train2017\\caf\u00e9.jpg"]
)
def test_names_that_other_systems_write_are_found(folder: Path, written: str) -> None:
    before = read_coco(folder)
    pixels, pictures = before.images.read(0), folder / "train2017"
    (pictures / "000000000001.jpg").rename(pictures / "cafe\u0301.jpg")
    edit(folder, lambda c: c["images"][0].update(file_name=written))
    after = read_coco(folder)
    assert after.fingerprint() == before.fingerprint()
    assert torch.equal(after.images.read(0), pixels)
    assert after.skipped.files_without_entry == 0


def test_a_missing_picture_is_named_with_the_one_that_is_near(folder: Path) -> None:
    edit(folder, lambda c: c["images"][0].update(file_name="000000000001.JPEG"))
    with pytest.raises(FileNotFoundError, match=r"of image 1 \(there is 000000000001\.jpg\)"):
        read_coco(folder)


def test_what_is_left_out_is_said_by_name(folder: Path) -> None:
    def change(content: Content) -> None:
        annotation(content, id=77, bbox=[60, 10, 10, 10])
        annotation(content, id=78, bbox=[10, 10, 0, 10])
        content["images"].append({**content["images"][0], "id": 99})
        content["images"][2]["file_name"] = "gone.jpg"

    edit(folder, change)
    found = read_coco(folder, broken="skip")
    assert [str(entry).replace(str(folder), "") for entry in found.left_out] == [
        "1 boxes without area or thinner than a pixel (annotation 78)",
        "1 boxes outside their picture (annotation 77)",
        "1 pictures that are broken or do not fit their entry (image /train2017/gone.jpg cannot be "
        "read: [Errno 2] No such file or directory: '/train2017/gone.jpg'; remove or repair it)",
        "1 picture files that no entry names (000000000003.jpg)",
        "1 entries of a file that another entry names too; both kept (image 99 is 000000000001.jpg "
        "as image 1 is)",
    ]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[: len(text) // 2], "is not JSON: .*was it cut off"),
        (lambda text: text[:-1] + ', "images": []}', "the key 'images' stands twice"),
        (lambda text: text.replace('"id": 1', f'"id": {"9" * 5000}', 1), "has 5000 digits"),
        (lambda text: f"[{text}]", "it has no list 'images'"),
    ],
)
def test_json_that_cannot_be_meant_is_refused(
    folder: Path, spoil: Callable[[str], str], message: str
) -> None:
    file = folder / "annotations" / "instances_train2017.json"
    file.write_text(spoil(file.read_text()))
    with pytest.raises(ValueError, match=rf"instances_train2017\.json .*{message}"):
        read_coco(folder)
