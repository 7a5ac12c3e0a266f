"""One sampler is the whole adapter: it selects, publishes, waits and replays, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Sampler

from tune_select.history import Align
from tune_select.history.fingerprint import length_of
from tune_select.loops.at_hand import AtHand
from tune_select.loops.drawing import epoch_order
from tune_select.loops.loader import SubsetLoader
from tune_select.loops.opening import open_subsets
from tune_select.loops.passes import Collate, Passes
from tune_select.loops.plan import FirstSubset, LoopPlan, Weights
from tune_select.loops.position import Position
from tune_select.loops.ranks import rank_and_count, share_of
from tune_select.loops.subsets import Seconds
from tune_select.selection.heads.find import Head
from tune_select.selection.heads.losses import Loss
from tune_select.streams import stream

_STATE = ("epoch", "drawn", "length", "next", "seen", "select_s", "wait_s", "interval")


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
        self._subsets = open_subsets(
            self._plan,
            self._seconds,
            Passes(dataset, model, loss, head, labels, collate_fn, batch_size, validation),
            history,
            fingerprint=fingerprint,
            wait_s=wait_s,
            config=config or {},
        )
        self._distributed = distributed
        self._position = Position()
        self._at_hand = AtHand(self._size, look_up=weights == "lookup")

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
        upcoming, length = self._position.upcoming, self._position.length
        if length is not None and (self._position.is_within or upcoming >= self._plan.epochs):
            return length
        return self._share(self._length_at(upcoming))

    def __iter__(self) -> Iterator[int]:
        """Begin an epoch: select or read where it begins an interval, then draw."""
        epoch = self._position.upcoming
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
        self._take_subset_of(epoch)
        random = stream(self._plan.seed, "order", epoch)
        order = epoch_order(self._at_hand.drawable(), self._plan.weights, random)
        if self._distributed:
            order = share_of(order, *rank_and_count())
        skip = self._position.begin(len(order))
        return self._draw(order[skip:], epoch)

    def loader(self, dataset: Any = None, **settings: Any) -> SubsetLoader:
        """A DataLoader over this sampler that keeps ``state_dict`` exact while workers read ahead.

        Args:
            dataset: Another view of the same examples (augmented, say); by default the sampler's.
            **settings: Settings of ``torch.utils.data.DataLoader``.

        Raises:
            ValueError: The settings say what to draw.
        """
        return SubsetLoader(
            self._dataset if dataset is None else dataset,
            self,
            self._position.count_trained,
            **settings,
        )

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be ``epoch``, from 0, as frameworks say when they resume."""
        self._position.begin_next_at(epoch)

    @property
    def epoch(self) -> int:
        """The epoch being drawn, or drawn last, from 0; -1 before the first."""
        return self._position.epoch

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
        return self._at_hand.weights_of(indices, self.epoch)

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
        if self.epoch < 0:
            raise RuntimeError(
                "report() before any epoch was drawn from the sampler: give it to the loop's "
                "DataLoader (sampler=sampler, without shuffle)"
            )
        return {
            "epoch": self.epoch + 1,
            "waiting_for_interval": -1,
            "subset_size": len(self._at_hand),
            "examples_seen": self._position.seen,
            "select_s": self._seconds.select_s,
            "wait_s": self._seconds.wait_s,
            **self._at_hand.errors(),
            **self._subsets.status(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Where the loop is, in the middle of an epoch too; tensors and plain values only.

        Counts the examples drawn, or, with a loader from ``loader``, those of the batches that the
        loop was given, whatever its workers have read ahead.
        """
        return {
            **self._position.state(),
            "select_s": self._seconds.select_s,
            "wait_s": self._seconds.wait_s,
            "interval": self._at_hand.state(),
            "draws": self._draws(),
        }

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
        self._position.load(state)
        self._seconds.select_s, self._seconds.wait_s = state["select_s"], state["wait_s"]
        self._at_hand.load(state["interval"])

    def _take_subset_of(self, epoch: int) -> None:
        """Hold the subset that an epoch draws from, selecting or reading it where it is new."""
        number, held = self._subsets.number_at(epoch), self._at_hand.interval
        self._at_hand.is_fresh = False
        if number is None:
            self._at_hand.take(None)
        elif held is None or held.number != number:
            self._at_hand.take(self._subsets.interval(number))
            self._at_hand.is_fresh = True

    def _length_at(self, epoch: int) -> int:
        """How many examples an epoch will draw, before its subset is known."""
        number, held = self._plan.number_at(epoch), self._at_hand.interval
        if number is None:
            return self._size
        if held is not None and held.number == number:
            return len(held)
        return self._plan.budget(self._size)

    def _share(self, length: int) -> int:
        return -(-length // rank_and_count()[1]) if self._distributed else length

    def _draw(self, order: list[int], epoch: int) -> Iterator[int]:
        for position in order:
            self._position.count_drawn(epoch)
            yield position
