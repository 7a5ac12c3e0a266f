"""The ``evaluation`` table: what sweeps and trials both say of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _tuple_of(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _in_order(value: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(value)))


Epochs = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_tuple_of), AfterValidator(_in_order)
]
"""Epochs of a run, counted from 1; a list in any order is taken too."""


class Looks(BaseModel):
    """When a trial looks at its validation and test splits.

    Attributes:
        every: Epochs between looks at the validation split.
        share: A share in place of ``every``: look whenever the seconds of all looks, the last
            one's included, stay within this share of the training seconds so far.
        validation_part: Share of the validation split that looks before the last epoch see, in
            (0, 1]; ``auto`` takes 2,000 examples of a larger split. The part is stratified by label
            and the same for all trials.
        test: ``last`` evaluates the test split after the last epoch alone, ``every`` at each look,
            which curves and times to a test accuracy need, ``never`` not at all: nothing is chosen
            by it, and a short trial would spend more on it than on its training.
        record_losses: Epochs after which the loss of every training and test example is written to
            ``losses.parquet`` in the trial's folder; each costs a pass over both splits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    every: int | None = Field(default=None, ge=1)
    share: float | None = Field(default=None, gt=0, le=1)
    validation_part: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = "auto"
    test: Literal["last", "every", "never"] = "last"
    record_losses: Epochs = ()

    @model_validator(mode="after")
    def _one_plan(self) -> Self:
        if self.every is not None and self.share is not None:
            raise ValueError(
                f"every ({self.every}) and share ({self.share}) are two plans; give one of them"
            )
        return self
