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
from pathlib import Path

import pytest
import ray
from ray import tune
from ray.cluster_utils import Cluster

from tests.tune_select.sweeps import RAY_WARNINGS, Arena
from tests.tune_select.test_restore import REPLAYS, driver, epochs_logged, results_of, wait_for
from tune_select.history import SubsetHistory
from tune_select.store import HistoryStore

pytestmark = [*RAY_WARNINGS, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 10**8},
    )
    yield made
    if ray.is_initialized():
        ray.shutdown()
    made.shutdown()


@pytest.fixture
def root() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_a_lost_node_costs_its_trials_an_epoch(cluster: Cluster, root: Path) -> None:
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=10**8) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    lost_at: list[float] = []
    with HistoryStore.start("nodes") as store:
        arena = Arena(root, store)
        folder = arena.fresh()

        def lose_a_node() -> None:
            while 4 not in epochs_logged(folder, "seed"):
                time.sleep(0.2)
            lost_at.append(time.time())
            cluster.remove_node(nodes[0], allow_graceful=False)

        thread = threading.Thread(target=lose_a_node)
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
    assert swept.epochs("seed") == [12]
    assert swept.epochs("cached") == [12] * 3
    assert SubsetHistory.load(folder / "history").complete
    back = [at for at in swept.at("seed") if at > lost_at[0] + 1.0]
    print(f"\nthe seed's next epoch after the loss: {min(back) - lost_at[0]:.1f} s later")


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
