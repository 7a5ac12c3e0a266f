"""Whether results can be written where a sweep wants them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tune_select.sweep.config import SweepConfig, SweepError


def check_storage(config: SweepConfig) -> None:
    """Refuse a local ``storage_path`` that cannot be written; nothing is left behind.

    Args:
        config: As written. Remote storage is left to the sweep, which writes there first of all.

    Raises:
        SweepError: It is a file, or the nearest folder above it that exists cannot be written.
    """
    if "://" in config.storage_path:
        return
    path = Path(config.storage_path).expanduser().resolve()
    for folder in (path, *path.parents):
        if folder.exists():
            break
    if not folder.is_dir():
        raise SweepError(f"storage_path is {config.storage_path}, but {folder} is not a folder")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SweepError(
            f"storage_path is {config.storage_path}, but {folder} cannot be written: "
            f"{error.strerror}; choose another folder or make room"
        ) from None
