"""The ``data`` of an image classification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from trainables.data.settings.base import DataSection, Seed, Share, as_written
from trainables.data.settings.corruption import CorruptibleSettings
from trainables.data.settings.pictures import PictureSettings
from trainables.data.transforms import transform_named
from tune_select.imports import is_import_string
from tune_select.messages import checked
from tune_select.wording import not_among

IMAGE_SETS = (
    "digits",
    "cifar10",
    "cifar100",
    "svhn",
    "imagenet32",
    "mnist",
    "fashion_mnist",
    "arrays",
    "image_folder",
)
"""Names of data sets that are not a function of the user's."""


class AugmentSettings(DataSection):
    """An augmentation by its parts.

    Attributes:
        pad: Pixels on each side of which crops are drawn; an eighth of the width by default.
        flip: Whether half of the examples are mirrored; by default pictures of a folder are, and
            others are not.
        cutout: Side of a black square, in pixels.
    """

    pad: Annotated[int, Field(ge=0)] | None = None
    flip: bool | None = None
    cutout: int = Field(default=0, ge=0)


Augment = Literal["auto"] | bool | AugmentSettings | None


class FeedingSettings(PictureSettings):
    """How images are fed to training, which changes nothing of what examples there are.

    Attributes:
        augment: ``auto`` (what is customary for the data set), true, false, or its parts.
        transform: Import string of an augmentation of the user's own in its place, see
            ``trainables.data.transforms``.
        workers: Processes that read image files; as many as the trial has CPUs by default.
    """

    augment: Augment = Field(
        default="auto",
        description="auto, true, false or {pad: pixels, flip: bool, cutout: pixels}",
    )
    transform: str | None = Field(default=None, description="an import string or null")
    workers: Annotated[int, Field(ge=0)] | None = None

    @classmethod
    def among(cls, data: Mapping[str, Any]) -> FeedingSettings:
        """Those of the keys of ``data``, where a user's own loader may read others."""
        own = {key: data[key] for key in FeedingSettings.model_fields if key in data}
        return checked(FeedingSettings, own, "data.")


class ImageSettings(FeedingSettings, CorruptibleSettings):
    """What ``data`` means to ``trainables.ImageClassification``.

    Attributes:
        name: One of ``IMAGE_SETS``, or the import string of a function that returns datasets.
        download: Whether torchvision may fetch what is not there.
        validation_fraction: The validation share of the training examples, where no validation
            split is given.
        test_fraction: The test share of folders of images that come without a split.
        split_seed: The seed of these draws.
        train_limit: A stratified draw of so many training examples.
        image_size: Pixels that images are resized to; what they have by default (224 of files).
        layout: The layout of arrays: where their channels are.
        settings: Keywords of the function that ``name`` names.
        extra: Whether the 531,131 easier examples of SVHN's third part are added to its training
            set.
    """

    feeding: ClassVar[frozenset[str]] = frozenset(
        {"download", "augment", "transform", "workers", "verify"}
    )

    name: str = "digits"
    download: bool = False
    validation_fraction: Share = 0.1
    test_fraction: Share = 0.1
    split_seed: Seed = 0
    train_limit: Annotated[int, Field(ge=2)] | None = None
    image_size: Annotated[int, Field(ge=2)] | None = None
    layout: Literal["auto", "nchw", "nhwc"] = "auto"
    settings: dict[str, Any] = Field(default={})
    extra: bool = False

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in IMAGE_SETS and not is_import_string(name):
            others = ", or the import string of a function that returns datasets"
            raise ValueError(not_among("", name, IMAGE_SETS, others).lstrip())
        return name

    @field_validator("settings")
    @classmethod
    def _are_a_functions(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        name = info.data.get("name", "")
        if settings and name in IMAGE_SETS:
            raise ValueError(
                "must be the keywords of a function that data.name names by import string, got "
                f"{settings!r} for data.name={name!r}"
            )
        return settings

    @field_validator("extra")
    @classmethod
    def _is_svhns(cls, extra: bool, info: ValidationInfo) -> bool:
        if extra and info.data.get("name", "svhn") != "svhn":
            raise ValueError(f"is svhn's alone, got true for data.name={info.data['name']!r}")
        return extra

    @field_validator("transform")
    @classmethod
    def _augments_alone(cls, transform: str | None, info: ValidationInfo) -> str | None:
        transform_named(transform)
        augment = info.data.get("augment", "auto")
        if transform is not None and augment != "auto":
            raise ValueError(f"{transform!r} and data.augment both augment: leave one of them out")
        return transform

    @field_validator("augment")
    @classmethod
    def _fits_files(cls, augment: Augment, info: ValidationInfo) -> Augment:
        if not isinstance(augment, AugmentSettings) or info.data.get("name") != "image_folder":
            return augment
        if augment.pad or augment.cutout:
            raise ValueError(
                "must be auto, true, false or {flip: bool} for files, whose random crops know no "
                f"padding and no cutout, got {as_written(augment)!r}"
            )
        return augment

    @field_validator("augment", "transform", "train_limit", "label_noise", "imbalance")
    @classmethod
    def _does_something(cls, value: Any, info: ValidationInfo) -> Any:
        name, field = info.data.get("name", "digits"), str(info.field_name)
        if name not in IMAGE_SETS and value != cls.model_fields[field].default:
            raise ValueError(
                f"{as_written(value)!r} does nothing to the datasets of {name!r}: do it in that "
                "function"
            )
        return value
