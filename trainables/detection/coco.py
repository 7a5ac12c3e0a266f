"""Reading COCO folders: pictures and ``instances_<split>.json``."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.detection.dataset import Category, DetectionSet, Skipped
from trainables.detection.images import ImageFiles, missing_files

MIN_SIDE_PX = 1.0
"""Boxes with a shorter side after clipping are left out: a detector cannot place them."""

_logger = logging.getLogger(__name__)


def read_coco(
    root: str | Path,
    split: str = "train2017",
    *,
    categories: Sequence[str | int] | None = None,
    images: Sequence[int] | None = None,
    fraction: float = 1.0,
    seed: int = 0,
) -> DetectionSet:
    """Read one split of a COCO folder; pictures are decoded only when they are used.

    The annotations are ``annotations/instances_<split>.json`` (or ``instances_<split>.json`` in the
    root) and the pictures ``<split>/<file_name>``. Boxes that reach beyond their picture are
    clipped, boxes outside it or without area are left out, crowds are kept for evaluation alone;
    ``skipped`` counts them and one log line says so.

    Args:
        root: The folder.
        split: For instance ``train2017`` or ``val2017``.
        categories: Names or ids to keep, with the pictures that show them; all when ``None``.
        images: Image ids to keep; all when ``None``.
        fraction: Share of the (remaining) pictures to keep, (0, 1], drawn with ``seed``.
        seed: Of the draw.

    Raises:
        FileNotFoundError: The folder, its annotations or a picture is missing.
        ValueError: The JSON is not COCO, an annotation names an unknown image or category, a
            filter names one, or nothing is left.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"data.fraction must be in (0, 1], got {fraction}")
    folder = Path(root).expanduser()
    file = _annotation_file(folder, split)
    content = _load(file)
    chosen = _chosen_categories(content["categories"], categories, file)
    by_image, skipped = _boxes_by_image(content, chosen, file)
    entries = _chosen_images(content["images"], images, file)
    if categories is not None:
        entries = [entry for entry in entries if by_image.get(entry["id"])]
    if fraction < 1:
        kept = np.random.default_rng(seed).permutation(len(entries))
        count = max(1, round(fraction * len(entries)))
        entries = [entries[i] for i in np.sort(kept[:count])]
    if not entries:
        raise ValueError(
            f"{file}: no picture is left with categories={categories}, images={images} and "
            f"fraction={fraction}; widen the choice"
        )
    paths = [folder / split / str(entry["file_name"]) for entry in entries]
    absent = missing_files(paths)
    if absent:
        number = paths.index(absent[0])
        raise FileNotFoundError(
            f"{file}: {len(absent)} of {len(paths)} picture files are missing, the first is "
            f"{absent[0]} of image {entries[number]['id']}; unpack the pictures into {split}/"
        )
    result = _assemble(f"coco-{split}", entries, paths, by_image, tuple(chosen.values()), skipped)
    if str(skipped) != "nothing":
        _logger.info("%s: left out or changed %s", file, skipped)
    return result


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


def _load(file: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{file} is not a COCO instances file: it has no list {key!r}")
    for key, fields in (
        ("images", ("id", "file_name", "width", "height")),
        ("annotations", ("id", "image_id", "category_id", "bbox")),
        ("categories", ("id", "name")),
    ):
        for position, entry in enumerate(content[key]):
            lacking = [name for name in fields if not isinstance(entry, dict) or name not in entry]
            if lacking:
                where = entry.get("id", "without id") if isinstance(entry, dict) else entry
                raise ValueError(
                    f"{file} is not a COCO instances file: {key}[{position}] ({where}) has no "
                    f"{', '.join(lacking)}"
                )
    return dict(content)


def _chosen_categories(
    entries: list[dict[str, Any]], wanted: Sequence[str | int] | None, file: Path
) -> dict[int, Category]:
    """The categories to keep by id, in order of their ids, which is the order of the labels."""
    known = {int(e["id"]): Category(int(e["id"]), str(e["name"])) for e in entries}
    if wanted is not None:
        names = {category.name: category.id for category in known.values()}
        ids = [names.get(w) if isinstance(w, str) else (w if w in known else None) for w in wanted]
        for asked, found in zip(wanted, ids, strict=True):
            if found is None:
                raise ValueError(
                    f"data.categories: {file} has no category {asked!r}; it has {sorted(names)}"
                )
        known = {i: category for i, category in known.items() if i in ids}
    if not known:
        raise ValueError(f"{file} has no categories; a detector needs at least one")
    return dict(sorted(known.items()))


def _chosen_images(
    entries: list[dict[str, Any]], wanted: Sequence[int] | None, file: Path
) -> list[dict[str, Any]]:
    if wanted is None:
        return entries
    known = {int(e["id"]): e for e in entries}
    for image_id in wanted:
        if image_id not in known:
            raise ValueError(f"data.images: {file} has no image {image_id}")
    return [known[image_id] for image_id in dict.fromkeys(wanted)]


class _Box:
    """One usable annotation: corners in pixels, label, area and whether it is a crowd."""

    __slots__ = ("area", "corners", "crowd", "label")

    def __init__(
        self, corners: tuple[float, float, float, float], label: int, area: float, crowd: bool
    ) -> None:
        self.corners, self.label, self.area, self.crowd = corners, label, area, crowd


def _boxes_by_image(
    content: dict[str, list[dict[str, Any]]], chosen: dict[int, Category], file: Path
) -> tuple[dict[int, list[_Box]], Skipped]:
    known_categories = {int(entry["id"]) for entry in content["categories"]}
    sizes = {int(e["id"]): (float(e["width"]), float(e["height"])) for e in content["images"]}
    labels = {category_id: label for label, category_id in enumerate(chosen, start=1)}
    counts: defaultdict[str, int] = defaultdict(int)
    found: defaultdict[int, list[_Box]] = defaultdict(list)
    for entry in content["annotations"]:
        where = f"{file}: annotation {entry['id']}"
        if entry["image_id"] not in sizes:
            raise ValueError(f"{where} names the unknown image {entry['image_id']}")
        if entry["category_id"] not in known_categories:
            raise ValueError(f"{where} names the unknown category {entry['category_id']}")
        if entry["category_id"] not in labels:
            continue
        corners, problem = _corners(entry["bbox"], sizes[entry["image_id"]], where)
        if problem is not None:
            counts[problem] += 1
        if corners is None:
            continue
        crowd = bool(entry.get("iscrowd", 0))
        counts["crowd_boxes"] += crowd
        width, height = corners[2] - corners[0], corners[3] - corners[1]
        area = float(entry.get("area", width * height))
        found[entry["image_id"]].append(_Box(corners, labels[entry["category_id"]], area, crowd))
    return found, Skipped(**counts)


def _corners(
    box: Any, size: tuple[float, float], where: str
) -> tuple[tuple[float, float, float, float] | None, str | None]:
    """x, y, width, height to corners inside the picture, and what ``Skipped`` counts of it."""
    try:
        x, y, width, height = (float(value) for value in box)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: bbox must be four numbers, got {box!r}") from error
    if not all(np.isfinite((x, y, width, height))):
        raise ValueError(f"{where}: bbox must be finite, got {box!r}")
    if width < MIN_SIDE_PX or height < MIN_SIDE_PX:
        return None, "empty_boxes"
    inside = (max(x, 0.0), max(y, 0.0), min(x + width, size[0]), min(y + height, size[1]))
    if inside[2] - inside[0] < MIN_SIDE_PX or inside[3] - inside[1] < MIN_SIDE_PX:
        return None, "outside_boxes"
    # COCO rounds to hundredths, so boxes that end at the border exceed it by less than a pixel.
    beyond = max(-x, -y, x + width - size[0], y + height - size[1])
    return inside, "clipped_boxes" if beyond >= MIN_SIDE_PX else None


def _assemble(
    name: str,
    entries: list[dict[str, Any]],
    paths: list[Path],
    by_image: dict[int, list[_Box]],
    categories: tuple[Category, ...],
    skipped: Skipped,
) -> DetectionSet:
    per_image = [by_image.get(entry["id"], []) for entry in entries]
    flat = [box for boxes in per_image for box in boxes]
    corners: NDArray[np.float32] = np.array([b.corners for b in flat], np.float32).reshape(-1, 4)
    return DetectionSet(
        name=name,
        images=ImageFiles(tuple(str(path) for path in paths)),
        image_ids=np.array([entry["id"] for entry in entries], np.int64),
        sizes=np.array([(entry["height"], entry["width"]) for entry in entries], np.int32),
        boxes=corners,
        labels=np.array([b.label for b in flat], np.int64),
        areas=np.array([b.area for b in flat], np.float32),
        crowd=np.array([b.crowd for b in flat], bool),
        offsets=np.concatenate(([0], np.cumsum([len(b) for b in per_image]))).astype(np.int64),
        categories=categories,
        skipped=skipped,
    )
