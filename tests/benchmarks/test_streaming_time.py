"""A streaming sweep on two slots against the same sweep with a finished history.

An epoch of the toy is a sleep, so that two slots are two slots on any machine. Both sweeps run side
by side, each in a process and a Ray of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS, Arena
from tune_select.history.store import HistoryStore

pytestmark = [*RAY_WARNINGS, pytest.mark.slow, pytest.mark.timeout(1800)]

# Many short replays: with a few long ones, the number of them decides how evenly two slots end.
REPLAYS, EPOCHS, EVERY = 72, 24, 4
SEED_S, REPLAY_S = 0.4, 0.1
LIMIT = 1.05


def sweep(kind: str, barrier: Barrier, answers: Any) -> None:
    os.environ["RAY_AIR_NEW_OUTPUT"] = "1"
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the process's life
    with ray_session(2) as root, HistoryStore.start("time") as store:
        arena = Arena(Path(root), store)
        common = {"max_epochs": EPOCHS, "select_every": EVERY, "patience_s": 0.3}
        made = arena.sweep(space={**common, "learning_rate": tune.grid_search([0.1])})
        rates = tune.grid_search([0.01 * i for i in range(1, REPLAYS + 1)])
        space = {
            **common,
            "learning_rate": rates,
            "epoch_s": {"seed": SEED_S, "cached": REPLAY_S},
        }
        seeds = [{"learning_rate": 0.1}]
        if kind == "finished":
            space["history"] = str(made.folder / "history")
            seeds = []
        barrier.wait(300)
        start = time.perf_counter()
        swept = arena.sweep(
            space=space, seed_configs=seeds, stream={"streaming": True}.get(kind, False)
        )
        taken_s = time.perf_counter() - start
        assert swept.epochs("cached") == [EPOCHS] * REPLAYS
        answers.put((kind, taken_s))


def test_the_seed_costs_its_share_of_the_work_and_little_more() -> None:
    kinds = ["finished", "streaming", "waiting"]
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(len(kinds)), context.Queue()
    processes = [context.Process(target=sweep, args=(k, barrier, answers)) for k in kinds]
    for process in processes:
        process.start()
    taken_s = dict(answers.get(timeout=1500) for _ in kinds)
    for process in processes:
        process.join(60)
    share_s = EPOCHS * SEED_S / 2
    print(
        f"\n{REPLAYS} replays of {EPOCHS} epochs on 2 slots: finished history "
        f"{taken_s['finished']:.1f} s, streaming {taken_s['streaming']:.1f} s, waiting for the "
        f"whole history {taken_s['waiting']:.1f} s; the seed's share {share_s:.1f} s; "
        f"(streaming - share) / finished = "
        f"{(taken_s['streaming'] - share_s) / taken_s['finished']:.3f}"
    )
    assert taken_s["streaming"] <= LIMIT * taken_s["finished"] + share_s
