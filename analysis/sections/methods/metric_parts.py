"""The test metric by part, beside time (Cai et al., Table 4)."""

from __future__ import annotations

from analysis.options import ReportOptions
from analysis.questions.methods.metric_parts import metric_parts, parts_table
from analysis.results.load import Results
from analysis.sections.shape import Shape
from analysis.tables import Column, Section, Table, count
from analysis.words import arm_name, seconds


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where the metric has parts: a detector's mAP by object size and overlap."""
    parts = metric_parts(results)
    if not parts:
        return None
    shape = Shape.of([results])
    table = parts_table(results)
    table.insert(0, "name", table["arm"].map(arm_name))
    unit = " (%)" if shape.share else ""
    columns = [Column("name", "Arm", numeric=False)]
    columns += [Column(key, f"{name}{unit}", shape.value) for key, name in parts.items()]
    columns += [Column("seconds", "Train + select", seconds)]
    if table["t_diff_s"].notna().any():
        columns.append(Column("t_diff_s", "Saved per epoch (t_diff)", seconds))
    columns.append(Column("trials", "Trials", count))
    notes = ["Test values at each trial's best validation epoch, means over the arm's trials."]
    shown = Table("metric_parts", f"Test {results.metric} by part", table, columns, notes)
    return Section("metric_parts", "The metric by part", (), (shown,), open=False)
