"""Image classification: the task, and the trainable that ``tune.Tuner`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trainables.base import SelectionTrainable
from trainables.data.arrays import ImageArrays, Part
from trainables.data.augmentation import PadCropFlip, augmentation_for
from trainables.data.images import load_images, same_data
from trainables.models import build_model
from trainables.settings import TrialSettings
from trainables.signals import evaluation_mode, index_batches
from trainables.task import Batch, Split, Task


class ImageTask(Task):
    """Cross-entropy over images held in memory.

    On the CPU the images stay the shared read-only arrays they came as, and each batch copies its
    own rows; a GPU gets the whole data set once.
    """

    def __init__(
        self,
        model: nn.Module,
        data: ImageArrays,
        device: torch.device | str = "cpu",
        augment: PadCropFlip | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.dataset = data.identity
        self.classes = data.classes
        self.labels = torch.tensor(data.train.labels)
        self._parts = {
            "train": _Resident(data.train, self.device),
            "validation": _Resident(data.validation, self.device),
            "test": _Resident(data.test, self.device),
        }
        self._labels = {name: torch.tensor(part.labels) for name, part in self._parts.items()}
        self._augment = augment
        # (x - mean) / std as one multiplication and one addition.
        self._scale = torch.tensor(1 / data.std, device=self.device)[:, None, None]
        self._shift = torch.tensor(-data.mean / data.std, device=self.device)[:, None, None]
        self._head = last_linear(model)

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """Normalised images (B, C, H, W) and their classes (B,)."""
        images, targets = self._parts[split].take(indices)
        if generator is not None and self._augment is not None:
            images = self._augment(images, generator)
        inputs = images.to(torch.float32).mul_(self._scale).add_(self._shift)
        return Batch(indices, inputs, targets)

    def losses(self, batch: Batch) -> Tensor:
        """Cross-entropy of each example."""
        return functional.cross_entropy(self.model(batch.inputs), batch.targets, reduction="none")

    def evaluate(self, split: Split) -> dict[str, float]:
        """Mean cross-entropy and accuracy (a share in [0, 1])."""
        size = len(self._labels[split])
        if size == 0:
            return {}
        totals = torch.zeros(2, dtype=torch.float64, device=self.device)
        with evaluation_mode(self.model), torch.inference_mode(), self.autocast():
            for batch in self.batches(index_batches(size, self.eval_batch_size), split=split):
                logits = self.model(batch.inputs).float()
                loss = functional.cross_entropy(logits, batch.targets, reduction="sum")
                correct = (logits.argmax(1) == batch.targets).sum()
                totals += torch.stack([loss.double(), correct.double()])
        loss_sum, correct_sum = totals.tolist()
        return {"loss": loss_sum / size, "accuracy": correct_sum / size}

    def split_labels(self, split: Split) -> Tensor:
        """Classes of a split's examples."""
        return self._labels[split]

    def head(self) -> nn.Linear:
        """The classifier."""
        return self._head


class ImageClassification(SelectionTrainable):
    """Trains an image classifier on the arm's examples; see ``trainables/README.md`` for keys."""

    defaults: ClassVar[Mapping[str, Any]] = {"data": {"name": "digits"}}

    @classmethod
    def load_dataset(cls, data: Mapping[str, Any]) -> Any:
        """The data set that ``data`` names, to be shared with ``tune.with_parameters``."""
        return load_images(data)

    def fits(self, dataset: Any, data: Mapping[str, Any]) -> bool:
        """Whether a shared data set is the one this trial's ``data`` describes."""
        return same_data(dataset, data)

    def make_task(self, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
        """The classifier on its data set."""
        shape = dataset.train.images.shape
        if shape[2] != shape[3]:
            raise ValueError(
                f"images of {settings.data.get('name')!r} are {shape[2]} x {shape[3]}: set "
                "data.image_size to make them square"
            )
        model = build_model(
            settings.model, dataset.classes, shape[1], shape[2], settings.model_settings
        )
        augment = augmentation_for(settings.data, settings.data.get("name", "digits"), shape[2])
        return ImageTask(model, dataset, device, augment)


def last_linear(model: nn.Module) -> nn.Linear:
    """The last linear layer in order of registration.

    Raises:
        ValueError: The model has none.
    """
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linears:
        raise ValueError(
            f"{type(model).__name__} has no torch.nn.Linear layer whose gradients could be matched"
        )
    return linears[-1]


class _Resident:
    """A split's images and labels where batches are made."""

    def __init__(self, part: Part, device: torch.device) -> None:
        self.labels = part.labels
        self._arrays: tuple[NDArray[Any], NDArray[np.int64]] | None = None
        self._tensors: tuple[Tensor, Tensor] | None = None
        if device.type == "cpu":
            self._arrays = (part.images, part.labels)
        else:
            # torch.tensor copies first: the shared arrays are read-only.
            images = torch.tensor(part.images, device=device)
            self._tensors = (images, torch.tensor(part.labels, device=device))

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels at ``indices`` (CPU), as tensors of their own."""
        if self._tensors is not None:
            where = indices.to(self._tensors[0].device, non_blocking=True)
            return self._tensors[0][where], self._tensors[1][where]
        assert self._arrays is not None
        positions = indices.numpy()
        images, labels = self._arrays
        return torch.from_numpy(images[positions]), torch.from_numpy(labels[positions])
