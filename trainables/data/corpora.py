"""Text for language models: a stream of word or byte numbers, cut into sequences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.data.grammar import corpus
from trainables.data.identity import DatasetIdentity, fingerprint
from trainables.data.reading.listing import is_hidden
from trainables.data.reading.text_files import read_text
from trainables.data.settings.corpora import CorpusSettings
from trainables.data.vocabulary import END, UNKNOWN, Vocabulary

_SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("valid", "validation", "dev"),
    "test": ("test",),
}
_BYTES = 256


class _Texts(NamedTuple):
    train: str
    validation: str
    test: str


@dataclass(frozen=True)
class Corpus:
    """Three streams of tokens; example i of a stream is the tokens [iT, iT + T], T to predict.

    Attributes:
        identity: The identity of the training stream and how it is cut.
        settings: What stood under ``data``.
        vocabulary: The vocabulary of a word-level corpus; ``None`` at byte level.
        vocabulary_size: C, the number of different tokens.
        sequence_length: T, predicted tokens per example.
        train: int32 (tokens,) stream.
        validation: The same, possibly empty.
        test: The same.
    """

    identity: DatasetIdentity
    settings: CorpusSettings
    vocabulary: Vocabulary | None
    vocabulary_size: int
    sequence_length: int
    train: NDArray[np.int32]
    validation: NDArray[np.int32]
    test: NDArray[np.int32]

    def sequences(self, tokens: NDArray[np.int32]) -> int:
        """Examples in a stream; what is left at its end, fewer than T + 1 tokens, is not used."""
        return max(0, (len(tokens) - 1) // self.sequence_length)


def load_corpus(data: Mapping[str, Any] | CorpusSettings) -> Corpus:
    """Read the text that a trial's ``data`` names.

    ``name: grammar`` generates simple English, ``train_tokens`` words (40,000 by default) with
    ``data_seed``. ``name: wikitext-2`` (or another ``wikitext-*``) reads
    ``<root>/<name>/wiki.{train,valid,test}.tokens`` or the same files in ``root``. ``name: text``
    reads ``root``: a text file, whose last parts are held out (``validation_fraction`` and
    ``test_fraction`` of its characters, cut at line ends), or a folder with one file each whose
    names contain train, valid (or dev) and test.

    A byte-order mark says in which Unicode encoding a file is; without one it is in ``encoding``
    (UTF-8 by default).

    ``level``: ``word`` (split at white space, ``<eos>`` at line ends, the vocabulary from the
    training text with ``min_count``) or ``byte``. ``sequence_length`` tokens are predicted per
    example. ``train_tokens`` keeps the first so many training tokens.

    Raises:
        ValueError: A key, name or value does not fit, or a split is shorter than one sequence.
        FileNotFoundError: There is no such file; the message says where it was looked for.
    """
    settings = CorpusSettings.of(data)
    name, length = settings.name, settings.sequence_length
    vocabulary, (train, validation, test) = _tokens(_texts(settings), settings)
    wanted = settings.train_tokens
    train = train if wanted is None else train[:wanted]
    shape = {"sequence_length": length, "level": settings.level}
    loaded = Corpus(
        identity=DatasetIdentity(name, (len(train) - 1) // length, fingerprint([train], shape)),
        settings=settings,
        vocabulary=vocabulary,
        vocabulary_size=_BYTES if vocabulary is None else len(vocabulary),
        sequence_length=length,
        train=train,
        validation=validation,
        test=test,
    )
    streams = {"training": train, "test": test}
    if settings.validation_fraction > 0:  # 0 is a validation split that is not wanted
        streams["validation"] = validation
    for split, stream in streams.items():
        if loaded.sequences(stream) < 1:
            raise ValueError(
                f"the {split} text of {name!r} has {len(stream)} tokens, fewer than one sequence "
                f"(data.sequence_length {length} and one more): give more text or a shorter length"
            )
    return loaded


def _texts(data: CorpusSettings) -> _Texts:
    if data.name == "grammar":
        generator = np.random.default_rng(data.data_seed)
        size = data.train_tokens or 40_000
        parts = (corpus(words, generator) for words in (size, max(size // 8, 2000), 5_000))
        return _Texts(*("\n".join(lines) for lines in parts))
    root, encoding = data.place(), data.encoding
    if data.name != "text" and (root / data.name).is_dir():
        root = root / data.name
    if root.is_dir():
        return _Texts(*(_split_text(root, split, encoding) for split in _SPLIT_NAMES))
    return _cut(read_text(root, encoding), data)


def _split_text(folder: Path, split: str, encoding: str | None) -> str:
    path = _split_file(folder, split)
    text = read_text(path, encoding)
    if not text.strip():
        raise ValueError(f"{path} holds no text: fill or replace it")
    return text


def _split_file(folder: Path, split: str) -> Path:
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file()
        and not is_hidden(path.name)
        and any(part in path.name.lower() for part in _SPLIT_NAMES[split])
    ]
    if len(found) != 1:
        raise FileNotFoundError(
            f"data.root {folder} must hold exactly one {split} file (its name contains "
            f"{' or '.join(_SPLIT_NAMES[split])}), found {[path.name for path in found]}"
        )
    return found[0]


def _cut(text: str, data: CorpusSettings) -> _Texts:
    shares = [data.validation_fraction, data.test_fraction]
    if sum(shares) >= 1:
        raise ValueError(f"data.validation_fraction and data.test_fraction leave no text: {shares}")
    ends = [_line_end(text, part) for part in (1 - sum(shares), 1 - shares[1])]
    return _Texts(text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :])


def _line_end(text: str, part: float) -> int:
    """Just behind the last line end before ``part`` of the text, or there if it has no lines."""
    wanted = round(part * len(text))
    return (text.rfind("\n", 0, wanted) + 1) or wanted


def _tokens(
    texts: _Texts, data: CorpusSettings
) -> tuple[Vocabulary | None, tuple[NDArray[np.int32], ...]]:
    if data.level == "byte":
        streams = (np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) for text in texts)
        return None, tuple(streams)
    vocabulary = Vocabulary.build(
        _words(texts.train),
        min_count=data.min_count,
        special=(UNKNOWN, END),
    )
    if set(vocabulary.words) <= {UNKNOWN, END}:
        raise ValueError(
            f"the training text of {data.name!r} has no word that occurs data.min_count="
            f"{data.min_count} times: check data.root, or lower it"
        )
    return vocabulary, tuple(vocabulary.encode(_words(text)) for text in texts)


def _words(text: str) -> Iterable[str]:
    # Not splitlines(): it would also cut at the odd separators that Wikipedia's text contains.
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    for line in lines:
        yield from line.split()
        yield END
