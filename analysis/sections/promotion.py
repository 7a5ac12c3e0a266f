"""Promoted configurations, trained once more on all the data: their cost and gain."""

from __future__ import annotations

import math

import pandas as pd

from analysis.options import ReportOptions
from analysis.questions.choice import choice_table
from analysis.questions.headline import replays
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.results.settings import PREFIX, label_of
from analysis.tables import Column, Section, Table, count
from analysis.words import arm_name, axis_name, difference, metric_value, seconds


def promotion_table(results: Results) -> pd.DataFrame:
    """A row per promoted trial.

    Returns:
        ``trial_id``, ``configuration``, the axes, ``test``, ``seconds``, ``search_test`` (mean of
        the same configuration's usable subset trials: what the search had found), ``gain`` (signed
        so that positive is better), ``outcome``.
    """
    search = results.search
    subsets = search[~search["arm"].isin(["full"]) & search["outcome"].isin(USABLE)]
    replayed = subsets[subsets["arm"] == "cached"]
    found = (replayed if len(replayed) else subsets).groupby("configuration")["test"].mean()
    rows = []
    for _, trial in results.promotions.iterrows():
        before = float(found.get(trial["configuration"], math.nan))
        usable = trial["outcome"] in USABLE
        after = float(trial["test"]) if usable else math.nan
        rows.append(
            {
                "trial_id": trial["trial_id"],
                "configuration": trial["configuration"],
                **{axis: label_of(trial[PREFIX + axis]) for axis in results.axes},
                "test": after,
                "slot_s": trial["slot_s"],
                "seconds": trial["seconds"],
                "search_test": before,
                "gain": results.sign * (after - before),
                "outcome": trial["outcome"],
            }
        )
    columns = [
        "trial_id",
        "configuration",
        *results.axes,
        "test",
        "slot_s",
        "seconds",
        "search_test",
    ]
    return pd.DataFrame(rows, columns=[*columns, "gain", "outcome"])


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where configurations were promoted; they never enter arm statistics."""
    if results.promotions.empty:
        return None
    frame = promotion_table(results)

    def metric(value: float) -> str:
        return metric_value(results, value)

    def signed(value: float) -> str:
        return difference(results, value)

    columns = [
        Column("trial_id", "Trial", numeric=False),
        Column("configuration", "Configuration", count),
        *(Column(axis, axis_name(axis), numeric=False) for axis in results.axes),
        Column("search_test", "Test in the search", metric),
        Column("test", "Test on all the data", metric),
        Column("gain", "Gain", signed),
        Column("slot_s", "Slot time", seconds),
        Column("seconds", "Train + select", seconds),
        Column("outcome", "Outcome", numeric=False),
    ]
    searched = results.paid(results.search)
    spent = searched.loc[searched["arm"] != "full", "slot_s"].sum()
    paid = results.paid(frame)
    text = (
        f"After the search, {_number(len(paid))} trained once more on all the data, in "
        f"{seconds(float(paid['slot_s'].sum()))} of slot time; the search over subsets itself took "
        f"{seconds(float(spent))}. These trials enter no other statistic of this report."
    )
    if not len(paid):
        text = "The search itself had trained what it chose on all the data; nothing was repeated."
    elif len(paid) < len(frame):
        text += f" {_number(len(frame) - len(paid)).capitalize()} trained in the search already."
    texts = (text, *_regret(results, options, len(frame)))
    table = Table("promotion", "Promoted configurations", frame, columns)
    return Section("promotion", "Promoted: trained on everything", texts, (table,))


def _number(configurations: int) -> str:
    return "1 configuration was" if configurations == 1 else f"{configurations} configurations were"


def _regret(results: Results, options: ReportOptions, promoted: int) -> list[str]:
    """What the search lost against full training of everything, after promotion."""
    arm = next((arm for arm in results.arms() if replays(results, arm)), None)
    if arm is None or results.selection_only:
        return []
    found = choice_table(
        results, [arm], k=promoted, level=options.level, resamples=options.resamples
    )
    if found.empty or not math.isfinite(found["promoted_regret"].iloc[0]):
        return []
    row = found.iloc[0]
    limits = "no interval: too few runs"
    if math.isfinite(row["promoted_regret_low"]):
        low, high = row["promoted_regret_low"], row["promoted_regret_high"]
        limits = (
            f"{100 * options.level:g}% interval {difference(results, low)} to "
            f"{difference(results, high)}"
        )
    kept = "its best configuration" if promoted == 1 else f"the best of its {promoted} promoted"
    regret = difference(results, row["promoted_regret"]).lstrip("+")
    metric = results.metric.replace("_", " ")
    return [
        f"Regret after promotion: keeping {kept} by {arm_name(arm)}, instead of training all "
        f"{int(row['configurations'])} fully, loses {regret} of test {metric} ({limits}; "
        "estimated from full training's trials of the search, averaged over seeds)."
    ]
