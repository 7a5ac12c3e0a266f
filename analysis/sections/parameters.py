"""Parameters over training, where trials recorded them (Cai et al., Figs. 9-10)."""

from __future__ import annotations

from analysis.figures.maps import plot_parameters
from analysis.options import ReportOptions
from analysis.questions.parameters import load_parameter_histograms, over_time
from analysis.results.load import Results
from analysis.results.trial_files import trial_of
from analysis.sections.plots import draw, file_name
from analysis.tables import Plot, Section

_MOST_PLOTS = 8


def section(results: Results, options: ReportOptions) -> Section | None:
    """Only where a trial's folder holds histograms; the first eight of trial and layer."""
    rows, problems = load_parameter_histograms(results.folder)
    groups = list(rows.groupby(["layer", "trial_folder"], sort=True))
    if not groups and not problems:
        return None
    plots: list[Plot] = []
    for i, ((layer, trial), own) in enumerate(groups[:_MOST_PLOTS]):
        frame = over_time(own)
        arm = _arm(results, str(trial))
        plots.append(
            draw(
                f"parameters_{i}_{file_name(str(layer))}",
                f"{layer}: {arm}",
                lambda ax, frame=frame: plot_parameters(frame, ax),  # type: ignore[misc]
                frame,
                alt=f"Distribution of {layer} over training in {arm}; its entries span "
                f"{frame['low'].min():.3g} to {frame['high'].max():.3g}.",
            )
        )
    text = (
        "How often each value occurs among a parameter's entries, epoch by epoch; darker is more."
    )
    if len(groups) > _MOST_PLOTS:
        text += f" Drawn are {_MOST_PLOTS} of {len(groups)}."
    return Section("parameters", "Parameters over training", (text, *problems), plots, open=False)


def _arm(results: Results, folder: str) -> str:
    """The trial of a folder that Tune named after it, with its arm; else the folder's name."""
    trial = trial_of(results.trials, folder)
    return folder if trial is None else f"{trial.arm}, trial {trial.trial_id}"
