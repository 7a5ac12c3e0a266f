"""Whether what earlier trials left for later ones is still there when a sweep goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyarrow import fs as pafs

from tune_select.arms import SEED_ARM
from tune_select.history import HistoryError, HistoryMissingError, HistoryUnavailableError
from tune_select.history.folder import FolderHistory
from tune_select.history.location import history_location
from tune_select.storage import Folder
from tune_select.sweep.config import SweepError


def check_histories_kept(trials: Iterable[Any]) -> None:
    """Refuse to go on where a history has gone that a seed trial has published from.

    Its seed would go on in the middle of a history that has no beginning, or has ended, and its
    replays would wait for it without an end.

    Args:
        trials: The trials of a search that was begun, as Tune has kept them
            (``ray.tune.experiment.Trial``).

    Raises:
        SweepError: The history, and what can be done.
    """
    for trial in trials:
        if trial.config.get("arm") != SEED_ARM or not (trial.last_result or {}).get("epoch"):
            continue
        place = history_location(trial.config)
        path = place["path"] if isinstance(place, dict) else str(place)
        why = _why_gone(path)
        if why:
            raise SweepError(
                f"{path} is the history that replays train on, but {why}. Put it back from a copy, "
                "or run the sweep under another name (-o name=...); tune-select report FOLDER "
                "still works on what the tables hold"
            )


def _why_gone(path: str) -> str:
    try:
        manifest = FolderHistory(path).manifest()
    except HistoryMissingError:
        return "it is gone"
    except HistoryUnavailableError:
        return ""  # storage that is away may come back
    except HistoryError as error:
        return str(error)
    folder = Folder.at(path)
    names = [s.file for record in manifest.intervals for s in record.subsets().values()]
    found = folder.filesystem.get_file_info([folder.file(name) for name in names])
    gone = [
        name for name, info in zip(names, found, strict=True) if info.type != pafs.FileType.File
    ]
    return f"{', '.join(gone[:3])} of it {'is' if len(gone) == 1 else 'are'} gone" if gone else ""
