"""Strategies by fraction and setting (Killamsetty et al., Tables 2 and 5-10, Figs. 3 and 4)."""

from __future__ import annotations

import pandas as pd

from analysis.figures.points import plot_ablation, plot_strategies
from analysis.options import ReportOptions
from analysis.questions.methods.strategies import ablation, scatter, strategy_frame
from analysis.results.load import Results
from analysis.sections.methods.strategy_tables import strategy_tables
from analysis.sections.plots import draw, file_name
from analysis.sections.shape import Shape
from analysis.tables import Plot, Section, Table
from analysis.words import arm_name

_SETTINGS = {"select_every": "R (epochs between selections)", "kappa": "kappa"}


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where at least two subset strategies ran, the seed not counted."""
    frame = strategy_frame(results)
    subsets = set(frame["arm"]) - {"seed", "full"}
    if len(subsets) < 2:
        return None
    shape = Shape.of([results])
    items: list[Table | Plot] = [
        *strategy_tables(frame, shape),
        *strategy_plots(frame, shape, results.arms()),
    ]
    return Section("strategies", "Strategies compared", (COMPLETE_CELLS,), tuple(items), open=False)


COMPLETE_CELLS = (
    "Test values are means over the configurations and seeds that every arm of a sweep finished: "
    "a mean over all would favour an arm whose bad configurations diverged."
)


def strategy_plots(frame: pd.DataFrame, shape: Shape, arms: list[str]) -> list[Plot]:
    """Fig. 3 for each dataset and model, and Fig. 4 for each setting that varies.

    Args:
        frame: The result of :func:`strategy_frame`.
        shape: How the metric points, and in which unit its differences are shown.
        arms: Names of the arms, in the order of the legend.
    """
    points = scatter(frame[frame["arm"] != "seed"])
    if points.empty:
        return []
    # Signed so that up is worse, whichever way the metric points.
    points["relative_error"] = points["relative_error"] * shape.sign * (100 if shape.share else 1)
    plots = []
    several = len(points.groupby(["dataset", "model"])) > 1
    for (dataset, model), own in points.groupby(["dataset", "model"], sort=False):
        suffix = f": {dataset}, {model}" if several else ""
        key = f"_{file_name(f'{dataset}_{model}')}" if several else ""
        best = ", ".join(dict.fromkeys(arm_name(str(a)) for a in own.loc[own["pareto"], "arm"]))
        plots.append(
            draw(
                f"strategies{key}",
                f"Speed-up and test error{suffix}",
                lambda ax, own=own: plot_strategies(own, ax, unit=shape.points_unit, arms=arms),  # type: ignore[misc]
                own,
                alt=f"Test error above full training's against speed-up{suffix}. On the Pareto "
                f"front: {best}.",
                caption="Below and to the right is better. Filled and joined: the Pareto front.",
            )
        )
        for by, title in _SETTINGS.items():
            varied = ablation(own, by)
            if len(varied) > 1:
                plots.append(
                    draw(
                        f"ablation_{by}{key}",
                        f"Effect of {title}{suffix}",
                        lambda ax, varied=varied, by=by: plot_ablation(  # type: ignore[misc]
                            varied, ax, by=by, unit=shape.points_unit
                        ),
                        varied,
                        alt=f"Test error above full training's against speed-up for values of "
                        f"{title}{suffix}: "
                        + "; ".join(
                            f"{r['family']} at {r[by]:g}: {r['relative_error']:.3g} at "
                            f"{r['speedup']:.3g} times"
                            for r in varied.to_dict("records")
                        )
                        + ".",
                        caption="Points are labelled with the setting's value.",
                    )
                )
    return plots
