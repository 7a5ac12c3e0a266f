"""Strategies by fraction and setting (Killamsetty et al., Tables 2 and 5-10, Figs. 3 and 4)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from analysis.figures.points import plot_ablation, plot_strategies
from analysis.load import Results
from analysis.options import ReportOptions
from analysis.sections.plots import draw, file_name
from analysis.significance import wilcoxon_table
from analysis.strategies import (
    GROUP,
    ablation,
    average_ranks,
    by_fraction,
    complete_cells,
    scatter,
    seed_deviation,
    strategy_frame,
)
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, number, seconds, times

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
    "Accuracies are means over the configurations and seeds that every arm of a sweep finished: "
    "a mean over all would favour an arm whose bad configurations diverged. A dash is a cell that "
    "was not run or not measured."
)


class Shape:
    """How test metrics of several sweeps read: all shares in per cent, or plain numbers."""

    def __init__(self, share: bool, sign: int, metric: str) -> None:
        self.share, self.sign, self.metric = share, sign, metric

    @classmethod
    def of(cls, sweeps: list[Results]) -> Shape:
        """Of sweeps that share a metric; the first one's direction."""
        first = sweeps[0]
        return cls(all(s.is_share for s in sweeps), first.sign, first.metric.replace("_", " "))

    def value(self, value: float) -> str:
        """A metric."""
        if not math.isfinite(value):
            return "–"
        return f"{100 * value:.2f}" if self.share else f"{value:.4g}"

    def points(self, value: float) -> str:
        """A difference or a deviation."""
        return f"{100 * value:.3g}" if self.share else number(value)

    @property
    def unit(self) -> str:
        """Of :meth:`value`."""
        return "%" if self.share else ""

    @property
    def points_unit(self) -> str:
        """Of :meth:`points`."""
        return "pp" if self.share else ""


def strategy_tables(frame: pd.DataFrame, shape: Shape) -> list[Table]:
    """Tables 2 and 5-10 of Killamsetty et al. and 3 and 4 of Zhang et al., as the data allow."""
    cells = complete_cells(frame)
    metric = f"Test {shape.metric}" + (f" ({shape.unit})" if shape.unit else "")
    made = [
        wide_table("strategy_accuracy", f"{metric} by fraction", cells, "test", shape.value),
        wide_table("strategy_time", "Train + select time by fraction", cells, "seconds", seconds),
        wide_table("strategy_energy", "Energy by fraction (kWh)", cells, "kwh", number),
        wide_table("strategy_speedup", "Speed-up over full by fraction", cells, "speedup", times),
        _deviation(frame, shape),
        wide_table(
            "gradient_error",
            "Relative gradient error by fraction",
            _with_random(frame),
            "gradient_error",
            number,
            ["Mean over the selections of a run, relative to the gradient to be matched."],
        ),
        wide_table(
            "never_used",
            "Training examples never used (%)",
            frame[frame["arm"] != "full"].assign(never_used=100 * frame["never_used"]),
            "never_used",
            number,
        ),
        _ranks(cells, shape),
        _wilcoxon(frame, shape),
    ]
    variants = cells[cells["selector"].str.startswith("gradmatch")]
    if variants["arm"].nunique() > 1:
        title = f"Variants of GradMatch: {metric[0].lower()}{metric[1:]}"
        made.append(wide_table("gradmatch_variants", title, variants, "test", shape.value))
    return [table for table in made if table is not None]


def wide_table(
    name: str,
    title: str,
    frame: pd.DataFrame,
    value: str,
    form: Callable[[float], str],
    notes: list[str] | None = None,
) -> Table | None:
    """One value by strategy and fraction; ``None`` where nothing measured it."""
    if frame[value].notna().sum() == 0:
        return None
    wide = by_fraction(frame, value)
    wide.insert(0, "name", wide["arm"].map(arm_name))
    fractions = [c for c in wide.columns if c not in ("name", *GROUP)]
    columns = [Column("name", "Strategy", numeric=False), *_groups(wide)]
    columns += [Column(c, c if c != "100%" else "all data", form) for c in fractions]
    return Table(name, title, wide, columns, notes or [])


def _groups(frame: pd.DataFrame) -> list[Column]:
    """Dataset and model, where they differ."""
    return [
        Column(key, key.capitalize(), numeric=False)
        for key in ("dataset", "model")
        if frame[key].nunique() > 1
    ]


def _deviation(frame: pd.DataFrame, shape: Shape) -> Table | None:
    wide = seed_deviation(frame[frame["arm"] != "seed"])
    if wide.empty:
        return None
    wide.insert(0, "name", wide["arm"].map(arm_name))
    fractions = [c for c in wide.columns if c not in ("name", *GROUP)]
    columns = [Column("name", "Strategy", numeric=False), *_groups(wide)]
    columns += [Column(c, c if c != "100%" else "all data", shape.points) for c in fractions]
    unit = f" ({shape.points_unit})" if shape.points_unit else ""
    notes = ["Within configurations (n - 1), pooled over them."]
    title = f"Standard deviation over training seeds{unit}"
    return Table("seed_deviation", title, wide, columns, notes)


def _with_random(frame: pd.DataFrame) -> pd.DataFrame:
    """The random subsets measured beside the selections, as a strategy of their own."""
    beside = frame.dropna(subset=["random_gradient_error"])
    random = beside.assign(
        arm="random subset of the same size", gradient_error=beside["random_gradient_error"]
    )
    return pd.concat([frame, random], ignore_index=True)


def _ranks(cells: pd.DataFrame, shape: Shape) -> Table | None:
    ranks = average_ranks(cells, larger_is_better=shape.sign > 0)
    if ranks.empty or ranks["fractions"].max() < 2:
        return None
    ranks = ranks.assign(name=ranks["arm"].map(arm_name))
    columns = [
        Column("name", "Strategy", numeric=False),
        *_groups(ranks),
        Column("rank", "Average rank", "{:.2f}".format, note="missing"),
        Column("test", f"Mean test {shape.metric}", shape.value),
        Column("fractions", "Fractions", count),
    ]
    notes = [
        "1 is the best. Ranked at each fraction that every strategy ran at, then averaged; full "
        "training takes part at each with its one value."
    ]
    return Table("average_ranks", "Average rank over fractions", ranks, columns, notes)


def _wilcoxon(frame: pd.DataFrame, shape: Shape) -> Table | None:
    tests = wilcoxon_table(frame[frame["arm"] != "seed"], larger_is_better=shape.sign > 0)
    tests = tests[tests["pairs"] >= 5].sort_values("p", ignore_index=True)
    if tests.empty:
        return None
    tests = tests.assign(
        name=tests["better"].map(arm_name),
        other=tests["worse"].map(arm_name),
    )
    columns = [
        Column("name", "Strategy", numeric=False),
        Column("other", "better than", numeric=False),
        Column("p", "p, one-tailed", _p),
        Column("p_holm", "p, Holm", _p),
        Column("pairs", "Pairs", count),
        Column("median_difference", f"Median difference {shape.points_unit}", shape.points),
    ]
    notes = [
        "Wilcoxon signed-rank tests on differences paired by dataset, fraction, configuration and "
        "seed; pairs of strategies with at least 5 differences. Configurations of one sweep share "
        "data and seeds, so that the pairs are not strictly independent."
    ]
    return Table("wilcoxon", "Is one strategy better than another?", tests, columns, notes)


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def strategy_plots(frame: pd.DataFrame, shape: Shape, arms: list[str]) -> list[Plot]:
    """Fig. 3 for each dataset and model, and Fig. 4 for each setting that varies."""
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
