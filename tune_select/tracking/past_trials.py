"""Logging a sweep's trials again where the tracker has lost them: its database was deleted.

What a trial reported is in its own log; the tracker's copy of it can be made anew at any time.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tune_select.secrets import expand_uri, mask_uri

from .events import (
    clean_tags,
    is_waiting,
    metrics_of,
    now_ms,
    run_name,
    step_of,
    tags_of,
    trial_params,
)
from .known_run import Point
from .link import link_to, spool_of
from .probe import Answer, ask
from .rejected import is_lost
from .target import default_spool_folder, make_target, sqlite_path

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PastTrial:
    """A trial that an earlier run of the sweep began.

    Attributes:
        trial_id: Its id.
        config: Its configuration.
        varied: What of it the searcher chose.
        reports: What it reported, in order; ``timestamp`` is Unix time in seconds.
        status: ``FINISHED``, ``FAILED``, or ``None`` for one that goes on.
        tags: Its own, beside those of all.
    """

    trial_id: str
    config: Mapping[str, Any]
    varied: Mapping[str, Any]
    reports: tuple[Mapping[str, Any], ...]
    status: str | None
    tags: Mapping[str, str] = field(default_factory=dict)


def knows_sweep(
    tracking_uri: str, experiment: str, sweep_id: str, folder: str | os.PathLike[str] | None = None
) -> bool | None:
    """Whether a tracker has all that was logged of a sweep; ``None`` when it does not say.

    Args:
        tracking_uri: The address as for ``MLflowCallback``.
        experiment: The experiment as for ``MLflowCallback``.
        sweep_id: The id as for ``MLflowCallback``.
        folder: The folder as for ``MLflowCallback``.
    """
    if is_lost(_spool(folder, sweep_id)):
        return False
    try:
        path = sqlite_path(tracking_uri)
        if path is not None:
            return _in_sqlite(path, sweep_id)
        answer = ask(expand_uri(tracking_uri), experiment, sweep_id)
    except (ValueError, sqlite3.DatabaseError) as error:
        answer = Answer(str(error))
    if answer.problem:
        _log.warning("tracking: %s, %s", mask_uri(tracking_uri), mask_uri(answer.problem))
    return answer.knows_sweep


def _spool(folder: str | os.PathLike[str] | None, sweep_id: str) -> Path:
    base = Path(folder).absolute() if folder is not None else default_spool_folder(sweep_id)
    return spool_of(base)


def log_past_trials(
    trials: Iterable[PastTrial],
    tracking_uri: str,
    experiment: str,
    sweep: str,
    sweep_id: str,
    folder: str | os.PathLike[str] | None,
    trial_tags: Mapping[str, str] | None = None,
    constant: Collection[str] = (),
) -> None:
    """Log trials again that the tracker does not have; those that it has stay as they are.

    Args:
        trials: The trials of the sweep.
        tracking_uri: The address as for ``MLflowCallback``.
        experiment: The experiment as for ``MLflowCallback``.
        sweep: The sweep as for ``MLflowCallback``.
        sweep_id: The id as for ``MLflowCallback``.
        folder: The folder as for ``MLflowCallback``.
        trial_tags: The tags as for ``MLflowCallback``.
        constant: The constants as for ``MLflowCallback``.
    """
    base = Path(folder).absolute() if folder is not None else default_spool_folder(sweep_id)
    target = make_target(tracking_uri, experiment, sweep, sweep_id, None, base)
    link = link_to(spool_of(base), target)
    for trial in trials:
        points = points_of(trial.reports)
        event = {
            "kind": "past",
            "time_ms": points[0][1] if points else now_ms(),
            "trial": trial.trial_id,
            "name": run_name(trial.config, trial.varied, trial.trial_id),
            "params": trial_params(trial.config, constant),
            "tags": {**clean_tags({**(trial_tags or {}), **trial.tags}), **tags_of(trial.config)},
            "points": points,
            "status": trial.status,
        }
        link.append(event)


def points_of(reports: Iterable[Mapping[str, Any]]) -> list[Point]:
    """What a trial's reports say, a point an epoch, as ``MLflowCallback`` logs them."""
    by_step: dict[int, Point] = {}
    for report in reports:
        if not is_waiting(report):
            step = step_of(report)
            by_step[step] = (step, int(1000 * float(report["timestamp"])), metrics_of(report))
    return [by_step[step] for step in sorted(by_step)]


def _in_sqlite(path: Path, sweep_id: str) -> bool:
    if not path.is_file():
        return False
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        query = "select 1 from tags where key = 'sweep_id' and value = ? limit 1"
        try:
            return database.execute(query, (sweep_id,)).fetchone() is not None
        except sqlite3.OperationalError:  # an empty file, to which MLflow never wrote
            return False
