"""Tune on a tenth of the data: one trial selects subsets, every other trial replays them.

The public names are imported on first use, so that ``tune_select.selection`` needs PyTorch alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_select.history import DatasetIdentity as DatasetIdentity
    from tune_select.history import SubsetHistory as SubsetHistory
    from tune_select.history import open_history as open_history
    from tune_select.history.store import HistoryStore as HistoryStore
    from tune_select.loops.sampler import SubsetSampler as SubsetSampler
    from tune_select.scheduling.scheduler import SeedReplayScheduler as SeedReplayScheduler
    from tune_select.search.ladder import Rules as Rules
    from tune_select.search.ladder import Rung as Rung
    from tune_select.search.ladder import ladder as ladder
    from tune_select.search.seed_first import seed_first as seed_first
    from tune_select.selection import collect_signals as collect_signals
    from tune_select.sweep.config import SweepConfig as SweepConfig
    from tune_select.sweep.config import SweepError as SweepError
    from tune_select.sweep.run import SweepEndedError as SweepEndedError
    from tune_select.sweep.run import resume_sweep as resume_sweep
    from tune_select.sweep.run import run_sweep as run_sweep
    from tune_select.sweep.yaml_file import load_sweep as load_sweep
    from tune_select.tuning import seeded_tuner as seeded_tuner

_HOMES = {
    "DatasetIdentity": "tune_select.history",
    "HistoryStore": "tune_select.history.store",
    "SeedReplayScheduler": "tune_select.scheduling.scheduler",
    "Rules": "tune_select.search.ladder",
    "Rung": "tune_select.search.ladder",
    "SubsetHistory": "tune_select.history",
    "SubsetSampler": "tune_select.loops.sampler",
    "SweepConfig": "tune_select.sweep.config",
    "SweepEndedError": "tune_select.sweep.run",
    "SweepError": "tune_select.sweep.config",
    "collect_signals": "tune_select.selection",
    "ladder": "tune_select.search.ladder",
    "load_sweep": "tune_select.sweep.yaml_file",
    "open_history": "tune_select.history",
    "resume_sweep": "tune_select.sweep.run",
    "run_sweep": "tune_select.sweep.run",
    "seed_first": "tune_select.search.seed_first",
    "seeded_tuner": "tune_select.tuning",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tune_select' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
