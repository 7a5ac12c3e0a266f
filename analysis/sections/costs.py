"""Seconds, joules, device hours, price, and speed-up against its limit."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.figures.bars import plot_cost, plot_joules, plot_limits, plot_slots
from analysis.figures.lines import MOST_BANDS, plot_learning_curves
from analysis.options import ReportOptions
from analysis.questions.cost import (
    JOULES_PER_KWH,
    cost_table,
    joules_frame,
    limit_table,
    phase_frame,
)
from analysis.questions.learning import learning_curves
from analysis.questions.occupancy import Occupancy, held_seconds, occupancy, wall_seconds
from analysis.results.frames import START_UP
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.sections.plots import bar_height, draw
from analysis.tables import Column, Plot, Section, Table, count
from analysis.words import arm_name, bar_name, number, seconds, times


def section(results: Results, options: ReportOptions) -> Section:
    """What the sweep cost, in every unit that was measured."""
    costs = cost_table(results, options.price_per_hour)
    limits = limit_table(results)
    plots: list[Plot] = []
    phases = phase_frame(costs)
    if phases["seconds"].sum() > 0:
        by_bar = phases.groupby(["arm", "phase"], sort=False)["seconds"].sum()
        total = {bar_name(str(arm), str(phase)): s for (arm, phase), s in by_bar.items()}
        plots.append(
            draw(
                "cost",
                "Where the seconds went",
                lambda ax: plot_cost(phases, ax),
                phases,
                alt="Seconds by arm: "
                + "; ".join(f"{name} {seconds(float(s))}" for name, s in total.items())
                + ".",
                height=bar_height(len(total)),
            )
        )
    if len(limits):
        plots.append(_limit_plot(limits))
    measured = costs[costs["joules"].notna()]
    joules = joules_frame(costs)
    if len(joules):
        plots.append(
            draw(
                "joules",
                "Energy",
                lambda ax: plot_joules(joules, ax),
                joules,
                alt="Energy of training and selection by arm: "
                + "; ".join(
                    f"{bar_name(str(r.arm), str(r.phase))} {number(r.joules / 1000)} kilojoules"
                    for r in measured.itertuples()
                )
                + ".",
                caption="Selection inside a mini-batch is too short for the counter: its joules "
                "are training's.",
                height=bar_height(len(measured)),
            )
        )
    plots += _curves(results)
    said = [*_paragraphs(costs, options), *waited(results)]
    busy = occupancy(results)
    tables = [_table(costs, options), *([] if busy is None else [_occupancy_table(busy)])]
    if busy is not None:
        plots.insert(0, _slots_plot(busy, results.arms()))
    return Section("cost", "What it cost", tuple(said), (*tables, *plots))


def waited(results: Results) -> list[str]:
    """How long the user waited, and how busy the slots were meanwhile."""
    said = []
    whole_s = wall_seconds(results)
    if math.isfinite(whole_s):
        said.append(
            f"The user waited {seconds(whole_s)} for the whole sweep, from the command to its last "
            f"trial's end; its trials held slots for {seconds(held_seconds(results))}."
        )
    busy = occupancy(results)
    if busy is not None and math.isfinite(busy.busy):
        slots = "The one slot was" if busy.slots == 1 else f"The {busy.slots} slots were"
        said.append(
            f"{slots} busy for {100 * busy.busy:.0f}% of the search's {seconds(busy.wall_s)}; the "
            "table of slots says where the rest went."
        )
    return said


def _occupancy_table(busy: Occupancy) -> Table:
    columns = [
        Column("work", "Slots were held for", numeric=False),
        Column("seconds", "Slot-seconds", seconds),
        Column("share", "Share of the search", lambda v: f"{100 * v:.1f}%"),
    ]
    notes = [
        f"The rows add up to {busy.slots} times the search's wall-clock of "
        f"{seconds(busy.wall_s)}. A slot stands empty before its first trial (while a process "
        "starts, or the seed has no subset yet), between trials (a process starts or is handed on, "
        "the next trial is chosen) and after its last one (nothing is left to run)."
    ]
    return Table("slots", "What the slots did in the search", busy.rows, columns, notes)


def _slots_plot(busy: Occupancy, arms: list[str]) -> Plot:
    return draw(
        "slots",
        "What each slot did",
        lambda ax: plot_slots(busy.stays, ax, arms=arms),
        busy.stays,
        alt=f"Trials on {busy.slots} slots over the {seconds(busy.wall_s)} of the search; slots "
        f"were busy for {100 * busy.busy:.0f}% of it.",
        caption="A bar per trial and time it held a slot; white: the slot stood empty.",
        height=1.3 + 0.4 * min(busy.slots, 12),
    )


def _paragraphs(costs: pd.DataFrame, options: ReportOptions) -> list[str]:
    search = costs[costs["phase"] != "promotion"]
    said = []
    for device in ("gpu", "cpu"):
        hours = costs.loc[costs["device"] == device, "device_hours"].sum()
        if hours <= 0:
            continue
        text = f"The whole sweep held {_hours(hours, device)}"
        promoted = hours - search.loc[search["device"] == device, "device_hours"].sum()
        if promoted > 0:
            text += f", {100 * promoted / hours:.2g}% of them for promoted configurations"
        if options.price_per_hour is not None:
            price = hours * options.price_per_hour
            text += (
                f"; at {options.price_per_hour:g} {options.currency} per {device.upper()}-hour "
                f"that is {price:,.2f} {options.currency}"
            )
        said.append(text + ".")
    return said


def _hours(hours: float, device: str) -> str:
    """Device hours, with a smaller unit beside them where they are few."""
    text = f"{number(hours)} {device.upper()}-hours"
    return text if hours >= 1 else f"{text} ({number(60 * hours)} {device.upper()}-minutes)"


def _table(costs: pd.DataFrame, options: ReportOptions) -> Table:
    frame = costs.assign(
        name=[
            bar_name(arm, phase) for arm, phase in zip(costs["arm"], costs["phase"], strict=True)
        ],
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
    unit, per_hour = ("hours", 1) if costs["device_hours"].max() >= 0.1 else ("minutes", 60)
    columns = [
        Column("name", "Arm", numeric=False),
        Column("trials", "Trials", count),
        Column("train_s", "Train", seconds),
        Column("select_s", "Select", seconds),
        Column("eval_s", "Evaluate", seconds),
        Column("wait_s", "Wait", seconds),
        *(
            Column(key, title, seconds)
            for key, title in ((START_UP, "Start-up"), ("rest_s", "Reports"))
            if costs[key].fillna(0.0).gt(0).any()
        ),
        Column("slot_s", "Slot time", seconds),
        Column("device_hours", f"{device}-{unit}", lambda v: number(v * per_hour)),
    ]
    if options.price_per_hour is not None:
        columns.append(Column("price", f"Price ({options.currency})", "{:,.2f}".format))
    notes = [
        f"{device}-{unit}: slot time times the devices that a trial holds. Start-up makes a trial "
        "ready (data, model, optimizer); reports are what else its slot was held for: checkpoints, "
        "and the way of each report to the driver and back."
    ]
    if costs["joules"].notna().any():
        columns.append(Column("kwh", "Energy (kWh)", number, note="energy_note"))
        notes.append("Energy is that of training and selection.")
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
        "warm start): as if everything but the training steps were free. Selection inside the "
        "mini-batch also pays for its forward passes, at a third of a training step each.",
        height=bar_height(len(limits)) - 0.25,
    )


def _curves(results: Results) -> list[Plot]:
    search = results.search
    # A seed trains one configuration, mostly a good one: beside means over all it would flatter.
    counted = search["outcome"].isin(USABLE) & (search["arm"] != "seed")
    # Where the test split was measured at the end alone, validation shows the way there.
    split = "test" if results.tested_along else "validation"
    epochs = (
        results.epochs if split == "test" else results.epochs.assign(test=results.epochs["val"])
    )
    own = search[counted]
    planned = {}
    if "planned_epochs" in own:
        planned = dict(zip(own["trial_id"], own["planned_epochs"].astype(float), strict=True))
    frame = learning_curves(epochs, list(own["trial_id"]), planned)
    frame = frame[np.isfinite(frame["seconds"])]
    if frame.empty:
        return []
    metric = f"{split} {results.metric.replace('_', ' ')}"
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
            alt=f"Mean {metric} against the seconds that a trial held its slot. {said}.",
            caption="Mean over an arm's trials, the seed left out"
            + (", matched by the share of their epochs." if _differ(own, planned) else ".")
            + (
                " Bands: quartiles over configurations and seeds."
                if frame["arm"].nunique() <= MOST_BANDS
                else " The quartiles over configurations and seeds are in the CSV file."
            ),
        )
    ]


def _differ(trials: pd.DataFrame, planned: Mapping[str, float]) -> bool:
    """Whether any arm has trials of different lengths."""
    return bool((trials["trial_id"].map(planned).groupby(trials["arm"]).nunique() > 1).any())
