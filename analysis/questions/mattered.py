"""What mattered: the keys that vary, by how much the best configurations differ in them."""

from __future__ import annotations

import pandas as pd

from analysis.questions.axes import independent_axes
from analysis.questions.headline import replays
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import PREFIX
from analysis.statistics.importance import importances


def telling_arms(results: Results) -> list[str]:
    """The arms that are asked: full training, which is what one wants to know about, and a replay.

    In a sweep without either, the first arm; a seed trial stands for one configuration alone.
    """
    arms = [arm for arm in results.arms() if arm != "seed"]
    replay = next((arm for arm in arms if replays(results, arm)), None)
    asked = [arm for arm in ("full", replay) if arm in arms]
    return [str(arm) for arm in asked] or arms[:1]


def points_of(results: Results, arm: str) -> pd.DataFrame:
    """The configurations of an arm that have a result, and the mean of it over training seeds.

    Returns:
        A row per configuration: ``configuration``, ``val`` as the metric is written, and a column
        per key that varies (dotted as in a sweep), without those that some configurations lack.
    """
    search = results.search
    own = search[(search["arm"] == arm) & search["outcome"].isin(USABLE)]
    keys = [key for key in independent_axes(results) if own[PREFIX + key].notna().all()]
    grouped = own.groupby("configuration", sort=True)
    frame = grouped[["val"]].mean().join(grouped[[PREFIX + key for key in keys]].first())
    names = {PREFIX + key: key.replace("/", ".") for key in keys}
    varying = [c for c in names if frame[c].astype(str).nunique() > 1]
    return frame[["val", *varying]].rename(columns=names).reset_index()


def mattered(results: Results) -> pd.DataFrame:
    """The importance of every key that varies, by arm.

    Returns:
        ``arm``, ``configurations`` and the columns of ``importances``; no row of an arm with too
        few configurations.
    """
    frames = []
    for arm in telling_arms(results):
        points = points_of(results, arm)
        scores = results.sign * points["val"].to_numpy(dtype=float)
        found = importances(points.drop(columns=["configuration", "val"]), scores)
        found.insert(0, "configurations", len(points))
        found.insert(0, "arm", arm)
        frames.append(found)
    columns = ["arm", "configurations", "axis", "importance", "chance"]
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)
