"""The configurations' way up the rungs of a ladder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.questions.ladder.answer import OWN, strategies_of
from analysis.results.load import Results
from analysis.results.outcomes import UNFINISHED, USABLE

COLUMNS = (
    *("configuration", "rung", "rung_name", "place", "metric", "loss"),
    *("went_up", "finalist", "chosen"),
)

MOST_FINALISTS = 8
"""Ways up that are told apart by colour."""


def way_up(results: Results) -> pd.DataFrame:
    """Each configuration's place on each rung that it trained on.

    Args:
        results: The results of a sweep with a ladder.

    Returns:
        By rung and place: ``configuration``, ``rung`` (0 is the lowest) and ``rung_name``;
        ``place`` (1 is best, by what ranks the rung; the top rung goes by the metric), ``metric``
        and ``loss`` (validation, last epoch, means over training seeds; NaN where every seed
        failed, which ranks last); ``went_up`` (whether it trained on a higher rung), ``finalist``
        (whether it came among the highest, at most ``MOST_FINALISTS``) and ``chosen``. Empty
        without a ladder of two rungs.
    """
    trials = climbed(results)
    if trials.empty or trials["rung"].nunique() < 2:
        return pd.DataFrame(columns=list(COLUMNS))
    by = rank_by(results)
    top = int(trials["rung"].max())
    parts = []
    for rung, own in trials.groupby("rung"):
        usable = own["outcome"].isin(USABLE)
        scored = own.assign(
            metric=own["val_final"].where(usable), loss=own["loss_final"].where(usable)
        )
        means = scored.groupby("configuration")[["metric", "loss"]].mean().reset_index()
        whole = own["arm"].eq("full").all()
        order = ranked(results.sign * means["metric"], means["loss"], "accuracy" if whole else by)
        means = means.iloc[order].assign(rung=int(rung), place=np.arange(1, len(means) + 1))
        parts.append(means.assign(rung_name=_name_of(own)))
    frame = pd.concat(parts, ignore_index=True)
    highest = frame.groupby("configuration")["rung"].transform("max")
    frame["went_up"] = frame["rung"] < highest
    frame["finalist"] = frame["configuration"].isin(_finalists(frame, top))
    frame["chosen"] = frame["configuration"].eq(_chosen(results))
    return frame[list(COLUMNS)]


def climbed(results: Results) -> pd.DataFrame:
    """The ladder's trials that have ended, with their ``rung`` as a number and ``loss_final``."""
    trials = results.trials
    if "rung" not in trials:
        return trials.iloc[:0]
    rung = pd.to_numeric(trials["rung"], errors="coerce")
    own = strategies_of(results).isin([OWN, ""]) & (rung >= 0) & trials["outcome"].ne(UNFINISHED)
    loss = pd.Series(dtype=float)
    if "val_loss" in results.epochs:
        known = results.epochs.dropna(subset=["val_loss"])
        loss = known.groupby("trial_id")["val_loss"].last().astype(float)
    found = trials[own].assign(rung=rung[own].astype(int))
    return found.assign(loss_final=found["trial_id"].map(loss).astype(float))


def rank_by(results: Results) -> str:
    """What the ladder's rungs are ranked by: ``both``, ``accuracy`` or ``loss``."""
    tune = results.sweep.get("tune")
    section = tune.get("ladder") if isinstance(tune, Mapping) else None
    said = section.get("rank_by") if isinstance(section, Mapping) else None
    return said if said in ("accuracy", "loss") else "both"


def ranked(metric: pd.Series, loss: pd.Series, by: str) -> list[int]:
    """Positions from best to worst, as the ladder itself ranks.

    Failed ones come last, equals in the order of the metric; without any loss, the metric decides.

    Args:
        metric: Signed so that larger is better; NaN where all training seeds failed.
        loss: The validation loss.
        by: ``both`` (the sum of both ranks), ``accuracy`` (the metric) or ``loss``.
    """
    metric, loss = metric.reset_index(drop=True), loss.reset_index(drop=True)
    by_metric = (-metric).rank(na_option="bottom")
    by_loss = by_metric if loss.isna().all() else loss.rank(na_option="bottom")
    place = {"accuracy": by_metric, "loss": by_loss}.get(by, by_metric + by_loss)
    order = np.lexsort((by_metric, place, metric.isna()))
    return [int(position) for position in order]


def _finalists(frame: pd.DataFrame, top: int) -> list[int]:
    """Those on the rung below the top, the best of it where they are many, and all on the top."""
    known = frame.sort_values("rung", ascending=False).drop_duplicates("configuration")
    high = known[known["rung"] >= max(top - 1, 1)].sort_values(
        ["rung", "place"], ascending=[False, True]
    )
    return [int(number) for number in high["configuration"].head(MOST_FINALISTS)]


def _name_of(trials: pd.DataFrame) -> str:
    names = trials["rung_name"] if "rung_name" in trials else trials["arm"]
    return str(names.iloc[0])


def _chosen(results: Results) -> int:
    own = results.strategies
    if not len(own):
        return -1
    value = own.loc[own["strategy"].astype(str) == OWN, "chosen_configuration"]
    return int(value.iloc[0]) if len(value) and pd.notna(value.iloc[0]) else -1
