"""Trials whose checkpoints are gone, when an interrupted sweep goes on."""

from __future__ import annotations

from typing import Any

import pyarrow.fs as pafs
from ray.train import Checkpoint
from ray.train._internal.checkpoint_manager import _CheckpointManager
from ray.tune import Callback
from ray.tune.experiment import Trial


class GoOnWithoutLost(Callback):
    """Lets a trial go on from the newest checkpoint that is there, or begin again without one.

    Tune would fail such a trial, as often as it may fail, and the sweep would end without it. What
    it trains again it reports again, and the last word counts.
    """

    def __init__(self) -> None:
        self._looked = False

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look once, before the first trial of a restored experiment starts."""
        if not self._looked:
            self._looked = True
            for trial in trials:
                if trial.status not in (Trial.TERMINATED, Trial.ERROR):
                    forget_lost(trial)


def forget_lost(trial: Trial) -> bool:
    """Take checkpoints off a trial that are not on its storage any more.

    Args:
        trial: One that was restored and has not started.

    Returns:
        Whether any was lost.
    """
    kept: Any = trial.run_metadata.checkpoint_manager
    known = [*kept.best_checkpoint_results]
    if kept.latest_checkpoint_result not in (None, *known):
        known.append(kept.latest_checkpoint_result)
    there = [result for result in known if _is_there(result.checkpoint)]
    if len(there) == len(known):
        return False
    trial.run_metadata.checkpoint_manager = manager = _CheckpointManager(kept.checkpoint_config)
    for result in there:
        manager.register_checkpoint(result)
    return True


def _is_there(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint's folder holds any file."""
    selector = pafs.FileSelector(checkpoint.path, recursive=True, allow_not_found=True)
    filesystem: pafs.FileSystem = checkpoint.filesystem
    found = filesystem.get_file_info(selector)
    return any(info.type == pafs.FileType.File for info in found)
