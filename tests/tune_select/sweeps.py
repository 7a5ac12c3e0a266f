"""Short real sweeps of the toy."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tests.tune_select.toy import Toy
from tune_select.history.store import HistoryStore
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.search.seed_first import seed_first

RAY_WARNINGS = (
    # Ray leaves sockets and log files open when it is shut down inside a process that lives on.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*reuse_actors.*:UserWarning"),
)

_number = itertools.count()


@dataclass
class Swept:
    """A finished sweep: its results, and the lines that its trials logged in order of time."""

    results: list[Any]
    lines: list[dict[str, Any]]
    folder: Path
    scheduler: SeedReplayScheduler

    def of(self, arm: str) -> list[Any]:
        return [result for result in self.results if result.config["arm"] == arm]

    def epochs(self, arm: str) -> list[int]:
        return [result.metrics["epoch"] for result in self.of(arm)]

    def at(self, arm: str, what: str = "epoch") -> list[float]:
        return [line["at"] for line in self.lines if (line["arm"], line["what"]) == (arm, what)]


def read_lines(folder: Path) -> list[dict[str, Any]]:
    lines = []
    for file in folder.glob("*.jsonl"):
        for line in file.read_text().splitlines():
            lines.append({"trial": file.stem, **json.loads(line)})
    return sorted(lines, key=lambda line: line["at"])


@dataclass
class Arena:
    """A folder and a store for sweeps."""

    root: Path
    store: HistoryStore

    def fresh(self) -> Path:
        folder = self.root / f"x{next(_number)}"
        (folder / "log").mkdir(parents=True)
        return folder

    def space(self, folder: Path, **space: Any) -> dict[str, Any]:
        return {
            "learning_rate": tune.grid_search([0.1, 0.2, 0.3]),
            "max_epochs": 4,
            "select_every": 2,
            "history": self.store.location(str(folder / "history")),
            "log": str(folder / "log"),
            **space,
        }

    def sweep(
        self,
        base: TrialScheduler | None = None,
        *,
        searcher: Searcher | None = None,
        space: Mapping[str, Any] | None = None,
        arms: Sequence[str] = ("cached",),
        seed_configs: Sequence[Mapping[str, Any]] = ({"learning_rate": 0.1},),
        stream: Any = "auto",
        reuse_actors: bool = True,
        max_failures: int = 0,
        cpus: float = 1,
        run: Mapping[str, Any] | None = None,
        folder: Path | None = None,
        trainable: Any = Toy,
        drop: Sequence[str] = (),
        resources: Any = None,
        **search: Any,
    ) -> Swept:
        folder = folder or self.fresh()
        whole = self.space(folder, **(space or {}))
        algorithm, param_space = seed_first(
            searcher,
            space={key: value for key, value in whole.items() if key not in drop},
            seed_configs=seed_configs,
            arms=arms,
            **search,
        )
        scheduler = SeedReplayScheduler(
            base, replay_arms=[arm for arm in arms if arm.startswith("cached")], stream=stream
        )
        results = tune.Tuner(
            tune.with_resources(trainable, resources or {"cpu": cpus}),
            param_space=param_space,
            tune_config=tune.TuneConfig(
                metric="score",
                mode="max",
                search_alg=algorithm,
                scheduler=scheduler,
                reuse_actors=reuse_actors,
            ),
            run_config=tune.RunConfig(
                storage_path=str(folder),
                name="sweep",
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=max_failures),
                **(run or {}),
            ),
        ).fit()
        return Swept(list(results), read_lines(folder / "log"), folder, scheduler)
