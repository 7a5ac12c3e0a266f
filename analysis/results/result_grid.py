"""What ``Tuner.fit()`` returns as results, by its attributes alone: Ray is not imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.results.frames import ALL_TRIALS, Mode, ResultsError
from analysis.results.load import Results, from_frames
from analysis.results.ray_folder import trial_frame


def from_results(
    result_grid: Any, *, metric: str | None = None, mode: Mode | None = None
) -> Results:
    """The results of any Tuner, for a report.

    ``write_report(from_results(tuner.fit(), metric="score", mode="max"), "folder")``.

    Args:
        result_grid: What ``Tuner.fit()`` returned, a ``ResultGrid`` or ``ExperimentAnalysis``'s
            like: an iterable of results with ``config``, ``metrics``, ``metrics_dataframe``,
            ``error`` and ``path``.
        metric: The reported name by which configurations are compared; guessed by default.
        mode: ``max`` or ``min``; guessed from the metric's name by default.

    Raises:
        ResultsError: The metric was not reported, or cannot be guessed; both are listed.
        ValueError: ``mode`` is neither.
    """
    trials, frames = [], []
    for number, result in enumerate(result_grid):
        config = dict(result.config or {})
        frame = result.metrics_dataframe
        trial_id = str((result.metrics or {}).get("trial_id") or f"trial-{number:05d}")
        arm = str(config.get("arm") or ALL_TRIALS)
        error = None if result.error is None else f"{type(result.error).__name__}: {result.error}"
        status = "TERMINATED" if error is None else "ERROR"
        said = None if error is None else error.strip().splitlines()[-1]
        trials.append(
            {"trial_id": trial_id, "arm": arm, "status": status, "error": said, "config": config}
        )
        if frame is not None and len(frame):
            kept = [c for c in frame.columns if not str(c).startswith("config/")]
            frames.append(frame[kept].assign(trial_id=trial_id, arm=arm))
    if not trials:
        raise ResultsError("the result grid holds no trial: nothing was run, or nothing was read")
    folder = Path(str(getattr(result_grid, "experiment_path", None) or "."))
    epochs = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return from_frames(folder, trial_frame(trials), epochs, metric=metric, mode=mode)
