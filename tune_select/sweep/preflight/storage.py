"""Whether results can be written where a sweep wants them."""

from __future__ import annotations

from tune_select.storage import why_unwritable
from tune_select.sweep.config import SweepConfig, SweepError


def check_storage(config: SweepConfig) -> None:
    """Refuse a local ``storage_path`` that cannot be written; nothing is left behind.

    Args:
        config: The config as written. Remote storage is left to the sweep, which writes there first
            of all.

    Raises:
        SweepError: It is a file, or the nearest folder above it that exists cannot be written.
    """
    if "://" in config.storage_path:
        return
    why = why_unwritable(f"{config.storage_path}/{config.name}")
    if why:
        raise SweepError(
            f"storage_path is {config.storage_path}, which cannot be written ({why}); choose "
            "another folder or make room"
        )
