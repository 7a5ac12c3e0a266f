"""What replay selects: w-scores, their similarity between seeds, galleries, change over time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.figures.bars import gradient_errors, plot_gradient_errors, plot_w_scores
from analysis.figures.lines import plot_intervals
from analysis.figures.maps import plot_class_balance, plot_similarity
from analysis.options import ReportOptions
from analysis.questions.gallery import galleries
from analysis.questions.histories import (
    class_balance,
    interval_table,
    labels,
    never_used,
    score_histogram,
    similarity_table,
    w_scores,
)
from analysis.questions.pictures import Examples, load_examples
from analysis.results.history_files import HistoryRecord
from analysis.results.load import Results
from analysis.sections.plots import draw, file_name, medians
from analysis.tables import Column, Gallery, Plot, Section, Table, count
from analysis.words import number, seconds

_MOST_HISTORIES = 3
"""Histories with a histogram of their own; the tables hold them all."""

_MOST_LINES = 6


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where the folder holds a history with at least one interval."""
    histories = [history for history in results.histories if history.intervals]
    if not histories:
        return None
    paragraphs = [
        "The w-score of a training example is its normalised weight summed over all epochs: the "
        "number of epochs it was trained on at average weight."
    ]
    if any(len(history.chosen) < len(history.intervals) for history in histories):
        paragraphs.append(
            "Epochs on an initial subset that was drawn at random (first_subset: random) are not "
            "in it: the selector had no part in them."
        )
    items: list[Table | Plot | Gallery] = [_summary(histories)]
    if len(histories) > 1:
        items += _similarity(histories)
    named = list(zip(histories, labels(histories), strict=True))
    for history, name in named[:_MOST_HISTORIES]:
        items.append(_score_plot(history, name, alone=len(histories) == 1))
    items += _change_plots(named[:_MOST_LINES])
    items += _errors(results)
    try:
        examples = load_examples(results.folder)
    except ValueError as error:
        examples = None
        paragraphs.append(f"The pictures of examples could not be read ({error}).")
    if examples is not None:
        items += _pictures(examples, histories, paragraphs)
    items.append(_intervals(*named[0]))
    return Section("selection", "What replay selects", tuple(paragraphs), tuple(items), open=False)


def _summary(histories: list[HistoryRecord]) -> Table:
    rows = []
    for history, name in zip(histories, labels(histories), strict=True):
        scores = np.sort(w_scores(history))[::-1]
        top = max(1, round(0.1 * len(scores)))
        intervals = interval_table(history)
        rows.append(
            {
                "name": name,
                "key": history.key,
                "dataset": history.dataset,
                "examples": history.size,
                "fraction": history.fraction,
                "intervals": len(history.intervals),
                "complete": "complete" if history.complete else "incomplete",
                "never_used": 100 * never_used(history),
                "top_tenth": 100 * float(scores[:top].sum() / scores.sum())
                if scores.sum() > 0
                else float("nan"),
                "jaccard": float(intervals["jaccard"].mean()),
                "jaccard_random": float(intervals["jaccard_random"].mean()),
                "warm": "every example was trained on in the warm start"
                if history.warm_start_epochs
                else "",
            }
        )
    columns = [
        Column("name", "History", numeric=False, note="complete"),
        Column("examples", "Training examples", count),
        Column("fraction", "Fraction", lambda v: f"{100 * v:g}%"),
        Column("intervals", "Intervals", count),
        Column("never_used", "Never in a subset", lambda v: f"{v:.1f}%", note="warm"),
        Column("top_tenth", "Weight on the top tenth", lambda v: f"{v:.1f}%"),
        Column("jaccard", "Mean Jaccard, next interval", "{:.3f}".format),
        Column("jaccard_random", "Same, random subsets", "{:.3f}".format),
    ]
    return Table("histories", "Histories in this folder", pd.DataFrame(rows), columns)


def similarity_of(name: str, title: str, frame: pd.DataFrame) -> Table:
    """The result of ``similarity_table`` as a table (Cai et al., Table 5).

    Args:
        name: The name of its file.
        title: Its caption.
        frame: A row per pair of histories.
    """
    columns = [
        Column("first", "History", numeric=False),
        Column("second", "and", numeric=False),
        Column("cosine", "Cosine of w-scores", "{:.3f}".format),
        Column("independent", "Same, independent", "{:.3f}".format),
        Column("overlap", "Overlap of the top tenth", lambda v: f"{100 * v:.1f}%"),
    ]
    notes = [
        "Independent: the cosine of scores like these that have nothing to do with each other. The "
        "top tenths of two such selections overlap in a tenth on average."
    ]
    return Table(name, title, frame, columns, notes)


def _similarity(histories: list[HistoryRecord]) -> list[Table | Plot]:
    frame = similarity_table(histories)
    if frame.empty:
        return []
    items: list[Table | Plot] = [
        similarity_of("w_score_similarity", "Similarity between seeds", frame)
    ]
    names = len({*frame["first"], *frame["second"]})
    if 3 <= names <= 10:
        said = "; ".join(f"{r.first} and {r.second} {r.cosine:.2f}" for r in frame.itertuples())
        items.append(
            draw(
                "w_score_similarity",
                "Cosine similarity of w-scores",
                lambda ax: plot_similarity(frame, ax),
                frame,
                alt=f"Cosine similarity of w-scores for pairs of histories: {said}.",
                height=1.6 + 0.45 * names,
            )
        )
    return items


def _score_plot(history: HistoryRecord, name: str, *, alone: bool) -> Plot:
    histogram = score_histogram(history)
    never = 100 * float(histogram["examples"].iloc[0]) / max(history.size, 1)
    return draw(
        "w_scores" if alone else f"w_scores_{file_name(history.key)}",
        "Histogram of w-scores" + ("" if alone else f": {name}"),
        lambda ax: plot_w_scores(histogram, ax),
        histogram,
        alt=f"Histogram of w-scores over {history.size} training examples; {never:.1f}% have the "
        f"score zero, the highest is {histogram['high'].max():.3g}.",
    )


def _change_plots(named: list[tuple[HistoryRecord, str]]) -> list[Plot]:
    """How subsets change, and what is left unused, a line per history."""
    tables = [interval_table(history).assign(history=name) for history, name in named]
    frame = pd.concat(tables, ignore_index=True)
    plots = []
    for value, title, words in (
        (
            "jaccard",
            "Change from interval to interval",
            "Mean Jaccard similarity of each subset with the one before",
        ),
        ("never_used", "Examples never used so far", "Share of examples in no subset at the end"),
    ):
        if frame[value].notna().sum() < 2:
            continue
        own = frame.groupby("history", sort=False)[value]
        ends = own.mean() if value == "jaccard" else own.last()
        said = "; ".join(f"{name} {end:.3f}" for name, end in ends.items())
        if value == "jaccard":
            said += f"; independent random subsets {frame['jaccard_random'].mean():.3f}"
        plots.append(
            draw(
                value,
                title,
                lambda ax, value=value: plot_intervals(frame, ax, value=value),  # type: ignore[misc]
                frame,
                alt=f"{words}: {said}.",
            )
        )
    return plots


def _errors(results: Results) -> list[Plot]:
    own = results.epochs[results.epochs["trial_id"].isin(results.search["trial_id"])]
    frame = gradient_errors(own)
    if len(frame[frame["squared_error"] > 0]) < 5:
        return []
    return [
        draw(
            "gradient_errors",
            "Squared gradient errors",
            lambda ax: plot_gradient_errors(frame, ax, arms=results.arms()),
            frame,
            alt="Distribution of squared relative gradient errors. "
            f"{medians(frame, 'squared_error')}",
            caption="Left is better. Of the selected subset against the gradient it should match, "
            "relative to that gradient; random subsets of the same size beside it.",
        )
    ]


def _pictures(
    examples: Examples, histories: list[HistoryRecord], paragraphs: list[str]
) -> list[Plot | Gallery]:
    fitting = [h for h in histories if h.key == examples.history] or histories
    history = fitting[0]
    if examples.labels.shape != (history.size,):
        paragraphs.append(
            f"examples.npz is about {len(examples.labels)} training examples, the history about "
            f"{history.size}: its pictures are left out."
        )
        return []
    items: list[Plot | Gallery] = []
    classes = np.unique(examples.labels)
    if 1 < len(classes) <= 40:
        balance = class_balance(history, examples.labels)
        balance = balance.assign(name=balance["label"].map(examples.class_name))
        ratio = balance["share"] / balance["train_share"]
        items.append(
            draw(
                "class_balance",
                "Balance of classes over intervals",
                lambda ax: plot_class_balance(balance, ax),
                balance,
                alt="Share of each class in each subset relative to its share of the training "
                f"set: between {ratio.min():.2f} and {ratio.max():.2f}.",
                height=1.3 + 0.22 * min(len(classes), 40),
            )
        )
    items += galleries(examples, w_scores(history))
    return items


def _intervals(history: HistoryRecord, name: str) -> Table:
    frame = interval_table(history)
    columns = [
        Column("interval", "Interval", count),
        Column("start", "From epoch", count),
        Column("size", "Examples", count),
        Column("jaccard", "Jaccard", "{:.3f}".format),
        Column("never_used", "Never used so far", lambda v: f"{100 * v:.1f}%"),
        Column("effective_share", "Effective share", "{:.2f}".format),
        Column("gradient_error", "Gradient error", number),
        Column("random_gradient_error", "Same, random subset", number),
        Column("select_s", "Selection", seconds),
    ]
    notes = [
        "Effective share: (sum of weights)² / (k · sum of squared weights), 1 for equal weights. "
        "Epochs count from 0."
    ]
    return Table("intervals", f"Intervals: {name}", frame, columns, notes)
