"""Which pictures of a tree are of which class: ``root/<split>/<class>/**``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.data.reading.listing import Listing, is_hidden, list_files, list_folders
from trainables.data.reading.omissions import Omission, omission
from trainables.data.reading.pictures import ENDINGS, Decoding
from trainables.data.reading.spelling import composed
from tune_select.wording import did_you_mean


@dataclass(frozen=True)
class FolderPart:
    """One split: files and classes.

    Attributes:
        root: Folder that the files are relative to.
        files: (n,) relative paths, as a NumPy array of strings that trials share.
        labels: int64 (n,).
        decoding: How the files become pixels.
    """

    root: str
    files: NDArray[np.str_]
    labels: NDArray[np.int64]
    decoding: Decoding = field(default_factory=Decoding)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: NDArray[np.int64]) -> FolderPart:
        """The examples at ``positions``."""
        return replace(self, files=self.files[positions], labels=self.labels[positions])


@dataclass(frozen=True)
class Tree:
    """What a scan found.

    Attributes:
        classes: Names of the classes, by number.
        parts: ``train`` and those of ``val`` and ``test`` that are there.
        left_out: What is neither a class nor a picture.
    """

    classes: tuple[str, ...]
    parts: dict[str, FolderPart]
    left_out: tuple[Omission, ...]


def scan_tree(root: Path) -> Tree:
    """List the pictures of ``root/train``, ``root/val`` and ``root/test`` by class.

    Where there is none of these, the folders of ``root`` are the classes, and all is ``train``.

    A class is a visible folder in ``train`` with a picture somewhere below it.

    Raises:
        FileNotFoundError: There is no ``train`` beside the others, or one without pictures.
        ValueError: Fewer than two classes, or pictures held out for a class that has none in
            ``train``.
    """
    given = [name for name in ("train", "val", "test") if (root / name).is_dir()]
    whole = not given and root.is_dir() and bool(list_folders(root)[0])
    if not whole and "train" not in given:
        raise FileNotFoundError(
            f"{root / 'train'} does not exist: data.name image_folder needs "
            "<data.root>/train/<class>/*, or <data.root>/<class>/* without any split"
        )
    places = {"train": root} if whole else {name: root / name for name in given}
    listed = {split: _by_folder(root, place) for split, place in places.items()}
    listed = _named_as_in_training(root, listed)
    classes = tuple(name for name, listing in listed["train"].items() if name and listing.files)
    if len(classes) < 2:
        raise ValueError(
            f"{places['train']} has {len(classes)} class folders with pictures (their names end in "
            f"{', '.join(sorted(ENDINGS))}); a classifier needs at least 2"
        )
    parts = {split: _part(root, split, classes, listed[split]) for split in places}
    everything = [listing for by_folder in listed.values() for listing in by_folder.values()]
    return Tree(classes, parts, _left_out(listed, everything))


def _by_folder(root: Path, split: Path) -> dict[str, Listing]:
    """What lies in each folder of a split; the empty name stands for beside the folders."""
    folders, not_classes = list_folders(split)
    real: dict[str, Path] = {}
    for path in folders:
        first = real.setdefault(os.path.realpath(path), path)
        if first is not path:
            raise ValueError(
                f"{path} and {first} are one folder by a link, so that its pictures would have two "
                "classes: remove one of them"
            )
    loose = sorted(path.name for path in split.iterdir() if not path.is_dir())
    before = "" if split == root else f"{split.name}/"
    beside = Listing(
        files=tuple(f"{before}{n}" for n in loose if Path(n).suffix.lower() in ENDINGS),
        hidden=tuple(f"{before}{n}" for n in [*not_classes, *filter(is_hidden, loose)]),
    )
    return {"": beside, **{path.name: list_files(root, path, ENDINGS) for path in folders}}


def _named_as_in_training(
    root: Path, listed: dict[str, dict[str, Listing]]
) -> dict[str, dict[str, Listing]]:
    """The folders of all splits by the names of training's, whichever Unicode form theirs have.

    Raises:
        ValueError: Two folders of a split differ in nothing but that form.
    """
    for split, by_folder in listed.items():
        forms: dict[str, str] = {}
        for name in by_folder:
            other = forms.setdefault(composed(name), name)
            if other != name:
                raise ValueError(
                    f"{root / split} holds {other!a} and {name!a}, one name in two forms "
                    "of Unicode: put their pictures into one folder"
                )
    names = {composed(name): name for name in listed["train"]}
    return {
        split: {names.get(composed(name), name): listing for name, listing in by_folder.items()}
        for split, by_folder in listed.items()
    }


def _part(root: Path, split: str, classes: Sequence[str], listed: dict[str, Listing]) -> FolderPart:
    unknown = [n for n, listing in listed.items() if n and n not in classes and listing.files]
    if unknown:
        raise ValueError(
            f"{root / split} holds pictures of {len(unknown)} class(es) that {root / 'train'} has "
            f"none of: {', '.join(unknown[:5])}{_meant(unknown[0], classes)}; a classifier cannot "
            "learn them: move or remove these folders"
        )
    found = [listed[name].files if name in listed else () for name in classes]
    files = [file for names in found for file in names]
    if not files:
        raise FileNotFoundError(
            f"{root / split} holds no images of the classes of {root / 'train'}"
        )
    labels = np.repeat(np.arange(len(classes)), [len(names) for names in found])
    return FolderPart(str(root), np.array(files), labels.astype(np.int64))


def _meant(name: str, classes: Sequence[str]) -> str:
    near = did_you_mean(name, classes)
    return f" ({near})" if near.startswith("did") else ""


def _left_out(
    listed: dict[str, dict[str, Listing]], everything: Sequence[Listing]
) -> tuple[Omission, ...]:
    empty = [
        f"{split}/{name}"
        for split, by_folder in listed.items()
        for name, listing in by_folder.items()
        if name and not listing.files
    ]
    loose = [name for by_folder in listed.values() for name in by_folder[""].files]
    return (
        *omission("hidden files or folders", [n for item in everything for n in item.hidden]),
        *omission("files with other endings", [n for item in everything for n in item.others]),
        *omission("links back to a folder", [n for item in everything for n in item.loops]),
        *omission("class folders without a picture", empty),
        *omission("pictures beside the class folders", loose),
    )
