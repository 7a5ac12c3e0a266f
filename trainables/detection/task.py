"""Object detection as a task of the training loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trainables.detection.boxes import Targets
from trainables.detection.data import DetectionData
from trainables.detection.evaluation import mean_average_precision
from trainables.detection.gradients import HeadSketch, exact_gradients, head_gradients
from trainables.detection.loss import ImageLosses, image_losses
from trainables.detection.models import SSD
from trainables.detection.prediction import Detections, detect
from trainables.detection.reader import ExampleReader, draws_of
from trainables.detection.settings import DetectionSettings
from trainables.detection.transforms import Preparation
from trainables.tasks.batches import read_in_order
from trainables.tasks.task import Batch, Split, Task, index_batches
from tune_select.selection.base import Signals
from tune_select.selection.heads.capture import evaluation_mode
from tune_select.selection.heads.precision import double


class ObjectDetectionTask(Task):
    """SSD on a detection set.

    ``evaluate`` gives COCO's ``map`` (IoU 0.50:0.95) with its parts, and the loss with its parts
    ``loss_conf`` and ``loss_loc``; ``metrics`` gives those of the training steps.
    """

    metric: ClassVar[str] = "map"
    model: SSD

    def __init__(
        self,
        model: SSD,
        data: DetectionData,
        device: torch.device | str = "cpu",
        *,
        feed: DetectionSettings | None = None,
        alpha: float = 1.0,
        selection_alpha: float | None = None,
        projection_dim: int | None = 2048,
        evaluator: str = "auto",
    ) -> None:
        """Put a model and its data together.

        Args:
            model: Moved to ``device``.
            data: The splits and how they are fed.
            device: Where batches are made.
            feed: ``data`` settings with the ``augmentation`` and ``workers`` of this task, where
                they differ from those the data were loaded with.
            alpha: Weight of the localisation loss.
            selection_alpha: The same in the selection passes of mini-batch selectors (Cai et al.,
                section 7.2, propose to separate them); ``alpha`` when ``None``.
            projection_dim: Entries of the sketch of each image's head gradients; ``None`` gives
                selectors the gradients themselves, which only small models can hold.
            evaluator: A backend of ``mean_average_precision``.
        """
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.dataset = data.identity
        self.labels = torch.zeros(len(data.train), dtype=torch.int64)
        self.eval_batch_size = 64 if model.layout.size_px < 300 else 32
        self._data = data
        self._alpha = alpha
        self._selection_alpha = alpha if selection_alpha is None else selection_alpha
        self._evaluator = evaluator
        self._sketch = None if projection_dim is None else HeadSketch(self.model, projection_dim)
        size_px, settings = model.layout.size_px, feed or data.settings
        prepare = Preparation(size_px, settings.augmented_by, fill=data.pixel_mean)
        splits: tuple[Split, ...] = ("train", "validation", "test")
        self._readers = {name: ExampleReader(data.split(name), prepare) for name in splits}
        self._workers = settings.worker_count
        self._training = _PartSums(self.device)

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """Pixels uint8 (B, 3, S, S), and targets (boxes (B, M, 4), labels (B, M))."""
        return self._batch(indices, self._readers[split].read(draws_of(indices, generator)))

    def batches(
        self,
        index_batches: Iterable[Tensor],
        *,
        split: Split = "train",
        generator: torch.Generator | None = None,
    ) -> Iterator[Batch]:
        """Batches in order, read ahead by workers where there are any."""
        pinned = self.device.type == "cuda"
        read = read_in_order(
            index_batches,
            lambda indices: draws_of(indices, generator),
            lambda draws: self._readers[split].read_ahead(draws, self._workers, pinned),
        )
        for indices, parts in read:
            yield self._batch(indices, parts)

    def losses(self, batch: Batch) -> Tensor:
        """L_conf + alpha L_loc of each image, each divided by the image's N."""
        parts = self._loss_parts(batch)
        if self.model.training and torch.is_grad_enabled():
            self._training.add(parts)
        return parts.total(self._alpha)

    def selection_losses(self, batch: Batch) -> Tensor:
        """The same with the alpha of the selection pass."""
        return self._loss_parts(batch).total(self._selection_alpha)

    def evaluate(self, split: Split) -> dict[str, float]:
        """Losses by part and COCO's metrics over a split."""
        dataset = self._data.split(split)
        if len(dataset) == 0:
            return {}
        sums = _PartSums(self.device)
        found: list[Detections] = []
        with evaluation_mode(self.model), torch.inference_mode(), self.autocast():
            for batch in self.batches(
                index_batches(len(dataset), self.eval_batch_size), split=split
            ):
                logits, offsets = self.model(batch.inputs)
                targets = Targets(*batch.targets)
                sums.add(image_losses(logits, offsets, targets, self.model.default_boxes))
                found += detect(
                    logits, offsets, self.model.default_boxes, self.model.layout.size_px
                )
        conf, loc = sums.take()
        return {
            "loss": conf + self._alpha * loc,
            "loss_conf": conf,
            "loss_loc": loc,
            **mean_average_precision(
                self._in_original_pixels(found, split), dataset, backend=self._evaluator
            ),
        }

    def detections(self, indices: Tensor, *, split: Split = "test") -> list[Detections]:
        """What the model finds in given pictures, in their original pixels."""
        with evaluation_mode(self.model), torch.inference_mode(), self.autocast():
            batch = self.batch(indices, split=split)
            logits, offsets = self.model(batch.inputs)
        found = detect(logits, offsets, self.model.default_boxes, self.model.layout.size_px)
        return self._in_original_pixels(found, split, indices.numpy())

    def head(self) -> nn.Linear:
        """SSD has none.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "SSD has no linear head but a convolution per feature map; its per-image gradients "
            "come from signals(), for whole-dataset selectors. Inside the mini-batch choose a "
            "selector that needs losses alone, such as selective_backprop_fixed"
        )

    def split_labels(self, split: Split) -> Tensor:
        """Zeros: a picture has no single class."""
        return torch.zeros(len(self._data.split(split)), dtype=torch.int64)

    def signals(self, split: Split = "train", *, gradients: bool = True) -> Signals:
        """Per-image gradients of all heads, sketched (see ``HeadSketch``), and losses.

        They stand in ``inputs``, with ones as ``output_gradients`` and no bias, so that
        <g_i, g_j> = h_i . h_j for every selector.

        Raises:
            ValueError: The split is empty.
        """
        labels = self.split_labels(split).to(self.device)
        if len(labels) == 0:
            raise ValueError(f"the {split} split is empty: set data.validation_fraction above 0")
        batches = self.batches(index_batches(len(labels), self.eval_batch_size), split=split)
        measure = self._gradients if gradients else self._no_gradients
        with evaluation_mode(self.model):
            vectors, losses = zip(*(measure(batch) for batch in batches), strict=True)
        ones = torch.ones(len(labels), int(gradients), device=self.device)
        return Signals(labels, torch.cat(vectors), ones, bias=False, losses=torch.cat(losses))

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Weight decay on convolutions' weights alone, not on biases and norms."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        return [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]

    def metrics(self) -> Mapping[str, float]:
        """The parts of the training loss since the last call."""
        if self._training.count == 0:
            return {}
        conf, loc = self._training.take()
        return {"train_loss_conf": conf, "train_loss_loc": loc}

    def _gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Vectors (B, d) that stand for the heads' gradients, and losses (B,)."""
        with self.autocast():
            levels, losses = head_gradients(
                self.model, batch.inputs, Targets(*batch.targets), self._alpha
            )
        # Outside autocast: sums over positions need single precision.
        vectors = exact_gradients(levels) if self._sketch is None else self._sketch(levels)
        return vectors, losses

    def _no_gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Vectors (B, 0), and losses (B,)."""
        with torch.no_grad(), self.autocast():
            losses = self._loss_parts(batch).total(self._alpha)
        return losses.new_empty(len(losses), 0), losses

    def _loss_parts(self, batch: Batch) -> ImageLosses:
        logits, offsets = self.model(batch.inputs)
        return image_losses(logits, offsets, Targets(*batch.targets), self.model.default_boxes)

    def _batch(self, indices: Tensor, parts: list[Tensor]) -> Batch:
        pixels, boxes, labels = (part.to(self.device, non_blocking=True) for part in parts)
        return Batch(indices, pixels, (boxes, labels))

    def _in_original_pixels(
        self, found: list[Detections], split: Split, positions: Any = slice(None)
    ) -> list[Detections]:
        sizes = self._data.split(split).sizes[positions][:, [1, 0, 1, 0]]
        factors = sizes.astype(np.float32) / self.model.layout.size_px
        return [one.scaled(factor) for one, factor in zip(found, factors, strict=True)]


class _PartSums:
    """Sums of the two loss parts, kept on the device: reading them each step would stall it."""

    def __init__(self, device: torch.device) -> None:
        self._sums = double(torch.zeros(2, device=device))
        self.count = 0

    def add(self, parts: ImageLosses) -> None:
        sums = [parts.classification.detach().sum(), parts.localisation.detach().sum()]
        self._sums += torch.stack(sums).to(self._sums.device)
        self.count += len(parts.matched)

    def take(self) -> tuple[float, float]:
        """Mean classification and localisation loss; starts again."""
        conf, loc = (self._sums / self.count).tolist()
        self._sums.zero_()
        self.count = 0
        return conf, loc
