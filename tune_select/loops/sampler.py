"""One sampler is the whole adapter: it selects, publishes, waits and replays, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Sampler

from tune_select.history import Align, DatasetIdentity, Interval, open_history
from tune_select.history.fingerprint import length_of
from tune_select.history.subsets import subset_of
from tune_select.loops.drawing import Drawable, epoch_order
from tune_select.loops.loader import SubsetLoader
from tune_select.loops.passes import Collate, Passes
from tune_select.loops.plan import FirstSubset, LoopPlan, Weights
from tune_select.loops.ranks import rank_and_count, share_of
from tune_select.loops.subsets import (
    Everything,
    Identifying,
    Replayed,
    Seconds,
    Selected,
    Subsets,
)
from tune_select.selection.heads.find import Head
from tune_select.selection.heads.losses import Loss
from tune_select.streams import stream


class SubsetSampler(Sampler[int]):
    """Draws each epoch's examples for any training loop.

    Its ``__iter__`` runs once per epoch in the main process, under a DataLoader (workers and
    persistent workers included), Lightning and Transformers alike. Where an epoch begins an
    interval, it selects on the model as it is then (arm ``seed`` and selectors; a seed publishes)
    or reads what the seed published (arm ``cached`` and the other replays). ``full`` draws
    everything, shuffled. Trials of one ``seed`` draw in the same order (common random numbers).

    A subset's weights enter by ``weights``. ``resample`` draws in proportion to them
    (``drawing.systematic``), so that the loss stays the loop's own; ``lookup`` draws each example
    once, and the loop multiplies its losses by ``weights_of(indices)``; ``ignore`` leaves them out.

    Args:
        dataset: Map-style; read in the selection's forward passes. Give it without augmentation
            where the loader's dataset has some: indices are all that they share.
        epochs: T, how many epochs the loop trains.
        arm: ``full``, ``seed``, ``cached`` (or another replay), or a selector by name or import
            string.
        history: Where a seed publishes and replays read: a folder's path or URI, or what
            ``HistoryStore.location`` returns.
        model: Whose gradients are matched.
        loss: The training's: ``loss(batch)``, ``loss(model, batch)``, or one of torch's own for
            batches of (inputs, targets); see ``collect_signals``.
        head: The last layer, or its name, where it is not clear.
        labels: Classes (n,) or one-hot rows, where the batches do not hold them.
        fraction: Subset size over training set size.
        select_every: R, epochs between selections.
        warm_start_epochs: W, epochs on all the data before the first subset.
        first_subset: ``random``: until the first R epochs are over, a loop without a warm start
            draws from a random subset, instead of one selected on the untrained model.
        align: ``progress`` stretches a history over a loop of another length.
        algorithm: The seed's selector.
        settings: Constructor keywords of the selector or replay.
        weights: See above.
        collate_fn: The function that makes batches of the selection's forward passes; torch's own
            by default.
        batch_size: Examples per forward pass of a selection.
        validation: Dataset for selectors that match the validation gradient.
        fingerprint: Tells this dataset from others; computed from its items by default.
        seed: The seed of everything random.
        distributed: Whether each process of a group draws only its share of the subset. Leave it
            off where Lightning, Accelerate or a ``DistributedSampler`` shares it out.
        wait_s: How long a replay waits for an interval.
        config: The trial's configuration, recorded in a seed's history.
        rungs: Fractions at which a seed publishes subsets beside its own, all from one selection:
            those of a ladder's rungs.

    Raises:
        ValueError: An argument is out of range, or the arm needs one that is missing.
        HistoryMismatchError: The history is of another dataset or does not fit the epochs.
        HistoryConflictError: The folder holds another seed's history.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        epochs: int,
        arm: str = "full",
        history: Any = None,
        model: nn.Module | None = None,
        loss: Loss | None = None,
        head: Head | None = None,
        labels: Any = None,
        fraction: float = 0.1,
        select_every: int = 20,
        warm_start_epochs: int = 0,
        first_subset: FirstSubset = "selected",
        align: Align = "epoch",
        algorithm: str = "gradmatch",
        settings: Mapping[str, Any] | None = None,
        weights: Weights = "resample",
        collate_fn: Collate | None = None,
        batch_size: int = 256,
        validation: Any = None,
        fingerprint: str | None = None,
        seed: int = 0,
        distributed: bool = False,
        wait_s: float = 600.0,
        config: Mapping[str, Any] | None = None,
        rungs: Sequence[float] = (),
    ) -> None:
        self._size = length_of(dataset)
        self._dataset = dataset
        self._plan = LoopPlan(
            arm, epochs, fraction, select_every, warm_start_epochs, align, algorithm,
            dict(settings or {}), weights, seed, first_subset, tuple(rungs),
        )  # fmt: skip
        self._seconds = Seconds()
        passes = Passes(dataset, model, loss, head, labels, collate_fn, batch_size, validation)
        self._subsets = self._make_subsets(passes, history, fingerprint, wait_s, config or {})
        self._distributed = distributed
        self._epoch = -1  # the one drawn last
        self._next: int | None = None
        self._skip = 0
        self._drawn = 0
        self._trained: int | None = None  # counted where the loader is ours
        self._begun = 0  # how many of the epoch were drawn before it was resumed
        self._length: int | None = None
        self._current: Interval | None = None
        self._by_position: Tensor | None = None
        self._seen = 0
        self._fresh = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any], dataset: Any, **given: Any) -> SubsetSampler:
        """The sampler of a trial, from the keys that a sweep or ``seeded_tuner`` gives it.

        Args:
            config: A trial's configuration, of which ``arm``, ``history``, ``max_epochs`` (or
                ``epochs``), ``seed``, ``selection`` and ``arms`` are read; others are the loop's.
            dataset: See the class.
            **given: Arguments of the class; they count where the configuration says nothing.

        Raises:
            ValueError: As the class, or neither names the epochs.
        """
        from tune_select.loops.from_config import arguments_of

        return cls(dataset, **arguments_of(config, given))

    def __len__(self) -> int:
        """Examples of the epoch being drawn, or else of the next one."""
        if self._length is not None and self._drawn < self._length:
            return self._length
        upcoming = self._upcoming()
        if upcoming >= self._plan.epochs and self._length is not None:
            return self._length
        return self._share(self._length_at(upcoming))

    def __iter__(self) -> Iterator[int]:
        """Begin an epoch: select or read where it begins an interval, then draw."""
        epoch = self._upcoming()
        if epoch >= self._plan.epochs:
            raise ValueError(
                f"epoch {epoch + 1} begins, but the sampler was made for epochs="
                f"{self._plan.epochs}: give the number that the loop trains (each iteration over "
                "the sampler or its loader is an epoch, a look at the first batch too)"
            )
        if len(self._dataset) != self._size:
            raise ValueError(
                f"the dataset has {len(self._dataset)} examples and had {self._size} when the "
                "sampler was made: subsets name examples by their positions, so it must stay as "
                "it is"
            )
        skip, self._skip, self._next = self._skip, 0, None
        subset = self._subset_at(epoch)
        order = epoch_order(subset, self._plan.weights, stream(self._plan.seed, "order", epoch))
        if self._distributed:
            order = share_of(order, *rank_and_count())
        self._epoch, self._drawn, self._length = epoch, skip, len(order)
        self._trained, self._begun = None, skip
        return self._draw(order, epoch, skip)

    def loader(self, dataset: Any = None, **settings: Any) -> SubsetLoader:
        """A DataLoader over this sampler that keeps ``state_dict`` exact while workers read ahead.

        Args:
            dataset: Another view of the same examples (augmented, say); by default the sampler's.
            **settings: Of ``torch.utils.data.DataLoader``.

        Raises:
            ValueError: The settings say what to draw.
        """
        return SubsetLoader(
            self._dataset if dataset is None else dataset, self, self._note_trained, **settings
        )

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be ``epoch``, from 0, as frameworks say when they resume."""
        if epoch != self._upcoming():
            self._next, self._skip = epoch, 0

    @property
    def epoch(self) -> int:
        """The epoch being drawn, or drawn last, from 0; -1 before the first."""
        return self._epoch

    @property
    def lengths(self) -> list[int]:
        """How many examples each epoch draws, as far as that is known beforehand."""
        return [self._share(self._length_at(epoch)) for epoch in range(self._plan.epochs)]

    def weights_of(self, indices: Any) -> Tensor:
        """Weights of examples of the current subset, float32 (B,), mean 1 over the subset.

        Args:
            indices: Positions in the dataset, (B,).

        Raises:
            ValueError: One of them is not in the current subset.
        """
        positions = torch.as_tensor(indices, dtype=torch.int64)
        if self._by_position is None:
            return torch.ones(positions.shape, device=positions.device)
        found = self._by_position.to(positions.device)[positions]
        if bool(found.isnan().any()):
            raise ValueError(
                f"examples {positions[found.isnan()].tolist()[:5]} are not in the subset of epoch "
                f"{self._epoch + 1}: draw batches through the sampler"
            )
        return found

    def report(self) -> dict[str, Any]:
        """What a trial reports beside its own metrics after each epoch.

        Returns:
            ``epoch`` (from 1), ``subset_size``, ``examples_seen``, ``select_s`` and ``wait_s``
            (cumulative), the gradient error in the epoch that selected, and of a seed
            ``history_published`` and ``history_complete``, by which ``SeedReplayScheduler`` lets
            replays start.

        Raises:
            RuntimeError: Nothing was drawn yet.
        """
        if self._epoch < 0:
            raise RuntimeError(
                "report() before any epoch was drawn from the sampler: give it to the loop's "
                "DataLoader (sampler=sampler, without shuffle)"
            )
        errors = {}
        if self._fresh and self._current is not None:
            errors = {
                name: getattr(self._current, name)
                for name in ("gradient_error", "random_gradient_error")
                if getattr(self._current, name) is not None
            }
        return {
            "epoch": self._epoch + 1,
            "waiting_for_interval": -1,
            "subset_size": self._size if self._current is None else len(self._current),
            "examples_seen": self._seen,
            "select_s": self._seconds.select_s,
            "wait_s": self._seconds.wait_s,
            **errors,
            **self._subsets.status(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Where the loop is, in the middle of an epoch too; tensors and plain values only.

        Counts the examples drawn, or, with a loader from ``loader``, those of the batches that the
        loop was given, whatever its workers have read ahead.
        """
        drawn = self._drawn if self._trained is None else self._trained
        state = {
            "epoch": self._epoch,
            "drawn": drawn,
            "length": self._length,
            "next": self._next,
            "seen": self._seen - (self._drawn - drawn),
            "select_s": self._seconds.select_s,
            "wait_s": self._seconds.wait_s,
        }
        return {**state, "interval": _packed(self._current), "draws": self._draws()}

    def _draws(self) -> dict[str, Any]:
        """What a state is of: it fits no sampler that draws otherwise."""
        plan = self._plan
        if plan.kind == "full":
            return {"examples": self._size}
        return {
            "examples": self._size,
            "fraction": plan.fraction,
            "select_every": plan.select_every,
            "warm_start_epochs": plan.warm_start_epochs,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken: the next iteration draws what was left of its epoch.

        Raises:
            ValueError: It is no state of a sampler, or of one that draws otherwise.
        """
        missing = [key for key in _STATE if key not in state]
        if missing:
            raise ValueError(f"this is no state of a SubsetSampler: it has no {missing[0]!r}")
        own, its = self._draws(), dict(state.get("draws", {}))  # older states do not say
        for name in own.keys() & its.keys():
            if own[name] != its[name]:
                raise ValueError(
                    f"the state is of a sampler with {name}={its[name]}, this one has {own[name]}: "
                    "resume with the dataset and selection that the run began with"
                )
        self._epoch, self._next = state["epoch"], state["next"]
        self._drawn, self._length = state["drawn"], state["length"]
        self._skip = 0
        if self._length is not None and self._drawn < self._length:
            self._next, self._skip = self._epoch, self._drawn
        self._seen = state["seen"]
        self._seconds.select_s, self._seconds.wait_s = state["select_s"], state["wait_s"]
        self._trained, self._fresh = None, False
        self._take(_unpacked(state["interval"]))

    def _make_subsets(
        self,
        passes: Passes,
        history: Any,
        fingerprint: str | None,
        wait_s: float,
        config: Mapping[str, Any],
    ) -> Subsets:
        plan, seconds = self._plan, self._seconds
        if plan.kind == "full":
            return Everything(plan, seconds)
        if plan.kind == "selector":
            return Selected(plan, seconds, passes)
        location = history
        if isinstance(history, Mapping) and "root" in history:  # as a sweep of several seeds has it
            from tune_select.history.location import history_location

            location = history_location({**config, "history": history})
        if location is None:
            raise ValueError(
                f"arm {plan.arm!r} needs history=: the folder or store that the seed publishes to "
                "and replays read"
            )
        access = open_history(location)
        dataset = DatasetIdentity.of(passes.dataset, fingerprint=fingerprint)
        if plan.kind == "cached":
            return Replayed(plan, seconds, access, dataset, wait_s)
        return Selected(plan, seconds, passes, access, Identifying(dataset, plan, config))

    def _upcoming(self) -> int:
        """The epoch that the next iteration draws."""
        return self._epoch + 1 if self._next is None else self._next

    def _subset_at(self, epoch: int) -> Drawable:
        number = self._subsets.number_at(epoch)
        self._fresh = False
        if number is None:
            self._take(None)
            return Drawable(torch.arange(self._size))
        if self._current is None or self._current.number != number:
            self._take(self._subsets.interval(number))
            self._fresh = True
        assert self._current is not None
        subset = subset_of(self._current)
        return Drawable(subset.indices, subset.weights, subset.batches)

    def _take(self, interval: Interval | None) -> None:
        self._current, self._by_position = interval, None
        if interval is not None and self._plan.weights == "lookup":
            self._by_position = torch.full((self._size,), torch.nan)
            subset = subset_of(interval)
            self._by_position[subset.indices] = subset.weights

    def _length_at(self, epoch: int) -> int:
        """How many examples an epoch will draw, before its subset is known."""
        number = self._plan.number_at(epoch)
        if number is None:
            return self._size
        if self._current is not None and self._current.number == number:
            return len(self._current)
        return self._plan.budget(self._size)

    def _share(self, length: int) -> int:
        return -(-length // rank_and_count()[1]) if self._distributed else length

    def _draw(self, order: list[int], epoch: int, skip: int) -> Iterator[int]:
        for position in order[skip:]:
            if epoch == self._epoch:  # else a loader was abandoned for the next epoch's
                self._drawn += 1
                self._seen += 1
            yield position

    def _note_trained(self, count: int | None) -> None:
        """Count a batch given out; an epoch that has ended is all drawn."""
        if count is None:
            self._trained = None
        else:
            self._trained = (self._begun if self._trained is None else self._trained) + count


_STATE = ("epoch", "drawn", "length", "next", "seen", "select_s", "wait_s", "interval")


def _packed(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {
        "number": interval.number,
        "start": interval.start,
        "end": interval.end,
        "indices": torch.tensor(interval.indices),
        "weights": torch.tensor(interval.weights),
        "batches": None if interval.batches is None else torch.tensor(interval.batches),
    }


def _unpacked(state: Mapping[str, Any] | None) -> Interval | None:
    if state is None:
        return None
    arrays = {
        name: None if state[name] is None else np.asarray(state[name])
        for name in ("indices", "weights", "batches")
    }
    return Interval(state["number"], state["start"], state["end"], **arrays)  # type: ignore[arg-type]
