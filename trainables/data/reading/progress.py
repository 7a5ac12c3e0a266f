"""How far a long reading has come, for somebody who sits in front of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

_Item = TypeVar("_Item")


def tracked(items: Iterable[_Item], total: int, what: str) -> Iterable[_Item]:
    """The items, with a bar on stderr; a log file or a worker's output gets nothing.

    Args:
        items: What is passed through, in order.
        total: How many there will be.
        what: They are, in words.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    quiet = not console.is_terminal
    return track(
        items, f"reading {what}", total=total, console=console, transient=True, disable=quiet
    )
