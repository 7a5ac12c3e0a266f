"""Tables for regression: generated, bike sharing, and any CSV or Parquet file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from trainables.data.checks import count, filled, share
from trainables.data.corruption import Corruption, noisy_targets
from trainables.data.encoding import Encoder, numbers
from trainables.data.identity import DatasetIdentity, fingerprint
from trainables.data.images import data_root
from trainables.data.reading.columns import ColumnNote
from trainables.data.reading.omissions import Omission
from trainables.data.reading.table_files import ENDINGS, read_tables

_BIKE_TARGET = "cnt"
# The target is casual + registered; instant counts the rows; dteday repeats yr, mnth and weekday.
_BIKE_DROP = ("instant", "dteday", "casual", "registered")
# Codes without an order; holiday, workingday and yr are 0/1 already.
_BIKE_CATEGORIES = ("season", "mnth", "weekday", "weathersit")

Missing = Literal["error", "drop", "impute"]


class Rows(NamedTuple):
    """One split: features float32 (n, d) and targets float32 (n,), both standardised."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """A table that is split, encoded and standardised, ready for any regression model.

    Attributes:
        identity: Of the training split, after corruption.
        settings: The ``data`` settings that shaped it, with defaults filled in.
        features: Names of the d columns after encoding.
        train: The training split, whose clean statistics standardise all three.
        validation: What searches optimise; no rows when its share is 0.
        test: For reports alone.
        target_mean: Mean of the training targets, in their own units.
        target_std: Their standard deviation (1 where they are constant): an error in deviations
            times ``target_std`` is an error in target units.
        schema: What each column was read as; empty for what was generated.
        left_out: Columns that were left out, and why.
    """

    identity: DatasetIdentity
    settings: Mapping[str, Any]
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


DEFAULTS: dict[str, Any] = {
    "name": "linear",
    "root": None,
    "target": "target",
    "target_bins": 1,
    "categorical": (),
    "numeric": (),
    "na_values": (),
    "decimal": ".",
    "thousands": None,
    "encoding": None,
    "drop": (),
    "missing": "error",
    "validation_fraction": 0.1,
    "test_fraction": 0.2,
    "split_seed": 0,
    "train_size": 10_000,
    "test_size": 5_000,
    "noise": 1.0,
    "data_seed": 0,
    "label_noise": 0.0,
    "imbalance": None,
    "corruption_seed": 0,
}
"""Keys of ``data`` and their defaults; see ``load_table``."""


def load_table(data: Mapping[str, Any]) -> Table:
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
    settings = filled(data, DEFAULTS)
    name = str(settings["name"])
    source = _cleaned(_source(name, settings), _missing_rule(settings["missing"]))
    splits = _split(source, settings)
    encoder = Encoder.fit(splits[0].drop(columns=[source.target]), source.categorical)
    targets = numbers(splits[0][source.target])
    with np.errstate(over="ignore"):
        mean, std = float(targets.mean()), float(targets.std()) or 1.0
    if not np.isfinite((mean, std)).all():
        raise ValueError(f"the target {source.target!r} holds values too large to standardise")
    train, validation, test = (
        Rows(
            encoder.transform(frame.drop(columns=[source.target])),
            ((numbers(frame[source.target]) - mean) / std).astype(np.float32),
        )
        for frame in splits
    )
    corruption = Corruption.from_config(settings)
    shape = {"features": encoder.features, "target_bins": count(settings, "target_bins")}
    clean_print = fingerprint(train, shape)
    train = _corrupted(train, corruption, name)
    return Table(
        identity=DatasetIdentity(name, len(train.targets), corruption.fingerprint(clean_print)),
        settings=settings,
        features=encoder.features,
        train=train,
        validation=validation,
        test=test,
        target_mean=mean,
        target_std=std,
        schema=source.schema,
        left_out=source.left_out,
    )


def _source(name: str, data: Mapping[str, Any]) -> _Source:
    if name == "linear":
        generator = np.random.default_rng(int(data["data_seed"]))
        train, test = (
            _line(count(data, key), float(data["noise"]), generator)
            for key in ("train_size", "test_size")
        )
        return _Source(train, test, "y", (), ())
    if name == "bike_sharing":
        chosen = {**data, "categorical": _BIKE_CATEGORIES}
        files = {"train": _bike_file(data)}
        return _from_files(files, chosen, _BIKE_TARGET, _BIKE_DROP)
    if name == "table":
        drop = tuple(map(str, data["drop"] or ()))
        return _from_files(_user_files(data), data, str(data["target"]), drop)
    raise ValueError(
        f"data.name must be linear, bike_sharing or table for a regression, got {name!r}; "
        "use name: table with root: FILE for a file of your own"
    )


def _line(size: int, noise: float, generator: np.random.Generator) -> pd.DataFrame:
    x = generator.uniform(-5, 5, size)
    return pd.DataFrame({"x": x, "y": 2 * x + 1 + noise * generator.standard_normal(size)})


def _bike_file(data: Mapping[str, Any]) -> Path:
    root = data_root(data)
    places = [root, root / "day.csv", root / "bike_sharing" / "day.csv"]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"no day.csv of the UCI Bike Sharing data under data.root {root}; looked at "
        f"{', '.join(map(str, places[1:]))}"
    )


def _from_files(
    files: Mapping[str, Path], data: Mapping[str, Any], target: str, drop: tuple[str, ...]
) -> _Source:
    frames, schema, left_out = read_tables(files, data, drop, fixed=[target])
    categorical = tuple(map(str, data["categorical"] or ()))
    return _Source(frames["train"], frames.get("test"), target, categorical, drop, schema, left_out)


def _user_files(data: Mapping[str, Any]) -> dict[str, Path]:
    root = data_root(data)
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


def _missing_rule(rule: Any) -> Missing:
    for known in get_args(Missing):
        if rule == known:
            return cast(Missing, known)
    raise ValueError(f"data.missing must be error, drop or impute, got {rule!r}")


def _split(source: _Source, data: Mapping[str, Any]) -> tuple[pd.DataFrame, ...]:
    """Training, validation and test rows, drawn once and in their order in the file."""
    size = len(source.train)
    shares = {"validation": share(data, "validation_fraction")}
    if source.test is None:
        shares["test"] = share(data, "test_fraction")
    order = np.random.default_rng(int(data["split_seed"])).permutation(size)
    # The test rows come first: which they are does not hang on the validation share.
    test_size = round(shares.get("test", 0.0) * size)
    validation_size = round(shares["validation"] * size)
    if test_size + validation_size >= size or (shares.get("test", 0) > 0 and test_size == 0):
        raise ValueError(
            f"data.validation_fraction and data.test_fraction leave a split of the {size} rows "
            f"empty: {shares}; choose other shares"
        )
    bounds = (test_size, test_size + validation_size)
    test, validation, train = (source.train.iloc[np.sort(part)] for part in np.split(order, bounds))
    return train, validation, test if source.test is None else source.test


def _cleaned(source: _Source, missing: Missing) -> _Source:
    test = None if source.test is None else _clean(source.test, source, missing)
    return source._replace(train=_clean(source.train, source, missing), test=test)


def _clean(frame: pd.DataFrame, source: _Source, missing: Missing) -> pd.DataFrame:
    """The columns in use, with missing values dealt with as ``data.missing`` says."""
    if source.target not in frame.columns:
        raise ValueError(
            f"data.target is {source.target!r}, which is not among the columns "
            f"{sorted(map(str, frame.columns))}"
        )
    absent = sorted(set(source.drop) - set(frame.columns))
    if absent:
        raise ValueError(f"data.drop names {absent}, which are not among the columns")
    used = frame.drop(columns=list(source.drop))
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


def _corrupted(train: Rows, corruption: Corruption, name: str) -> Rows:
    if corruption.imbalances:
        raise ValueError(
            f"data.imbalance needs classes, but {name!r} is a regression table; remove the key"
        )
    if not corruption.changes_anything:
        return train
    targets = noisy_targets(torch.from_numpy(train.targets), corruption)
    return train._replace(targets=targets.numpy())
