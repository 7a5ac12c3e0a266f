"""Histories in flight: one copy per node in Ray's object store, written through to their folders.

A detached actor owns the published intervals, so that they outlive the seed's process, and writes
each to disk before it says so. The folders stay the durable truth: after a crash the actor fills
itself again from them. Waits are bounded everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_select.history.errors import HistoryUnavailableError
from tune_select.history.identity import HistoryIdentity
from tune_select.history.interval import Interval
from tune_select.history.store_actor import StoreActor

NAMESPACE = "tune_select"
"""Ray namespace of the stores' actors, fixed so that a resumed driver finds its store again."""

_ANSWER_S = 20.0  # for the actor to answer beyond the wait that it was asked for
_FETCH_S = 60.0  # for an interval to travel between nodes
_START_S = 120.0  # for a new actor's process to come up on a busy machine
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0

T = TypeVar("T")


class HistoryStore:
    """A running store; made on the driver before ``Tuner.fit()`` or ``Tuner.restore()``.

    It serves any number of histories, each named by its folder. Picklable.

    Attributes:
        name: Name of its actor; a sweep's id, so that each sweep has its own and finds it again.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def start(cls, name: str) -> HistoryStore:
        """Start the store, or find it running (a resumed driver on a cluster that lived on).

        The actor takes no CPU, is restarted by Ray when it dies, and is pinned softly to the head
        node, which a cluster loses last.

        Raises:
            RuntimeError: Called inside a trial: Ray would end the actor with the trial's placement
                group.
            HistoryUnavailableError: The actor did not come up.
        """
        if not ray.is_initialized():
            ray.init()
        if ray.util.get_current_placement_group() is not None:
            raise RuntimeError(
                "HistoryStore.start() was called inside a trial, whose placement group would take "
                "the store down with it: call it on the driver, before Tuner.fit()"
            )
        actor_class: Any = ray.remote(StoreActor)
        actor = actor_class.options(
            name=name,
            namespace=NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=0,  # calls that die are repeated by StoredHistory, within its patience
            max_concurrency=10_000,  # readers that wait, each a coroutine
            scheduling_strategy=_near_the_head(),
        ).remote()
        try:
            ray.get(actor.ping.remote(), timeout=_START_S)
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError) as error:
            raise HistoryUnavailableError(
                f"the history store {name!r} did not start within {_START_S:.0f} s: {error}"
            ) from error
        return cls(name)

    def stop(self) -> None:
        """End the store's actor; harmless when it is gone. The folders stay."""
        try:
            actor = ray.get_actor(self.name, namespace=NAMESPACE)
        except ValueError:
            return
        ray.kill(actor, no_restart=True)

    def location(self, path: str) -> dict[str, str]:
        """What a trial's ``history`` key holds to reach the folder ``path`` through this store."""
        return {"path": path, "store": self.name}

    def access(self, path: str) -> StoredHistory:
        """Access to the history in the folder ``path`` through this store."""
        return StoredHistory(path, self.name)

    def __enter__(self) -> HistoryStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class StoredHistory:
    """``HistoryAccess`` through a store: what a trial of a sweep holds.

    ``read`` returns views of the node's shared memory, read-only and without a copy. Every call is
    repeated while the actor restarts or the storage fails, which is safe as all of them are
    idempotent, and gives up after ``patience_s``.

    Attributes:
        path: The history's folder.
        store: The store's name.
        patience_s: Seconds of trouble to sit out, beyond the wait that ``read`` was asked for.
    """

    def __init__(self, path: str, store: str, patience_s: float = 60.0) -> None:
        self.path = path
        self.store = store
        self.patience_s = patience_s
        self._actor: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the handle: what is pickled may outlive the cluster that it belongs to.
        return StoredHistory, (self.path, self.store, self.patience_s)

    def __repr__(self) -> str:
        return f"StoredHistory({self.path!r}, {self.store!r})"

    def begin(self, identity: HistoryIdentity) -> int:
        """See ``HistoryAccess``."""
        published: int = self._ask("begin", identity)
        return published

    def publish(self, interval: Interval) -> bool:
        """See ``HistoryAccess``. Returns once the interval is on disk.

        Raises:
            OSError: The storage kept failing for ``patience_s``.
        """
        new: bool = self._ask("publish", interval)
        return new

    def finish(self) -> None:
        """See ``HistoryAccess``."""
        self._ask("finish")

    def identity(self) -> HistoryIdentity | None:
        """See ``HistoryAccess``."""
        remembered = self._remembered()
        if remembered.identity is None:
            remembered.identity = self._ask("identity")
        return remembered.identity

    def read(self, number: int, timeout_s: float, fraction: float | None = None) -> Interval | None:
        """See ``HistoryAccess``, arguments as in its ``read``.

        A waiting reader wakes as soon as the interval is published.
        """
        deadline, references = time.monotonic() + timeout_s, self._remembered().references
        key = number, fraction

        def ask(actor: Any) -> Interval | None:
            if key not in references:
                left_s = max(0.0, deadline - time.monotonic())
                found = _answer(actor.read.remote(self.path, number, left_s, fraction), left_s)
                if found is None:
                    return None
                # In a list the reference travels as one: the arrays never pass through the actor.
                references[key] = found[0]
            try:
                interval: Interval = ray.get(references[key], timeout=_FETCH_S)
            except Exception:
                del references[key]  # its owner may be gone: ask again
                raise
            return interval

        return self._patiently(ask, extra_s=timeout_s)

    def _remembered(self) -> _Remembered:
        """What this process has learnt: trials that follow each other in it replay one history.

        Kept in an actor alone, such as a trial's, whose process ends with its cluster.
        """
        if ray.is_initialized() and ray.get_runtime_context().get_actor_id():
            return _of_this_process.setdefault((self.store, self.path), _Remembered())
        return _Remembered()

    def _ask(self, method: str, *arguments: Any) -> Any:
        return self._patiently(
            lambda actor: _answer(getattr(actor, method).remote(self.path, *arguments))
        )

    def _patiently(self, call: Callable[[Any], T], extra_s: float = 0.0) -> T:
        give_up, pause_s = time.monotonic() + self.patience_s + extra_s, _FIRST_PAUSE_S
        while True:
            try:
                return call(self._handle())
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                if not isinstance(cause, OSError) or time.monotonic() > give_up:
                    raise (cause if isinstance(cause, Exception) else error) from None
            except _PASSING as error:
                # The actor or the owner of the interval is gone or slow: find its successor.
                self._actor = None
                if time.monotonic() > give_up:
                    raise HistoryUnavailableError(
                        f"the history store {self.store!r} did not answer for "
                        f"{self.patience_s:.0f} s: {error}"
                    ) from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _handle(self) -> Any:
        if self._actor is None:
            if not ray.is_initialized():
                raise HistoryUnavailableError(
                    f"the history {self.path} is reached through the store {self.store!r}, but Ray "
                    "is not running in this process: give the folder alone as history"
                )
            try:
                self._actor = ray.get_actor(self.store, namespace=NAMESPACE)
            except ValueError as error:
                raise _NoActorError(
                    f"no history store {self.store!r} is running; call HistoryStore.start() on the "
                    "driver before Tuner.fit() or Tuner.restore()"
                ) from error
        return self._actor


@dataclass
class _Remembered:
    """What does not change any more of a history in flight: published subsets, the identity."""

    references: dict[tuple[int, float | None], Any] = field(default_factory=dict)
    identity: HistoryIdentity | None = None


_of_this_process: dict[tuple[str, str], _Remembered] = {}


class _NoActorError(Exception):
    """No actor has the store's name (yet, or any more)."""


_PASSING = (
    _NoActorError,
    ray.exceptions.RayActorError,
    ray.exceptions.GetTimeoutError,
    ray.exceptions.ObjectLostError,  # OwnerDiedError is one
    ray.exceptions.ReferenceCountingAssertionError,
)


def _answer(reference: Any, wait_s: float = 0.0) -> Any:
    return ray.get(reference, timeout=wait_s + _ANSWER_S)


def _near_the_head() -> NodeAffinitySchedulingStrategy | str:
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"] and "node:__internal_head__" in node["Resources"]:
            return NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)
    return "DEFAULT"
