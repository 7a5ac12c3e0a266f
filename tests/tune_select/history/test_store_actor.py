"""The store's actor in this process: what it reads, when it looks, and whom it wakes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.tune_select.histories import identity, interval
from tune_select.history import HistoryEndedError, HistoryMismatchError
from tune_select.history.folder import FolderHistory
from tune_select.history.store_actor import StoreActor


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_select.history.store_actor.ray.put", lambda value: value)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read of the storage, as it is read."""
    seen: list[str] = []

    def noting(name: str) -> Callable[..., Any]:
        method = getattr(FolderHistory, name)

        def noted(self: FolderHistory, *arguments: Any) -> Any:
            seen.append(name)
            return method(self, *arguments)

        return noted

    for name in ("manifest", "read_subset"):
        monkeypatch.setattr(FolderHistory, name, noting(name))
    return seen


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 30))


def test_what_is_published_is_read_from_memory(tmp_path: Path, looks: list[str]) -> None:
    path = str(tmp_path)

    async def work() -> None:
        actor = StoreActor()
        assert await actor.identity(path) is None
        assert await actor.begin(path, identity()) == 0
        assert await actor.publish(path, interval(0)) is True
        assert await actor.publish(path, interval(0)) is False
        assert await actor.identity(path) == identity()
        looks.clear()
        (found,) = await actor.read(path, 0, 0.0)  # type: ignore[misc]
        assert found.same_content(interval(0))
        assert await actor.read(path, 1, 0.0) is None
        assert looks == []  # nobody else writes here
        for number in (1, 2):
            await actor.publish(path, interval(number))
        await actor.finish(path)
        with pytest.raises(HistoryEndedError, match="interval 3"):
            await actor.read(path, 3, 30.0)

    run(work())
    assert FolderHistory(path).manifest().complete


def test_an_actor_that_came_back_reads_each_subset_once(tmp_path: Path, looks: list[str]) -> None:
    of = identity(rungs=(0.01,))
    folder = FolderHistory(str(tmp_path))
    folder.begin(of)
    folder.publish(interval(0, of))
    looks.clear()

    async def work() -> None:
        actor = StoreActor()
        for fraction, size in ((0.01, 10), (None, 50), (0.05, 50), (0.01, 10)):
            (found,) = await actor.read(str(tmp_path), 0, 0.0, fraction)  # type: ignore[misc]
            assert len(found) == size
        assert looks.count("read_subset") == 2
        assert await actor.begin(str(tmp_path), of) == 1
        with pytest.raises(HistoryMismatchError, match="fraction 0.5"):
            await actor.read(str(tmp_path), 0, 0.0, 0.5)

    run(work())


def test_readers_wake_as_soon_as_something_is_published(tmp_path: Path) -> None:
    path = str(tmp_path)

    async def work() -> None:
        actor = StoreActor()
        await actor.begin(path, identity())
        waiting = [asyncio.create_task(actor.read(path, n, 20.0)) for n in (0, 0, 3)]
        await asyncio.sleep(0)
        for number in range(3):
            await actor.publish(path, interval(number))
        for task in waiting[:2]:
            (found,) = await asyncio.wait_for(task, 5)  # type: ignore[misc]
            assert found.same_content(interval(0))
        assert not waiting[2].done()
        await actor.finish(path)
        with pytest.raises(HistoryEndedError):
            await asyncio.wait_for(waiting[2], 5)

    run(work())


def test_what_another_process_writes_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune_select.history.store_actor._LOOK_AGAIN_S", 0.01)

    async def work() -> None:
        actor = StoreActor()
        waiting = asyncio.create_task(actor.read(str(tmp_path), 0, 20.0))
        await asyncio.sleep(0.03)
        folder = FolderHistory(str(tmp_path))
        folder.begin(identity())
        folder.publish(interval(0))
        (found,) = await asyncio.wait_for(waiting, 5)  # type: ignore[misc]
        assert found.same_content(interval(0))

    run(work())


def test_a_wait_ends_with_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        actor = StoreActor()
        await actor.begin(str(tmp_path), identity())
        assert await asyncio.wait_for(actor.read(str(tmp_path), 0, 0.05), 5) is None
        # Which rungs there are is not known before the seed has begun.
        assert await actor.read(str(tmp_path / "later"), 0, 0.0, 0.5) is None

    run(work())


def test_histories_are_kept_apart(tmp_path: Path) -> None:
    async def work() -> None:
        actor = StoreActor()
        for name, seed in (("a", 0), ("b", 5)):
            await actor.begin(str(tmp_path / name), identity())
            await actor.publish(str(tmp_path / name), interval(0, seed=seed))
        for name, seed in (("a", 0), ("b", 5)):
            (found,) = await actor.read(str(tmp_path / name), 0, 0.0)  # type: ignore[misc]
            assert found.same_content(interval(0, seed=seed))

    run(work())


def test_a_short_wait_is_long_enough_for_what_comes_in_it(tmp_path: Path) -> None:
    path = str(tmp_path)

    async def work() -> None:
        actor = StoreActor()
        await actor.begin(path, identity())
        waiting = asyncio.create_task(actor.read(path, 0, 0.9))
        await asyncio.sleep(0)
        await actor.publish(path, interval(0))
        assert await waiting is not None

    run(work())


def test_the_identity_is_looked_for_until_it_is_known(tmp_path: Path, looks: list[str]) -> None:
    async def work() -> None:
        actor = StoreActor()
        assert await actor.identity(str(tmp_path)) is None
        FolderHistory(str(tmp_path)).begin(identity())  # by another process
        looks.clear()
        for _ in range(3):
            assert await actor.identity(str(tmp_path)) == identity()
        assert looks == ["manifest"]

    run(work())


def test_an_actor_that_is_up_says_in_which_process() -> None:
    assert run(StoreActor().ping()) == os.getpid()
