"""What is logged to a sweep's parent run outside Tune's loop, and sending what was left unsent."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tune_select.secrets import mask_uri, recall_uri

from .events import clean_key, clean_tags, now_ms, params_of
from .link import link_to, live_link, read_target, release, spool_of
from .process import Progress, WriterProcess, await_writer, print_progress
from .spool import count_unsent, locked
from .target import make_target

_log = logging.getLogger(__name__)


def log_to_sweep_run(
    tracking_uri: str,
    experiment: str,
    sweep: str,
    sweep_id: str,
    folder: str | os.PathLike[str],
    names: Sequence[str] = (),
    *,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    trial_tags: Mapping[str, Mapping[str, Any]] | None = None,
    artifact_root: str | None = None,
    status: str | None = "FINISHED",
    drain_timeout_s: float = 60.0,
    progress: Progress = print_progress,
) -> bool:
    """Log artifacts, metrics and tags to a sweep's parent run and close it.

    The run is the one that ``MLflowCallback`` with the same ``sweep_id`` logs to; it is made when
    there is none. Works in the sweep's own process and in a later one.

    Args:
        tracking_uri: The address as for ``MLflowCallback``.
        experiment: The experiment as for ``MLflowCallback``.
        sweep: The sweep as for ``MLflowCallback``.
        sweep_id: The id as for ``MLflowCallback``.
        folder: The results folder (local).
        names: Files or folders in it to log as artifacts under the same names; one that does not
            exist is skipped with a warning.
        metrics: Numbers for the parent run.
        params: Parameters of the parent run, flattened.
        tags: Tags of the parent run.
        trial_tags: Tags by trial id that were not known when the trial ran.
        artifact_root: The artifact root as for ``MLflowCallback``.
        status: ``FINISHED``, ``FAILED`` or ``KILLED`` closes the run; None leaves it open.
        drain_timeout_s: Longest wait for the server without anything being sent.
        progress: Gets lines to show while waiting.

    Returns:
        Whether everything was sent. If not, it stays in the folder: see ``flush_spool``.

    Raises:
        ValueError: Unknown status, malformed URI, or the folder of another sweep.
        SpoolBusyError: Another process is logging this sweep.
    """
    if status not in ("FINISHED", "FAILED", "KILLED", None):
        raise ValueError(f"status must be FINISHED, FAILED, KILLED or None, got {status!r}")
    base = Path(folder).absolute()
    # A sweep whose results are elsewhere keeps its journal in another place than its report.
    live = live_link(sweep_id)
    spool = spool_of(base) if live is None else live.spool
    target = make_target(
        tracking_uri, experiment, sweep, sweep_id, None, spool.parent, artifact_root
    )
    known = read_target(spool)
    if known is not None:  # the callback's tags hold for runs that are still to be made
        target = replace(target, tags=known.tags)
    link = link_to(spool, target)
    opening = {"params": params_of(params or {}), "tags": clean_tags(tags or {}), "resumed": False}
    link.append({"kind": "sweep", "time_ms": now_ms(), **opening})
    for trial, its_tags in (trial_tags or {}).items():
        tagging = {"trial": trial, "tags": clean_tags(its_tags)}
        link.append({"kind": "tags", "time_ms": now_ms(), **tagging})
    for name in names:
        if (base / name).exists():
            place = _place_of(base, name, spool)
            link.append({"kind": "artifact", "time_ms": now_ms(), "trial": None, **place})
        else:
            _log.warning("tracking: %s has no %s to log", base, name)
    numbers = {clean_key(key): float(value) for key, value in (metrics or {}).items()}
    link.append({"kind": "finish", "time_ms": now_ms(), "status": status, "metrics": numbers})
    try:
        return link.drain(drain_timeout_s, progress)
    finally:
        release(spool)


def _place_of(base: Path, name: str, spool: Path) -> dict[str, Any]:
    """Where an artifact is, to be found again by whoever sends it in the end.

    Paths are relative to the results folder, which may move. Files that are not in it (a local copy
    of results that are elsewhere, and soon gone) are copied beside the events until they are sent.
    """
    inside = name if (base / name).is_dir() else str(Path(name).parent)
    place = {"path": name, "artifact_path": "" if inside == "." else inside}
    if base == spool.parent:
        return place
    copy = Path(tempfile.mkdtemp(prefix="outbox-", dir=spool)) / Path(name).name
    if (base / name).is_dir():
        shutil.copytree(base / name, copy)
    else:
        shutil.copy2(base / name, copy)
    return {**place, "path": str(copy.relative_to(spool.parent)), "remove": True}


def flush_spool(
    folder: str | os.PathLike[str],
    tracking_uri: str | None = None,
    timeout_s: float = 60.0,
    progress: Progress = print_progress,
) -> bool:
    """Send the events that an earlier sweep left in its results folder.

    Runs that the sweep left open are marked KILLED (a resume opens them again).

    Args:
        folder: The results folder.
        tracking_uri: The full URI, when it holds a password that this process does not know, or
            when the server has moved. By default the one that the sweep was given.
        timeout_s: Longest wait for the server without anything being sent.
        progress: Gets lines to show while waiting.

    Returns:
        Whether nothing is left; True for a folder without a spool.

    Raises:
        ValueError: The URI's password is not known.
        SpoolBusyError: The sweep is still running.
    """
    spool = spool_of(folder)
    target = read_target(spool)
    if target is None or count_unsent(spool) == 0:
        return True
    uri = tracking_uri or recall_uri(target.tracking_uri)
    if uri is None:
        raise ValueError(
            f"the password of the tracking URI {mask_uri(target.tracking_uri)} is not stored: give "
            "tracking_uri, or export the full URI as MLFLOW_TRACKING_URI"
        )
    with locked(spool / "append.lock", "logs to"):
        writer = WriterProcess(spool, replace(target, tracking_uri=uri), orphan_limit_s=timeout_s)
        writer.close()  # an orphan: it sends what is there, marks what is open, and ends
        return await_writer(writer, spool, timeout_s, progress)
