"""Texts with a class each: generated opinions, SST-2, IMDB's folders, and tables of text."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.data.corruption import corrupt
from trainables.data.grammar import opinions
from trainables.data.identity import DatasetIdentity, fingerprint
from trainables.data.reading.listing import is_hidden
from trainables.data.reading.text_files import read_rows, read_text
from trainables.data.settings.sentences import SentenceSettings
from trainables.data.splits import stratified_split
from trainables.data.vocabulary import PADDING, UNKNOWN, Vocabulary

_SUFFIXES = {".tsv": "\t", ".csv": None}
_SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("dev", "valid", "validation"),
    "test": ("test",),
}


@dataclass(frozen=True)
class TextRows:
    """n texts of one split, in flat arrays that processes share without a copy.

    Attributes:
        labels: int64 (n,) classes.
        characters: uint8, the UTF-8 bytes of all texts.
        ends: int64 (n,), where each text ends in ``characters``.
        words: int32, the word numbers of all texts, each cut at the maximal length.
        word_ends: int64 (n,), where each text ends in ``words``.
    """

    labels: NDArray[np.int64]
    characters: NDArray[np.uint8]
    ends: NDArray[np.int64]
    words: NDArray[np.int32]
    word_ends: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def texts(self) -> list[str]:
        """The texts themselves, for a tokenizer of a model's own."""
        starts = np.concatenate(([0], self.ends[:-1]))
        return [
            self.characters[start:end].tobytes().decode()
            for start, end in zip(starts.tolist(), self.ends.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class LabelledTexts:
    """A text classification data set.

    Attributes:
        identity: Of the training split, after corruption.
        settings: What stood under ``data``.
        classes: Names of the classes, by number.
        vocabulary: Words of the training texts, after padding (0) and ``<unk>`` (1).
        max_length: Words kept of each text.
        train: The training split.
        validation: What searches optimise, possibly empty.
        test: For reports alone.
    """

    identity: DatasetIdentity
    settings: SentenceSettings
    classes: tuple[str, ...]
    vocabulary: Vocabulary
    max_length: int
    train: TextRows
    validation: TextRows
    test: TextRows


class _Raw(NamedTuple):
    texts: list[str]
    labels: list[str]

    def take(self, positions: Sequence[int]) -> _Raw:
        return _Raw([self.texts[i] for i in positions], [self.labels[i] for i in positions])


def load_sentences(data: Mapping[str, Any] | SentenceSettings) -> LabelledTexts:
    """Read the labelled texts that a trial's ``data`` names.

    ``name: opinions`` generates ``train_size`` and ``test_size`` sentences with ``data_seed``.
    ``name: sst2`` reads ``<root>/sst2/{train,dev,test}.tsv`` or the same files in ``root``.
    ``name: sentences`` reads ``root``, a TSV or CSV file with a header or a folder with files
    train, dev and test; the columns are ``text_column`` and ``label_column``. ``name: imdb`` reads
    folders: ``<root>/{train,test}/<class>/*.txt``, with or without ``aclImdb`` before them,
    unsupervised texts left out. A byte-order mark says in which Unicode encoding a file is; without
    one it is in ``encoding`` (UTF-8 by default).

    Labels that are equal as numbers (``1`` and ``1.0``) are one label.

    Where there is no validation file, a stratified ``validation_fraction`` of the training texts is
    drawn with ``split_seed``; without a test file ``test_fraction`` as well. ``train_limit`` keeps
    a stratified draw of so many training texts. ``max_length`` words are kept of each; words rarer
    than ``min_count`` in the training texts become ``<unk>``. ``label_noise`` and ``imbalance``
    corrupt the training split.

    Raises:
        ValueError: A key, name, column or value does not fit, or a label occurs in no training
            text.
        FileNotFoundError: There is no such file; the message says where it was looked for.
    """
    settings = SentenceSettings.of(data)
    splits = _split(_one_spelling(_read_splits(settings)), settings)
    classes = tuple(sorted(set(splits["train"].labels), key=_label_order))
    if len(classes) < 2:
        raise ValueError(
            f"the training texts of {settings.name!r} carry the one label {classes}; "
            "classification needs at least 2: check data.label_column"
        )
    numbers = {split: _labels(raw, classes, split) for split, raw in splits.items()}
    corruption, length = settings.corruption, settings.max_length
    # The vocabulary comes from the clean texts: corruption must not change what a model can read.
    vocabulary = Vocabulary.build(
        (word for text in splits["train"].texts for word in text.split()),
        min_count=settings.min_count,
        special=(PADDING, UNKNOWN),
    )
    clean = _rows(splits["train"].texts, numbers["train"], vocabulary, length)
    kept, labels = corrupt(torch.from_numpy(numbers["train"]), corruption, len(classes))
    train = clean
    if corruption.changes_anything:
        texts = splits["train"].take(kept.tolist()).texts
        train = _rows(texts, labels.numpy(), vocabulary, length)
    base = fingerprint([clean.characters, clean.ends, clean.labels], {"classes": classes})
    return LabelledTexts(
        identity=DatasetIdentity(settings.name, len(train), corruption.fingerprint(base)),
        settings=settings,
        classes=classes,
        vocabulary=vocabulary,
        max_length=length,
        train=train,
        validation=_rows(
            splits["validation"].texts, numbers["validation"], vocabulary, settings.max_length
        ),
        test=_rows(splits["test"].texts, numbers["test"], vocabulary, length),
    )


def _read_splits(data: SentenceSettings) -> dict[str, _Raw]:
    if data.name == "opinions":
        generator = np.random.default_rng(data.data_seed)
        sizes = {"train": data.train_size, "test": data.test_size}
        made = {split: opinions(size, generator) for split, size in sizes.items()}
        return {split: _Raw(texts, [str(i) for i in ids]) for split, (texts, ids) in made.items()}
    root, encoding = data.place(), data.encoding
    if data.name == "imdb":
        return _read_folders(root, encoding)
    if data.name == "sst2" and (root / "sst2").is_dir():
        root = root / "sst2"
    columns = (data.text_column, data.label_column)
    if not root.is_dir():
        return {"train": _read_table(root, columns, encoding)}
    files = {split: _split_file(root, split) for split in _SPLIT_NAMES}
    if files["train"] is None:
        raise FileNotFoundError(f"data.root {root} holds no train.tsv or train.csv")
    return {
        split: _read_table(path, columns, encoding)
        for split, path in files.items()
        if path is not None
    }


def _split_file(folder: Path, split: str) -> Path | None:
    names = [f"{stem}{suffix}" for stem in _SPLIT_NAMES[split] for suffix in _SUFFIXES]
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        raise ValueError(f"data.root {folder} holds several {split} files: {found}; keep one")
    return found[0] if found else None


def _read_table(path: Path, columns: tuple[str, str], encoding: str | None) -> _Raw:
    if not path.exists():
        raise FileNotFoundError(f"no file {path}; check data.root")
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"data.root {path} must end in .tsv or .csv, got {path.suffix!r}")
    header, rows = read_rows(path, _SUFFIXES[path.suffix.lower()], encoding)
    absent = [column for column in columns if column not in header]
    if absent:
        raise ValueError(
            f"{path} has no column {absent}; its columns are {header}: set "
            "data.text_column and data.label_column"
        )
    if not rows:
        raise ValueError(f"{path} has a header and no rows")
    places = [header.index(column) for column in columns]
    found = [[row.fields[place].strip() for place in places] for row in rows]
    for row, (_, label) in zip(rows, found, strict=True):
        if not label:
            raise ValueError(f"{path}, line {row.line}: a text or label is missing")
    return _Raw([text for text, _ in found], [label for _, label in found])


def _read_folders(root: Path, encoding: str | None) -> dict[str, _Raw]:
    if (root / "aclImdb").is_dir():
        root = root / "aclImdb"
    splits: dict[str, _Raw] = {}
    for split in ("train", "test"):
        files = [
            path
            for path in sorted((root / split).glob("*/*.txt"))
            if path.parent.name != "unsup"
            and not is_hidden(path.name)
            and not is_hidden(path.parent.name)
        ]
        if not files:
            raise FileNotFoundError(
                f"no texts {root}/{split}/<class>/*.txt (IMDB's layout); check data.root"
            )
        splits[split] = _Raw(
            [read_text(path, encoding) for path in files], [p.parent.name for p in files]
        )
    return splits


def _one_spelling(splits: dict[str, _Raw]) -> dict[str, _Raw]:
    """Whole numbers without their fraction, where labels would differ in nothing but that."""
    spelled = {label: _as_number(label) for raw in splits.values() for label in raw.labels}
    if len(set(spelled.values())) == len(spelled):
        return splits
    return {
        split: _Raw(raw.texts, [spelled[label] for label in raw.labels])
        for split, raw in splits.items()
    }


def _as_number(label: str) -> str:
    with contextlib.suppress(ValueError, OverflowError):
        number = float(label)
        if number.is_integer() and abs(number) < 2**53:
            return str(int(number))
    return label


def _split(splits: dict[str, _Raw], data: SentenceSettings) -> dict[str, _Raw]:
    """All three splits, drawing from the training texts those that have no file of their own."""
    seed = data.split_seed
    complete = dict(splits)
    shares = {"test": data.test_fraction, "validation": data.validation_fraction}
    for split, share in shares.items():
        if split not in complete:
            kept, held = _drawn(complete["train"], share, seed)
            complete |= {"train": kept, split: held}
    wanted, available = data.train_limit, len(complete["train"].texts)
    if wanted is not None and wanted < available:
        complete["train"] = _drawn(complete["train"], wanted / available, seed)[1]
    return complete


def _drawn(raw: _Raw, part: float, seed: int) -> tuple[_Raw, _Raw]:
    """(the rest, a stratified ``part``) of some texts."""
    numbers = np.unique(np.array(raw.labels), return_inverse=True)[1].astype(np.int64)
    kept, held = stratified_split(numbers, part, seed)
    return raw.take(kept.tolist()), raw.take(held.tolist())


def _label_order(label: str) -> tuple[int, str]:
    """Whole numbers by value before other labels by name, so that "10" follows "9"."""
    return (int(label), "") if label.lstrip("-").isdigit() else (1 << 62, label)


def _labels(raw: _Raw, classes: Sequence[str], split: str) -> NDArray[np.int64]:
    numbers = {label: number for number, label in enumerate(classes)}
    unknown = sorted(set(raw.labels) - set(classes))
    if unknown:
        raise ValueError(f"the {split} texts carry labels that no training text has: {unknown}")
    return np.array([numbers[label] for label in raw.labels], dtype=np.int64)


def _rows(
    texts: Sequence[str], labels: NDArray[np.int64], vocabulary: Vocabulary, max_length: int
) -> TextRows:
    encoded = [text.encode() for text in texts]
    # A text without a word still needs a position to attend to.
    words = [vocabulary.encode(text.split()[:max_length] or [UNKNOWN]) for text in texts]
    return TextRows(
        labels=labels,
        characters=np.frombuffer(b"".join(encoded), dtype=np.uint8),
        ends=np.cumsum([len(text) for text in encoded], dtype=np.int64),
        words=np.concatenate([np.empty(0, np.int32), *words]),
        word_ends=np.cumsum([len(row) for row in words], dtype=np.int64),
    )
