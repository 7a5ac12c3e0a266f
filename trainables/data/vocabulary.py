"""Words as numbers, learned from training text alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PADDING = "<pad>"
UNKNOWN = "<unk>"
END = "<eos>"


@dataclass(frozen=True)
class Vocabulary:
    """Words by descending frequency in the training text, after the special ones.

    Attributes:
        words: Word of each number; ``<unk>`` is always among them.
        numbers: Number of each word.
    """

    words: tuple[str, ...]
    numbers: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", {word: i for i, word in enumerate(self.words)})

    @classmethod
    def build(
        cls, words: Iterable[str], *, min_count: int = 1, special: tuple[str, ...] = (UNKNOWN,)
    ) -> Vocabulary:
        """Collect the words that occur at least ``min_count`` times.

        Args:
            words: All words of the training text.
            min_count: Rarer words become ``<unk>``.
            special: Words that come first whether or not they occur; must hold ``<unk>``.

        Raises:
            ValueError: ``min_count`` is below 1.
        """
        if min_count < 1:
            raise ValueError(f"data.min_count must be at least 1, got {min_count}")
        counts = Counter(words)
        for word in special:
            counts.pop(word, None)
        # Equal counts in alphabetical order, so that the numbers do not hang on the order of text.
        frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls((*special, *(word for word, count in frequent if count >= min_count)))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Iterable[str]) -> NDArray[np.int32]:
        """int32 numbers of words, that of ``<unk>`` for words never seen."""
        unknown, lookup = self.numbers[UNKNOWN], self.numbers.get
        return np.fromiter((lookup(word, unknown) for word in words), dtype=np.int32)
