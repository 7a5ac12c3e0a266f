"""Forgetting events: examples that a proxy run learned and lost again."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tune_select.selection.base import Selector, Signals, Subset
from tune_select.selection.gradients import check_request


class ForgettingEvents:
    """Counts forgetting events along a run (Toneva et al. 2019, Algorithm 1).

    An event is an example classified wrongly that was right when it was last seen. Examples never
    classified correctly have no event to count and rank above all others.

    Args:
        size: Number n of training examples.

    Attributes:
        events: int64 (n,) forgetting events so far.
        learned: bool (n,) whether the example was ever classified correctly.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.events = torch.zeros(size, dtype=torch.int64)
        self.learned = torch.zeros(size, dtype=torch.bool)
        self._correct = torch.zeros(size, dtype=torch.bool)

    def __len__(self) -> int:
        return self.events.shape[0]

    def update(self, indices: Tensor, correct: Tensor) -> None:
        """Take note of a mini-batch.

        Args:
            indices: int64 (B,) distinct positions in the training set.
            correct: bool (B,) whether the prediction was right.
        """
        indices, correct = indices.cpu(), correct.cpu()
        self.events[indices] += (self._correct[indices] & ~correct).long()
        self.learned[indices] |= correct
        self._correct[indices] = correct

    def scores(self) -> Tensor:
        """Events of each example, int64 (n,); one more than the most for those never learned."""
        return torch.where(self.learned, self.events, self.events.max() + 1)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that must survive a checkpoint."""
        return {"events": self.events, "learned": self.learned, "correct": self._correct}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take back what ``state_dict`` gave."""
        self.events, self.learned = state["events"].clone(), state["learned"].clone()
        self._correct = state["correct"].clone()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the record to an ``.npz`` file, whole or not at all.

        Raises:
            OSError: The storage refused.
        """
        from tune_select.storage import Folder  # imports pyarrow, which selection need not

        content = io.BytesIO()
        arrays: dict[str, Any] = {k: v.numpy() for k, v in self.state_dict().items()}
        np.savez(content, **arrays)
        target = Path(path)
        Folder.at(target.parent).write(target.name, content.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ForgettingEvents:
        """Read a record that ``save`` wrote.

        Raises:
            ValueError: There is no such file, or it is no such record.
        """
        from tune_select.storage import local_path

        try:
            with np.load(local_path(path), allow_pickle=False) as arrays:
                state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
            record = cls(state["events"].shape[0])
            record.load_state_dict(state)
        except FileNotFoundError as error:
            raise ValueError(
                f"forgetting record {os.fspath(path)!r} does not exist: a full proxy run writes it"
            ) from error
        except (OSError, KeyError, EOFError, ValueError, IndexError) as error:
            raise ValueError(
                f"forgetting record {os.fspath(path)!r} cannot be read ({error}): run the full "
                "proxy again"
            ) from error
        return record


class Forgetting(Selector):
    """The k examples with the most forgetting events of a proxy run, all of weight 1.

    Toneva et al. 2019 and Coleman et al. 2020 drop the least forgotten examples once, before the
    run; ties are drawn at random.

    Args:
        record: What a full proxy run recorded, or the path of its file.

    Raises:
        ValueError: The record is missing or cannot be read.
    """

    needs_gradients = False

    def __init__(self, *, record: ForgettingEvents | str | os.PathLike[str] | None = None) -> None:
        if record is None:
            raise ValueError(
                "forgetting needs record: the path of the file that a full proxy run wrote "
                "(ForgettingEvents.save)"
            )
        self._path = None if isinstance(record, ForgettingEvents) else os.fspath(record)
        loaded = record if isinstance(record, ForgettingEvents) else ForgettingEvents.load(record)
        self._scores = loaded.scores()

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        """See the base class.

        Raises:
            ValueError: Also when the record is of another number of examples.
        """
        check_request(signals, budget, gradients=False)
        if self._scores.shape[0] != len(signals):
            raise ValueError(
                f"forgetting record holds {self._scores.shape[0]} examples, but the training set "
                f"has {len(signals)}: record a proxy run on the same split"
            )
        order = torch.randperm(len(signals), generator=generator)
        ranked = order[self._scores[order].argsort(descending=True, stable=True)]
        return Subset(indices=ranked[:budget], weights=torch.ones(budget))

    def settings(self) -> dict[str, Any]:
        """See the base class; ``record`` is its path, or null for one in memory."""
        return {"record": self._path}
