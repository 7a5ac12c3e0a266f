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
from trainables.tasks.signals import FeatureCapture, ToFeatures, losses_alone, with_gradients
from tune_select.selection.base import Signals
from tune_select.selection.heads.capture import capture_head, evaluation_mode
from tune_select.selection.heads.collect import found_heads
from tune_select.selection.heads.find import Head, Named
from tune_select.selection.heads.gradients import SKETCH_SIZE, HeadGradients
from tune_select.selection.heads.notes import kept_notes
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

            with kept_randomness():
                found = found_heads(self.model, lambda: self._cast_losses(batch), self.head_name)
            self._heads = (self.model, found)
        return self._heads[1]

    @contextmanager
    def captured(self) -> Iterator[FeatureCapture]:
        """Watch the heads in the forward passes inside; the body records no graph meanwhile."""
        heads = self.heads()
        with (
            capture_head(self.model, *(module for _, module in heads)) as capture,
            torch.enable_grad(),
        ):
            yield FeatureCapture(capture, self._to_features(heads))

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

        One pass in evaluation mode, unaugmented. Override it where last-layer gradients do not
        factorise into inputs and output gradients.

        Args:
            split: ``train`` or ``validation``.
            gradients: Whether to collect gradients, or the losses alone.

        Returns:
            Signals on the task's device, or on the CPU where that has no double precision.

        Raises:
            ValueError: The split is empty, or the head's rows are not the examples.
        """
        labels = self.split_labels(split)
        if len(labels) == 0:
            raise ValueError(f"the {split} split is empty: set data.validation_fraction above 0")
        batches = self.batches(index_batches(len(labels), self.eval_batch_size), split=split)
        with evaluation_mode(self.model), kept_notes(self.model):
            if not gradients:
                return losses_alone(labels, batches, self._cast_losses)
            with self.captured() as capture:
                return with_gradients(labels, batches, self._cast_losses, capture)

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

    def _cast_losses(self, batch: Batch) -> Tensor:
        """Losses as in training: in mixed precision where that trains so."""
        with self.autocast():
            return self.losses(batch)

    def _to_features(self, heads: list[Named]) -> ToFeatures:
        if type(self).head_signals is Task.head_signals:
            return HeadGradients(heads, sketch_size=self.sketch_size, seed=self.sketch_seed)
        return lambda calls, gradients: self.head_signals(calls[-1].inputs, gradients[-1])


def index_batches(size: int, batch_size: int) -> Iterator[Tensor]:
    """Positions 0 to ``size`` - 1 in order, ``batch_size`` at a time, int64 on the CPU."""
    return iter(torch.split(torch.arange(size), batch_size))
