"""Whether MLflow would take the sweep's runs, before anything trains for them."""

from __future__ import annotations

import importlib.util
from urllib.parse import unquote, urlsplit

from tune_select.secrets import expand_uri, mask_uri, recall_uri
from tune_select.storage import why_unwritable
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.tracking.probe import Answer, ask
from tune_select.tracking.sqlite_file import is_blank, sqlite_problem
from tune_select.tracking.target import (
    check_uri,
    default_spool_folder,
    require_driver,
    sqlite_path,
)

_OR_ELSE = (
    "correct tracking.uri, leave it out for a file in the results folder, or set tracking: false"
)


KEPT_FOR_LATER = "The training goes on without it; what it misses is kept and sent later."


def check_tracking(config: SweepConfig) -> None:
    """Refuse a place that cannot take the sweep's runs.

    A server that goes away later never stops the training: what it misses is kept and sent later.

    Args:
        config: The config as written.

    Raises:
        SweepError: As ``check_tracking_settings``; nobody answers at the address, or somebody else
            does than MLflow; the database, the artifacts or the journal could not be written; the
            experiment is deleted. Names the field, its value and the remedy.
    """
    check_tracking_settings(config)
    uri = _uri(config)
    if config.tracking is False or uri is None:
        return
    _check_journal(config)
    shown = f"tracking.uri is {mask_uri(uri)}"
    file = sqlite_path(uri)
    if file is not None:
        problem = sqlite_problem(file)
        if problem:
            raise SweepError(f"{shown}, {problem}; or {_OR_ELSE}")
        try:
            if is_blank(file):
                return
        except ValueError as error:
            raise SweepError(f"{shown}, {error}; or {_OR_ELSE}") from None
    name = config.tracking.experiment or config.name
    answer = ask(uri, name)
    if answer.problem:
        raise SweepError(f"{shown}, {answer.problem}: {_OR_ELSE}")
    _check_experiment(answer, name, mask_uri(uri))


def check_tracking_settings(config: SweepConfig) -> None:
    """Refuse a tracker that could not be named at all; nobody is asked.

    Args:
        config: The config as written.

    Raises:
        SweepError: mlflow, or the driver of the database, is not installed; the address is none, or
            refers to an environment variable that is not set.
    """
    if config.tracking is False:
        return
    if importlib.util.find_spec("mlflow") is None:
        raise SweepError(
            "tracking needs mlflow, which is not installed: pip install mlflow, or turn tracking "
            "off (tracking: false)"
        )
    try:
        uri = _uri(config)
        if uri is not None:
            require_driver(check_uri(uri))
    except (ValueError, ImportError) as error:
        raise SweepError(f"tracking.uri: {error}") from None


def _uri(config: SweepConfig) -> str | None:
    """The whole address; ``None`` for a store of the sweep's own, and for a forgotten password."""
    if config.tracking is False or config.tracking.uri is None:
        return None
    known = recall_uri(config.tracking.uri)
    return None if known is None else check_uri(expand_uri(known))


def _check_experiment(answer: Answer, name: str, place: str) -> None:
    if answer.deleted:
        raise SweepError(
            f"tracking.experiment: the MLflow experiment {name!r} at {place} is deleted: restore "
            f"it (mlflow experiments restore -x {answer.experiment_id}) or name another one"
        )
    parts = urlsplit(answer.artifact_location or "s3:")
    if parts.scheme in ("", "file"):  # a folder of this machine, also where a server names it
        why = why_unwritable(unquote(parts.path))
        if why:
            raise SweepError(
                f"tracking.experiment: the artifacts of the MLflow experiment {name!r} at {place} "
                f"go to {answer.artifact_location}, which cannot be written ({why}): make it "
                "writable, or name another experiment"
            )


def _check_journal(config: SweepConfig) -> None:
    """What MLflow has not taken yet lies in the results, or where these are not on this machine."""
    if "://" not in config.storage_path:
        return
    folder = default_spool_folder(config.name)
    why = why_unwritable(folder)
    if why:
        raise SweepError(
            f"tracking keeps what MLflow has not taken yet in {folder}, which cannot be written "
            f"({why}): export XDG_STATE_HOME with another folder, or set tracking: false"
        )
