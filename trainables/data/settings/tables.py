"""The ``data`` of a regression on a table."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from trainables.data.reading.columns import Reading
from trainables.data.settings.base import Count, Encoding, Names, Seed, Share, Text
from trainables.data.settings.corruption import CorruptibleSettings, ImbalanceSettings

Missing = Literal["error", "drop", "impute"]
Thousands = Literal[",", ".", " ", "'", "’", "_"]


class TableSettings(CorruptibleSettings):
    """What ``data`` means to ``trainables.TabularRegression``; see ``load_table``.

    Attributes:
        target: Column to predict.
        target_bins: Classes of training rows by quantiles of the target.
        categorical: Columns of categories.
        numeric: Columns of numbers, whatever else speaks against it.
        na_values: Further marks of missing values.
        decimal: The decimal mark.
        thousands: The character between groups of digits.
        encoding: The encoding of a file without a byte-order mark.
        drop: Columns that are left out.
        missing: What becomes of rows with missing values.
        validation_fraction: The validation share of all rows.
        test_fraction: The test share of all rows, where there is no test file.
        split_seed: The seed of both.
        train_size: Rows of the generated line.
        test_size: The same.
        noise: Standard deviation around it.
        data_seed: The seed of its generation.
    """

    name: Literal["linear", "bike_sharing", "table"] = Field(
        default="linear",
        description="linear, bike_sharing or table (with root: FILE for a file of your own)",
    )
    target: Text = "target"
    target_bins: Count = 1
    categorical: Names = ()
    numeric: Names = ()
    na_values: Names = ()
    decimal: Literal[".", ","] = Field(default=".", description="'.' or ','")
    thousands: Thousands | None = Field(
        default=None, description="null or one of ',', '.', ' ', \"'\", '’', '_'"
    )
    encoding: Encoding = None
    drop: Names = ()
    missing: Missing = "error"
    validation_fraction: Share = 0.1
    test_fraction: Share = 0.2
    split_seed: Seed = 0
    train_size: Count = 10_000
    test_size: Count = 5_000
    noise: float = Field(default=1.0, ge=0)
    data_seed: Seed = 0

    def reading(self, numeric: tuple[str, ...] = ()) -> Reading:
        """How text is read.

        Args:
            numeric: Columns that are numbers besides those that ``data.numeric`` lists.
        """
        return Reading(
            frozenset({*self.numeric, *numeric}),
            frozenset(self.categorical),
            frozenset(self.na_values),
            self.decimal,
            self.thousands,
        )

    @field_validator("thousands")
    @classmethod
    def _differs_from_decimal(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("decimal"):
            raise ValueError(f"must not be the decimal mark, got {value!r} for both")
        return value

    @field_validator("categorical", "drop")
    @classmethod
    def _spares_the_target(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("name") == "table" and info.data.get("target") in value:
            raise ValueError(
                f"names {info.data['target']!r}, which is data.target: a regression predicts it as "
                "a number; take it out of the list, or choose another target"
            )
        return value

    @field_validator("numeric")
    @classmethod
    def _has_one_kind(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        both = sorted({*value} & {*info.data.get("categorical", ())})
        if both:
            raise ValueError(f"names {both}, and so does data.categorical; choose one")
        return value

    @field_validator("imbalance")
    @classmethod
    def _has_classes(cls, value: ImbalanceSettings | None) -> Any:
        if value is not None and value.classes > 0 and value.keep < 1:
            raise ValueError("needs classes, but a regression has none; remove the key")
        return value
