"""How a sweep ended, as far as its results folder says so."""

from __future__ import annotations

import json
from pathlib import Path

_STATE = "sweep.state"
_OPEN = "This sweep had not ended when this report was written: it was running, or it was killed."


def ending_of(folder: Path) -> str:
    """A sentence for a sweep that did not finish; empty for one that did, or does not say.

    Args:
        folder: A results folder; ``sweep.state`` in it is JSON with ``state.ending`` (``null``
            while the sweep runs) and ``state.said``.
    """
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))["state"]
        return str(state["said"]) if state["ending"] else _OPEN
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ):  # an older folder, or one put together by hand
        return ""
