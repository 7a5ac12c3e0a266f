"""What would go wrong later, found in seconds before a sweep starts anything."""

from tune_select.sweep.preflight.cluster import check_cluster
from tune_select.sweep.preflight.ladder import check_ladder
from tune_select.sweep.preflight.rehearsal import Rehearsal, rehearsal_text, rehearse
from tune_select.sweep.preflight.replays import check_history, check_replays
from tune_select.sweep.preflight.resources import check_resources
from tune_select.sweep.preflight.storage import check_storage
from tune_select.sweep.preflight.tracking import (
    KEPT_FOR_LATER,
    check_tracking,
    check_tracking_settings,
)
from tune_select.sweep.preflight.trials import check_trials
from tune_select.sweep.preflight.unread import check_unread

__all__ = [
    "KEPT_FOR_LATER",
    "Rehearsal",
    "check_cluster",
    "check_history",
    "check_ladder",
    "check_replays",
    "check_resources",
    "check_storage",
    "check_tracking",
    "check_tracking_settings",
    "check_trials",
    "check_unread",
    "rehearsal_text",
    "rehearse",
]
