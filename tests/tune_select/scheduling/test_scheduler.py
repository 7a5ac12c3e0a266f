from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS, Arena
from tests.tune_select.toy import Toy
from tune_select.history import SubsetHistory
from tune_select.history.store import HistoryStore
from tune_select.scheduling.scheduler import SeedReplayScheduler

pytestmark = [*RAY_WARNINGS]


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with ray_session(2) as root, HistoryStore.start("scheduler") as store:
        yield Arena(Path(root), store)


def test_replays_wait_for_the_whole_history_and_baselines_do_not(arena: Arena) -> None:
    swept = arena.sweep(
        arms=("cached", "full"), stream=False, space={"epoch_s": {"seed": 0.3, "full": 0.1}}
    )
    assert swept.epochs("seed") == [4]
    assert swept.epochs("cached") == [4] * 3
    assert swept.epochs("full") == [4] * 3
    assert min(swept.at("cached")) > max(swept.at("seed"))
    assert min(swept.at("full")) < max(swept.at("seed"))
    assert not swept.at("cached", "wait")


def test_replays_follow_a_running_seed(arena: Arena) -> None:
    """Replays start behind the seed, catch up, wait, step aside and come back."""
    swept = arena.sweep(stream=True, space={"patience_s": 0.1, "max_epochs": 6, "seed_stays": 4})
    assert swept.epochs("seed") == [6]
    assert swept.epochs("cached") == [6] * 3
    assert min(swept.at("cached")) < max(swept.at("seed"))
    assert swept.at("cached", "wait")
    assert [result.config["learning_rate"] for result in swept.of("cached")] == [0.1, 0.2, 0.3]


def test_a_finished_history_needs_no_seed(arena: Arena) -> None:
    folder = arena.sweep().folder
    again = arena.fresh()
    swept = arena.sweep(folder=again, seed_configs=(), space={"history": str(folder / "history")})
    assert swept.of("seed") == []
    assert swept.epochs("cached") == [4] * 3


class SlowToStart(Toy):
    """Its second process takes longer to come up than its trials take while there is but one."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        if self._processes() > 0:
            time.sleep(1.0)
        (Path(config["log"]) / f"{os.getpid()}.pid").touch()

    def step(self) -> dict[str, Any]:
        if self._processes() < 2:
            time.sleep(0.3)
        return super().step()

    def _processes(self) -> int:
        return len(list(Path(self.config["log"]).glob("*.pid")))


@pytest.mark.parametrize("seeds", [0, 1])
def test_a_process_that_is_coming_up_is_left_to_come_up(arena: Arena, seeds: int) -> None:
    """Tune's own FIFO kills it whenever another trial ends first, and fills one slot alone."""
    folder = arena.fresh()
    finished = {"history": str(arena.sweep(space={"max_epochs": 1}).folder / "history")}
    rates = tune.grid_search([0.01 * i for i in range(1, 31)])
    swept = arena.sweep(
        folder=folder,
        trainable=SlowToStart,
        seed_configs=[{"learning_rate": 0.1}] * seeds,
        space={
            "learning_rate": rates,
            "max_epochs": 1,
            "patience_s": 60.0,  # a process that steps aside from a slow seed is not asked about
            **({} if seeds else finished),
        },
    )
    assert swept.epochs("cached") == [1] * 30
    # At least: Tune ends a process that nothing is staged for, and starts another one later.
    assert len(list((folder / "log").glob("*.pid"))) >= 2


def test_a_seed_that_fails_for_good_is_one_clear_error(arena: Arena) -> None:
    die = {"arm": "seed", "epochs": [2], "folder": "always", "how": "raise"}
    with pytest.raises(tune.TuneError) as failed:
        arena.sweep(arms=("cached", "full"), space={"die": die, "epoch_s": {"full": 0.5}})
    assert "seed trial" in str(failed.value)
    assert "resume the sweep" in str(failed.value)


def test_a_seed_that_fails_with_nothing_else_alive_is_an_error_too(arena: Arena) -> None:
    die = {"arm": "seed", "epochs": [2], "folder": "always", "how": "raise"}
    with pytest.raises(tune.TuneError) as failed:
        arena.sweep(space={"die": die}, stream=False)
    assert "the toy was told to fail" in str(failed.value)
    assert "resume the sweep" in str(failed.value)


def test_a_stop_criterion_that_cuts_the_seed_short_is_named(arena: Arena) -> None:
    with pytest.raises(tune.TuneError) as failed:
        arena.sweep(
            arms=("cached", "full"),
            run={"stop": {"epoch": 3}},
            space={"epoch_s": {"full": 0.3}},
        )
    assert "does a stop criterion apply" in str(failed.value)


def test_replays_without_any_seed_are_an_error_and_not_a_hang(arena: Arena) -> None:
    folder = arena.fresh()
    with pytest.raises(tune.TuneError) as failed:
        tune.Tuner(
            Toy,
            param_space={**arena.space(folder), "arm": "cached"},
            tune_config=tune.TuneConfig(
                metric="score", mode="max", scheduler=SeedReplayScheduler()
            ),
            run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
        ).fit()
    assert "no trial with arm='seed' publishes them" in str(failed.value)


def test_two_seeds_of_one_history_are_an_error(arena: Arena) -> None:
    folder = arena.fresh()
    with pytest.raises(tune.TuneError) as failed:
        tune.Tuner(
            Toy,
            param_space={
                **arena.space(folder),
                "learning_rate": 0.1,
                "arm": tune.grid_search(["seed", "seed", "cached"]),
            },
            tune_config=tune.TuneConfig(
                metric="score", mode="max", scheduler=SeedReplayScheduler()
            ),
            run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
        ).fit()
    assert "are both seeds of the history" in str(failed.value)


def test_a_killed_seed_resumes_and_nothing_differs(arena: Arena) -> None:
    """Killed at the start of each interval, without a checkpoint newer than the last one."""
    folder = arena.fresh()
    die = {"arm": "seed", "epochs": [0, 2, 4], "folder": str(folder)}
    swept = arena.sweep(
        folder=folder,
        max_failures=5,
        space={"die": die, "max_epochs": 6},
        run={"checkpoint_config": tune.CheckpointConfig(checkpoint_frequency=1)},
    )
    assert len(swept.at("seed", "die")) == 3
    assert swept.epochs("cached") == [6] * 3
    undisturbed = arena.sweep(space={"max_epochs": 6})
    killed = SubsetHistory.load(folder / "history")
    calm = SubsetHistory.load(undisturbed.folder / "history")
    assert killed.complete
    for mine, theirs in zip(killed.intervals, calm.intervals, strict=True):
        assert mine.same_content(theirs)
    for name in (f"interval-{i:06d}.parquet" for i in range(3)):
        bytes_of = [(f / "history" / name).read_bytes() for f in (folder, undisturbed.folder)]
        assert bytes_of[0] == bytes_of[1]


def test_users_own_order_works_when_the_seed_comes_late(arena: Arena) -> None:
    """Without our search algorithm: an arm axis in a grid, the seed last."""
    folder = arena.fresh()
    results = tune.Tuner(
        Toy,
        param_space={
            **arena.space(folder, learning_rate=0.1),
            "arm": tune.grid_search(["cached", "full", "seed"]),
        },
        tune_config=tune.TuneConfig(
            metric="score",
            mode="max",
            scheduler=SeedReplayScheduler(ASHAScheduler(time_attr="epoch", max_t=4)),
            search_alg=BasicVariantGenerator(),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    ).fit()
    assert {r.config["arm"]: r.metrics["epoch"] for r in results} == {
        "seed": 4,
        "cached": 4,
        "full": 4,
    }


def test_construction_names_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="stream must be 'auto', True or False, got 'yes'"):
        SeedReplayScheduler(stream="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'seed' cannot be the seed and a replay"):
        SeedReplayScheduler(replay_arms=["seed"])


def test_the_scheduler_pickles() -> None:
    scheduler = SeedReplayScheduler(ASHAScheduler(time_attr="epoch"))
    assert isinstance(pickle.loads(pickle.dumps(scheduler)).base, ASHAScheduler)
