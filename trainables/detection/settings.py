"""The ``data`` of an object detection."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from trainables.data.settings.base import Count, DataSettings, Seed, Share
from trainables.data.settings.pictures import PictureSettings, listed
from trainables.detection.synthetic import SHAPES
from trainables.detection.transforms import Augmentation
from tune_select.wording import shown

_OWN = {
    "coco": frozenset({"root", "train_split", "test_split", "categories", "images", "fraction"}),
    "shapes": frozenset({"train_size", "test_size", "image_size", "shapes"}),
}
"""Keys that mean something to one of the data sets alone."""


class DetectionSettings(PictureSettings, DataSettings):
    """What ``data`` means to ``trainables.ObjectDetection``.

    Attributes:
        name: ``shapes`` (synthetic) or ``coco`` (a folder, ``root`` or ``$TUNE_SELECT_DATA/coco``).
        validation_fraction: The validation share of the training pictures.
        split_seed: The seed of the draw.
        augmentation: ``auto`` is ``ssd`` for COCO and ``flip`` for shapes.
        workers: Processes that decode ahead; ``auto`` is 4 for files and 0 for pictures in memory.
        stored_size: Pixels at which everything is decoded once and kept in memory.
        train_split: The name of the COCO split that is trained on.
        test_split: The name of the other COCO split.
        categories: The names or ids of the COCO categories to keep.
        images: The ids of the COCO pictures to keep, of the training split.
        fraction: The share of the pictures of both COCO splits to keep.
        train_size: The number of pictures of shapes that are drawn.
        test_size: The same.
        image_size: The width of the pictures of shapes, in pixels.
        shapes: The number of kinds of shapes.
    """

    feeding: ClassVar[frozenset[str]] = frozenset({"augmentation", "workers", "verify"})

    name: Literal["shapes", "coco"] = "shapes"
    validation_fraction: Share = 0.1
    split_seed: Seed = 0
    augmentation: Augmentation | Literal["auto"] = Field(
        default="auto", description="auto, ssd, crop, flip or none"
    )
    stored_size: Count | None = None
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto", description="auto or a number of processes"
    )
    train_split: str = "train2017"
    test_split: str = "val2017"
    categories: Annotated[tuple[str | int, ...] | None, BeforeValidator(listed)] = Field(
        default=None, description="null or a list of names or ids"
    )
    images: Annotated[tuple[int, ...] | None, BeforeValidator(listed)] = Field(
        default=None, description="null or a list of ids"
    )
    fraction: float = Field(default=1.0, gt=0, le=1)
    train_size: Count = 400
    test_size: Count = 100
    image_size: Count = 128
    shapes: int = Field(default=3, ge=1, le=len(SHAPES))

    @field_validator(*sorted(_OWN["coco"] | _OWN["shapes"]))
    @classmethod
    def _belongs_to_the_name(cls, value: Any, info: ValidationInfo) -> Any:
        name, field = info.data.get("name"), str(info.field_name)
        owner = next(owner for owner, keys in _OWN.items() if field in keys)
        if name not in (None, owner) and value != cls.model_fields[field].default:
            raise ValueError(
                f"{shown(value)} is a setting of {owner}, but data.name is {name}: leave it out"
            )
        return value

    @property
    def augmented_by(self) -> Augmentation:
        """The augmentation, with ``auto`` decided."""
        if self.augmentation != "auto":
            return self.augmentation
        return "ssd" if self.name == "coco" else "flip"

    @property
    def worker_count(self) -> int:
        """The processes that decode ahead, with ``auto`` decided."""
        if self.workers != "auto":
            return self.workers
        return 0 if self.name == "shapes" or self.stored_size is not None else 4
