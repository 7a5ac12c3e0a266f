"""The forward pass that tells which examples deserve a backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from trainables.tasks.task import Batch, Task
from tune_select.selection.minibatch import BatchSignals

BatchNorm = Literal["batch", "running"]
PRECISIONS: Final = {
    "float32": None,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class SelectionPass:
    """Measures the examples of a mini-batch without leaving a trace in the model.

    The model is in evaluation mode, so that dropout neither blurs the losses nor draws from the
    random numbers of the training. Batch normalisation is the exception: by default, where it is
    not frozen, it normalises with the statistics of the mini-batch, as the training pass will, and
    in either case its running statistics stay as they are.

    Attributes:
        gradients: Whether to collect last-layer inputs and output gradients too.
        precision: ``float32``, ``bfloat16`` or ``float16`` (autocast); ``None`` is the training's.
        resolution: Share of the height and width of images, in (0, 1].
        batch_norm: ``batch`` or ``running`` statistics.
    """

    gradients: bool = False
    precision: str | None = None
    resolution: float = 1.0
    batch_norm: BatchNorm = "batch"

    def __post_init__(self) -> None:
        if self.precision is not None and self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}, or null for that of the "
                f"training, got {self.precision!r}"
            )
        if not 0 < self.resolution <= 1:
            raise ValueError(f"resolution must be in (0, 1], got {self.resolution}")
        if self.batch_norm not in ("batch", "running"):
            raise ValueError(f"batch_norm must be batch or running, got {self.batch_norm!r}")

    def __call__(self, task: Task, batch: Batch) -> BatchSignals:
        """Signals of ``batch``.

        Raises:
            ValueError: The task's losses are not one per example, it has no linear head or no
                lower resolution, or the model does not take it.
        """
        if self.resolution < 1:
            batch = task.at_resolution(batch, self.resolution)
        with measuring(task.model, self.batch_norm):
            try:
                measure = self._with_gradients if self.gradients else self._losses
                return measure(task, batch)
            except RuntimeError as error:
                if self.resolution == 1 or isinstance(error, torch.OutOfMemoryError):
                    raise
                raise ValueError(
                    f"resolution={self.resolution} does not go with the model "
                    f"{type(task.model).__name__}, which takes images of one size: use 1"
                ) from error

    def _losses(self, task: Task, batch: Batch) -> BatchSignals:
        with torch.no_grad(), self._autocast(task):
            losses = task.selection_losses(batch)
        return BatchSignals.of_losses(_per_example(losses, batch), batch.indices)

    def _with_gradients(self, task: Task, batch: Batch) -> BatchSignals:
        with task.captured() as capture:
            with self._autocast(task):
                losses = _per_example(task.selection_losses(batch), batch)
            seen = capture.features(losses)
        inputs, output_gradients, bias = seen
        return BatchSignals(losses.detach(), inputs, output_gradients, bias, batch.indices)

    def _autocast(self, task: Task) -> AbstractContextManager[Any]:
        if self.precision is None:
            return task.autocast()
        dtype = PRECISIONS[self.precision]
        return torch.autocast(task.device.type, dtype=dtype, enabled=dtype is not None)


def _per_example(losses: Tensor, batch: Batch) -> Tensor:
    if losses.shape != (len(batch),):
        raise ValueError(
            f"the task's losses have shape {tuple(losses.shape)} for {len(batch)} examples: "
            "selection needs one per example, so use reduction='none' and average over all "
            "other dimensions"
        )
    return losses.float()


@contextmanager
def measuring(model: nn.Module, batch_norm: BatchNorm) -> Iterator[None]:
    """Evaluation mode; with ``batch``, batch normalisation by the statistics of the mini-batch.

    Layers that training keeps in evaluation mode (frozen ones) normalise with their running
    statistics here too, as the training pass will. Modes and running statistics are as before
    afterwards.
    """
    modules = list(model.modules())
    modes = [module.training for module in modules]
    model.eval()
    changed = [
        module
        for module, trains in zip(modules, modes, strict=True)
        if trains and batch_norm == "batch" and isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    tracked = [layer.track_running_stats for layer in changed]
    for layer in changed:
        # In training mode without tracking, a layer normalises with the mini-batch's statistics
        # and updates nothing, neither the running statistics nor their counter.
        layer.training, layer.track_running_stats = True, False
    try:
        yield
    finally:
        for layer, was_tracking in zip(changed, tracked, strict=True):
            layer.track_running_stats = was_tracking
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
