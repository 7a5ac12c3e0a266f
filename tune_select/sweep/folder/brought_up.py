"""The last of what Tune has written, also where the storage was away when the experiment ended.

Tune writes beside the driver and copies to the storage: now and then, and once more at the end. A
copy that fails is logged and forgotten, so that an experiment that ended while its disk was full
would pass for finished with trials that nobody finds.
"""

from __future__ import annotations

import logging
import posixpath
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pyarrow import fs as pafs

from tune_select.storage import Folder
from tune_select.wording import said_of

PATIENCE_S = 60.0
_PAUSE_S = 1.0

_log = logging.getLogger(__name__)


def bring_up(
    staging: Path,
    location: str,
    patience_s: float = PATIENCE_S,
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Let the storage have every file of the driver's own copy, waiting for it if need be.

    Args:
        staging: Where Tune writes, beside the driver.
        location: The experiment's folder on the storage, a path or URI.
        patience_s: Seconds after which a storage that refuses is given up.
        until: Whether to give it up at once, as when the sweep is told to stop.

    Raises:
        OSError: The storage refused to the last.
    """
    deadline_s, said = time.monotonic() + patience_s, False
    while True:
        try:
            return _copy_what_differs(staging, Folder.at(location))
        except OSError as error:
            if until() or time.monotonic() >= deadline_s:
                raise
            if not said:
                _log.warning(
                    "%s. What has ended is not saved yet; trying for %.0f s more",
                    said_of(error), patience_s,
                )  # fmt: skip
            said = True
        time.sleep(_PAUSE_S)


def _copy_what_differs(staging: Path, folder: Folder) -> None:
    """Tune's files grow or are written once, but for its state, which may change in place."""
    selector = pafs.FileSelector(folder.path, recursive=True, allow_not_found=True)
    infos = folder.filesystem.get_file_info(selector)
    there = {info.path[len(folder.path) :].lstrip("/"): info.size for info in infos if info.is_file}
    for path in sorted(path for path in staging.rglob("*") if path.is_file()):
        name = path.relative_to(staging).as_posix()
        if "/" not in name or there.get(name) != path.stat().st_size:
            within = replace(folder, path=posixpath.dirname(folder.file(name)))
            within.write(path.name, path.read_bytes())
