"""Reading COCO folders: pictures and ``instances_<split>.json``."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.data.reading.omissions import Omission, omission
from trainables.data.reading.pictures import Broken, Decoding, Verify
from trainables.detection.coco_json import BoxEntry, ImageEntry, Instances, read_instances
from trainables.detection.coco_pictures import (
    Corners,
    Pictures,
    as_on_disk,
    files_without_entry,
    near_file,
    open_pictures,
    turn,
)
from trainables.detection.dataset import Category, DetectionSet, Skipped
from trainables.detection.images import ImageFiles, missing_files

MIN_SIDE_PX = 1.0
"""Boxes with a shorter side after clipping are left out: a detector cannot place them."""

_ODD_BOXES = {
    "empty_boxes": "boxes without area or thinner than a pixel",
    "outside_boxes": "boxes outside their picture",
}

_logger = logging.getLogger(__name__)


def read_coco(
    root: str | Path,
    split: str = "train2017",
    *,
    categories: Sequence[str | int] | None = None,
    images: Sequence[int] | None = None,
    fraction: float = 1.0,
    seed: int = 0,
    decoding: Decoding | None = None,
    broken: Broken = "error",
    verify: Verify = "all",
) -> DetectionSet:
    """Read one split of a COCO folder; pictures are decoded again whenever they are used.

    The annotations are ``annotations/instances_<split>.json`` (or ``instances_<split>.json`` in the
    root) and the pictures ``<split>/<file_name>``. Boxes that reach beyond their picture are
    clipped, boxes outside it or without area are left out, crowds are kept for evaluation alone;
    ``skipped`` counts them and one log line says so. ``coco_json`` states how entries are read, and
    ``coco_pictures`` how boxes lie on pictures that EXIF turns or that have another size.

    Args:
        root: The folder.
        split: The name of the split, for instance ``train2017`` or ``val2017``.
        categories: Names or ids to keep, with the pictures that show them; all when ``None``.
        images: Image ids to keep; all when ``None``.
        fraction: Share of the (remaining) pictures to keep, (0, 1], drawn with ``seed``.
        seed: The seed of the draw.
        decoding: How pictures become pixels; its range for 32 bits is measured where it is open.
        broken: ``error``, or ``skip`` to leave out pictures that are missing, cannot be read or do
            not fit their entry.
        verify: ``all`` decodes every picture once, ``headers`` only looks at its beginning.

    Raises:
        FileNotFoundError: The folder, its annotations or a picture is missing.
        ValueError: The JSON is not COCO, an entry cannot be right, pictures cannot be used, a
            filter names what is not there, or nothing is left.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"data.fraction must be in (0, 1], got {fraction}")
    folder = Path(root).expanduser()
    file = _annotation_file(folder, split)
    content = read_instances(file)
    chosen = content.chosen_categories(categories)
    by_image, skipped, odd_boxes = _boxes_by_image(content, chosen)
    listed = as_on_disk(folder / split, content.images)
    entries = replace(content, images=tuple(listed)).chosen_images(images)
    if categories is not None:
        entries = [entry for entry in entries if by_image.get(entry.id)]
    if fraction < 1:
        kept = np.random.default_rng(seed).permutation(len(entries))
        count = max(1, round(fraction * len(entries)))
        entries = [entries[i] for i in np.sort(kept[:count])]
    if broken != "skip":
        _refuse_missing(folder / split, entries, file)
    pictures = open_pictures(
        folder / split,
        entries,
        file,
        decoding=decoding or Decoding(),
        broken=broken,
        verify=verify,
    )
    if not pictures.entries:
        raise ValueError(
            f"{file}: no picture is left with categories={categories}, images={images} and "
            f"fraction={fraction}; widen the choice"
        )
    nameless = files_without_entry(folder / split, listed)
    skipped = replace(
        skipped,
        broken_pictures=len(pictures.broken),
        turned_pictures=sum(place.turned for place in pictures.placements),
        resized_pictures=sum(place.resized for place in pictures.placements),
        files_without_entry=len(nameless),
    )
    result = _assemble(folder / split, pictures, by_image, tuple(chosen.values()), skipped)
    result = replace(
        result,
        left_out=(
            *odd_boxes,
            *omission("pictures that are broken or do not fit their entry", pictures.broken),
            *omission("picture files that no entry names", nameless),
            *omission("entries of a file that another entry names too; both kept", _twice(listed)),
        ),
    )
    if str(skipped) != "nothing":
        _logger.info("%s: left out or changed %s", file, skipped)
    for reason in pictures.broken[:5]:
        _logger.info("%s: left out: %s", file, reason)
    return result


def _refuse_missing(folder: Path, entries: Sequence[ImageEntry], file: Path) -> None:
    paths = [folder / entry.file_name for entry in entries]
    absent = missing_files(paths)
    if absent:
        number = paths.index(absent[0])
        near = near_file(folder, entries[number].file_name)
        raise FileNotFoundError(
            f"{file}: {len(absent)} of {len(paths)} picture files are missing, the first is "
            f"{absent[0]} of image {entries[number].id}{f' (there is {near})' if near else ''}; "
            f"unpack the pictures into {folder.name}/, or set data.broken: skip, which leaves them "
            "out"
        )


def _twice(entries: Sequence[ImageEntry]) -> list[str]:
    """The entries whose file an earlier one names."""
    seen: dict[str, int] = {}
    return [
        f"image {entry.id} is {entry.file_name} as image {seen[entry.file_name]} is"
        for entry in entries
        if seen.setdefault(entry.file_name, entry.id) != entry.id
    ]


def _annotation_file(folder: Path, split: str) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError(f"data.root: there is no folder {folder}; give a COCO folder")
    name = f"instances_{split}.json"
    for file in (folder / "annotations" / name, folder / name):
        if file.is_file():
            return file
    raise FileNotFoundError(
        f"data.root: {folder} holds neither annotations/{name} nor {name}; give a COCO folder"
    )


@dataclass(frozen=True)
class _Box:
    """One usable annotation: corners in pixels, label, area and whether it is a crowd."""

    corners: Corners
    label: int
    area: float
    crowd: bool


def _boxes_by_image(
    content: Instances, chosen: Mapping[int, Category]
) -> tuple[dict[int, list[_Box]], Skipped, tuple[Omission, ...]]:
    sizes = {entry.id: (entry.width, entry.height) for entry in content.images}
    labels = {category_id: label for label, category_id in enumerate(chosen, start=1)}
    odd: defaultdict[str, list[str]] = defaultdict(list)
    found: defaultdict[int, list[_Box]] = defaultdict(list)
    for entry in content.boxes:
        if entry.category_id not in labels:
            continue
        corners, problem = _corners(entry, sizes[entry.image_id])
        if problem is not None:
            odd[problem].append(f"annotation {entry.id}")
        if corners is None:
            continue
        if entry.crowd:
            odd["crowd_boxes"].append(f"annotation {entry.id}")
        own = (corners[2] - corners[0]) * (corners[3] - corners[1])
        area = own if entry.area is None else entry.area
        found[entry.image_id].append(_Box(corners, labels[entry.category_id], area, entry.crowd))
    left_out = [
        entry for problem, reason in _ODD_BOXES.items() for entry in omission(reason, odd[problem])
    ]
    return found, Skipped(**{name: len(entries) for name, entries in odd.items()}), tuple(left_out)


def _corners(entry: BoxEntry, size: tuple[int, int]) -> tuple[Corners | None, str | None]:
    """x, y, width, height to corners inside the picture, and what ``Skipped`` counts of it."""
    x, y, width, height = entry.bbox
    if width < MIN_SIDE_PX or height < MIN_SIDE_PX:
        return None, "empty_boxes"
    inside = (max(x, 0.0), max(y, 0.0), min(x + width, size[0]), min(y + height, size[1]))
    if inside[2] - inside[0] < MIN_SIDE_PX or inside[3] - inside[1] < MIN_SIDE_PX:
        return None, "outside_boxes"
    # COCO rounds to hundredths, so boxes that end at the border exceed it by less than a pixel.
    beyond = max(-x, -y, x + width - size[0], y + height - size[1])
    return inside, "clipped_boxes" if beyond >= MIN_SIDE_PX else None


def _assemble(
    folder: Path,
    pictures: Pictures,
    by_image: Mapping[int, list[_Box]],
    categories: tuple[Category, ...],
    skipped: Skipped,
) -> DetectionSet:
    entries = pictures.entries
    per_image = [by_image.get(entry.id, []) for entry in entries]
    flat = [box for boxes in per_image for box in boxes]
    turned = [
        turn(box.corners, placement.orientation, (entry.width, entry.height))
        for entry, placement, boxes in zip(entries, pictures.placements, per_image, strict=True)
        for box in boxes
    ]
    corners: NDArray[np.float32] = np.array(turned, np.float32).reshape(-1, 4)
    paths = tuple(str(folder / entry.file_name) for entry in entries)
    return DetectionSet(
        name=f"coco-{folder.name}",
        images=ImageFiles(paths, pictures.decoding),
        image_ids=np.array([entry.id for entry in entries], np.int64),
        sizes=np.array([(p.height, p.width) for p in pictures.placements], np.int32),
        boxes=corners,
        labels=np.array([b.label for b in flat], np.int64),
        areas=np.array([b.area for b in flat], np.float32),
        crowd=np.array([b.crowd for b in flat], bool),
        offsets=np.concatenate(([0], np.cumsum([len(b) for b in per_image]))).astype(np.int64),
        categories=categories,
        skipped=skipped,
    )
