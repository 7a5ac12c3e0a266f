"""A sweep in a process of its own, to be killed and resumed by tests.

``python -m tests.tune_select.driver run|restore FOLDER SEARCHER [ADDRESS]``; its last line is the
results as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from tests.tune_select.toy import Toy
from tune_select.history.store import HistoryStore
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.search.seed_first import seed_first


def main(action: str, folder: Path, searcher: str, address: str | None = None) -> None:
    if address:
        ray.init(address=address, log_to_driver=False)
    else:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=tempfile.mkdtemp(prefix="r", dir="/tmp"),
        )
    store = HistoryStore.start(f"driver-{folder.name}")
    trainable = tune.with_resources(Toy, {"cpu": 1})
    if action == "run":
        optuna = searcher == "optuna"
        rates = [0.1 * i for i in range(1, 9)]
        space = {
            "learning_rate": tune.uniform(0.1, 0.9) if optuna else tune.grid_search(rates),
            "max_epochs": 6,
            "select_every": 2,
            "history": store.location(str(folder / "history")),
            "log": str(folder / "log"),
            "epoch_s": {"seed": 0.4, "cached": 0.3, "full": 0.3},
        }
        algorithm, space = seed_first(
            OptunaSearch(metric="score", mode="max", seed=0) if optuna else None,
            space=space,
            seed_configs=[{"learning_rate": 0.1}],
            arms=["cached"],
            num_samples=8 if optuna else 1,
            max_concurrent=2,
        )
        tuner = tune.Tuner(
            trainable,
            param_space=space,
            tune_config=tune.TuneConfig(
                metric="score",
                mode="max",
                search_alg=algorithm,
                scheduler=SeedReplayScheduler(stream=True),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=str(folder),
                name="sweep",
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
                failure_config=tune.FailureConfig(max_failures=2),
            ),
        )
    else:
        tuner = tune.Tuner.restore(str(folder / "sweep"), trainable=trainable, resume_errored=True)
    results = tuner.fit()
    rows = [
        {"arm": r.config["arm"], "configuration": r.config["configuration"], **r.metrics}
        for r in results
    ]
    print("RESULTS", json.dumps(rows, default=str), flush=True)
    store.stop()
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
