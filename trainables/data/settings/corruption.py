"""The keys of label noise and class imbalance."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from trainables.data.corruption import Corruption
from trainables.data.settings.base import DataSection, DataSettings, Seed, Share


class ImbalanceSettings(DataSection):
    """Which share of the classes keeps which share of its examples."""

    classes: float = Field(ge=0, le=1)
    keep: float = Field(gt=0, le=1)


class CorruptibleSettings(DataSettings):
    """Settings of a data set whose training split may be corrupted.

    Attributes:
        label_noise: Share of the training labels (or targets) that are replaced by another one.
        imbalance: Classes that lose examples; ``None`` for none.
        corruption_seed: The seed of both.
    """

    label_noise: Share = 0.0
    imbalance: ImbalanceSettings | None = Field(
        default=None, description="null or a mapping {classes: share, keep: share}"
    )
    corruption_seed: Seed = 0

    @property
    def corruption(self) -> Corruption:
        """What is done to the training split."""
        thinned = self.imbalance or ImbalanceSettings(classes=0.0, keep=1.0)
        return Corruption(self.label_noise, thinned.classes, thinned.keep, self.corruption_seed)

    @field_validator("label_noise", "corruption_seed", mode="before")
    @classmethod
    def _null_is_none_of_it(cls, value: Any) -> Any:
        return 0 if value is None else value

    @field_validator("imbalance", mode="before")
    @classmethod
    def _empty_is_none_of_it(cls, value: Any) -> Any:
        return None if value == {} else value
