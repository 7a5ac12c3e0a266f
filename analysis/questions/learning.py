"""An arm's mean metric along training, over the same trials at every point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def learning_curves(
    epochs: pd.DataFrame, usable: Sequence[str], planned: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Mean metric and seconds by arm and epoch, with the trials' quartiles.

    Trials need not have been measured after the same epochs: between two of its own measurements a
    trial stands on the line that joins them. Nor need they be equally long (kappa shortens them by
    the fraction): trials of one arm are matched by the share of their planned epochs. So each mean
    is over the same trials, and a curve never leads from one trial's end to another's.

    Args:
        epochs: The epochs of a sweep; ``test`` is what is drawn.
        usable: Trial ids that count. Epochs that at most half of an arm's trials reached are
            left out: the mean would be that of a few survivors. Where that leaves nothing (each
            trial was measured at an end of its own), one point is the mean of their ends.
        planned: Epochs that a trial was to train, by its id; those that are missing or not known
            count as those of the arm's longest trial.

    Returns:
        ``arm``, ``epoch`` (of the arm's longest trials), ``seconds``, ``test``, ``low``, ``high``
        (quartiles), ``trials``.
    """
    own = epochs[epochs["trial_id"].isin(list(usable))]
    own = own.assign(test=_joined(own))
    own = own[np.isfinite(own["test"])]
    curves = [
        _curve(_matched(rows, planned or {})).assign(arm=arm)
        for arm, rows in own.groupby("arm", sort=False)
    ]
    return pd.concat(curves, ignore_index=True)[_COLUMNS] if curves else _NOTHING


_COLUMNS = ["arm", "epoch", "seconds", "test", "low", "high", "trials"]
_NOTHING = pd.DataFrame(
    {name: pd.Series(dtype=object if name == "arm" else float) for name in _COLUMNS}
)


def _joined(epochs: pd.DataFrame) -> pd.Series:
    """``test`` with straight lines over the epochs between two measurements of one trial."""
    finite = epochs["test"].where(np.isfinite(epochs["test"]))
    if not finite.isna().any():
        return finite
    own = pd.DataFrame({"trial_id": epochs["trial_id"], "epoch": epochs["epoch"], "test": finite})
    parts = [
        rows["test"].set_axis(rows["epoch"]).interpolate("index", limit_area="inside").to_numpy()
        for _, rows in own.groupby("trial_id", sort=False)
    ]
    order = own.groupby("trial_id", sort=False).indices.values()
    joined = pd.Series(np.nan, index=epochs.index)
    joined.iloc[np.concatenate(list(order))] = np.concatenate(parts)
    return joined


def _matched(rows: pd.DataFrame, planned: Mapping[str, float]) -> pd.DataFrame:
    """An arm's epochs, those of shorter trials stretched onto the epochs of the longest."""
    longest = float(rows["epoch"].max())
    lengths = {
        trial: length if 0 < (length := planned.get(str(trial), 0.0)) < np.inf else longest
        for trial in rows["trial_id"].unique()
    }
    longest = max(lengths.values())
    if min(lengths.values()) == longest:
        return rows[["trial_id", "epoch", "slot_s", "test"]]
    grid = rows.loc[rows["trial_id"].map(lengths) == longest, "epoch"].unique().astype(float)
    grid.sort()
    parts = []
    for trial, one in rows.groupby("trial_id", sort=False):
        ordered = one.sort_values("epoch")
        place = ordered["epoch"].to_numpy(dtype=float) / lengths[trial] * longest
        inside = grid[(grid >= place[0]) & (grid <= place[-1])]
        part = {name: np.interp(inside, place, ordered[name]) for name in ("slot_s", "test")}
        parts.append(pd.DataFrame({"trial_id": trial, "epoch": inside, **part}))
    return pd.concat(parts, ignore_index=True)


def _curve(rows: pd.DataFrame) -> pd.DataFrame:
    """Means and quartiles at the points that more than half of the trials reached."""
    trials = rows["trial_id"].nunique()
    reached = rows.groupby("epoch")["trial_id"].transform("nunique")
    kept = rows[2 * reached > trials]
    if kept.empty:
        kept = rows.sort_values("epoch").groupby("trial_id").tail(1)
        kept = kept.assign(epoch=kept["epoch"].mean())
    grouped = kept.groupby("epoch", as_index=False)
    return grouped.agg(
        seconds=("slot_s", "mean"),
        test=("test", "mean"),
        low=("test", lambda values: values.quantile(0.25)),
        high=("test", lambda values: values.quantile(0.75)),
        trials=("trial_id", "nunique"),
    )
