"""Image classification for ``tune.Tuner``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trainables.base import SelectionTrainable
from trainables.data.arrays import ImageArrays
from trainables.data.augmentation import augmentation_for, folder_augmentation
from trainables.data.description import describe_images
from trainables.data.image_folder import FolderImages
from trainables.data.images import load_images
from trainables.data.settings.images import FeedingSettings, ImageSettings
from trainables.data.transforms import transform_named
from trainables.data.user_datasets import UserImages
from trainables.models import MODEL_NAMES, build_model
from trainables.settings.trial import TrialSettings
from trainables.tasks.datasets import DatasetTask
from trainables.tasks.images import FolderTask, ImageTask
from trainables.tasks.task import Task


class ImageClassification(SelectionTrainable):
    """Trains an image classifier on the arm's examples; see ``trainables/README.md`` for keys."""

    data_settings: ClassVar[type[ImageSettings]] = ImageSettings
    defaults: ClassVar[Mapping[str, Any]] = {"data": {"name": "digits"}}

    @classmethod
    def load_dataset(cls, config: Mapping[str, Any]) -> Any:
        """The data set that ``config["data"]`` names, for ``tune.with_parameters``."""
        return load_images(config.get("data", {}))

    @classmethod
    def describe(cls, dataset: Any) -> list[str]:
        """Lines for people on a loaded data set."""
        return describe_images(dataset)

    def make_model(self, settings: TrialSettings, dataset: Any) -> nn.Module:
        """The model that ``settings.model`` names; override for one of your own."""
        return build_model(
            settings.model,
            dataset.classes,
            dataset.channels,
            dataset.image_size,
            settings.model_settings,
            weights=settings.weights,
        )

    @classmethod
    def pictures(
        cls, dataset: ImageArrays | FolderImages, examples: NDArray[np.int64]
    ) -> dict[str, Any]:
        """What the report's galleries show of training examples.

        Args:
            dataset: What ``load_dataset`` returned.
            examples: int64 (m,) positions in the training set.

        Returns:
            ``image`` uint8 (m, H, W) or (m, H, W, 3), ``label`` int64 (m,), ``labels`` int64
            (n,) and ``class_names``. Empty for images that are not in memory.
        """
        if not isinstance(dataset, ImageArrays):
            return {}
        part = dataset.train
        images = part.images[examples]
        low, high = float(part.images.min()), float(part.images.max())
        if images.dtype != np.uint8 or high < 128:  # digits go up to 16
            images = ((images - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
        shown = images[:, 0] if images.shape[1] != 3 else images.transpose(0, 2, 3, 1)
        return {
            "image": shown,
            "label": part.labels[examples],
            "labels": part.labels,
            "class_names": dataset.class_names,
        }

    def make_task(self, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
        """The classifier on its data set."""
        model = self.make_model(settings, dataset)
        feeding = FeedingSettings.among(settings.data)
        # Ray wraps each method of the class of an actor, which every trial is: without unwrapping,
        # no trial of a sweep would know its model as one of ours and get the faster layout.
        made_by = inspect.unwrap(type(self).make_model)
        ours = made_by is inspect.unwrap(ImageClassification.make_model)
        if isinstance(dataset, UserImages):
            return DatasetTask(
                model,
                dataset.train,
                dataset.validation,
                dataset.test,
                labels=dataset.labels,
                collate_fn=dataset.collate,
                workers=feeding.workers or 0,
                identity=dataset.identity,
                device=device,
            )
        transform = transform_named(feeding.transform, dataset.image_size)
        channels_last = ours and settings.model in MODEL_NAMES
        if isinstance(dataset, FolderImages):
            workers = feeding.workers
            crop, flip = folder_augmentation(feeding.augment)
            return FolderTask(
                model,
                dataset,
                device,
                augment=crop,
                flip=flip,
                transform=transform,
                # Ray gives PyTorch as many threads as the trial has CPUs.
                workers=torch.get_num_threads() if workers is None else workers,
                channels_last=channels_last,
            )
        augment = augmentation_for(
            feeding.augment, settings.data.get("name", "digits"), dataset.image_size
        )
        return ImageTask(model, dataset, device, transform or augment, channels_last=channels_last)
