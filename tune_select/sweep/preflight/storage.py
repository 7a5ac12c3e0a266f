"""Whether results can be written where a sweep wants them."""

from __future__ import annotations

from tune_select.storage import Folder, why_unwritable
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.wording import cut


def check_storage(config: SweepConfig) -> None:
    """Refuse a ``storage_path`` that cannot be written, or reached; nothing is left behind.

    Args:
        config: The config as written. Remote storage is only looked at: whether it can be written
            is left to the sweep, which writes there first of all.

    Raises:
        SweepError: It is a file, the nearest folder above it that exists cannot be written, or the
            remote storage does not answer or has no such bucket.
    """
    if "://" in config.storage_path:
        _check_remote(config)
    else:
        check_local_storage(config.storage_path, config.name)


def check_local_storage(storage_path: str, name: str) -> None:
    """Refuse a local ``storage_path`` that cannot be written; nothing is left behind.

    Args:
        storage_path: The folder of results.
        name: The name of the search, whose folder will lie there.

    Raises:
        SweepError: It is a file, or the nearest folder above it that exists cannot be written.
    """
    why = why_unwritable(f"{storage_path}/{name}")
    if why:
        raise SweepError(
            f"storage_path is {storage_path}, which cannot be written ({why}); choose "
            "another folder or make room"
        )


def _check_remote(config: SweepConfig) -> None:
    try:
        folder = Folder.at(f"{config.storage_path}/{config.name}")
        folder.filesystem.get_file_info(folder.path)
    except Exception as error:  # every filesystem's own: an OSError of Arrow's, a botocore error
        raise SweepError(
            f"storage_path is {config.storage_path}, which cannot be reached "
            f"({cut(str(error) or type(error).__name__)}); correct it, or give this machine the "
            "network and the credentials that it needs"
        ) from error
