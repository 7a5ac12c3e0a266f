"""The picture files of an annotation file: which are whole, and how boxes lie on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainables.data.reading.listing import list_files
from trainables.data.reading.pictures import (
    ENDINGS,
    Broken,
    Decoding,
    PictureFacts,
    UnreadablePictureError,
    Verify,
    common_range,
    examine_all,
    refuse_broken,
)
from trainables.data.reading.spelling import composed
from trainables.detection.coco_json import ImageEntry

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Placement:
    """How an entry's boxes lie on its picture as shown.

    Attributes:
        orientation: EXIF's, by which boxes are turned (5 to 8), or 1 where they lie as they are.
        width: The width of the frame that boxes refer to once turned, in pixels.
        height: The same.
        resized: Whether the file has another size than the entry says, at the same proportions.
        turned: Whether EXIF turns or mirrors the picture.
    """

    orientation: int
    width: int
    height: int
    resized: bool
    turned: bool


@dataclass(frozen=True)
class Pictures:
    """The usable pictures of a split.

    Attributes:
        entries: The entries of the usable ones, in order.
        placements: One for each.
        decoding: How the files become pixels.
        broken: What is wrong with the others; empty unless they may be skipped.
    """

    entries: tuple[ImageEntry, ...]
    placements: tuple[Placement, ...]
    decoding: Decoding
    broken: tuple[str, ...]


def open_pictures(
    folder: Path,
    entries: Sequence[ImageEntry],
    file: Path,
    *,
    decoding: Decoding,
    broken: Broken,
    verify: Verify,
) -> Pictures:
    """Open every picture once, and compare its size with the entry's.

    The entry's size says which picture its boxes were drawn on. Where that is the picture as shown,
    they lie as they are; where it is the picture as stored, before EXIF turned it by a quarter,
    they are turned with it; another size of the same proportions scales them. Anything else is an
    error, since boxes would land elsewhere.

    Args:
        folder: The folder of the pictures.
        entries: Those to open.
        file: The annotation file, for errors.
        decoding: How pictures become pixels; its range for 32 bits is measured where it is open.
        broken: ``error``, or ``skip`` to leave out files that are missing, cannot be read or do not
            fit their entry.
        verify: How far to read each, see ``examine_all``.

    Raises:
        ValueError: Pictures cannot be used, and ``broken`` is ``error``.
    """
    found = examine_all([folder / entry.file_name for entry in entries], verify)
    kept: list[tuple[ImageEntry, Placement]] = []
    errors: list[str] = []
    for entry, fact in zip(entries, found, strict=True):
        if isinstance(fact, UnreadablePictureError):
            errors.append(str(fact))
            continue
        placement = place(entry, fact)
        if placement is None:
            errors.append(
                f"{folder / entry.file_name} is {fact.width} x {fact.height} pixels, but {file} "
                f"says {entry.width} x {entry.height} of image {entry.id}: correct its width and "
                "height (and boxes), or restore the picture"
            )
        else:
            kept.append((entry, placement))
    refuse_broken(errors, len(entries), broken)
    if decoding.value_range is None and decoding.deep_range is None:
        measured = common_range([fact for fact in found if isinstance(fact, PictureFacts)])
        decoding = Decoding(decoding.background, None, measured)
    return Pictures(
        tuple(entry for entry, _ in kept), tuple(p for _, p in kept), decoding, tuple(errors)
    )


def place(entry: ImageEntry, fact: PictureFacts) -> Placement | None:
    """How an entry's boxes lie on its picture; ``None`` where no rule says so."""
    said, turned = (entry.width, entry.height), fact.orientation != 1
    if said == (fact.width, fact.height):
        return Placement(1, *said, resized=False, turned=turned)
    if fact.orientation >= 5 and said == fact.stored_size:
        return Placement(fact.orientation, *said[::-1], resized=False, turned=True)
    if _proportional(said, (fact.width, fact.height)):
        return Placement(1, *said, resized=True, turned=turned)
    if fact.orientation >= 5 and _proportional(said, fact.stored_size):
        return Placement(fact.orientation, *said[::-1], resized=True, turned=True)
    return None


def turn(corners: Corners, orientation: int, size: tuple[float, float]) -> Corners:
    """Corners on the stored picture as corners on the one that EXIF turns by a quarter.

    Args:
        corners: x1, y1, x2, y2 in pixels.
        orientation: 5 to 8; any other leaves them alone.
        size: Width and height of the stored picture.
    """
    x1, y1, x2, y2 = corners
    width, height = size
    return {
        5: (y1, x1, y2, x2),
        6: (height - y2, x1, height - y1, x2),
        7: (height - y2, width - x2, height - y1, width - x1),
        8: (y1, width - x2, y2, width - x1),
    }.get(orientation, corners)


def as_on_disk(folder: Path, entries: Sequence[ImageEntry]) -> list[ImageEntry]:
    """The entries by the names that their files have on this disk.

    Another system may have written a name with backslashes, in another form of Unicode, or from the
    folder above: where such a file is the only one that is meant, the entry is its.

    Args:
        folder: The folder of the pictures.
        entries: The entries as the annotation file names them.
    """
    listed = list_files(folder, folder, ENDINGS).files
    known = set(listed)
    names = {entry.file_name for entry in entries}
    absent = [name for name in names - known if not (folder / name).is_file()]
    if not absent:
        return list(entries)
    forms: defaultdict[str, list[str]] = defaultdict(list)
    for name in listed:
        forms[composed(name)].append(name)
    found = {name: name for name in names}
    for name in absent:
        written = composed(name.replace("\\", "/"))
        for form in (written, written.removeprefix(f"{composed(folder.name)}/")):
            if len(forms.get(form, ())) == 1:
                found[name] = forms[form][0]
    return [replace(entry, file_name=found[entry.file_name]) for entry in entries]


def near_file(folder: Path, name: str) -> str:
    """The file that a missing name means but for capitals and ending; empty where none is."""
    stem = Path(name).stem.strip().casefold()
    files = list_files(folder, folder, ENDINGS).files
    return next((file for file in files if Path(file).stem.casefold() == stem), "")


def files_without_entry(folder: Path, entries: Sequence[ImageEntry]) -> list[str]:
    """The picture files of the folder that no entry names."""
    named = {str(Path(entry.file_name)) for entry in entries}
    return sorted(set(list_files(folder, folder, ENDINGS).files) - named)


def _proportional(said: tuple[int, int], found: tuple[int, int]) -> bool:
    """Whether one size is the other scaled, each side rounded to whole pixels."""
    scale = max(found) / max(said)
    return all(
        abs(side * scale - other) <= max(1.0, scale)
        for side, other in zip(said, found, strict=True)
    )
