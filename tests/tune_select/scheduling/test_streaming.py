"""Replays that follow a running seed, and seeds that die while they are followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS, Arena, Swept
from tune_select.history import SubsetHistory
from tune_select.history.store import HistoryStore

pytestmark = [*RAY_WARNINGS]

EVERY_EPOCH = {"checkpoint_config": tune.CheckpointConfig(checkpoint_frequency=1)}


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with ray_session(4) as root, HistoryStore.start("streaming") as store:
        yield Arena(Path(root), store)


def check_whole(swept: Swept, replays: int, epochs: int) -> None:
    """Everything ran to its end; no replay trained an epoch twice, however often it paused."""
    assert all(result.error is None for result in swept.results)
    assert swept.epochs("seed") == [epochs]
    assert swept.epochs("cached") == [epochs] * replays
    trained = Counter(
        (line["trial"], line["value"])
        for line in swept.lines
        if line["arm"] == "cached" and line["what"] == "epoch"
    )
    assert set(trained.values()) == {1}
    assert len(trained) == replays * epochs
    assert SubsetHistory.load(swept.folder / "history").complete


def show_recovery(swept: Swept, arm: str) -> None:
    """Print the seconds between each death and the next epoch of the same trial."""
    mine = [line for line in swept.lines if line["arm"] == arm]
    for place, line in enumerate(mine):
        if line["what"] == "die":
            later = (x for x in mine[place:] if x["trial"] == line["trial"])
            back = next(x for x in later if x["what"] == "epoch")
            print(f"{arm} killed in epoch {line['value']}: {back['at'] - line['at']:.1f} s")


def stream(arena: Arena, slots: int, *, killed_at: list[int], **more: Any) -> Swept:
    """A sweep on ``slots`` of the four CPUs, its seed killed at the start of given epochs."""
    folder = arena.fresh()
    die = {"arm": "seed", "epochs": killed_at, "folder": str(folder)}
    swept = arena.sweep(
        folder=folder,
        stream=True,
        cpus=4 / slots,
        max_failures=len(killed_at) + 1,
        run=EVERY_EPOCH,
        space={
            "learning_rate": tune.grid_search([0.1, 0.2, 0.3, 0.4, 0.5]),
            "max_epochs": 8,
            "epoch_s": {"seed": 0.6, "cached": 0.1},
            "patience_s": 0.2,
            "die": die,
            **more,
        },
    )
    assert len(swept.at("seed", "die")) == len(killed_at)
    show_recovery(swept, "seed")
    return swept


def test_two_slots_with_the_seed_killed_twice(arena: Arena) -> None:
    swept = stream(arena, 2, killed_at=[2, 5])
    check_whole(swept, replays=5, epochs=8)


def test_a_warm_start_is_trained_beside_the_seed_s(arena: Arena) -> None:
    swept = arena.sweep(
        stream=True,
        cpus=2,
        space={
            "warm_start_epochs": 6,
            "max_epochs": 10,
            "seed_stays": 6,  # before it selects, until a replay is done with its warm start
            "patience_s": 0.1,
        },
    )
    check_whole(swept, replays=3, epochs=10)
    after_interval = swept.at("seed")[6]
    assert sum(at < after_interval for at in swept.at("cached")) >= 6


def test_only_as_many_as_there_is_room_for_find_out_that_the_first_interval_is_late(
    arena: Arena,
) -> None:
    """Or each replay of a large sweep would come, wait its patience out and go again."""
    swept = arena.sweep(
        stream=True,
        cpus=2,
        space={"seed_stays": 0, "select_s": 2.0, "max_epochs": 4, "patience_s": 0.1},
    )
    check_whole(swept, replays=3, epochs=4)
    waits = [line for line in swept.lines if (line["what"], line["value"]) == ("wait", 0)]
    assert len(waits) == 1


@pytest.mark.slow
@pytest.mark.parametrize("slots", [1, 2, 4])
def test_no_number_of_slots_deadlocks_with_the_seed_killed_at_every_interval(
    arena: Arena, slots: int
) -> None:
    swept = stream(arena, slots, killed_at=[0, 2, 4, 6])
    check_whole(swept, replays=5, epochs=8)
    followed = min(swept.at("cached")) < max(swept.at("seed"))
    assert followed == (slots > 1)


@pytest.mark.slow
def test_replays_that_hold_all_other_slots_give_way_to_a_seed_that_comes_back(
    arena: Arena,
) -> None:
    """The seed needs three CPUs of four, replays one each, and many epochs are open to them: while
    the seed is away they take its place, and must leave it again though they never wait."""
    folder = arena.fresh()
    die = {"arm": "seed", "epochs": [9], "folder": str(folder)}
    swept = arena.sweep(
        folder=folder,
        stream=True,
        max_failures=2,
        run=EVERY_EPOCH,
        resources=seed_takes_three,
        space={
            "learning_rate": tune.grid_search([0.1, 0.2, 0.3, 0.4, 0.5]),
            "max_epochs": 12,
            "select_every": 3,
            "epoch_s": {"seed": 0.3, "cached": 0.5},
            "die": die,
        },
    )
    check_whole(swept, replays=5, epochs=12)


def seed_takes_three(config: dict[str, Any]) -> tune.PlacementGroupFactory:
    return tune.PlacementGroupFactory([{"CPU": 3 if config["arm"] == "seed" else 1}])


@pytest.mark.slow
def test_a_killed_replay_goes_on_from_its_checkpoint(arena: Arena) -> None:
    folder = arena.fresh()
    die = {"arm": "cached", "epochs": [3, 6], "folder": str(folder)}
    swept = arena.sweep(
        folder=folder,
        stream=True,
        max_failures=3,
        run=EVERY_EPOCH,
        space={
            "max_epochs": 8,
            "epoch_s": {"seed": 0.3},
            "die": die,
        },
    )
    assert len(swept.at("cached", "die")) == 6
    show_recovery(swept, "cached")
    check_whole(swept, replays=3, epochs=8)


@pytest.mark.slow
def test_the_store_killed_during_a_sweep_costs_nothing(arena: Arena) -> None:
    import threading

    from tests.tune_select.history.test_store import kill_store

    kills = [threading.Timer(s, kill_store, [arena.store.name]) for s in (6.0, 9.0, 12.0)]
    for kill in kills:
        kill.start()
    swept = arena.sweep(
        stream=True, space={"max_epochs": 30, "epoch_s": {"seed": 0.4, "cached": 0.1}}
    )
    for kill in kills:
        kill.join()
    check_whole(swept, replays=3, epochs=30)
