"""What each trial was set to: the varying axes, and settings that an arm may override."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.results.known import first_known

PREFIX = "config/"

# Columns that differ between trials without being points of the space.
_NOT_AXES = {"arm", "arms", "configuration", "seed", "selector", "history", "device", "amp"}


def axes_of(sweep: Mapping[str, Any], trials: pd.DataFrame) -> tuple[str, ...]:
    """Configuration keys that vary over the search, in the space's order where it names them.

    Args:
        sweep: Its ``space`` may be a mapping of axes (dotted where nested), or an import string,
            which names none.
        trials: The trials of the search, with ``config/<key>`` columns.
    """
    columns = [str(c) for c in trials.columns if str(c).startswith(PREFIX)]
    keys = {column.removeprefix(PREFIX): column for column in columns}
    space = sweep.get("space")
    named = [str(key).replace(".", "/") for key in space] if isinstance(space, Mapping) else []
    if named and all(key in keys for key in named):
        return tuple(key for key in named if _distinct(trials[keys[key]]) > 1)
    varying = []
    for key, column in keys.items():
        if key.split("/")[0] in _NOT_AXES:
            continue
        # An axis is a function of the configuration number; anything else belongs to the arm.
        within = trials.groupby("configuration")[column].agg(_distinct)
        if _distinct(trials[column]) > 1 and (within <= 1).all():
            varying.append(key)
    return tuple(varying)


def _distinct(values: pd.Series) -> int:
    return int(values.astype(str).nunique())


def setting(
    trials: pd.DataFrame, sweep: Mapping[str, Any], name: str, default: Any = None
) -> pd.Series:
    """One selection setting per trial.

    A trial whose arm was resolved when it began has its final settings in its own row: a column of
    that name (``fraction``, ``warm_start_epochs``), a flat key of the space (``config/<name>``), or
    ``config/selection/<name>``. Folders written before are read by the rules of ``_inferred``.

    Args:
        trials: Rows of ``trials.parquet``.
        sweep: Its ``sweep.yaml``.
        name: Key of ``selection``.
        default: What a trial has that was told nothing.
    """
    final = trials.reindex(columns=[f"{PREFIX}{name}", name, f"{PREFIX}selection/{name}"])
    own = first_known(*(final[column] for column in final))
    resolved = is_resolved(trials)
    if not resolved.all():
        inferred = _inferred(trials, sweep, name)
        own = pd.concat([own[resolved], inferred[~resolved]]).reindex(trials.index)
    return first_known(own, default)


def is_resolved(trials: pd.DataFrame) -> pd.Series:
    """Which trials carry what their arms came to: all but those of older folders."""
    if "kind" not in trials:
        return pd.Series(False, index=trials.index)
    return trials["kind"].notna()


def _inferred(trials: pd.DataFrame, sweep: Mapping[str, Any], name: str) -> pd.Series:
    """One selection setting per trial where the table does not hold it, the most specific first.

    A named arm's own value (``config/arms/<arm>/<name>``), then a flat key of the space
    (``config/<name>``), then ``config/selection/<name>``, then the sweep's ``arms`` and
    ``selection``.
    """
    result = pd.Series([None] * len(trials), index=trials.index, dtype=object)
    for arm, rows in trials.groupby("arm"):
        column = f"{PREFIX}arms/{arm}/{name}"
        if column in trials:
            result.loc[rows.index] = rows[column].astype(object)
    for column in (f"{PREFIX}{name}", f"{PREFIX}selection/{name}"):
        if column in trials:
            result = first_known(result, trials[column])
    arms = [arm for arm in sweep.get("arms") or [] if isinstance(arm, Mapping)]
    named = {arm.get("name"): arm for arm in arms}
    selection = sweep.get("selection")
    common = selection.get(name) if isinstance(selection, Mapping) else None
    for index in result.index[result.isna()]:
        own = named.get(trials.at[index, "arm"])
        value = own.get(name) if isinstance(own, Mapping) else None
        result.at[index] = common if value is None else value
    return result


def dataset_of(sweep: Mapping[str, Any]) -> str:
    """Name of the sweep's data set."""
    data = sweep.get("data")
    name = data.get("name") if isinstance(data, Mapping) else None
    return str(name) if name else "unnamed"


def label_of(values: Any) -> str:
    """A configuration value as people write it: 0.001, not 1e-03; ``sgd``, not ``'sgd'``."""
    if isinstance(values, bool) or values is None:
        return str(values)
    if isinstance(values, float):
        return f"{values:.4g}"
    return str(values)
