"""Every base scheduler with every searcher: the seed is left alone, and the base decides over the
replays what it would have decided over them alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from ray import tune
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)
from ray.tune.search import ConcurrencyLimiter, Searcher
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS, Arena, Swept, read_lines
from tests.tune_select.toy import Toy
from tune_select.history.store import HistoryStore
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.sweep.pace.evaluation import milestones

pytestmark = [
    *RAY_WARNINGS,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    # The last release of hpbandster is of 2018.
    pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Please use:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:After 0.17:FutureWarning"),
]

EPOCHS = 8


def pbt(synch: bool) -> PopulationBasedTraining:
    return PopulationBasedTraining(
        time_attr="epoch",
        perturbation_interval=2,
        hyperparam_mutations={"learning_rate": tune.uniform(0.05, 0.5)},
        synch=synch,
    )


BASES: dict[str, Callable[[], TrialScheduler]] = {
    "fifo": FIFOScheduler,
    "asha": lambda: ASHAScheduler(
        time_attr="epoch", max_t=EPOCHS, grace_period=2, reduction_factor=2
    ),
    "hyperband": lambda: HyperBandScheduler(
        time_attr="epoch", max_t=EPOCHS, reduction_factor=2, stop_last_trials=False
    ),
    "median": lambda: MedianStoppingRule(
        time_attr="epoch", grace_period=2, min_samples_required=2, hard_stop=True
    ),
    "pbt": lambda: pbt(False),
    "pbt_synchronous": lambda: pbt(True),
    "bohb": lambda: HyperBandForBOHB(
        time_attr="epoch", max_t=EPOCHS, reduction_factor=2, stop_last_trials=False
    ),
}

GRID = [0.3, 0.1, 0.5, 0.2, 0.4, 0.15]
SEED_RATE = 0.11


def define_by_run(trial: Any) -> None:
    trial.suggest_float("learning_rate", 0.05, 0.5)


def optuna_search(space: Any = None) -> OptunaSearch:
    sampler = optuna.samplers.TPESampler(n_startup_trials=2, seed=0)
    return OptunaSearch(space=space, metric="score", mode="max", sampler=sampler)


def bohb_search() -> Searcher:
    pytest.importorskip("ConfigSpace", reason="BOHB needs ConfigSpace and hpbandster")
    pytest.importorskip("hpbandster")
    from ray.tune.search.bohb import TuneBOHB

    return TuneBOHB(metric="score", mode="max", seed=0)


# The learning rate's domain in the space (None: the searcher has it), and the searcher.
SEARCHES: dict[str, tuple[Any, Callable[[], Searcher | None]]] = {
    "grid": (tune.grid_search(GRID), lambda: None),
    "random": (tune.uniform(0.05, 0.5), lambda: None),
    "optuna": (tune.uniform(0.05, 0.5), optuna_search),
    "optuna_define_by_run": (None, lambda: optuna_search(define_by_run)),
    "bohb": (tune.uniform(0.05, 0.5), bohb_search),
}

DEFAULT_RUN = [("pbt_synchronous", "grid", None), ("asha", "optuna_define_by_run", 2)]


def possible(base: str, search: str) -> bool:
    """Tune refuses PBT under a searcher, and BOHB's two halves need each other."""
    if base.startswith("pbt") and search in ("optuna", "optuna_define_by_run"):
        return False
    return (base == "bohb") == (search == "bohb")


PAIRS = [(base, search) for base in BASES for search in SEARCHES if possible(base, search)]
ALL = [
    pytest.param(*trio, marks=[] if trio in DEFAULT_RUN else pytest.mark.slow)
    for base, search in PAIRS
    for limit in (None, 2 if search.startswith("optuna") else 3)
    for trio in [(base, search, limit)]
]


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with ray_session(2) as root, HistoryStore.start("matrix") as store:
        yield Arena(Path(root), store)


def domain_of(search: str) -> dict[str, Any]:
    domain = SEARCHES[search][0]
    return {} if domain is None else {"learning_rate": domain}


def ours(
    arena: Arena,
    base: str,
    search: str,
    limit: int | None,
    more_space: dict[str, Any] | None = None,
    **more: Any,
) -> Swept:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - PBT draws from the global generators
    return arena.sweep(
        BASES[base](),
        searcher=SEARCHES[search][1](),
        seed_configs=[{"learning_rate": SEED_RATE}],
        space=domain_of(search) | {"max_epochs": EPOCHS} | (more_space or {}),
        drop=() if domain_of(search) else ("learning_rate",),
        num_samples=1 if search == "grid" else len(GRID),
        max_concurrent=limit,
        random_state=0,
        **more,
    )


def alone(arena: Arena, history: Path, base: str, search: str, limit: int | None) -> list[Any]:
    """The same replays of a finished history under the bare base, without any of our parts."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    folder = arena.fresh()
    searcher: Any = SEARCHES[search][1]()
    if searcher is None:
        searcher = BasicVariantGenerator(max_concurrent=limit or 0, random_state=0)
    elif limit:
        searcher = ConcurrencyLimiter(searcher, max_concurrent=limit)
    space = arena.space(folder, max_epochs=EPOCHS, arm="cached", history=str(history))
    del space["learning_rate"]
    return list(
        tune.Tuner(
            tune.with_resources(Toy, {"cpu": 2}),
            param_space=space | domain_of(search),
            tune_config=tune.TuneConfig(
                metric="score",
                mode="max",
                scheduler=BASES[base](),
                search_alg=searcher,
                num_samples=1 if search == "grid" else len(GRID),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=str(folder), name="alone", verbose=0),
        ).fit()
    )


def fates(results: list[Any]) -> list[tuple[float, int]]:
    """Learning rate and last epoch of each trial."""
    return sorted((round(r.config["learning_rate"], 9), r.metrics["epoch"]) for r in results)


def check_seed(swept: Swept) -> None:
    """The seed ran as if there were no scheduler: in one piece, with its own learning rate."""
    (seed,) = swept.of("seed")
    assert seed.config["learning_rate"] == SEED_RATE
    assert seed.metrics["resumed_at"] == 0
    logged = [line["value"] for line in swept.lines if line["arm"] == "seed"]
    assert logged == list(range(1, EPOCHS + 1))


@pytest.mark.parametrize(("base", "search", "limit"), ALL)
def test_one_slot_decides_as_the_base_alone(
    arena: Arena, base: str, search: str, limit: int | None
) -> None:
    """With one slot the order of events is fixed, so every decision can be compared."""
    swept = ours(arena, base, search, limit, cpus=2, stream=False)
    check_seed(swept)
    assert len(swept.of("cached")) == len(GRID)
    reference = alone(arena, swept.folder / "history", base, search, limit)
    assert fates(swept.of("cached")) == fates(reference)
    assert all(result.error is None for result in swept.results)


SPARSE = [
    pytest.param(base, search, marks=[] if (base, search) == ("asha", "grid") else pytest.mark.slow)
    for base, search in PAIRS
    if base != "median" and search in ("grid", "optuna", "bohb")
]


@pytest.mark.parametrize(("base", "search"), SPARSE)
def test_epochs_without_a_metric_change_no_decision(arena: Arena, base: str, search: str) -> None:
    """Scores at the base's milestones alone decide what scores at every epoch would have."""
    looks = milestones(BASES[base](), EPOCHS)
    assert looks is not None
    assert len(looks) < EPOCHS
    swept = ours(arena, base, search, None, cpus=2, stream=False, more_space={"looks": looks})
    check_seed(swept)
    reference = alone(arena, swept.folder / "history", base, search, None)
    assert fates(swept.of("cached")) == fates(reference)
    assert all(result.error is None for result in swept.results)


@pytest.mark.slow
def test_median_stopping_takes_epochs_without_a_metric(arena: Arena) -> None:
    """It decides whenever it hears of a trial, so it decides less often, and fails at nothing."""
    assert milestones(BASES["median"](), EPOCHS) is None
    swept = ours(arena, "median", "grid", None, cpus=2, stream=False, more_space={"looks": [3, 6]})
    check_seed(swept)
    assert len(swept.of("cached")) == len(GRID)
    assert {epoch for epoch in swept.epochs("cached") if epoch < EPOCHS} <= {3, 6}
    assert all(result.error is None for result in swept.results)


def seed_or_replay(spec: Any) -> str:
    return "seed" if spec.config.learning_rate == SEED_RATE else "cached"


@pytest.mark.slow
@pytest.mark.parametrize("base", [name for name in BASES if name != "bohb"])
def test_held_trials_are_no_laggards(arena: Arena, base: str) -> None:
    """Without our search algorithm all replays are there from the start, and held until the seed,
    which comes last, is done. A base that saw them would wait for them, or rank against them."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    folder = arena.fresh()
    results = tune.Tuner(
        tune.with_resources(Toy, {"cpu": 2}),
        param_space=arena.space(
            folder,
            learning_rate=tune.grid_search([*GRID, SEED_RATE]),
            arm=tune.sample_from(seed_or_replay),
            max_epochs=EPOCHS,
        ),
        tune_config=tune.TuneConfig(
            metric="score",
            mode="max",
            scheduler=SeedReplayScheduler(BASES[base](), stream=False),
            search_alg=BasicVariantGenerator(random_state=0),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(folder), name="own", verbose=0),
    ).fit()
    swept = Swept(list(results), read_lines(folder / "log"), folder, SeedReplayScheduler())
    check_seed(swept)
    assert min(swept.at("cached")) > max(swept.at("seed"))
    reference = alone(arena, folder / "history", base, "grid", None)
    assert fates(swept.of("cached")) == fates(reference)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("base", "search"), PAIRS)
def test_two_slots_finish_with_the_seed_unharmed(
    arena: Arena, base: str, search: str, stream: bool
) -> None:
    swept = ours(
        arena, base, search, None, stream=stream, arms=("cached", "full"), primary_arm="cached"
    )
    check_seed(swept)
    assert swept.epochs("full") == [EPOCHS] * len(GRID)
    assert len(swept.of("cached")) == len(GRID)
    assert max(swept.epochs("cached")) == EPOCHS
    assert all(result.error is None for result in swept.results)
