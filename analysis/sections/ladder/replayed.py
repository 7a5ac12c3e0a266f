"""Ladder and rivals replayed over many draws of the configurations."""

from __future__ import annotations

from analysis.options import ReportOptions
from analysis.questions.ladder.replayed import replayed_table
from analysis.results.load import Results
from analysis.tables import Column, Section, Table
from analysis.words import arm_name, difference


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where every configuration was trained fully and on rungs of one selector."""
    if results.selection_only:
        return None
    table = replayed_table(results)
    if not table["strategy"].astype(str).str.startswith("ladder").any():
        return None
    metric = results.metric.replace("_", " ")
    titles = {"metric": metric, "loss": "loss", "both": "sum of both ranks"}
    named = {name: name for name in table["strategy"]}
    named |= {n: f"ladder of {arm_name(n[10:])}" for n in named if n.startswith("ladder of ")}
    frame = table.assign(name=table["strategy"].map(named), ranked=table["by"].map(titles))
    columns = [
        Column("name", "Strategy", numeric=False),
        Column("ranked", "Ranked by", numeric=False),
        Column("cost", "Cost, share of training all", "{:.2f}".format),
        Column("regret", "Mean regret", lambda v: difference(results, v)),
        Column("regret_se", "Standard error", lambda v: difference(results, v).lstrip("+")),
        Column("best_found", "Found the best", lambda v: f"{100 * v:.0f}%"),
    ]
    notes = [
        f"{int(table['draws'].iloc[0])} draws of configurations in random order, each with one "
        "training seed's curves, the same for every strategy. Cost counts examples trained on, the "
        "winner's full training included, a replay's seed trial left out. Regret: what the choice "
        f"loses of test {metric}, averaged over training seeds, against the draw's best."
    ]
    shown = Table("replayed", "Searches replayed on the recorded curves", frame, columns, notes)
    return Section(
        "replayed", "What a ladder would have chosen, and its rivals", (), (shown,), open=False
    )
