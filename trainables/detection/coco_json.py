"""``instances_<split>.json``: what is in it, checked entry by entry.

Identifiers are whole numbers. Digits in quotes and floats without a fraction are read as the
numbers they show, alike for pictures, annotations and categories; anything else is refused, and so
is an identifier given twice. ``area`` and ``iscrowd`` may be missing or null (the box's own area,
no crowd).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.data.reading.text_files import read_text
from trainables.detection.dataset import Category
from tune_select.wording import did_you_mean

_LARGEST_ID = 2**63 - 1
_LARGEST_SIDE = 1_000_000  # pixels
_MOST_DIGITS = 400  # more than any float has
_DIGITS = re.compile(r"-?[0-9]{1,19}")
_FIELDS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


@dataclass(frozen=True)
class ImageEntry:
    """A picture: its id, its file's name and its size in pixels, which boxes refer to."""

    id: int
    file_name: str
    width: int
    height: int


@dataclass(frozen=True)
class BoxEntry:
    """An annotation; ``bbox`` is x, y, width, height in pixels, and ``area`` may be unknown."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float | None
    crowd: bool


@dataclass(frozen=True)
class Instances:
    """A whole file; categories ascend by id, which is the order of the labels."""

    file: Path
    images: tuple[ImageEntry, ...]
    boxes: tuple[BoxEntry, ...]
    categories: tuple[Category, ...]

    def chosen_categories(self, wanted: Sequence[str | int] | None) -> dict[int, Category]:
        """The categories to keep, by id.

        Raises:
            ValueError: A name or id that is not there, or a name that several have.
        """
        known = {category.id: category for category in self.categories}
        if wanted is None:
            return known
        ids = {self._category_id(name) for name in wanted}
        return {i: category for i, category in known.items() if i in ids}

    def _category_id(self, wanted: str | int) -> int:
        found = [c.id for c in self.categories if wanted in (c.name, c.id)]
        if not found:
            names = sorted(category.name for category in self.categories)
            near = did_you_mean(wanted, names)
            raise ValueError(
                f"data.categories: {self.file} has no category {wanted!r}; it has {names}"
                + (f"; {near}" if near.startswith("did") else "")
            )
        if len(found) > 1:
            raise ValueError(
                f"data.categories: {self.file} has {len(found)} categories {wanted!r}: choose by "
                f"their ids {found}"
            )
        return found[0]

    def chosen_images(self, wanted: Sequence[int] | None) -> list[ImageEntry]:
        """The pictures to keep, in the order asked for.

        Raises:
            ValueError: An id that is not there.
        """
        if wanted is None:
            return list(self.images)
        known = {entry.id: entry for entry in self.images}
        for image_id in wanted:
            if image_id not in known:
                raise ValueError(f"data.images: {self.file} has no image {image_id}")
        return [known[image_id] for image_id in dict.fromkeys(wanted)]


def read_instances(file: Path) -> Instances:
    """Read and check one file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: Not JSON, not COCO, or an entry that cannot be right; names the file, the entry
            and the remedy.
    """
    content = _load(file)
    categories = [
        Category(
            _whole(file, "categories", i, entry, "id"), _text(file, "categories", i, entry, "name")
        )
        for i, entry in enumerate(content["categories"])
    ]
    images = [
        ImageEntry(
            _whole(file, "images", i, entry, "id"),
            _text(file, "images", i, entry, "file_name"),
            _whole(file, "images", i, entry, "width", least=1),
            _whole(file, "images", i, entry, "height", least=1),
        )
        for i, entry in enumerate(content["images"])
    ]
    boxes = [_box(file, i, entry) for i, entry in enumerate(content["annotations"])]
    for kind, entries in (("categories", categories), ("images", images), ("annotations", boxes)):
        _refuse_repeated(file, kind, [entry.id for entry in entries])
    _refuse_unknown(file, boxes, images, categories)
    if not categories:
        raise ValueError(f"{file} has no categories; a detector needs at least one")
    return Instances(
        file, tuple(images), tuple(boxes), tuple(sorted(categories, key=lambda c: c.id))
    )


def _load(file: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        text = read_text(file, selectable=False)
        content = json.loads(text, object_pairs_hook=_without_repeats, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{file} is not JSON: {error}; was it cut off? Restore it, or export it again"
        ) from error
    except _UnusableError as error:
        raise ValueError(f"{file} is not a COCO instances file: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{file} is not a COCO instances file: it is nested too deeply") from error
    for key in _FIELDS:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{file} is not a COCO instances file: it has no list {key!r}")
    for key, fields in _FIELDS.items():
        for position, entry in enumerate(content[key]):
            lacking = [name for name in fields if not isinstance(entry, dict) or name not in entry]
            if lacking:
                where = entry.get("id", "without id") if isinstance(entry, dict) else entry
                raise ValueError(
                    f"{file} is not a COCO instances file: {key}[{position}] ({where}) has no "
                    f"{', '.join(lacking)}"
                )
    return dict(content)


class _UnusableError(ValueError):
    """JSON whose meaning is not clear; the message says why."""


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise _UnusableError(f"the number {digits[:20]}... has {len(digits)} digits: correct it")
    return int(digits)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the JSON, of whose repeated keys others would keep the last alone."""
    entry = dict(pairs)
    if len(entry) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise _UnusableError(f"the key {twice[0]!r} stands twice in one entry: remove one of them")
    return entry


def _box(file: Path, position: int, entry: dict[str, Any]) -> BoxEntry:
    where = f"{file}: annotation {entry['id']}"
    return BoxEntry(
        id=_whole(file, "annotations", position, entry, "id"),
        image_id=_whole(file, "annotations", position, entry, "image_id"),
        category_id=_whole(file, "annotations", position, entry, "category_id"),
        bbox=_four_numbers(entry["bbox"], where),
        area=_area(entry.get("area"), where),
        crowd=_crowd(entry.get("iscrowd"), where),
    )


def _whole(
    file: Path,
    kind: str,
    position: int,
    entry: dict[str, Any],
    field: str,
    least: int | None = None,
) -> int:
    """A whole number, also as digits in quotes or as a float without a fraction."""
    value, number = entry[field], None
    if isinstance(value, float):
        number = int(value) if value.is_integer() else None
    elif isinstance(value, str):
        number = int(value) if _DIGITS.fullmatch(value.strip()) else None
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    lowest, highest = (-_LARGEST_ID, _LARGEST_ID) if least is None else (least, _LARGEST_SIDE)
    if number is None or not lowest <= number <= highest:
        bound = "of at most 64 bits" if least is None else f"from {least} to {_LARGEST_SIDE}"
        remedy = f"renumber the {kind} (and what refers to them)" if least is None else "correct it"
        shown = repr(value) if len(repr(value)) < 60 else f"{repr(value)[:60]}..."
        raise ValueError(
            f"{file}: {kind}[{position}].{field} must be a whole number {bound}, got {shown}: "
            f"{remedy}"
        )
    return number


def _text(file: Path, kind: str, position: int, entry: dict[str, Any], field: str) -> str:
    value = entry[field]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"{file}: {kind}[{position}].{field} must be a name, got {value!r}")
    return value


def _four_numbers(box: Any, where: str) -> tuple[float, float, float, float]:
    try:
        if isinstance(box, str) or any(isinstance(value, bool) for value in box):
            raise TypeError
        x, y, width, height = (float(value) for value in box)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{where}: bbox must be four numbers, got {box!r}") from error
    if not all(math.isfinite(value) for value in (x, y, width, height)):
        raise ValueError(f"{where}: bbox must be finite, got {box!r}")
    return x, y, width, height


def _area(value: Any, where: str) -> float | None:
    if value is None:
        return None
    try:
        area = float(value)
    except (TypeError, ValueError, OverflowError):
        area = math.nan
    if not 0 <= area < math.inf or isinstance(value, bool):
        raise ValueError(
            f"{where}: area must be a number of at least 0 (null: the box's own), got {value!r}"
        )
    return area


def _crowd(value: Any, where: str) -> bool:
    if value in (None, 0, "0"):
        return False
    if value in (1, "1"):
        return True
    raise ValueError(f"{where}: iscrowd must be 0 or 1, got {value!r}")


def _refuse_repeated(file: Path, kind: str, ids: list[int]) -> None:
    seen: dict[int, int] = {}
    for position, number in enumerate(ids):
        first = seen.setdefault(number, position)
        if first != position:
            raise ValueError(
                f"{file}: {kind}[{first}] and {kind}[{position}] have the same id {number}: "
                "renumber one of them, or remove it if it is a copy"
            )


def _refuse_unknown(
    file: Path,
    boxes: Sequence[BoxEntry],
    images: Sequence[ImageEntry],
    categories: Sequence[Category],
) -> None:
    image_ids = {entry.id for entry in images}
    category_ids = {entry.id for entry in categories}
    for box in boxes:
        where = f"{file}: annotation {box.id}"
        if box.image_id not in image_ids:
            raise ValueError(
                f"{where} names the unknown image {box.image_id}: add it to images, or remove the "
                "annotation"
            )
        if box.category_id not in category_ids:
            raise ValueError(
                f"{where} names the unknown category {box.category_id}: add it to categories, or "
                "remove the annotation"
            )
