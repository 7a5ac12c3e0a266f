"""What a loaded data set holds, in lines for people: ``tune-select data check``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainables.data.arrays import ImageArrays
from trainables.data.corpora import Corpus
from trainables.data.identity import DatasetIdentity
from trainables.data.image_folder import FolderImages
from trainables.data.reading.omissions import Omission
from trainables.data.reading.spelling import alike_remark
from trainables.data.sentences import LabelledTexts
from trainables.data.tabular import Table
from trainables.data.user_datasets import UserImages

_SHOWN_CLASSES = 20


def describe_images(data: ImageArrays | FolderImages | UserImages) -> list[str]:
    """Sizes of the splits, classes with their counts, shapes, and what was left out."""
    if isinstance(data, UserImages):
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        return [
            identity_line(data.identity),
            _sizes({name: 0 if part is None else len(part) for name, part in parts.items()}),
            _classes(data.labels.numpy(), data.class_names, data.classes),
            f"images: {data.channels} x {data.image_size} x {data.image_size}",
        ]
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    lines = [
        identity_line(data.identity),
        _sizes({name: len(part) for name, part in splits.items()}),
        _classes(data.train.labels, data.class_names, data.classes),
    ]
    if isinstance(data, ImageArrays):
        images = data.train.images
        lines.append(
            f"images: {' x '.join(map(str, images.shape[1:]))}, {images.dtype}, values "
            f"{images.min():g} to {images.max():g}"
        )
        return lines + alike(data.class_names) + left_out(data.left_out)
    lines += alike(data.class_names)
    if data.split:
        lines.append(f"split: {data.split}")
    decoding = data.train.decoding
    lines.append(f"pictures: cropped to {data.image_size} pixels; background {decoding.background}")
    for name, values in (("16 and more", decoding.value_range), ("32", decoding.deep_range)):
        if values is not None:
            lines.append(f"pictures of {name} bits: {values[0]:g} is black, {values[1]:g} white")
    return lines + left_out(data.left_out)


def describe_table(table: Table) -> list[str]:
    """Sizes of the splits, and what each column was read as."""
    splits = {"train": table.train, "validation": table.validation, "test": table.test}
    return [
        identity_line(table.identity),
        _sizes({name: len(rows.targets) for name, rows in splits.items()}),
        f"target: mean {table.target_mean:g}, standard deviation {table.target_std:g} in training",
        f"features: {len(table.features)} after encoding",
        *(f"column {note}" for note in table.schema),
        *left_out(table.left_out),
    ]


def describe_texts(data: LabelledTexts) -> list[str]:
    """Sizes of the splits, classes with their counts, lengths, and the vocabulary."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    words = np.diff(data.train.word_ends, prepend=0)
    characters = np.diff(data.train.ends, prepend=0)
    return [
        identity_line(data.identity),
        _sizes({name: len(rows) for name, rows in splits.items()}),
        _classes(data.train.labels, data.classes, len(data.classes)),
        f"words: {len(data.vocabulary):,} different ones; median {np.median(words):.0f} a text, "
        f"cut at {data.max_length} in {int((words == data.max_length).sum()):,}",
        f"empty texts: {int((characters == 0).sum())} in training",
        *alike(data.classes),
        *left_out(data.left_out),
    ]


def describe_corpus(corpus: Corpus) -> list[str]:
    """Sizes of the splits in sequences and tokens, and the vocabulary."""
    splits = {"train": corpus.train, "validation": corpus.validation, "test": corpus.test}
    tokens = ", ".join(f"{name} {len(stream):,}" for name, stream in splits.items())
    return [
        identity_line(corpus.identity),
        _sizes({name: corpus.sequences(stream) for name, stream in splits.items()}),
        f"tokens: {tokens}; {corpus.vocabulary_size:,} different ones, "
        f"{corpus.sequence_length} predicted in a sequence",
    ]


def left_out(entries: Sequence[Omission]) -> list[str]:
    """A line for each reason."""
    return [f"left out: {entry}" for entry in entries]


def identity_line(identity: DatasetIdentity) -> str:
    """Name, size and fingerprint of the training split."""
    return f"{identity.name}: {identity.size:,} training examples, {identity.fingerprint[:12]}..."


def alike(names: Iterable[str]) -> list[str]:
    """A line on classes whose names read alike, where there are some."""
    remark = alike_remark(names)
    return [f"classes: {remark}"] if remark else []


def _sizes(sizes: Mapping[str, int]) -> str:
    return "examples: " + ", ".join(f"{name} {size:,}" for name, size in sizes.items())


def _classes(labels: NDArray[np.int64], names: Sequence[str], count: int) -> str:
    """Classes with their training examples, all of the first few and the extremes of the rest."""
    counts = np.bincount(labels, minlength=count)
    shown = [
        f"{names[i] if names else i} ({counts[i]:,})" for i in range(min(count, _SHOWN_CLASSES))
    ]
    more = f", ... of {counts.min():,} to {counts.max():,} examples" if count > len(shown) else ""
    return f"classes: {count}: {', '.join(shown)}{more}"
