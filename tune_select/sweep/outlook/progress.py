"""What a user sees on the terminal while a sweep runs."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from rich.console import Console
from rich.live import Live
from rich.table import Table

from tune_select.reporting import each_report
from tune_select.scheduling.failures import can_pass, failure_of
from tune_select.secrets import mask_text
from tune_select.sweep.outlook.time_left import duration, time_left

_REFRESH_S = 0.5
_PRINT_S = 30.0  # between lines where no terminal is attached


class ProgressCallback(Callback):
    """A live table of the arms on a terminal; a line now and then in a log file.

    Tune ignores reporters of our own under its new output engine, hence a callback. The live
    display is created when the experiment starts, since Tune pickles its callbacks.
    """

    def __init__(
        self,
        metric: str,
        mode: str,
        title: str,
        planned: Mapping[str, int] | None = None,
        slots: int = 1,
    ) -> None:
        """Show ``metric`` under ``title``.

        Args:
            metric: What is optimised.
            mode: ``"max"`` or ``"min"`` is better.
            title: The title of the table.
            planned: Trials of each arm, for the time that is left; what has been handed out where
                it is not given.
            slots: Trials at a time.
        """
        self._metric, self._mode, self._title = metric, mode, title
        self._planned, self._slots = dict(planned or {}), slots
        self._best: dict[str, float] = {}
        self._started_s = self._shown_s = 0.0
        self._recalled = False
        self._live: Live | None = None
        self._console: Console | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_live": None, "_console": None}

    def setup(self, *args: Any, **info: Any) -> None:
        """Open the display."""
        self._started_s, self._recalled = time.monotonic(), False
        self._console = Console()
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Remember the best value of each arm."""
        for report in each_report(result):
            self._note(trial, report.get(self._metric))

    def _note(self, trial: Trial, value: float | None) -> None:
        if value is None or value != value:  # NaN differs from itself
            return
        arm, better = str(trial.config.get("arm")), max if self._mode == "max" else min
        self._best[arm] = better(value, self._best.get(arm, value))

    def _recall(self, trials: list[Trial]) -> None:
        """Remember what trials of a resumed sweep reported before this command heard of them."""
        for trial in trials:
            known = trial.metric_analysis.get(self._metric, {})
            self._note(trial, known.get(self._mode))

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Say once what a trial failed with; the frames are in its folder."""
        self._say(trial, "failed")

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Say what a trial came back from, unless it was given up at once."""
        failure = failure_of(trial)
        if failure is not None and can_pass(failure):
            self._say(trial, "is tried again after")

    def _say(self, trial: Trial, what: str) -> None:
        if self._console:
            shown = f"{trial.config.get('arm')} {trial.trial_id} {what}: "
            said = shown + mask_text(str(failure_of(trial) or "an unknown error"))
            self._console.print(said, markup=False, highlight=False)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Redraw, not more than twice a second."""
        if not self._recalled:
            self._recalled = True
            self._recall(trials)
        now_s = time.monotonic()
        if now_s - self._shown_s < (_REFRESH_S if self._live else _PRINT_S):
            return
        self._shown_s = now_s
        if self._live:
            self._live.update(self._table(trials), refresh=True)
        elif self._console:
            done = sum(_state(trial) in ("done", "failed") for trial in trials)
            running = sum(trial.status == Trial.RUNNING for trial in trials)
            self._console.print(
                f"{self._elapsed()} {self._title}: {done} of {self._total(trials)} trials done, "
                f"{running} running{self._left_text(trials)}"
            )

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Close the display and leave the last state on the screen."""
        if self._live:
            self._live.stop()
            self._live = None
        if self._console:
            self._console.print(self._table(trials))

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._started_s), 60)
        return f"[{minutes:d}:{seconds:02d}]"

    def _total(self, trials: list[Trial]) -> int:
        return max(len(trials), sum(self._planned.values()))

    def _left_text(self, trials: list[Trial]) -> str:
        """``, 4 min left (3 min to 6 min)``, once that can be told and while any is to come."""
        ended: dict[str, list[float]] = defaultdict(list)
        running: dict[str, list[float]] = defaultdict(list)
        projected: dict[str, list[float]] = defaultdict(list)
        left = dict(self._planned)
        for trial in trials:
            arm = str(trial.config.get("arm"))
            spent_s = float((trial.last_result or {}).get("time_total_s") or 0.0)
            if _state(trial) in ("done", "failed"):
                ended[arm].append(spent_s)
            elif trial.status == Trial.RUNNING or spent_s:
                running[arm].append(spent_s)
                share = _share_done(trial)
                projected[arm] += [spent_s / share] if share else []
            elif arm not in self._planned:
                left[arm] = left.get(arm, 0) + 1
        for arm in self._planned:
            left[arm] -= len(ended[arm]) + len(running[arm])
        left = {arm: max(0, count) for arm, count in left.items()}
        found = time_left(ended, left, running, self._slots, projected)
        if found is None or not (any(left.values()) or any(running.values())):
            return ""
        low, likely, high = (duration(seconds) for seconds in found)
        return f", {likely} left ({low} to {high})"

    def _table(self, trials: list[Trial]) -> Table:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for trial in trials:
            counts[str(trial.config.get("arm"))][_state(trial)] += 1
        title = f"{self._title}  {self._elapsed()}{self._left_text(trials)}"
        table = Table(title=title, title_justify="left")
        for column in ("arm", "done", "running", "held", "failed"):
            table.add_column(column, justify="left" if column == "arm" else "right")
        table.add_column(f"best {self._metric}", justify="right")
        for arm, states in counts.items():
            best = f"{self._best[arm]:.4f}" if arm in self._best else "-"
            shown = (str(states[name]) for name in ("done", "running", "held", "failed"))
            table.add_row(arm, *shown, best)
        return table


def _share_done(trial: Trial) -> float | None:
    """Which share of its epochs a trial has trained; ``None`` where that is nothing or unknown."""
    epoch, epochs = (trial.last_result or {}).get("epoch"), trial.config.get("max_epochs")
    if not isinstance(epoch, int) or not isinstance(epochs, int) or epoch < 1 or epochs < 1:
        return None
    return min(1.0, epoch / epochs)


def _state(trial: Trial) -> str:
    if trial.status == Trial.ERROR:
        return "failed"
    if trial.status == Trial.TERMINATED:
        return "done"
    return "running" if trial.status == Trial.RUNNING else "held"
