"""The parts of the training loss, where a task reports them (Cai et al., Figs. 4-5)."""

from __future__ import annotations

from analysis.figures.losses import plot_loss_curves
from analysis.options import ReportOptions
from analysis.questions.methods.loss_parts import loss_curves, loss_parts
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.sections.plots import draw, file_name
from analysis.tables import Plot, Section
from analysis.words import arm_name


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where the loss has parts: a detector's classification and localisation."""
    usable = list(results.search.loc[results.search["outcome"].isin(USABLE), "trial_id"])
    plots: list[Plot] = []
    for column, part in loss_parts(results.epochs).items():
        frame = loss_curves(results.epochs, column, usable)
        if frame.empty:
            continue
        last = frame.groupby("arm", sort=False).tail(1)
        said = "; ".join(f"{arm_name(str(r.arm))} {r.loss:.3g}" for r in last.itertuples())
        label = f"{part} loss"
        plots.append(
            draw(
                file_name(column),
                f"Training: {label}",
                lambda ax, frame=frame, label=label: plot_loss_curves(  # type: ignore[misc]
                    frame, ax, part=label[0].upper() + label[1:], arms=results.arms()
                ),
                frame,
                alt=f"Mean {label} of the training steps by arm and epoch. At the end: {said}.",
                caption="Mean over an arm's trials; bands: quartiles over configurations and "
                "seeds. Arms that choose what has a high loss train on higher losses.",
            )
        )
    if not plots:
        return None
    text = "What the training steps saw of each part of the loss, on the examples they trained on."
    return Section("loss_parts", "The loss by part", (text,), plots, open=False)
