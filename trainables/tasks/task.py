"""What one kind of learning problem brings to the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from trainables.data.identity import DatasetIdentity
from trainables.tasks.look import Look
from tune_select.selection.base import Signals
from tune_select.selection.heads.capture import HeadCapture, capture_head, evaluation_mode
from tune_select.selection.heads.collect import found_heads
from tune_select.selection.heads.find import Head, Named
from tune_select.selection.heads.gradients import SKETCH_SIZE, Features, HeadGradients
from tune_select.selection.heads.labels import are_class_scores
from tune_select.streams import kept_randomness

Split = Literal["train", "validation", "test"]

_EXAMPLES_TO_FIND_BY = 4  # whose forward pass shows which layer is last


@dataclass(frozen=True)
class Batch:
    """B examples on the training device, ready for the model.

    Attributes:
        indices: int64 (B,) positions in the split, on the CPU; on the device in what a mini-batch
            selector chose, and where the task takes them so.
        inputs: Whatever the model takes (a tensor, a tuple, a dict).
        targets: Whatever the loss takes.
    """

    indices: Tensor
    inputs: Any
    targets: Any

    def __len__(self) -> int:
        return self.indices.shape[0]


class Task(ABC):
    """Data, model, loss and metric of one kind of problem, with nothing of Ray or of selection.

    Attributes:
        model: The model, on ``device``.
        device: Where batches are made and losses computed.
        labels: int64 (n,) on the CPU, what per-class selectors group training examples by; all
            zero for a task without classes.
        dataset: Name, size and fingerprint of the training split.
        amp_dtype: Set by the trainable: the dtype of mixed precision, or ``None`` without.
        eval_batch_size: Examples per forward pass where no gradients of the body are needed.
        head_name: Set by the trainable: the last layer by name where it is not to be searched for.
        sketch_size: Most entries of an example's gradient where it does not factorise.
        sketch_seed: The seed of the sketch.
        takes_device_indices: Whether ``batch`` takes indices that are on ``device`` already.
        look: What the next evaluation is to see; set by the loop.
        frozen: Modules that are in evaluation mode in training too; set by the trainable.
    """

    metric: ClassVar[str] = "accuracy"
    """Name of the task's metric; reported as ``val_<metric>`` and ``test_<metric>``."""

    mode: ClassVar[Literal["min", "max"]] = "max"
    """Whether a larger ``metric`` is better."""

    model: nn.Module
    device: torch.device
    labels: Tensor
    dataset: DatasetIdentity
    amp_dtype: torch.dtype | None = None
    eval_batch_size: int = 500
    head_name: Head | None = None
    sketch_size: int = SKETCH_SIZE
    sketch_seed: int = 0
    _heads: tuple[nn.Module, list[Named]] | None = None
    takes_device_indices: bool = False
    look: Look | None = None
    frozen: tuple[nn.Module, ...] = ()

    @property
    def train_size(self) -> int:
        """Number n of training examples."""
        return self.labels.shape[0]

    @abstractmethod
    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """Examples of ``split`` on the device; augmented if and only if a generator is given.

        The generator lives on ``device``.
        """

    @abstractmethod
    def losses(self, batch: Batch) -> Tensor:
        """Per-example losses (B,) of a forward pass in the model's current mode."""

    @abstractmethod
    def evaluate(self, split: Split) -> dict[str, float]:
        """``{"loss": ..., metric: ...}`` over a whole split in evaluation mode.

        An empty dict where the split has no examples (no validation split, say).
        """

    def training_mode(self) -> None:
        """Put the model in training mode, but for what is frozen."""
        self.model.train()
        for module in self.frozen:
            module.eval()

    def head(self) -> nn.Module:
        """The last layer, whose inputs and output gradients selectors match.

        Override it for a layer of your own choice.

        Raises:
            ValueError: The model has none, or several.
        """
        heads = self.heads()
        if len(heads) > 1:
            raise ValueError(
                f"the loss comes from {len(heads)} layers, {', '.join(name for name, _ in heads)}: "
                "name one of them with head"
            )
        return heads[0][1]

    def heads(self) -> list[Named]:
        """The layers that run last before the loss: found once, on a few examples.

        Raises:
            ValueError: The model has none, or it is not clear which they are.
        """
        if type(self).head is not Task.head:
            return [("head()", self.head())]
        if self._heads is None or self._heads[0] is not self.model:
            batch = self.batch(torch.arange(min(_EXAMPLES_TO_FIND_BY, self.train_size)))

            def loss_of() -> Tensor:
                with self.autocast():
                    return self.losses(batch)

            with kept_randomness():
                self._heads = (self.model, found_heads(self.model, loss_of, self.head_name))
        return self._heads[1]

    @contextmanager
    def captured(self) -> Iterator[FeatureCapture]:
        """Watch the heads in the forward passes inside; the body records no graph meanwhile."""
        heads = self.heads()
        with (
            capture_head(self.model, *(module for _, module in heads)) as capture,
            torch.enable_grad(),
        ):
            yield FeatureCapture(self, capture, heads)

    def batches(
        self,
        index_batches: Iterable[Tensor],
        *,
        split: Split = "train",
        generator: torch.Generator | None = None,
    ) -> Iterator[Batch]:
        """A batch per entry of ``index_batches``, in order.

        Tasks that read from disk override this to read ahead with worker processes.
        """
        for indices in index_batches:
            yield self.batch(indices, split=split, generator=generator)

    def split_labels(self, split: Split) -> Tensor:
        """int64 labels of every example of a split, on the CPU; also says how many there are.

        Raises:
            ValueError: The task does not know them; selectors that match validation gradients
                then cannot be used.
        """
        if split == "train":
            return self.labels
        raise ValueError(
            f"{type(self).__name__} names no labels of its {split} split: override split_labels"
        )

    def signals(self, split: Split = "train", *, gradients: bool = True) -> Signals:
        """What selectors may know of every example of ``split``, in order of its indices.

        Override it where last-layer gradients do not factorise into inputs and output gradients.

        Args:
            split: ``train`` or ``validation``.
            gradients: Whether to collect gradients, or the losses alone.
        """
        return collect_signals(self, split, gradients=gradients)

    def head_signals(self, inputs: Tensor, output_gradients: Tensor) -> tuple[Tensor, Tensor, bool]:
        """What selectors are given of what the only head saw of B examples.

        Override it to give other vectors. Where it is not overridden, gradients that do not
        factorise (several positions, several heads, a convolution) are given as vectors with ones
        as gradients, see ``HeadGradients``.

        Args:
            inputs: The head's inputs h, float (B, D) or (B, T, D).
            output_gradients: Gradients p of each example's loss at the head's outputs, (B, C) or
                (B, T, C).

        Returns:
            Inputs (B, D'), output gradients (B, C') and whether the latter count on their own too
            (as the gradient of a bias), as ``Signals`` defines them.
        """
        return inputs, output_gradients, getattr(self.head(), "bias", None) is not None

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Parameter groups for the optimizer; override for layers with settings of their own.

        A group's optional ``lr_scale`` multiplies the scheduled learning rate.
        """
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        return [{"params": parameters, "weight_decay": weight_decay}]

    def metrics(self) -> Mapping[str, float]:
        """Further scalars to report with each epoch."""
        return {}

    def selection_losses(self, batch: Batch) -> Tensor:
        """Per-example losses (B,) by which a selection inside the mini-batch judges.

        Override it where they should differ from those trained on.
        """
        return self.losses(batch)

    def at_resolution(self, batch: Batch, resolution: float) -> Batch:
        """``batch`` with images of ``resolution`` times the height and width, for selection passes.

        Raises:
            ValueError: The task's inputs have no lower resolution.
        """
        raise ValueError(
            f"resolution={resolution} does not go with {type(self).__name__}, whose inputs have no "
            "lower resolution: leave it at 1"
        )

    def autocast(self) -> AbstractContextManager[Any]:
        """Mixed precision where ``amp_dtype`` asks for it."""
        if self.amp_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.amp_dtype)


class FeatureCapture:
    """What the heads of a task saw, as selectors are given it.

    Args:
        task: Its ``head_signals`` counts where it is overridden.
        capture: The capture of the heads.
        heads: The heads of the task.
    """

    def __init__(self, task: Task, capture: HeadCapture, heads: list[Named]) -> None:
        self._task, self._capture = task, capture
        self._own = type(task).head_signals is not Task.head_signals
        self._to_features = HeadGradients(
            heads, sketch_size=task.sketch_size, seed=task.sketch_seed
        )

    def features(self, losses: Tensor) -> Features:
        """Inputs, output gradients and whether a bias counts, of the pass that gave the losses."""
        gradients = self._capture.call_gradients(losses)
        if self._own:
            return self._task.head_signals(self._capture.inputs, gradients[-1])
        return self._to_features(self._capture.calls, gradients)


def index_batches(size: int, batch_size: int) -> Iterator[Tensor]:
    """Positions 0 to ``size`` - 1 in order, ``batch_size`` at a time, int64 on the CPU."""
    return iter(torch.split(torch.arange(size), batch_size))


def collect_signals(task: Task, split: Split = "train", *, gradients: bool = True) -> Signals:
    """Signals of every example of a split in one pass, in evaluation mode, unaugmented.

    Args:
        task: Whose examples they are.
        split: ``train`` or ``validation``.
        gradients: Whether to collect inputs and output gradients, or the losses alone.

    Returns:
        Signals on the task's device.

    Raises:
        ValueError: The split is empty, or the head's rows are not the examples.
    """
    labels = task.split_labels(split)
    if len(labels) == 0:
        raise ValueError(f"the {split} split is empty: set data.validation_fraction above 0")
    with evaluation_mode(task.model):
        if not gradients:
            return _losses_only(task, split, labels)
        with task.captured() as capture:
            return _fill(task, split, labels, capture)


def _losses_only(task: Task, split: Split, labels: Tensor) -> Signals:
    with torch.inference_mode(), task.autocast():
        batches = task.batches(index_batches(len(labels), task.eval_batch_size), split=split)
        losses = torch.cat([task.losses(batch).float() for batch in batches])
    empty = torch.empty(len(labels), 0, device=losses.device)
    # A tensor made in inference mode may not be used where gradients are recorded: hand out a copy.
    return Signals(labels.to(losses.device), empty, empty, losses=losses.clone())


def _fill(task: Task, split: Split, labels: Tensor, capture: FeatureCapture) -> Signals:
    size, start, has_bias = len(labels), 0, True
    inputs = output_gradients = losses = torch.empty(0)
    for batch in task.batches(index_batches(size, task.eval_batch_size), split=split):
        with task.autocast():
            batch_losses = task.losses(batch)
        seen, gradients, has_bias = capture.features(batch_losses)
        if seen.ndim != 2 or len(seen) != len(batch):
            raise ValueError(
                f"the head saw inputs of shape {tuple(seen.shape)} for {len(batch)} examples, not "
                f"({len(batch)}, D): override {type(task).__name__}.head_signals"
            )
        if start == 0:  # whole arrays at once: concatenation would need twice the memory
            inputs = gradients.new_empty(size, seen.shape[1])
            output_gradients = gradients.new_empty(size, gradients.shape[1])
            losses = gradients.new_empty(size)
        stop = start + len(batch)
        inputs[start:stop] = seen
        output_gradients[start:stop] = gradients
        losses[start:stop] = batch_losses.detach()
        start = stop
    return Signals(
        labels.to(inputs.device),
        inputs,
        output_gradients,
        has_bias,
        losses,
        class_outputs=are_class_scores(labels, output_gradients),
    )
