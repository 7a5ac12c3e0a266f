"""From a location in a trial's configuration to access to the history there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tune_select.history.access import HistoryAccess


def open_history(location: str | os.PathLike[str] | Mapping[str, Any]) -> HistoryAccess:
    """Access to a history as a trial's configuration names it.

    Args:
        location: A folder (path or URI), or ``{"path": ..., "store": ...}`` where ``store`` names a
            running ``HistoryStore``; ``None`` there means the folder alone.

    Raises:
        ValueError: ``location`` is neither.
    """
    from tune_select.history.folder import FolderHistory  # Parquet, only where there is a history

    if not isinstance(location, Mapping):
        return FolderHistory(os.fspath(location))
    if not isinstance(location.get("path"), str) or set(location) - {"path", "store"}:
        raise ValueError(
            f"history must be a path or {{'path': ..., 'store': ...}}, got {dict(location)!r}"
        )
    if location.get("store") is None:
        return FolderHistory(location["path"])
    from tune_select.history.store import StoredHistory

    return StoredHistory(path=location["path"], store=location["store"])
