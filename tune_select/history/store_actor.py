"""The actor behind ``HistoryStore``: owns what is in flight, and writes it to disk first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import ray

from tune_select.history.errors import HistoryMissingError
from tune_select.history.folder import FolderHistory
from tune_select.history.identity import HistoryIdentity
from tune_select.history.interval import Interval
from tune_select.history.manifest import Manifest, raise_if_ended

_LOOK_AGAIN_S = 0.5  # how often a folder that somebody else writes is looked at


@dataclass
class Served:
    """One history that the actor serves.

    Attributes:
        folder: Its durable truth.
        manifest: The manifest as it was last read; ``None`` while there is none.
        references: Object references of the subsets asked for or published so far, by interval
            and rung (``None`` for the seed's own).
        written_here: Whether a seed writes through this actor, so that nobody else does.
        storage: Held around every visit to the storage.
        changed: Wakes readers.
    """

    folder: FolderHistory
    manifest: Manifest | None = None
    references: dict[tuple[int, float | None], Any] = field(default_factory=dict)
    written_here: bool = False
    storage: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def has(self, number: int) -> bool:
        """Whether the folder is known to hold interval ``number``."""
        return self.manifest is not None and number < len(self.manifest.intervals)

    async def look(self) -> None:
        """Read the manifest again."""
        try:
            self.manifest = await asyncio.to_thread(self.folder.manifest)
        except HistoryMissingError:
            self.manifest = None

    def found(self, number: int, fraction: float | None) -> Any:
        """The reference to a subset, or ``None``; before the seed has begun, no rung is known."""
        if self.manifest is None and fraction is not None:
            return None
        return self.references.get((number, self.rung_of(fraction)))

    def rung_of(self, fraction: float | None) -> float | None:
        """See ``HistoryIdentity.rung_of``."""
        return None if self.manifest is None else self.manifest.identity.rung_of(fraction)

    async def load(self, number: int, rung: float | None) -> Any:
        """Put a subset from the folder into the object store."""
        assert self.manifest is not None
        record, identity = self.manifest.intervals[number], self.manifest.identity
        return ray.put(await asyncio.to_thread(self.folder.read_subset, record, identity, rung))

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self.changed.set()
        self.changed = asyncio.Event()


class StoreActor:
    """Storage is visited in threads, so that a slow one keeps nobody from what is in memory."""

    def __init__(self) -> None:
        self._histories: dict[str, Served] = {}
        # PyArrow imports pandas with the first array that it makes, half a second or more that a
        # seed would wait for at its first publication. Its process takes longer to come up.
        threading.Thread(target=import_module, args=("pandas",), daemon=True).start()

    async def ping(self) -> int:
        """Show that the actor is up, by its process id."""
        return os.getpid()

    async def begin(self, path: str, identity: HistoryIdentity) -> int:
        """See ``HistoryAccess.begin``."""
        history = self._history(path)
        async with history.storage:
            history.written_here = True
            published = await asyncio.to_thread(history.folder.begin, identity)
            await history.look()
        history.wake()
        return published

    async def publish(self, path: str, interval: Interval) -> bool:
        """See ``HistoryAccess.publish``."""
        history = self._history(path)
        async with history.storage:
            history.written_here = True
            new = await asyncio.to_thread(history.folder.publish, interval)
            for rung in (None, *interval.rungs):
                if (interval.number, rung) not in history.references:
                    # Put again: what the seed's process put would die with it.
                    reference = ray.put(interval.alone(rung))
                    history.references[interval.number, rung] = reference
            await history.look()
        history.wake()
        return new

    async def finish(self, path: str) -> None:
        """See ``HistoryAccess.finish``."""
        history = self._history(path)
        async with history.storage:
            await asyncio.to_thread(history.folder.finish)
            await history.look()
        history.wake()

    async def identity(self, path: str) -> HistoryIdentity | None:
        """See ``HistoryAccess.identity``."""
        history = self._history(path)
        if history.manifest is None:
            async with history.storage:
                await history.look()
        return None if history.manifest is None else history.manifest.identity

    async def read(
        self, path: str, number: int, timeout_s: float, fraction: float | None = None
    ) -> list[Any] | None:
        """A reference to a subset, in a list so that its value stays where it is.

        Args:
            path: The path of the history.
            number: The number of the interval.
            timeout_s: How long to wait for it.
            fraction: The fraction of the subset; the seed's own by default.

        Raises:
            HistoryMismatchError: The history holds no subsets at that fraction.
        """
        history, deadline = self._history(path), time.monotonic() + timeout_s
        while True:
            changed = history.changed  # taken before looking, so that no waking is missed
            if history.found(number, fraction) is None:
                await self._look_for(history, number, fraction)
            if (found := history.found(number, fraction)) is not None:
                return [found]
            if history.manifest is not None:
                raise_if_ended(history.manifest, number, path)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            # What another process writes must be looked for; what is written here wakes us.
            wait_s = left_s if history.written_here else min(left_s, _LOOK_AGAIN_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), wait_s)

    @staticmethod
    async def _look_for(history: Served, number: int, fraction: float | None) -> None:
        if history.written_here and not history.has(number):
            return
        async with history.storage:
            if not history.has(number):
                await history.look()
            if history.has(number) and history.found(number, fraction) is None:
                rung = history.rung_of(fraction)
                history.references[number, rung] = await history.load(number, rung)

    def _history(self, path: str) -> Served:
        return self._histories.setdefault(path, Served(FolderHistory(path)))
