"""Plain training functions under Ray Tune: report with a checkpoint, and go on from one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from ray import tune

from tune_select.loops.sampler import SubsetSampler

CHECKPOINT_FILE = "loop.pt"


class Stateful(Protocol):
    """A model, an optimizer, a schedule: anything that gives and takes its state."""

    def state_dict(self) -> Any:
        """What must survive."""

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take back what ``state_dict`` gave."""


def report(metrics: Mapping[str, Any], sampler: SubsetSampler, **states: Stateful) -> None:
    """Report an epoch to Tune, with how far the sampler has come.

    Args:
        metrics: The metrics of the epoch.
        sampler: The loop's.
        **states: What a trial that starts again needs (``model=model, optimizer=optimizer``); with
            any of them the report carries a checkpoint, with the sampler's state in it.
    """
    merged = {**metrics, **sampler.report()}
    if not states:
        tune.report(merged)
        return
    with tempfile.TemporaryDirectory() as folder:
        held = {name: state.state_dict() for name, state in states.items()}
        torch.save({"sampler": sampler.state_dict(), **held}, Path(folder) / CHECKPOINT_FILE)
        tune.report(merged, checkpoint=tune.Checkpoint.from_directory(folder))


def restore(sampler: SubsetSampler, **states: Stateful) -> int:
    """Go on from the trial's checkpoint, if it has one.

    Args:
        sampler: The loop's.
        **states: The same names as in ``report``.

    Returns:
        How many epochs are trained; 0 without a checkpoint.

    Raises:
        ValueError: The checkpoint lacks one of the states.
    """
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        held = torch.load(Path(folder) / CHECKPOINT_FILE, map_location="cpu", weights_only=True)
    for name, state in {"sampler": sampler, **states}.items():
        if name not in held:
            raise ValueError(f"the checkpoint holds {', '.join(held)}, but no {name}")
        state.load_state_dict(held[name])
    return sampler.epoch + 1
