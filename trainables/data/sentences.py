"""Texts with a class each: generated opinions, SST-2, IMDB's folders, and tables of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.data.corruption import corrupt
from trainables.data.grammar import opinions
from trainables.data.identity import DatasetIdentity, fingerprint
from trainables.data.reading.labelled_files import (
    RawTexts,
    one_label_each,
    read_files,
    read_folders,
)
from trainables.data.reading.omissions import Omission
from trainables.data.settings.sentences import SentenceSettings
from trainables.data.splits import stratified_split
from trainables.data.vocabulary import PADDING, UNKNOWN, Vocabulary

_FEW = 20
"""So many texts may have a class each; more of that kind are numbered, and not classified."""


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
        identity: The identity of the training split, after corruption.
        settings: What stood under ``data``.
        classes: Names of the classes, by number.
        vocabulary: Words of the training texts, after padding (0) and ``<unk>`` (1).
        max_length: Words kept of each text.
        train: The training split.
        validation: What searches optimise, possibly empty.
        test: The test part, for reports alone.
        left_out: What of the files is no example.
    """

    identity: DatasetIdentity
    settings: SentenceSettings
    classes: tuple[str, ...]
    vocabulary: Vocabulary
    max_length: int
    train: TextRows
    validation: TextRows
    test: TextRows
    left_out: tuple[Omission, ...] = ()


def load_sentences(data: Mapping[str, Any] | SentenceSettings) -> LabelledTexts:
    """Read the labelled texts that a trial's ``data`` names.

    ``name: opinions`` generates ``train_size`` and ``test_size`` sentences with ``data_seed``.
    ``name: sst2`` reads ``<root>/sst2/{train,dev,test}.tsv`` or the same files in ``root``.
    ``name: sentences`` reads ``root``, a TSV or CSV file with a header or a folder with files
    train, dev and test; the columns are ``text_column`` and ``label_column``. ``name: imdb`` reads
    folders: ``<root>/{train,test}/<class>/*.txt``, with or without ``aclImdb`` before them,
    unsupervised texts left out. A byte-order mark says in which Unicode encoding a file is; without
    one it is in ``encoding`` (UTF-8 by default).

    Labels that are equal as numbers (``1`` and ``1.0``), or in another form of Unicode, are one.

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
    read = one_label_each(_read_splits(settings))
    _checked_classes(read["train"], settings.name)  # what is no class cannot be split by class
    splits = _split(read, settings)
    classes = _checked_classes(splits["train"], settings.name)
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
        validation=_rows(splits["validation"].texts, numbers["validation"], vocabulary, length),
        test=_rows(splits["test"].texts, numbers["test"], vocabulary, length),
        left_out=tuple(entry for raw in read.values() for entry in raw.left_out),
    )


def _read_splits(data: SentenceSettings) -> dict[str, RawTexts]:
    if data.name == "opinions":
        generator = np.random.default_rng(data.data_seed)
        sizes = {"train": data.train_size, "test": data.test_size}
        made = {split: opinions(size, generator) for split, size in sizes.items()}
        return {split: RawTexts(texts, list(map(str, ids))) for split, (texts, ids) in made.items()}
    root = data.place()
    if data.name == "imdb":
        return read_folders(root, data.encoding)
    if data.name == "sst2" and (root / "sst2").is_dir():
        root = root / "sst2"
    return read_files(root, (data.text_column, data.label_column), data.encoding)


def _split(splits: dict[str, RawTexts], data: SentenceSettings) -> dict[str, RawTexts]:
    """All three splits, drawing from the training texts those that have no file of their own."""
    seed = data.split_seed
    complete = dict(splits)
    shares = {"test": data.test_fraction, "validation": data.validation_fraction}
    for split, share in shares.items():
        if split not in complete:
            kept, held = _drawn(complete["train"], share, seed, f"data.{split}_fraction")
            complete |= {"train": kept, split: held}
    wanted, available = data.train_limit, len(complete["train"].texts)
    if wanted is not None and wanted < available:
        complete["train"] = _drawn(complete["train"], wanted / available, seed)[1]
    return complete


def _drawn(
    raw: RawTexts, part: float, seed: int, field: str | None = None
) -> tuple[RawTexts, RawTexts]:
    """(the rest, a stratified ``part``) of some texts; see ``stratified_split``."""
    numbers = np.unique(np.array(raw.labels), return_inverse=True)[1].astype(np.int64)
    kept, held = stratified_split(numbers, part, seed, field=field)
    return raw.take(kept.tolist()), raw.take(held.tolist())


def _checked_classes(train: RawTexts, name: str) -> tuple[str, ...]:
    """The labels of the training texts in their order.

    Raises:
        ValueError: There is one alone, or one for each text.
    """
    classes = tuple(sorted(set(train.labels), key=_label_order))
    if len(classes) < 2:
        raise ValueError(
            f"the training texts of {name!r} carry the one label {classes}; "
            "classification needs at least 2: check data.label_column"
        )
    if len(classes) == len(train.labels) > _FEW:
        raise ValueError(
            f"the training texts of {name!r} have a label of its own for each of the "
            f"{len(classes)}: these are identifiers and not classes; check data.label_column"
        )
    return classes


def _label_order(label: str) -> tuple[int, str]:
    """Whole numbers by value before other labels by name, so that "10" follows "9"."""
    digits = label.removeprefix("-")
    return (int(label), "") if digits.isdecimal() else (1 << 62, label)


def _labels(raw: RawTexts, classes: Sequence[str], split: str) -> NDArray[np.int64]:
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
