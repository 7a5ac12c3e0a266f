"""Seed, replays, baselines, tracking and report around any trainable, in one call."""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from numbers import Real
from pathlib import Path
from typing import Any, Literal, get_args

from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tune_select.arms import Arm, is_replay
from tune_select.history.store import HistoryStore
from tune_select.plain import is_whole, plain
from tune_select.scheduling.scheduler import SeedReplayScheduler, Stream
from tune_select.search.ladder import Rules
from tune_select.search.ladder import ladder as ladder_search
from tune_select.search.seed_first import seed_first
from tune_select.sweep import ray_session
from tune_select.sweep.folder.result_log import ResultLog
from tune_select.sweep.preflight.resources import amounts_of
from tune_select.sweep.preflight.storage import check_local_storage
from tune_select.sweep.sections import ClusterConfig
from tune_select.wording import shown

Arms = Sequence[str | Arm] | Mapping[str, Mapping[str, Any]]
Mode = Literal["min", "max"]


def seeded_tuner(
    trainable: Any,
    *,
    space: Mapping[str, Any],
    seed_config: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    arms: Arms = ("cached",),
    metric: str | None = None,
    mode: Mode | None = None,
    searcher: Searcher | None = None,
    scheduler: TrialScheduler | None = None,
    ladder: Rules | None = None,
    seeds: Sequence[int] = (0,),
    num_samples: int = 1,
    name: str | None = None,
    storage_path: str | os.PathLike[str] = "results",
    resources: Mapping[str, float] | None = None,
    max_concurrent: int | None = None,
    mlflow: bool | str = True,
    stream: Stream = "auto",
    time_budget_s: float | timedelta | None = None,
    max_failures: int = 0,
    callbacks: Sequence[tune.Callback] = (),
) -> SeededTuner:
    """A Tuner that runs one seed trial, lets every other trial replay it, and reports on both.

    The trainable reads ``arm``, ``history`` and ``seed`` from its configuration, which
    ``SubsetSampler.from_config`` does, and reports ``epoch``, its metric and ``sampler.report()``
    after each epoch.

    Args:
        trainable: A Tune trainable, function or class.
        space: Tune's parameter space with all constants, without ``arm``, ``seed`` and ``history``.
        seed_config: What the seed trial trains with, laid over the constants of ``space``: a value
            for every searched key. Several: one history each, told apart by a ``history`` of their
            own.
        arms: What every point of the space is trained with: ``cached`` and other replays, ``full``,
            selectors; or a mapping from names to ``selector`` and what the arm changes.
        metric: What the search optimises, as the trainable reports it; a trainable's own
            ``metric`` attribute by default.
        mode: ``max`` or ``min``.
        searcher: Any Tune searcher; ``None`` for grid and random sampling of ``space``.
        scheduler: Any Tune scheduler, which decides over the replays.
        ladder: Who goes up and when, where ``arms`` are the rungs of a ladder, the last one full
            training; see ``tune_select.search.ladder``. By default every point meets every arm.
        seeds: Training seeds of every point and arm.
        num_samples: Points drawn by a searcher; samples per grid cell otherwise.
        name: The name of the results folder; the trainable's name and the time by default.
        storage_path: Where that folder lies: a path or URI.
        resources: The resources of each trial, ``{"cpu": 1}`` and the like.
        max_concurrent: Trials alive at once at the most.
        mlflow: Whether to track with MLflow, in a file in the results folder; or a tracking URI.
        stream: Whether replays may follow a running seed; see ``SeedReplayScheduler``.
        time_budget_s: Seconds, or a ``timedelta``, after which the search ends.
        max_failures: How often a trial that failed is started again.
        callbacks: Further Tune callbacks.

    Raises:
        ValueError: An argument is of another kind or out of its range, arms repeat, the seed leaves
            a searched key without a value, there is no metric, or nothing can be written to
            ``storage_path``.
    """
    metric, mode = _metric_of(trainable, metric, mode)
    root = str(storage_path)
    if "://" not in root:
        root = str(Path(root).expanduser().resolve())
    return SeededTuner(
        trainable=trainable,
        space=dict(space),
        seed_configs=[seed_config]
        if isinstance(seed_config, Mapping)
        else list(seed_config) or [{}],
        arms=_arms(arms),
        metric=metric,
        mode=mode,
        searcher=searcher,
        scheduler=scheduler,
        ladder=ladder,
        seeds=tuple(map(plain, seeds)) if isinstance(seeds, Iterable) else seeds,
        num_samples=num_samples,
        name=f"{_name_of(trainable)}-{time.strftime('%Y%m%d-%H%M%S')}" if name is None else name,
        storage_path=root,
        resources=None if resources is None else amounts_of(resources),
        max_concurrent=max_concurrent,
        mlflow=mlflow,
        stream=stream,
        time_budget_s=time_budget_s,
        max_failures=max_failures,
        callbacks=tuple(callbacks),
    )


@dataclass(frozen=True)
class SeededTuner:
    """What ``seeded_tuner`` made; ``fit`` runs it. Its attributes are that function's arguments."""

    trainable: Any
    space: dict[str, Any]
    seed_configs: list[Mapping[str, Any]]
    arms: list[Arm]
    metric: str
    mode: Mode
    searcher: Searcher | None
    scheduler: TrialScheduler | None
    ladder: Rules | None
    seeds: tuple[int, ...]
    num_samples: int
    name: str
    storage_path: str
    resources: Mapping[str, float] | None
    max_concurrent: int | None
    mlflow: bool | str
    stream: Stream
    time_budget_s: float | timedelta | None
    max_failures: int
    callbacks: tuple[tune.Callback, ...]
    sweep_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        _check(self)
        self._search(None)  # says at once what is wrong with the search

    @property
    def location(self) -> str:
        """The results folder."""
        return f"{self.storage_path}/{self.name}"

    @property
    def replay_arms(self) -> list[str]:
        """Names of the arms that need a history."""
        return [arm.name for arm in self.arms if is_replay(arm.selector)]

    def fit(self) -> SeededResults:
        """Run the seed, then everything else. Uses a Ray that is running, or one of its own."""
        with ray_session.connected(ClusterConfig()), self._store() as store:
            algorithm, space = self._search(store)
            tuner = tune.Tuner(
                self.trainable if self.resources is None
                else tune.with_resources(self.trainable, dict(self.resources)),
                param_space=space,
                tune_config=tune.TuneConfig(
                    metric=self.metric,
                    mode=self.mode,
                    search_alg=algorithm,
                    scheduler=SeedReplayScheduler(
                        self.scheduler,
                        replay_arms=tuple(self.replay_arms or ["cached"]),
                        stream=self.stream,
                    ),
                    time_budget_s=self.time_budget_s,
                    reuse_actors=_reusable(self.trainable),
                ),
                run_config=tune.RunConfig(
                    name=self.name,
                    storage_path=self.storage_path,
                    failure_config=tune.FailureConfig(max_failures=self.max_failures),
                    callbacks=[ResultLog(), *self._tracking(), *self.callbacks],
                    verbose=0,
                ),
            )  # fmt: skip
            grid = tuner.fit()
        primary = self.arms[0 if self.ladder is None else -1].name
        return SeededResults(grid, self.location, self.metric, self.mode, primary)

    def _store(self) -> Any:
        if not self.replay_arms:
            return nullcontext()
        return HistoryStore.start(f"tune-select-{self.sweep_id}")

    def _search(self, store: HistoryStore | None) -> tuple[Any, dict[str, Any]]:
        place: Any = f"{self.location}/history/seed"
        if store is not None:
            place = store.location(place)
        settings: dict[str, Any] = {
            "space": {"history": place, **self.space},
            "seed_configs": [
                {"arm": "seed", "seed": self.seeds[0], **config} for config in self.seed_configs
            ]
            if self.replay_arms
            else [],
            "seeds": self.seeds,
            "num_samples": self.num_samples,
            "replay_arms": self.replay_arms,
            "max_concurrent": self.max_concurrent,
            "random_state": self.seeds[0],
        }
        if self.ladder is None:
            return seed_first(self.searcher, arms=self.arms, **settings)
        return ladder_search(
            self.searcher,
            rungs=self.arms,
            rules=self.ladder,
            metric=self.metric,
            mode=self.mode,
            **settings,
        )

    def _tracking(self) -> list[tune.Callback]:
        if self.mlflow is False:
            return []
        from tune_select.tracking import MLflowCallback, sqlite_uri

        local = "://" not in self.location
        if self.mlflow is True and not local:
            raise ValueError(
                f"mlflow=True writes a file into the results folder, but {self.location} is not on "
                "this machine: give the tracking URI of a server, or mlflow=False"
            )
        uri = sqlite_uri(f"{self.location}/mlflow.db") if self.mlflow is True else str(self.mlflow)
        return [
            MLflowCallback(
                uri, self.name, self.name, self.sweep_id, folder=self.location if local else None
            )
        ]


@dataclass(frozen=True)
class SeededResults:
    """What a search found.

    Attributes:
        grid: Tune's own results.
        location: The results folder.
        metric: What was optimised.
        mode: ``max`` or ``min``.
        primary_arm: The arm whose results steer the search and name the best configuration.
    """

    grid: tune.ResultGrid
    location: str
    metric: str
    mode: Mode
    primary_arm: str

    def best(self, arm: str | None = None) -> tune.Result:
        """The best trial of an arm, by its last report of the metric.

        Args:
            arm: The first of the search's arms by default.

        Raises:
            ValueError: No trial of the arm reported a finite metric.
        """
        wanted = arm or self.primary_arm
        found = []
        for number in range(len(self.grid)):
            result: Any = self.grid[number]
            value = (result.metrics or {}).get(self.metric)
            mine = (result.config or {}).get("arm") == wanted and result.error is None
            if mine and value is not None and math.isfinite(value):
                found.append((float(value), result))
        if not found:
            failed = [str(error) for error in self.grid.errors]
            why = f"; the first error is {failed[0].strip().splitlines()[-1]}" if failed else ""
            raise ValueError(f"no trial of arm {wanted!r} reported {self.metric}{why}")
        best: tune.Result = (max if self.mode == "max" else min)(found, key=lambda one: one[0])[1]
        return best

    def report(self) -> Path:
        """Write ``report.html`` with tables and figures into the results folder; its path.

        Raises:
            ValueError: The folder is not on this machine.
        """
        if "://" in self.location:
            raise ValueError(f"{self.location} is not on this machine: copy it here, and report")
        import analysis

        return analysis.write_report(self.location, metric=self.metric, mode=self.mode)


def _check(tuner: SeededTuner) -> None:
    """Find now what Tune would meet in the middle of a search, or wait for without end.

    Raises:
        ValueError: The argument, its value and what would be right.
    """
    limit, seeds, budget = tuner.max_concurrent, tuner.seeds, tuner.time_budget_s
    if isinstance(budget, timedelta):  # as Tune takes it
        budget = budget.total_seconds()
    searcher, scheduler = tuner.searcher, tuner.scheduler
    name = str(tuner.name)
    streams = get_args(Stream)
    for argument, fits, expected in (
        ("trainable", callable(tuner.trainable) or isinstance(tuner.trainable, str),
         "a trainable of Tune's: a function, a class, or a registered name"),
        ("searcher", searcher is None or isinstance(searcher, Searcher),
         "a searcher of Tune's, OptunaSearch() say, or None for grid and random sampling"),
        ("scheduler", scheduler is None or isinstance(scheduler, TrialScheduler),
         "a scheduler of Tune's, ASHAScheduler() say, or None"),
        ("seeds", isinstance(seeds, tuple) and seeds and all(is_whole(one, 0) for one in seeds),
         "a list of integers of at least 0"),
        ("name", name not in ("", ".", "..") and not set(name) & set("/\\"),
         "the name of one folder, without slashes"),
        ("num_samples", is_whole(tuner.num_samples, -1), "an integer, -1 for no end"),
        ("max_concurrent", limit is None or is_whole(limit, 1), "an integer of at least 1"),
        ("max_failures", is_whole(tuner.max_failures, -1), "an integer, -1 for no end"),
        ("stream", tuner.stream in streams, f"one of {', '.join(map(str, streams))}"),
        ("time_budget_s", budget is None or (_is_number(budget) and budget > 0),
         "a number of seconds above 0"),
    ):  # fmt: skip
        if not fits:
            raise ValueError(
                f"{argument} must be {expected}, got {shown(getattr(tuner, argument))}"
            )
    if "://" not in tuner.location:
        check_local_storage(tuner.storage_path, tuner.name)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _metric_of(trainable: Any, metric: str | None, mode: Mode | None) -> tuple[str, Mode]:
    own = getattr(trainable, "metric", None)
    if metric is None and not isinstance(own, str):
        raise ValueError(
            f"metric= is missing: name what {_name_of(trainable)} reports and the search optimises"
        )
    found = mode or getattr(trainable, "mode", None) or "max"
    if found not in ("min", "max"):
        raise ValueError(f"mode must be min or max, got {found!r}")
    return metric or f"val_{own}", found


def _arms(arms: Arms) -> list[Arm]:
    if isinstance(arms, str):
        raise ValueError(f"arms must be a list of names, got {arms!r}")
    if isinstance(arms, Mapping):
        return [Arm.of(name, variant or None) for name, variant in arms.items()]
    return [arm if isinstance(arm, Arm) else Arm.of(arm) for arm in arms]


def _name_of(trainable: Any) -> str:
    return str(getattr(trainable, "__name__", type(trainable).__name__)).lower()


def _reusable(trainable: Any) -> bool:
    """Whether a process can take up another trial: a class that says how."""
    own = getattr(trainable, "reset_config", None)
    return isinstance(trainable, type) and own is not tune.Trainable.reset_config
