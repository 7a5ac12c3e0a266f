"""A worker node lost of two, and a driver lost while its cluster lives on."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.cluster_utils import Cluster

from tests.tune_select.histories import interval
from tests.tune_select.scheduling.test_restore import (
    REPLAYS,
    driver,
    epochs_logged,
    results_of,
    wait_for,
)
from tests.tune_select.sweeps import RAY_WARNINGS, Arena, Swept, read_lines
from tests.tune_select.toy import toy_identity
from tune_select.history import SubsetHistory
from tune_select.history.store import HistoryStore

pytestmark = [*RAY_WARNINGS, pytest.mark.slow, pytest.mark.timeout(900)]


@contextmanager
def simulated() -> Iterator[Cluster]:
    """A head without slots; nodes are added by who needs them."""
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 10**8},
    )
    try:
        yield made
    finally:
        if ray.is_initialized():
            ray.shutdown()
        made.shutdown()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with simulated() as made:
        yield made


@pytest.fixture
def root() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def lose_a_node(cluster: Cluster, root: Path, arm: str) -> float:
    """A streaming sweep on two nodes; the one that runs the seed, or the other, is lost.

    Returns:
        Seconds from the loss to the next epoch of a trial that ran there.
    """
    nodes = {n.node_id: n for n in (add_node(cluster), add_node(cluster))}
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    lost_at: list[float] = []
    victims: set[str] = set()
    with HistoryStore.start("nodes") as store:
        arena = Arena(root, store)
        folder = arena.fresh()

        def lose() -> None:
            while 4 not in epochs_logged(folder, "seed") or not epochs_logged(folder, "cached"):
                time.sleep(0.2)
            last = [line for line in read_lines(folder / "log") if line["arm"] == arm][-1]
            victims.add(last["trial"])
            lost_at.append(time.time())
            cluster.remove_node(nodes[last["node"]], allow_graceful=False)

        thread = threading.Thread(target=lose)
        thread.start()
        swept = arena.sweep(
            folder=folder,
            stream=True,
            max_failures=4,
            run={"checkpoint_config": tune.CheckpointConfig(checkpoint_frequency=1)},
            space={
                "learning_rate": tune.grid_search([0.1, 0.2, 0.3]),
                "max_epochs": 12,
                "epoch_s": {"seed": 0.5, "cached": 0.3},
            },
        )
        thread.join()
    check_undisturbed(swept)
    later = [x for x in swept.lines if x["at"] > lost_at[0] + 1.0 and x["trial"] in victims]
    assert later[0]["node"] != swept_node(swept, victims, lost_at[0])
    return min(line["at"] for line in later if line["what"] == "epoch") - lost_at[0]


def add_node(cluster: Cluster) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=10**8)


def swept_node(swept: Swept, victims: set[str], at: float) -> str:
    """Where the victims ran before the loss."""
    before = [line for line in swept.lines if line["trial"] in victims and line["at"] < at]
    return str(before[-1]["node"])


def check_undisturbed(swept: Swept) -> None:
    """All ran to their ends, and the history is what any seed would have published."""
    assert swept.epochs("seed") == [12]
    assert swept.epochs("cached") == [12] * 3
    whole = SubsetHistory.load(swept.folder / "history")
    assert whole.complete
    config = {"max_epochs": 12, "select_every": 2, "learning_rate": 0.1}
    for number, published in enumerate(whole.intervals):
        assert published.same_content(interval(number, toy_identity(config)))


@pytest.mark.parametrize("arm", ["seed", "cached"])
def test_what_ran_on_a_lost_node_goes_on_elsewhere(cluster: Cluster, root: Path, arm: str) -> None:
    back_s = lose_a_node(cluster, root, arm)
    print(f"\nthe next epoch {back_s:.1f} s after the node of a {arm} trial was lost")


def test_a_driver_lost_beside_a_living_cluster_finds_its_store_again(
    cluster: Cluster, root: Path
) -> None:
    cluster.add_node(num_cpus=2, object_store_memory=10**8)
    cluster.wait_for_nodes()
    (root / "log").mkdir()
    process = driver("run", str(root), "grid", cluster.address)
    wait_for(lambda: len(epochs_logged(root, "cached")) > 10, process, 300)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(3)
    rows = results_of(driver("restore", str(root), "grid", cluster.address))
    assert Counter(row["arm"] for row in rows) == {"seed": 1, "cached": REPLAYS}
    assert SubsetHistory.load(root / "history").complete
