"""Columns of a table as numbers, fitted on training rows alone.

Not by scikit-learn's StandardScaler and OneHotEncoder: the scaler sums in another order, so that
the float32 result differed somewhere in 4 of 60 random tables. Such a table would have another
identity, and every history that was recorded on it would be refused. They also name no column in
what they refuse, so that all checks below would stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_MISSING = "<missing>"


@dataclass(frozen=True)
class NumberColumn:
    """Standardised by the mean and deviation of training; missing becomes the training median."""

    name: str
    mean: float
    std: float
    median: float

    @property
    def features(self) -> tuple[str, ...]:
        """The one column this becomes."""
        return (self.name,)

    def transform(self, column: pd.Series) -> NDArray[np.float64]:
        """(n, 1) deviations from the mean."""
        values = numbers(column).astype(np.float64)
        return ((np.where(np.isnan(values), self.median, values) - self.mean) / self.std)[:, None]


@dataclass(frozen=True)
class CategoryColumn:
    """One 0/1 column per value seen in training; a value first seen later is all zeros."""

    name: str
    values: tuple[str, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """A column per value, as ``name=value``."""
        return tuple(f"{self.name}={value}" for value in self.values)

    def transform(self, column: pd.Series) -> NDArray[np.float64]:
        """(n, values) zeros and ones."""
        known = np.array(self.values, dtype=object)
        return np.asarray(_texts(column)[:, None] == known, dtype=np.float64)


@dataclass(frozen=True)
class Encoder:
    """A table's columns as one float32 matrix."""

    columns: tuple[NumberColumn | CategoryColumn, ...]

    @classmethod
    def fit(cls, frame: pd.DataFrame, categorical: Sequence[str] = ()) -> Encoder:
        """Learn means, deviations and values from training rows.

        Args:
            frame: Training rows, feature columns alone.
            categorical: Columns of numbers that are codes; text, booleans and categories are
                taken as such by themselves.

        Raises:
            ValueError: ``categorical`` names a column that is not there, a column is of a kind
                without an encoding (dates), holds an infinite value, or there is none at all.
        """
        absent = sorted(set(categorical) - set(frame.columns))
        if absent:
            raise ValueError(
                f"data.categorical names {absent}, which are not among the columns "
                f"{sorted(map(str, frame.columns))}"
            )
        if frame.shape[1] == 0:
            raise ValueError("the table has no column besides the target; check data.drop")
        return cls(
            tuple(
                _category(frame[name]) if name in categorical else _fitted(frame[name])
                for name in frame.columns
            )
        )

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the encoded columns."""
        return tuple(feature for column in self.columns for feature in column.features)

    def unseen(self, frame: pd.DataFrame) -> dict[str, list[str]]:
        """Values of each category in some rows that training never showed."""
        found = {
            column.name: sorted(set(_texts(frame[column.name])) - set(column.values))
            for column in self.columns
            if isinstance(column, CategoryColumn)
        }
        return {name: values for name, values in found.items() if values}

    def transform(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """(n, d) features of rows with the columns of training.

        Raises:
            ValueError: A column of training is missing, or holds what it did not hold there.
        """
        absent = [column.name for column in self.columns if column.name not in frame.columns]
        if absent:
            raise ValueError(f"the rows lack the columns {absent} that the training rows have")
        with np.errstate(over="ignore"):  # looked for below
            blocks = [c.transform(frame[c.name]).astype(np.float32) for c in self.columns]
        encoded = np.concatenate(blocks, axis=1)
        wrong = np.flatnonzero(~np.isfinite(encoded).all(axis=0))
        if len(wrong):
            raise ValueError(_too_large(self.features[wrong[0]]))
        return encoded


def numbers(column: pd.Series) -> NDArray[np.float64]:
    """A numeric column as float64, missing values as NaN.

    Raises:
        ValueError: The column is not numeric, or holds an infinite value.
    """
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise ValueError(
            f"column {column.name!r} must be numeric, got {column.dtype}; convert it, list it in "
            "data.categorical, or in data.drop"
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise ValueError(
            f"column {column.name!r} holds {infinite} infinite value(s); correct or drop those rows"
        )
    return np.asarray(values, dtype=np.float64)


def _fitted(column: pd.Series) -> NumberColumn | CategoryColumn:
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind) or isinstance(kind, pd.CategoricalDtype):
        return _category(column)
    if pd.api.types.is_string_dtype(kind) or pd.api.types.is_object_dtype(kind):
        return _category(column)
    if not pd.api.types.is_numeric_dtype(kind):
        raise ValueError(
            f"column {column.name!r} is of type {kind}, which has no encoding; "
            "list it in data.drop or turn it into numbers or categories first"
        )
    values = numbers(column)
    if np.isnan(values).all():
        raise ValueError(
            f"column {column.name!r} has no value in any training row, so there is no median to "
            "impute: list it in data.drop"
        )
    # A constant column carries nothing: dividing by 1 leaves it at zero.
    with np.errstate(over="ignore"):
        std = float(np.nanstd(values)) or 1.0
    if not np.isfinite(std):
        raise ValueError(_too_large(str(column.name)))
    return NumberColumn(
        str(column.name), float(np.nanmean(values)), std, float(np.nanmedian(values))
    )


def _category(column: pd.Series) -> CategoryColumn:
    return CategoryColumn(str(column.name), tuple(sorted(set(_texts(column)))))


def _texts(column: pd.Series) -> NDArray[np.object_]:
    present = column.notna().to_numpy()
    texts = np.full(len(column), _MISSING, dtype=object)
    texts[present] = [str(value) for value in column[present]]
    return texts


def _too_large(name: str) -> str:
    return (
        f"column {name!r} holds values too large to standardise: rescale it or list it in data.drop"
    )
