"""Which cheap view orders configurations as full training does."""

from __future__ import annotations

from analysis.options import ReportOptions
from analysis.questions.ladder.views import SCORES, view_table
from analysis.results.load import Results
from analysis.tables import Column, Section, Table, count
from analysis.words import arm_name, interval, minus


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where full training, the reference, ranks the configurations."""
    if results.selection_only:
        return None
    table = view_table(results, level=options.level, resamples=options.resamples)
    if table.empty or table[[f"tau_{score}" for score in SCORES]].isna().all(axis=None):
        return None
    metric = results.metric.replace("_", " ")
    titles = {"metric": metric, "loss": "loss", "calibrated": "calibrated loss"}
    frame = table.assign(name=table["arm"].map(arm_name))
    columns = [
        Column("name", "View", numeric=False),
        Column("share", "Share of full training's examples", lambda v: f"{100 * v:.3g}%"),
    ]
    for score in SCORES:
        if table[f"tau_{score}"].isna().all():
            continue
        limits = zip(table[f"tau_{score}_low"], table[f"tau_{score}_high"], strict=True)
        frame[f"{score}_interval"] = [interval(low, high) for low, high in limits]
        title = f"Kendall's tau by {titles[score]}"
        columns.append(
            Column(f"tau_{score}", title, lambda v: minus(f"{v:.2f}"), note=f"{score}_interval")
        )
    columns += [
        Column("configurations", "Configurations", count),
        Column("seeds", "Seeds", count),
    ]
    units = str(table["resampled"].iloc[0])
    notes = [
        f"Below each value its {100 * options.level:g}% interval"
        + (f" (paired bootstrap over {units})" if units else "")
        + ". Scores at a trial's last epoch, averaged over training seeds, against full training's "
        f"validation {metric}; a loss ranks the other way round. Calibrated: the loss at a "
        "temperature fitted on the validation split."
    ]
    shown = Table("views", "Each view's order against full training's", frame, columns, notes)
    title = "Which cheap view orders configurations as full training does"
    return Section("views", title, (), (shown,), open=False)
