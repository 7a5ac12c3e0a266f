"""The losses of single examples (Jiang et al., Figs. 2, 3, 8, 9 and 15)."""

from __future__ import annotations

import pandas as pd

from analysis.figures.losses import plot_example_curves, plot_probabilities
from analysis.options import ReportOptions
from analysis.questions.methods.example_losses import (
    HARDEST,
    ExampleLosses,
    ends,
    example_losses,
    hardest,
)
from analysis.questions.methods.loss_gallery import loss_galleries, loss_places
from analysis.questions.pictures import load_examples
from analysis.results.load import Results
from analysis.sections.plots import draw, file_name
from analysis.tables import Column, Gallery, Plot, Section, Table
from analysis.words import arm_name, number

_MOST_ARMS = 4


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where trials recorded the losses of single examples."""
    found = example_losses(results)
    if found.losses.empty and not found.problems:
        return None
    texts = [
        "What trials had recorded of every training and test example "
        "(evaluation.record_losses); means over configurations and seeds.",
        *found.problems,
    ]
    items: list[Table | Plot | Gallery] = []
    if not found.losses.empty:
        said, pictures = _pictures(results)
        texts.append(said)
        items = [_table(found), *pictures, *_distributions(results, found)]
        items += [*_by_percentile(results, found), *_probabilities(found)]
    title = "The losses of single examples"
    return Section("example_losses", title, tuple(texts), tuple(items), open=False)


def _table(found: ExampleLosses) -> Table:
    losses = found.losses[found.losses["epoch"].isin(ends(found.losses["epoch"]))]
    wide = losses.assign(share=(100 * losses["share"]).round()).pivot_table(
        index=["arm", "epoch"], columns="share", values="loss", sort=False
    )
    frame = wide[[50.0, 90.0, 99.0]].set_axis(["median", "ninetieth", "last"], axis=1).reset_index()
    frame = frame.merge(hardest(found.confidence), on=["arm", "epoch"], how="left")
    frame = frame.merge(found.fluctuation, on="arm", how="left")
    frame = frame.assign(name=frame["arm"].map(arm_name))

    columns = [
        Column("name", "Arm", numeric=False),
        Column("epoch", "Epoch", number),
        Column("median", "Median training loss", number),
        Column("ninetieth", "90th percentile", number),
        Column("last", "99th percentile", number),
    ]
    notes = []
    if not found.confidence.empty:
        columns += [
            Column("confidence", "Confidence, hardest fifth", _share),
            Column("accuracy", "Accuracy, hardest fifth", _share),
        ]
        notes.append(
            f"Hardest fifth: the {HARDEST}% of the test examples in whose true class the model has "
            "the least confidence."
        )
    if not found.fluctuation.empty:
        columns.append(Column("deviation", "Movement of probabilities", _share))
        notes.append(
            "Movement: standard deviation of an example's probability of being chosen by "
            "Selective-Backprop over the recorded epochs, mean over examples."
        )
    return Table("example_losses", "Losses of single examples", frame, columns, notes)


def _pictures(results: Results) -> tuple[str, list[Gallery]]:
    """Fig. 2, and what is said of it."""
    try:
        examples = load_examples(results.folder)
    except ValueError as error:
        return f"The pictures of examples could not be read ({error}).", []
    if examples is None:
        return (
            "There are no pictures (examples.npz) of the examples with the lowest and the highest "
            "losses: sweeps of pictures in memory keep them."
        ), []
    places = loss_places(results, len(examples.labels))
    made = loss_galleries(places, examples) if places is not None else []
    if places is None or not made:
        return (
            "The pictures at hand (examples.npz) are not of the examples with the lowest and the "
            "highest losses."
        ), []
    epochs = ", ".join(str(epoch) for epoch in places.epochs)
    return (
        f"The pictures are of the training examples with the lowest and the highest losses in "
        f"{arm_name(places.arm)}: by the share of examples with a lower loss (place), mean over "
        f"{places.trials} trial{'s' * (places.trials != 1)} and over the records after "
        f"epoch{'s' * (len(places.epochs) != 1)} {epochs}."
    ), made


def _share(value: float) -> str:
    return f"{100 * value:.1f}%" if value == value else "–"


def _distributions(results: Results, found: ExampleLosses) -> list[Plot]:
    plots = []
    for epoch in ends(found.losses["epoch"]):
        own = found.losses[found.losses["epoch"] == epoch]
        middle = own[(own["share"] - 0.9).abs() < 0.005]
        plots.append(
            draw(
                f"loss_distribution_{epoch}",
                f"Distribution of the training losses after epoch {epoch}",
                lambda ax, own=own: plot_example_curves(  # type: ignore[misc]
                    own.drop(columns=["low", "high"]), ax, x="loss", y="share",
                    x_label="Loss of an example", y_label="Share with at most this loss",
                    arms=results.arms(),
                ),
                own,
                alt=f"Share of the training examples by loss. {_said(middle, 'loss', '90% below')}",
                caption="A mean over trials of the loss at each share.",
            )
        )  # fmt: skip
    return plots


_MEASURES = {
    "confidence": "Confidence in the true class",
    "accuracy": "Accuracy",
}


def _by_percentile(results: Results, found: ExampleLosses) -> list[Plot]:
    plots = []
    for epoch in ends(found.confidence["epoch"]):
        own = found.confidence[found.confidence["epoch"] == epoch]
        hard = hardest(own)
        for measure, label in _MEASURES.items():
            said = _said(hard, measure, "hardest fifth")
            plots.append(
                draw(
                    f"{measure}_by_percentile_{epoch}",
                    f"{label} by percentile, after epoch {epoch}",
                    lambda ax, own=own, measure=measure, label=label: plot_example_curves(  # type: ignore[misc]
                        own, ax, x="percentile", y=measure, x_label="Percentile of confidence",
                        y_label=label, arms=results.arms(),
                    ),
                    own[["arm", "epoch", "percentile", measure]],
                    alt=f"{label} of the test examples from the hardest to the easiest. {said}",
                    caption="Each point is a twentieth of the test examples in order of the "
                    "arm's own confidence in their true class.",
                )
            )  # fmt: skip
    return plots


def _probabilities(found: ExampleLosses) -> list[Plot]:
    plots = []
    for arm, own in list(found.probabilities.groupby("arm", sort=False))[:_MOST_ARMS]:
        moves = own.groupby("example", sort=False)["probability"].agg(["min", "max"])
        said = "; ".join(f"{low:.2f} to {high:.2f}" for low, high in moves.itertuples(index=False))
        plots.append(
            draw(
                f"selection_probabilities_{file_name(str(arm))}",
                f"Probability of selection of five examples: {arm_name(str(arm))}",
                lambda ax, own=own: plot_probabilities(own, ax),  # type: ignore[misc]
                own,
                alt=f"Over the epochs, five examples' probabilities move within: {said}.",
                caption="What Selective-Backprop would give them at the arm's share of the data; "
                "examples from seldom to often chosen, of the arm's first trial.",
            )
        )
    return plots


def _said(frame: pd.DataFrame, column: str, what: str) -> str:
    values = "; ".join(
        f"{arm_name(str(arm))} {value:.3g}"
        for arm, value in frame.groupby("arm", sort=False)[column].mean().items()
    )
    return f"{what[0].upper()}{what[1:]}: {values}."
