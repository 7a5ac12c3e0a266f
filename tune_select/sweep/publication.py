"""What a sweep leaves for people: its report, and what it says of its ending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

import analysis
from analysis.questions.methods.loss_gallery import pictured_by_loss
from analysis.questions.pictures import extreme_examples, write_examples
from tune_select.sweep.ending import Ending, How
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.plan import Plan
from tune_select.sweep.summary import show_summary


def write_report(folder: Path, plan: Plan, dataset: Any, console: Console) -> None:
    """Write the report into a results folder, and its summary on the terminal.

    Args:
        folder: The results folder, on this machine.
        plan: The plan of the sweep.
        dataset: What all trials shared, for the pictures; ``None`` for nothing.
        console: The terminal.
    """
    results = analysis.load(folder)
    keep_pictures(results, plan, dataset)
    analysis.write_report(results)
    show_summary(results, console)


def keep_pictures(results: analysis.Results, plan: Plan, dataset: Any) -> None:
    """Keep the examples that the galleries show.

    They are those that the first history favours and shuns, and those with the lowest and the
    highest losses, where trials recorded them.

    Args:
        results: The results of the sweep, into whose folder they go.
        plan: The plan of the sweep, whose trainable may know pictures.
        dataset: What all trials shared; ``None`` for nothing.
    """
    pictures = getattr(plan.trainable, "pictures", None)
    if pictures is None or dataset is None:
        return
    labels = pictures(dataset, np.empty(0, np.int64)).get("labels")
    if labels is None:
        return
    chosen = pictured_by_loss(results, labels)
    history = next(iter(results.histories), None)
    if history is not None:
        chosen = np.union1d(chosen, extreme_examples(history, labels))
    if len(chosen):
        shown = pictures(dataset, chosen)
        key = "" if history is None else history.key
        write_examples(results.folder, example=chosen, history=key, **shown)


def left_out(ending: Ending, trials: pd.DataFrame, promote: int, folder: ResultsFolder) -> str:
    """What a sweep that did not finish has left undone, and how it goes on; in sentences.

    Args:
        ending: The ending of the sweep.
        trials: Its trials of all phases, possibly none.
        promote: How many configurations were to be promoted.
        folder: The results folder.
    """
    if ending.is_finished:
        return ""
    said = []
    if len(trials):
        open_ = int((trials["status"] == "unfinished").sum())
        said.append(f"{open_} of {len(trials)} trials that were begun have not ended.")
    promotions = trials[trials["phase"] == "promotion"] if len(trials) else trials
    if promote and not len(promotions):
        said.append(f"Nothing was promoted (promote: {promote}).")
    budget = " with a fresh budget" if ending.how is How.OUT_OF_BUDGET else ""
    said.append(f"It goes on{budget} with: tune-select run --resume {folder.location}")
    return " ".join(said)


def failed_arms(trials: pd.DataFrame) -> list[str]:
    """The arms of which every trial failed, each with an error of one of them."""
    if not len(trials):
        return []
    lost = []
    for arm, rows in trials.groupby("arm", sort=False):
        if (rows["status"] == "failed").all():
            lost.append(f"every trial of arm {arm} failed, the first with: {rows['error'].iloc[0]}")
    return lost
