"""Seconds, joules, device hours, price, and speed-up against its limit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.cost import JOULES_PER_KWH, cost_table, limit_table, phase_frame
from analysis.figures.bars import plot_cost, plot_joules, plot_limits
from analysis.figures.lines import learning_curves, plot_learning_curves
from analysis.load import Results
from analysis.options import ReportOptions
from analysis.outcomes import USABLE
from analysis.sections.plots import bar_height, draw
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, number, seconds, times


def section(results: Results, options: ReportOptions) -> Section:
    """What the sweep cost, in every unit that was measured."""
    costs = cost_table(results, options.price_per_hour)
    limits = limit_table(results)
    plots: list[Plot] = []
    phases = phase_frame(costs)
    if phases["seconds"].sum() > 0:
        total = phases.groupby("arm", sort=False)["seconds"].sum()
        plots.append(
            draw(
                "cost",
                "Where the seconds went",
                lambda ax: plot_cost(phases, ax),
                phases,
                alt="Seconds by arm: "
                + "; ".join(f"{arm_name(str(a))} {seconds(float(s))}" for a, s in total.items())
                + ".",
                height=bar_height(len(total)),
            )
        )
    if len(limits):
        plots.append(_limit_plot(limits))
    measured = costs[(costs["phase"] != "promotion") & costs["joules"].notna()]
    if len(measured):
        plots.append(
            draw(
                "joules",
                "Energy",
                lambda ax: plot_joules(measured, ax),
                measured,
                alt="Energy by arm: "
                + "; ".join(
                    f"{arm_name(str(r.arm))} {number(r.joules / 1000)} kilojoules"
                    for r in measured.itertuples()
                )
                + ".",
                height=bar_height(len(measured)),
            )
        )
    plots += _curves(results)
    tables = [_table(costs, options)]
    return Section("cost", "What it cost", tuple(_paragraphs(costs, options)), (*tables, *plots))


def _paragraphs(costs: pd.DataFrame, options: ReportOptions) -> list[str]:
    search = costs[costs["phase"] != "promotion"]
    said = []
    for device in ("gpu", "cpu"):
        hours = costs.loc[costs["device"] == device, "device_hours"].sum()
        if hours <= 0:
            continue
        text = f"The whole sweep held {number(hours)} {device.upper()}-hours"
        promoted = hours - search.loc[search["device"] == device, "device_hours"].sum()
        if promoted > 0:
            text += f", {number(promoted)} of them for promoted configurations"
        if options.price_per_hour is not None:
            price = hours * options.price_per_hour
            text += (
                f"; at {options.price_per_hour:g} {options.currency} per {device.upper()}-hour "
                f"that is {price:,.2f} {options.currency}"
            )
        said.append(text + ".")
    return said


def _table(costs: pd.DataFrame, options: ReportOptions) -> Table:
    frame = costs.assign(
        name=costs["arm"].map(arm_name)
        + np.where(costs["phase"] == "promotion", " (promoted)", ""),
        kwh=costs["joules"] / JOULES_PER_KWH,
        energy_note=[
            f"{int(r.joules_trials)} of {int(r.trials)} trials"
            if 0 < r.joules_trials < r.trials
            else ""
            for r in costs.itertuples()
        ],
    )
    device = "GPU" if (costs["device"] == "gpu").all() else "CPU"
    if costs["device"].nunique() > 1:
        device = "Device"
    columns = [
        Column("name", "Arm", numeric=False),
        Column("trials", "Trials", count),
        Column("train_s", "Train", seconds),
        Column("select_s", "Select", seconds),
        Column("eval_s", "Evaluate", seconds),
        Column("wait_s", "Wait", seconds),
        Column("device_hours", f"{device}-hours", number),
    ]
    if options.price_per_hour is not None:
        columns.append(Column("price", f"Price ({options.currency})", "{:,.2f}".format))
    notes = ["Device hours: seconds of all phases times the devices that a trial holds."]
    if costs["joules"].notna().any():
        columns.append(Column("kwh", "Energy (kWh)", number, note="energy_note"))
    else:
        notes.append("Energy was not measured on this hardware.")
    return Table("cost", "Cost by arm", frame, columns, notes)


def _limit_plot(limits: pd.DataFrame) -> Plot:
    said = "; ".join(
        f"{arm_name(str(r.arm))} {times(r.speedup)} of {times(r.limit)}"
        for r in limits.itertuples()
    )
    return draw(
        "speedup_limit",
        "Speed-up against its limit",
        lambda ax: plot_limits(limits, ax),
        limits,
        alt=f"Speed-up over full training and its limit by arm: {said}.",
        caption="The limit is one over the share of examples trained on (1 / fraction without a "
        "warm start): as if everything but the training steps were free.",
        height=bar_height(len(limits)) - 0.25,
    )


def _curves(results: Results) -> list[Plot]:
    usable = results.search.loc[results.search["outcome"].isin(USABLE), "trial_id"]
    frame = learning_curves(results.epochs, list(usable))
    frame = frame[np.isfinite(frame["seconds"])]
    if frame.empty:
        return []
    metric = f"test {results.metric.replace('_', ' ')}"
    ends = frame.groupby("arm", sort=False).tail(1)
    said = "; ".join(
        f"{arm_name(str(r.arm))} {r.test:.3g} after {seconds(r.seconds)}" for r in ends.itertuples()
    )
    return [
        draw(
            "learning_curves",
            f"{metric[0].upper()}{metric[1:]} against seconds",
            lambda ax: plot_learning_curves(frame, ax, metric=metric, arms=results.arms()),
            frame,
            alt=f"Mean {metric} against the train and select seconds of a trial. {said}.",
            caption="Mean over an arm's trials; bands: quartiles over configurations and seeds.",
        )
    ]
