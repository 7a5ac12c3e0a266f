"""Texts with a label each, from tables with a header and from folders by class."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainables.data.reading.listing import is_hidden, list_files, list_folders
from trainables.data.reading.omissions import Omission, omission
from trainables.data.reading.spelling import one_spelling
from trainables.data.reading.text_files import read_rows, read_text
from tune_select.wording import did_you_mean

SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("dev", "valid", "validation"),
    "test": ("test",),
}
_SUFFIXES = {".tsv": "\t", ".csv": None}
_MISSING = frozenset({"nan", "NaN", "NAN", "<NA>", "#N/A"})
"""What programs write for a missing label; ``None`` and ``NA`` may be classes."""


@dataclass(frozen=True)
class RawTexts:
    """The texts of a split as they stand in files.

    Attributes:
        texts: One for each example.
        labels: The same.
        left_out: What of the files is no example.
    """

    texts: list[str]
    labels: list[str]
    left_out: tuple[Omission, ...] = ()

    def take(self, positions: Sequence[int]) -> RawTexts:
        """The examples at ``positions``."""
        return RawTexts([self.texts[i] for i in positions], [self.labels[i] for i in positions])


def read_files(
    root: Path, columns: tuple[str, str], encoding: str | None = None
) -> dict[str, RawTexts]:
    """Read a table of labelled texts, or a folder with one for each split.

    Args:
        root: A TSV or CSV file with a header, or a folder with files train, dev and test.
        columns: Names of the columns of texts and of labels.
        encoding: The encoding of a file without a byte-order mark; UTF-8 where it is ``None``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A file is no table, lacks a column, or a row lacks its label.
    """
    if not root.is_dir():
        return {"train": _read_table(root, columns, encoding)}
    files = {split: _split_file(root, split) for split in SPLIT_NAMES}
    if files["train"] is None:
        raise FileNotFoundError(f"data.root {root} holds no train.tsv or train.csv")
    return {
        split: _read_table(path, columns, encoding)
        for split, path in files.items()
        if path is not None
    }


def read_folders(root: Path, encoding: str | None = None) -> dict[str, RawTexts]:
    """Read ``root/{train,test}/<class>/*.txt``, IMDB's layout, without its unlabelled ``unsup``.

    Args:
        root: The folder, or the one that holds it as ``aclImdb``.
        encoding: The encoding of files without a byte-order mark; UTF-8 where it is ``None``.

    Raises:
        FileNotFoundError: A split has no text.
        ValueError: A file is not text.
    """
    if (root / "aclImdb").is_dir():
        root = root / "aclImdb"
    splits = {split: _read_classes(root, split, encoding) for split in ("train", "test")}
    others = [folder.name for folder in list_folders(root)[0] if folder.name not in splits]
    left_out = (*splits["train"].left_out, *omission("folders beside train and test", others))
    return {**splits, "train": replace(splits["train"], left_out=left_out)}


def one_label_each(splits: Mapping[str, RawTexts]) -> dict[str, RawTexts]:
    """One spelling for labels that are equal: as whole numbers, or in Unicode's form C.

    Where no two labels would become one, all stay as they are written.
    """
    written = {label for raw in splits.values() for label in raw.labels}
    composed = one_spelling(written)
    spelled = {label: _as_number(composed[label]) for label in written}
    if len(set(spelled.values())) == len(written):
        return dict(splits)
    return {
        split: RawTexts(raw.texts, [spelled[label] for label in raw.labels], raw.left_out)
        for split, raw in splits.items()
    }


def _split_file(folder: Path, split: str) -> Path | None:
    names = [f"{stem}{suffix}" for stem in SPLIT_NAMES[split] for suffix in _SUFFIXES]
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        raise ValueError(f"data.root {folder} holds several {split} files: {found}; keep one")
    return found[0] if found else None


def _read_table(path: Path, columns: tuple[str, str], encoding: str | None) -> RawTexts:
    if not path.exists():
        raise FileNotFoundError(f"no file {path}; check data.root")
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"data.root {path} must end in .tsv or .csv, got {path.suffix!r}")
    header, rows, left_out = read_rows(path, _SUFFIXES[path.suffix.lower()], encoding)
    absent = [column for column in columns if column not in header]
    if absent:
        near = did_you_mean(absent[0], header)
        raise ValueError(
            f"{path} has no column {absent}; its columns are {header}: set data.text_column and "
            f"data.label_column{f' ({near})' if near.startswith('did') else ''}"
        )
    if not rows:
        raise ValueError(f"{path} has a header and no rows")
    places = [header.index(column) for column in columns]
    found = [[row.fields[place].strip() for place in places] for row in rows]
    for row, (_, label) in zip(rows, found, strict=True):
        if not label:
            raise ValueError(f"{path}, line {row.line}: a text or label is missing")
        if label in _MISSING:
            raise ValueError(
                f"{path}, line {row.line}: the label is {label!r}, which programs write for a "
                "missing one: remove the row, or give the class another name"
            )
    return RawTexts([text for text, _ in found], [label for _, label in found], left_out)


def _read_classes(root: Path, split: str, encoding: str | None) -> RawTexts:
    place = root / split
    folders, hidden = list_folders(place) if place.is_dir() else ([], [])
    listed = {folder.name: list_files(root, folder, {".txt"}) for folder in folders}
    files: list[tuple[str, str]] = []
    nested: list[str] = []
    others: list[str] = []
    for name, listing in listed.items():
        direct = [file for file in listing.files if (root / file).parent.name == name]
        files += [(file, name) for file in direct if name != "unsup"]
        nested += [file for file in listing.files if file not in set(direct)]
        others += listing.others
        hidden += listing.hidden
    if not files:
        raise FileNotFoundError(f"no texts {place}/<class>/*.txt (IMDB's layout); check data.root")
    loose = sorted(path.name for path in place.iterdir() if not path.is_dir())
    unlabelled = listed["unsup"].files if "unsup" in listed else ()
    left_out = (
        *omission(f"hidden files or folders in {split}", hidden),
        *omission(f"texts in {split}/unsup, which has no labels", unlabelled),
        *omission(f"files with other endings in {split}", others),
        *omission(f"texts in folders below a class of {split}", nested),
        *omission(f"files beside the classes of {split}", [n for n in loose if not is_hidden(n)]),
    )
    texts = [read_text(root / file, encoding) for file, _ in files]
    return RawTexts(texts, [label for _, label in files], left_out)


def _as_number(label: str) -> str:
    """A whole number without its fraction: ``1`` for ``1.0``."""
    with contextlib.suppress(ValueError, OverflowError):
        number = float(label)
        if number.is_integer() and abs(number) < 2**53:
            return str(int(number))
    return label
