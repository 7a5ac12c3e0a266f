"""Text classification: cross-entropy and accuracy over texts of any length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trainables.data.sentences import LabelledTexts, TextRows
from trainables.tasks.evaluation import classifier_metrics
from trainables.tasks.task import Batch, Split, Task


class Tokens(NamedTuple):
    """Token numbers of n texts: int32, flat, and int64 (n,) where each text ends."""

    flat: NDArray[np.int32]
    ends: NDArray[np.int64]


class TextTask(Task):
    """Cross-entropy of each text.

    Args:
        model: Called with tokens int64 (B, T) and mask bool (B, T); returns logits (B, classes).
        data: The texts and their classes.
        device: Where to train.
        tokens: Token numbers by split, from a tokenizer of the model's own; by default the word
            numbers of ``data``.
        padding: Token number that fills up short texts.
    """

    eval_batch_size = 256

    def __init__(
        self,
        model: nn.Module,
        data: LabelledTexts,
        device: torch.device | str = "cpu",
        tokens: Mapping[Split, Tokens] | None = None,
        padding: int = 0,
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.dataset = data.identity
        rows = rows_by_split(data)
        self._tokens = tokens or {
            split: Tokens(part.words, part.word_ends) for split, part in rows.items()
        }
        self._padding = padding
        self._width = max(token_lengths(part).max(initial=1) for part in self._tokens.values())
        # torch.tensor copies: arrays that trials share are read-only.
        self._labels = {split: torch.tensor(part.labels) for split, part in rows.items()}
        self.labels = self._labels["train"]

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """Tokens int64 (B, width) and, on the CPU, how many of them are text; not augmented.

        All batches are equally wide, so that parts of several can be joined into one; lengths stay
        on the CPU, so that cutting a batch to its longest text does not wait for a GPU.
        """
        positions = indices.numpy()
        tokens, lengths = padded(self._tokens[split], positions, self._padding, self._width)
        moved = torch.from_numpy(tokens).to(self.device, torch.int64)
        targets = self._labels[split][indices].to(self.device)
        return Batch(indices, (moved, torch.from_numpy(lengths)), targets)

    def losses(self, batch: Batch) -> Tensor:
        """Cross-entropy of each text."""
        return functional.cross_entropy(self._logits(batch), batch.targets, reduction="none")

    def evaluate(self, split: Split) -> dict[str, float]:
        """Mean cross-entropy and accuracy (a share in [0, 1])."""
        return classifier_metrics(self, split, self._logits)

    def split_labels(self, split: Split) -> Tensor:
        """Classes of a split's texts."""
        return self._labels[split]

    def _logits(self, batch: Batch) -> Tensor:
        tokens, lengths = batch.inputs
        longest = max(1, int(lengths.max()))
        mask = torch.arange(longest, device=self.device) < lengths.to(self.device)[:, None]
        logits: Tensor = self.model(tokens[:, :longest], mask)
        return logits


def padded(
    tokens: Tokens, positions: NDArray[np.int64], padding: int, width: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Tokens of some texts side by side.

    Args:
        tokens: The tokens of a split.
        positions: (B,) texts.
        padding: What fills up the texts.
        width: The width of the rows, at least the longest text's length.

    Returns:
        Tokens int32 (B, width), and how many of each row are the text's own, int64 (B,).
    """
    ends, lengths = tokens.ends[positions], token_lengths(tokens)[positions]
    within = np.arange(width)
    # Positions behind a text belong to the next one, or to none: they are overwritten.
    where = np.minimum((ends - lengths)[:, None] + within, len(tokens.flat) - 1)
    filled = np.where(within < lengths[:, None], tokens.flat[where], np.int32(padding))
    return filled, lengths


def token_lengths(tokens: Tokens) -> NDArray[np.int64]:
    """How many tokens each text has, int64 (n,)."""
    return np.diff(tokens.ends, prepend=0)


def tokenised(tokenizer: Any, rows: TextRows, max_length: int) -> Tokens:
    """A split's texts as a pretrained tokenizer numbers them, special tokens included.

    Args:
        tokenizer: A pretrained tokenizer of Transformers.
        rows: The split's texts and labels.
        max_length: Tokens after which a text is cut.
    """
    texts = rows.texts()
    if not texts:
        return Tokens(np.empty(0, np.int32), np.empty(0, np.int64))
    numbers = tokenizer(texts, truncation=True, max_length=max_length, padding=False)["input_ids"]
    flat = np.concatenate([np.array(row, dtype=np.int32) for row in numbers])
    return Tokens(flat, np.cumsum([len(row) for row in numbers], dtype=np.int64))


def rows_by_split(data: LabelledTexts) -> dict[Split, TextRows]:
    """The three splits by name."""
    return {"train": data.train, "validation": data.validation, "test": data.test}
