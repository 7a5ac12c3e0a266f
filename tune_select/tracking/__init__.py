"""MLflow tracking that never holds up a sweep: see README.md in this folder.

Names are loaded on first use: the callback needs Ray, the rest does not, and mlflow itself is
imported by the writer process alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .callback import MLflowCallback as MLflowCallback
    from .callback import require_mlflow as require_mlflow
    from .headline import headline_metrics as headline_metrics
    from .past_trials import PastTrial as PastTrial
    from .past_trials import knows_sweep as knows_sweep
    from .past_trials import log_past_trials as log_past_trials
    from .server import serve as serve
    from .spool import SpoolBusyError as SpoolBusyError
    from .sweep_run import flush_spool as flush_spool
    from .sweep_run import log_to_sweep_run as log_to_sweep_run
    from .target import check_uri as check_uri
    from .target import default_spool_folder as default_spool_folder
    from .target import sqlite_uri as sqlite_uri

_PLACES = {
    "MLflowCallback": "callback",
    "PastTrial": "past_trials",
    "SpoolBusyError": "spool",
    "check_uri": "target",
    "default_spool_folder": "target",
    "flush_spool": "sweep_run",
    "headline_metrics": "headline",
    "knows_sweep": "past_trials",
    "log_past_trials": "past_trials",
    "log_to_sweep_run": "sweep_run",
    "require_mlflow": "callback",
    "serve": "server",
    "sqlite_uri": "target",
}
__all__ = [  # noqa: F822, RUF100  # loaded lazily
    "MLflowCallback",
    "PastTrial",
    "SpoolBusyError",
    "check_uri",
    "default_spool_folder",
    "flush_spool",
    "headline_metrics",
    "knows_sweep",
    "log_past_trials",
    "log_to_sweep_run",
    "require_mlflow",
    "serve",
    "sqlite_uri",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
