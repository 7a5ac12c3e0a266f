"""Files of a results folder, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write beside the final name, and rename: a reader never meets half a file.

    Args:
        path: The file.
        content: The content of it; text is written as UTF-8.

    Raises:
        OSError: The disk refused; what was there before is still there, and nothing else.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return path
