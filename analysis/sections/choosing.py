"""How well each arm's sweep chose, at the end and as a function of the seconds spent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.anytime import anytime, full_noise, seed_ceiling
from analysis.figures.lines import plot_anytime
from analysis.figures.points import plot_choice
from analysis.fractions import regret_noise
from analysis.load import Results
from analysis.options import ReportOptions
from analysis.ranking import choice_points, choice_table
from analysis.sections.plots import draw
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, difference, interval, minus, number


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where full training, the reference, tells two configurations apart."""
    if results.selection_only:
        return None
    table = choice_table(results, k=options.top_k, level=options.level, resamples=options.resamples)
    if table.empty or int(table["configurations"].max()) < 2:
        return None
    if table["tau"].isna().all():  # full training or every arm scores all configurations alike
        return None
    return Section(
        "choosing",
        "How well the cheap sweep chose",
        tuple(_paragraphs(results, table)),
        (_table(results, table, options), *_plots(results, options)),
    )


def _paragraphs(results: Results, table: pd.DataFrame) -> list[str]:
    said = [
        "Each arm ranks the configurations by their best validation value; full training's own "
        "ranking is the reference. Kendall's tau is 1 for the same order and 0 for none. Regret is "
        "what is lost in full training's test value by taking the arm's best configuration instead "
        "of full training's best."
    ]
    units = str(table["resampled"].iloc[0])
    if units:
        said.append(
            f"Intervals: paired bootstrap over {units}, the same draws for every arm; the other "
            "choices that a sweep makes (data split, budget) are held fixed."
        )
    else:
        said.append(
            "There are too few configurations and seeds for intervals: at least 5 configurations, "
            "or several seeds, would be needed."
        )
    deviation, degrees = full_noise(results)
    seeds = results.search.loc[results.search["arm"] == "full", "seed"].nunique()
    if degrees and np.isfinite(seed_ceiling(results)["tau"]).any():
        ceiling = seed_ceiling(results)["tau"].mean()
        threshold = regret_noise(results)
        said.append(
            f"Repeated full training: its test value varies by "
            f"{difference(results, deviation).lstrip('+')} (standard deviation over seeds), so "
            f"that a regret below {difference(results, threshold).lstrip('+')} is within its own "
            "noise; "
            f"one seed ranks the configurations as the mean of the others does with a tau of "
            f"{ceiling:.2f}, which no cheaper sweep can be expected to exceed."
        )
    elif seeds == 1:
        said.append(
            "Full training ran with one seed: how well it would agree with itself is not known."
        )
    return said


def _table(results: Results, table: pd.DataFrame, options: ReportOptions) -> Table:
    scale, unit = (100.0, " pp") if results.is_share else (1.0, "")
    frame = table.assign(
        name=table["arm"].map(arm_name),
        tau_interval=[
            interval(low, high)
            for low, high in zip(table["tau_low"], table["tau_high"], strict=True)
        ],
        recall_interval=[
            interval(low, high)
            for low, high in zip(table["recall_low"], table["recall_high"], strict=True)
        ],
        regret_interval=[
            interval(scale * low, scale * high)
            for low, high in zip(table["regret_low"], table["regret_high"], strict=True)
        ],
    )

    def points(value: float) -> str:
        return minus(f"{scale * value:.2f}{unit}") if results.is_share else number(value)

    k = min(options.top_k, int(table["configurations"].max()))
    columns = [
        Column("name", "Arm", numeric=False),
        Column("tau", "Kendall's tau", lambda v: minus(f"{v:.2f}"), note="tau_interval"),
        Column("recall", f"Top-{k} recall", "{:.2f}".format, note="recall_interval"),
        Column("regret", "Regret", points, note="regret_interval"),
        Column("configurations", "Configurations", count),
        Column("seeds", "Seeds", count),
    ]
    notes = [
        f"Below each value its {100 * options.level:g}% interval. Diverged and failed trials rank "
        "last, tied. A negative regret means that the arm's choice did better on test data than "
        "full training's own choice."
    ]
    return Table("choosing", "Ranking and regret against full training", frame, columns, notes)


def _plots(results: Results, options: ReportOptions) -> list[Plot]:
    arms = results.arms()
    plots = []
    points = choice_points(results)
    metric = f"validation {results.metric.replace('_', ' ')}"
    if results.has_error:
        metric = "validation error"
        errors = {key: results.error(points[key]) for key in ("score", "full_score")}
        points = points.assign(**errors)
    if points["score"].notna().any():
        plots.append(
            draw(
                "choice",
                "Each configuration, cheap and full",
                lambda ax: plot_choice(points, ax, metric=metric, arms=arms),
                points,
                alt="Each configuration's validation value in an arm against full training's. "
                "Kendall's tau in the table above says how far each curve rises without falling.",
                caption="Each curve joins configurations in full training's order: where it falls, "
                "the arm ranks two configurations the other way round.",
            )
        )
    curves = anytime(results, k=options.top_k)
    for value, title in (("tau", "Ranking quality"), ("recall", f"Top-{options.top_k} recall")):
        if curves[value].notna().any():
            plots.append(
                draw(
                    f"anytime_{value}",
                    f"{title} against seconds spent",
                    lambda ax, value=value: plot_anytime(curves, ax, value=value, arms=arms),  # type: ignore[misc]
                    curves,
                    alt=_anytime_alt(curves, value, title),
                    caption="All configurations advance together, an epoch at a time; replays "
                    "start after the seed trial's own seconds. Bands: range over training seeds.",
                )
            )
    return plots


def _anytime_alt(curves: pd.DataFrame, value: str, title: str) -> str:
    last = curves.groupby(["arm", "seed"], sort=False).tail(1).groupby("arm", sort=False)
    said = [
        f"{arm_name(str(arm))} ends at {own[value].mean():.2f} after {own['seconds'].mean():,.3g} s"
        for arm, own in last
    ]
    return f"{title} against seconds spent on the sweep. {'; '.join(said)}."
