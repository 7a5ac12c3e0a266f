"""Tables for regression: generated, bike sharing, and any CSV or Parquet file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from trainables.data.corruption import Corruption, noisy_targets
from trainables.data.encoding import Encoder, numbers
from trainables.data.identity import DatasetIdentity, fingerprint
from trainables.data.reading.columns import ColumnNote
from trainables.data.reading.omissions import Omission, omission
from trainables.data.reading.table_files import ENDINGS, read_tables
from trainables.data.settings.tables import Missing, TableSettings
from tune_select.wording import did_you_mean

_BIKE_TARGET = "cnt"
# The target is casual + registered; instant counts the rows; dteday repeats yr, mnth and weekday.
_BIKE_DROP = ("instant", "dteday", "casual", "registered")
# Codes without an order; holiday, workingday and yr are 0/1 already.
_BIKE_CATEGORIES = ("season", "mnth", "weekday", "weathersit")


class Rows(NamedTuple):
    """One split: features float32 (n, d) and targets float32 (n,), both standardised."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """A table that is split, encoded and standardised, ready for any regression model.

    Attributes:
        identity: The identity of the training split, after corruption.
        settings: What stood under ``data``.
        features: Names of the d columns after encoding.
        train: The training split, whose clean statistics standardise all three.
        validation: What searches optimise; no rows when its share is 0.
        test: The test part, for reports alone.
        target_mean: Mean of the training targets, in their own units.
        target_std: Their standard deviation (1 where they are constant): an error in deviations
            times ``target_std`` is an error in target units.
        schema: What each column was read as; empty for what was generated.
        left_out: Columns that were left out, and why.
    """

    identity: DatasetIdentity
    settings: TableSettings
    features: tuple[str, ...]
    train: Rows
    validation: Rows
    test: Rows
    target_mean: float
    target_std: float
    schema: tuple[ColumnNote, ...] = ()
    left_out: tuple[Omission, ...] = ()


class _Source(NamedTuple):
    """Frames as read, and how to understand them."""

    train: pd.DataFrame
    test: pd.DataFrame | None
    target: str
    categorical: tuple[str, ...]
    drop: tuple[str, ...]
    schema: tuple[ColumnNote, ...] = ()
    left_out: tuple[Omission, ...] = ()


def load_table(data: Mapping[str, Any] | TableSettings) -> Table:
    """Read, split, encode and standardise the table that a trial's ``data`` names.

    ``name: linear``: y = 2x + 1 with x uniform in [-5, 5] and Gaussian noise (Zhang et al.,
    Table 2, which states neither range nor noise). Keys: ``train_size``, ``test_size``, ``noise``
    (standard deviation) and ``data_seed``.

    ``name: bike_sharing``: the UCI daily table, ``<root>/day.csv`` or
    ``<root>/bike_sharing/day.csv``; predicts ``cnt``, without the columns that add up to it.

    ``name: table``: ``root`` is a CSV or Parquet file, or a folder with files ``train`` and
    ``test`` of either kind. ``target`` is the column to predict; ``categorical`` and ``drop`` list
    further columns. Text, booleans, categories and ``categorical`` columns become one 0/1 column
    per value; numbers are standardised by training statistics. What a column of a CSV file holds is
    decided on all of its rows, by the rules of ``trainables.data.reading.columns``; ``numeric``,
    ``categorical``, ``na_values``, ``decimal`` and ``thousands`` decide where these refuse to
    guess, and ``encoding`` is that of a file without a byte-order mark.

    ``missing``: ``error``, ``drop`` (those rows) or ``impute`` (the training median; for categories
    a value of its own). A missing target is always an error. ``validation_fraction`` and, where
    there is no test file, ``test_fraction`` of all rows are drawn with ``split_seed``.
    ``target_bins`` above 1 groups training rows into so many classes by quantiles of the target,
    which is what selectors per class then go by (those of whole-layer gradients, such as
    ``gradmatch_whole``; a regression has one output, not one per class). ``label_noise`` exchanges
    a share of the training targets.

    Raises:
        ValueError: A key, name, column, share or value does not fit; the message names it, and the
            remedy.
        FileNotFoundError: There is no such file; the message says where it was looked for.
    """
    settings = TableSettings.of(data)
    source = _cleaned(_source(settings), settings.missing)
    splits = _split(source, settings)
    encoder = Encoder.fit(splits[0].drop(columns=[source.target]), source.categorical)
    targets = numbers(splits[0][source.target])
    with np.errstate(over="ignore"):
        mean, std = float(targets.mean()), float(targets.std()) or 1.0
    if len(targets) > 1 and targets.min() == targets.max():
        raise ValueError(
            f"the target {source.target!r} is {mean:g} in all {len(targets)} training rows, so "
            "there is nothing to predict: check data.target"
        )
    if not np.isfinite((mean, std)).all():
        raise ValueError(f"the target {source.target!r} holds values too large to standardise")
    train, validation, test = (
        Rows(
            encoder.transform(frame.drop(columns=[source.target])),
            ((numbers(frame[source.target]) - mean) / std).astype(np.float32),
        )
        for frame in splits
    )
    unseen = encoder.unseen(pd.concat([part.drop(columns=[source.target]) for part in splits[1:]]))
    corruption = settings.corruption
    shape = {"features": encoder.features, "target_bins": settings.target_bins}
    digest = corruption.fingerprint(fingerprint(train, shape))
    train = _corrupted(train, corruption)
    return Table(
        identity=DatasetIdentity(settings.name, len(train.targets), digest),
        settings=settings,
        features=encoder.features,
        train=train,
        validation=validation,
        test=test,
        target_mean=mean,
        target_std=std,
        schema=source.schema,
        left_out=source.left_out + _unseen(unseen),
    )


def _source(data: TableSettings) -> _Source:
    if data.name == "linear":
        generator = np.random.default_rng(data.data_seed)
        sizes = (data.train_size, data.test_size)
        train, test = (_line(size, data.noise, generator) for size in sizes)
        return _Source(train, test, "y", (), ())
    if data.name == "bike_sharing":
        chosen = data.model_copy(update={"categorical": _BIKE_CATEGORIES})
        return _from_files({"train": _bike_file(data)}, chosen, _BIKE_TARGET, _BIKE_DROP)
    return _from_files(_user_files(data), data, data.target, data.drop)


def _line(size: int, noise: float, generator: np.random.Generator) -> pd.DataFrame:
    x = generator.uniform(-5, 5, size)
    return pd.DataFrame({"x": x, "y": 2 * x + 1 + noise * generator.standard_normal(size)})


def _bike_file(data: TableSettings) -> Path:
    root = data.place()
    places = [root, root / "day.csv", root / "bike_sharing" / "day.csv"]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"no day.csv of the UCI Bike Sharing data under data.root {root}; looked at "
        f"{', '.join(map(str, places[1:]))}"
    )


def _from_files(
    files: Mapping[str, Path], data: TableSettings, target: str, drop: tuple[str, ...]
) -> _Source:
    reading = data.reading(numeric=(target,))
    frames, schema, left_out = read_tables(files, reading, drop, data.encoding)
    test = frames.get("test")
    return _Source(frames["train"], test, target, data.categorical, drop, schema, left_out)


def _user_files(data: TableSettings) -> dict[str, Path]:
    root = data.place()
    if not root.is_dir():
        return {"train": root}
    found = {
        stem: [path for path in sorted(root.glob(f"{stem}.*")) if path.suffix.lower() in ENDINGS]
        for stem in ("train", "test")
    }
    if len(found["train"]) != 1 or len(found["test"]) > 1:
        raise FileNotFoundError(
            f"data.root {root} must hold exactly one train and at most one test file "
            f"({', '.join(ENDINGS)}), found {[p.name for paths in found.values() for p in paths]}"
        )
    return {stem: paths[0] for stem, paths in found.items() if paths}


def _split(source: _Source, data: TableSettings) -> tuple[pd.DataFrame, ...]:
    """Training, validation and test rows, drawn once and in their order in the file."""
    size = len(source.train)
    shares = {"validation": data.validation_fraction}
    if source.test is None:
        shares["test"] = data.test_fraction
    order = np.random.default_rng(data.split_seed).permutation(size)
    # The test rows come first: which they are does not hang on the validation share.
    test_size = round(shares.get("test", 0.0) * size)
    validation_size = round(shares["validation"] * size)
    sizes = {"test": test_size, "validation": validation_size}
    empty = any(share > 0 and sizes[split] == 0 for split, share in shares.items())
    if test_size + validation_size >= size or empty:
        raise ValueError(
            f"data.validation_fraction and data.test_fraction leave a split of the {size} rows "
            f"empty: {shares}; choose other shares"
        )
    bounds = (test_size, test_size + validation_size)
    test, validation, train = (source.train.iloc[np.sort(part)] for part in np.split(order, bounds))
    return train, validation, test if source.test is None else source.test


def _unseen(values: Mapping[str, list[str]]) -> tuple[Omission, ...]:
    return tuple(
        entry
        for name, found in values.items()
        for entry in omission(
            f"value(s) of {name!r} that no training row has, read as none of its values", found
        )
    )


def _cleaned(source: _Source, missing: Missing) -> _Source:
    absent = sorted(set(source.drop) - set(source.train.columns))
    if absent:
        near = did_you_mean(absent[0], list(map(str, source.train.columns)))
        raise ValueError(f"data.drop names {absent}, which are not among the columns; {near}")
    test = None if source.test is None else _clean(source.test, source, missing)
    return source._replace(train=_clean(source.train, source, missing), test=test)


def _clean(frame: pd.DataFrame, source: _Source, missing: Missing) -> pd.DataFrame:
    """The columns in use, with missing values dealt with as ``data.missing`` says."""
    if source.target not in frame.columns:
        names = sorted(map(str, frame.columns))
        near = did_you_mean(source.target, names)
        raise ValueError(
            f"data.target is {source.target!r}, which is not among the columns {names}"
            + (f"; {near}" if near.startswith("did") else "")
        )
    used = frame.drop(columns=list(source.drop), errors="ignore")
    counts = used.isna().sum()
    gaps = {str(name): int(count) for name, count in counts.items() if count}
    if source.target in gaps:
        raise ValueError(
            f"the target {source.target!r} is missing in {gaps[source.target]} row(s); "
            "a regression cannot learn from them: remove those rows"
        )
    if gaps and missing == "error":
        raise ValueError(
            f"missing values by column: {gaps}; set data.missing to drop (leave those rows out) or "
            "impute (training median, for categories a value of their own)"
        )
    if missing == "drop":
        used = used.dropna()
        if used.empty:
            raise ValueError("data.missing: drop leaves no row; use impute, or data.drop columns")
    return used


def _corrupted(train: Rows, corruption: Corruption) -> Rows:
    if not corruption.changes_anything:
        return train
    targets = noisy_targets(torch.from_numpy(train.targets), corruption)
    return train._replace(targets=targets.numpy())
