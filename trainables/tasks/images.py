"""Image classification as a task: over arrays in memory, or over files read with workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trainables.data.arrays import ImageArrays, Part
from trainables.data.augmentation import PadCropFlip
from trainables.data.image_folder import FolderImages, FolderReader
from trainables.data.transforms import PictureTransform
from trainables.tasks.batches import read_in_order
from trainables.tasks.evaluation import classifier_metrics
from trainables.tasks.task import Batch, Split, Task


class ImageClassifierTask(Task):
    """Cross-entropy and accuracy; what all image classifiers have in common."""

    def __init__(
        self,
        model: nn.Module,
        data: ImageArrays | FolderImages,
        device: torch.device | str,
        *,
        channels_last: bool = False,
    ) -> None:
        self.device = torch.device(device)
        # Convolutions are up to 40% faster this way, on CPUs too; but a model that calls ``view``
        # on a convolution's output fails, so it is for models that are known not to.
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self._layout = layout
        self.model = model.to(self.device).to(memory_format=layout)
        self.dataset = data.identity
        self.classes = data.classes
        self._labels = {
            "train": torch.tensor(data.train.labels),
            "validation": torch.tensor(data.validation.labels),
            "test": torch.tensor(data.test.labels),
        }
        self.labels = self._labels["train"]
        # (x - mean) / std as one multiplication and one addition.
        self._scale = torch.tensor(1 / data.std, device=self.device)[:, None, None]
        self._shift = torch.tensor(-data.mean / data.std, device=self.device)[:, None, None]

    def losses(self, batch: Batch) -> Tensor:
        """Cross-entropy of each example."""
        return functional.cross_entropy(self.model(batch.inputs), batch.targets, reduction="none")

    def evaluate(self, split: Split) -> dict[str, float]:
        """Mean cross-entropy and accuracy (a share in [0, 1])."""
        return classifier_metrics(self, split, lambda batch: self.model(batch.inputs))

    def split_labels(self, split: Split) -> Tensor:
        """Classes of a split's examples."""
        return self._labels[split]

    def at_resolution(self, batch: Batch, resolution: float) -> Batch:
        """Images averaged down to at least one pixel."""
        height, width = (max(1, round(side * resolution)) for side in batch.inputs.shape[-2:])
        smaller = functional.interpolate(batch.inputs, (height, width), mode="area")
        return Batch(batch.indices, smaller, batch.targets)

    def _normalised(self, images: Tensor) -> Tensor:
        floats = images.to(torch.float32, memory_format=self._layout)
        return floats.mul_(self._scale).add_(self._shift)


class ImageTask(ImageClassifierTask):
    """Images in memory.

    On the CPU they stay the shared read-only arrays they came as, and each batch copies its own
    rows; a GPU gets the whole data set once.
    """

    def __init__(
        self,
        model: nn.Module,
        data: ImageArrays,
        device: torch.device | str = "cpu",
        augment: PadCropFlip | PictureTransform | None = None,
        *,
        channels_last: bool = False,
    ) -> None:
        super().__init__(model, data, device, channels_last=channels_last)
        self._parts = {
            "train": _Resident(data.train, self.device),
            "validation": _Resident(data.validation, self.device),
            "test": _Resident(data.test, self.device),
        }
        self._augment = augment
        self.takes_device_indices = self.device.type != "cpu"  # else NumPy's arrays are indexed

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """Normalised images (B, C, H, W) and their classes (B,)."""
        images, targets = self._parts[split].take(indices)
        if generator is not None and self._augment is not None:
            images = self._augment(images, generator)
        return Batch(indices, self._normalised(images), targets)


class FolderTask(ImageClassifierTask):
    """Images in files, decoded ahead by worker processes."""

    def __init__(
        self,
        model: nn.Module,
        data: FolderImages,
        device: torch.device | str = "cpu",
        *,
        augment: bool = True,
        flip: bool = True,
        transform: PictureTransform | None = None,
        workers: int = 2,
        channels_last: bool = False,
    ) -> None:
        super().__init__(model, data, device, channels_last=channels_last)
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        self._readers = {
            k: FolderReader(part, data.image_size, flip=flip, transform=transform)
            for k, part in parts.items()
        }
        self._augment = augment or transform is not None
        self._workers = workers
        self.eval_batch_size = 128

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """One batch, read in this process."""
        items = [self._readers[split][item] for item in self._draws(indices, generator)]
        images, targets = torch.utils.data.default_collate(items)
        return self._batch(indices, images, targets)

    def batches(
        self,
        index_batches: Iterable[Tensor],
        *,
        split: Split = "train",
        generator: torch.Generator | None = None,
    ) -> Iterator[Batch]:
        """Batches read ahead, in order."""
        read = read_in_order(
            index_batches,
            lambda indices: self._draws(indices, generator),
            lambda draws: torch.utils.data.DataLoader(
                self._readers[split],
                batch_sampler=draws,
                num_workers=self._workers,
                pin_memory=self.device.type == "cuda",
            ),
        )
        for indices, (images, targets) in read:
            yield self._batch(indices, images, targets)

    def _draws(self, indices: Tensor, generator: torch.Generator | None) -> list[tuple[int, int]]:
        if generator is None or not self._augment:
            return [(position, -1) for position in indices.tolist()]
        size, device = (len(indices),), generator.device
        seeds = torch.randint(2**62, size, generator=generator, device=device).tolist()
        return list(zip(indices.tolist(), seeds, strict=True))

    def _batch(self, indices: Tensor, images: Tensor, targets: Tensor) -> Batch:
        images = images.to(self.device, non_blocking=True)
        return Batch(indices, self._normalised(images), targets.to(self.device, non_blocking=True))


class _Resident:
    """A split's images and labels where batches are made."""

    def __init__(self, part: Part, device: torch.device) -> None:
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
