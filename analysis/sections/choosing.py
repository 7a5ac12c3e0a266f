"""How well each arm's sweep chose, at the end and as a function of the seconds spent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.figures.panels import plot_anytime_panels, plot_choice_panels
from analysis.options import ReportOptions
from analysis.questions.anytime import anytime, anytime_table
from analysis.questions.choice import choice_points, choice_table
from analysis.questions.methods.fractions import fraction_rows
from analysis.results.load import Results
from analysis.sections.methods.fractions import cheapest_table
from analysis.sections.plots import draw_panels
from analysis.statistics.noise import BEST, full_noise, regret_noise, seed_ceiling
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, difference, interval, minus, number, seconds


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
        (
            _table(results, table, options),
            *_fractions(results, table, options),
            *_plots(results, options),
            *_budgets(results, options),
        ),
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
            "choices that a sweep makes (data split, budget) are held fixed. An interval of a "
            "single point says that no resample changed the value, not that it is certain."
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
            f"Repeated full training: the test value of its {BEST} best configurations varies by "
            f"{difference(results, deviation).lstrip('+')} (standard deviation over seeds), so "
            f"that a regret below {difference(results, threshold).lstrip('+')} is within its own "
            "noise. One of its seeds ranks the configurations as the mean of the others does with "
            f"a tau of {ceiling:.2f}: an arm that comes near it ranks as well as full training "
            "repeated."
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
        promoted_interval=[
            interval(scale * low, scale * high)
            for low, high in zip(
                table["promoted_regret_low"], table["promoted_regret_high"], strict=True
            )
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
        Column("promoted_regret", f"Regret, {k} promoted", points, note="promoted_interval"),
        Column("configurations", "Configurations", count),
        Column("seeds", "Seeds", count),
    ]
    if k < 2 or k >= int(table["configurations"].max()):  # then promotion adds or decides nothing
        columns = [column for column in columns if column.key != "promoted_regret"]
    promoted = any(column.key == "promoted_regret" for column in columns)
    notes = [
        f"Below each value its {100 * options.level:g}% interval. "
        + (
            f"{k} promoted: the arm's {k} best are trained on all the data, and the best of them "
            "by validation is kept. "
            if promoted
            else ""
        )
        + "Diverged and failed trials rank "
        "last, tied. A negative regret means that the arm's choice did better on test data than "
        "full training's own choice."
    ]
    return Table("choosing", "Ranking and regret against full training", frame, columns, notes)


def _fractions(results: Results, table: pd.DataFrame, options: ReportOptions) -> list[Table]:
    """Which fraction is enough, where the arms have several."""
    return cheapest_table(pd.DataFrame(fraction_rows(results, table, level=options.level)))


def _budgets(results: Results, options: ReportOptions) -> list[Table]:
    """The anytime curves at a few budgets, with their intervals."""
    long = anytime_table(results, k=options.top_k, level=options.level, resamples=options.resamples)
    if not long["tau"].notna().any():
        return []
    tables = []
    for value, title in (("tau", "Kendall's tau"), ("recall", f"Top-{options.top_k} recall")):
        rows = []
        for arm, own in long.groupby("arm", sort=False):
            row = {"arm": arm, "name": arm_name(str(arm))}
            for cell in own.to_dict("records"):
                key = f"{100 * cell['share']:g}%"
                row[key] = cell[value]
                row[f"{key} low"], row[f"{key} high"] = cell[f"{value}_low"], cell[f"{value}_high"]
                limits = interval(cell[f"{value}_low"], cell[f"{value}_high"])
                row[f"{key} note"] = cell["note"] or limits
            rows.append(row)
        shares = [f"{100 * share:g}%" for share in long["share"].unique()]
        columns = [Column("name", "Arm", numeric=False)]
        columns += [
            Column(key, key, lambda v: minus(f"{v:.2f}"), note=f"{key} note") for key in shares
        ]
        notes = [
            f"After a share of the {seconds(long['seconds'].max())} of slot time that full "
            "training takes for all configurations with one seed; replays pay for their seed "
            "first. Scores are averaged over training seeds; below, the "
            f"{100 * options.level:g}% interval."
        ]
        full = f"{title} after a share of full training's seconds"
        tables.append(Table(f"anytime_{value}_budgets", full, pd.DataFrame(rows), columns, notes))
    return tables


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
            draw_panels(
                "choice",
                "Each configuration, cheap and full",
                lambda figure: plot_choice_panels(points, figure, metric=metric, arms=arms),
                points,
                arms=points.loc[points["score"].notna(), "arm"].nunique(),
                alt="Each configuration's validation value in an arm against full training's. "
                "Kendall's tau in the table above says how far each curve rises without falling.",
                caption="Each curve joins configurations in full training's order: where it falls, "
                "the arm ranks two configurations the other way round. On the thin line, the arm "
                "is as good as full training.",
            )
        )
    curves = anytime(results, k=options.top_k)
    for value, title in (("tau", "Ranking quality"), ("recall", f"Top-{options.top_k} recall")):
        known = curves[curves[value].notna()]
        if (known["arm"] != "full").any():
            plots.append(
                draw_panels(
                    f"anytime_{value}",
                    f"{title} against seconds spent",
                    lambda figure, value=value: plot_anytime_panels(  # type: ignore[misc]
                        curves, figure, value=value, arms=arms
                    ),
                    curves,
                    arms=known.loc[known["arm"] != "full", "arm"].nunique(),
                    alt=_anytime_alt(known, value, title),
                    caption="All configurations advance together, an epoch at a time; replays "
                    "start after the seed trial's own seconds. Bands: range over training seeds. "
                    "Grey: the other arms; dotted: full training against its other seeds.",
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
