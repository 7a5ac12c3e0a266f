"""Fractions of a GPU, and arms that need more than others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from tests.tune_select.ray_session import ray_session
from tests.tune_select.sweeps import RAY_WARNINGS, Arena, Swept
from tune_select.history.store import HistoryStore
from tune_select.sweep.phases.experiments import _resources
from tune_select.sweep.yaml_file import parse_sweep

pytestmark = [*RAY_WARNINGS]

EPOCHS = 4
EPOCH_S = {"seed": 0.3, "cached": 0.3, "full": 0.1}
SHARE = {"seed": 0.5, "cached": 0.25, "full": 1.0}  # of the one GPU


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    """Ray counts GPUs and hands them out, whether or not there are any."""
    with ray_session(6, num_gpus=1) as root, HistoryStore.start("resources") as store:
        yield Arena(Path(root), store)


def share_of(config: dict[str, Any]) -> tune.PlacementGroupFactory:
    return tune.PlacementGroupFactory([{"CPU": 1, "GPU": SHARE[config["arm"]]}])


def together(swept: Swept) -> list[list[str]]:
    """The arms whose epochs were under way in the middle of each epoch."""
    spans = [
        (line["at"] - EPOCH_S[line["arm"]], line["at"], line["arm"])
        for line in swept.lines
        if line["what"] == "epoch"
    ]
    middles = [(start + end) / 2 for start, end, _ in spans]
    return [[arm for start, end, arm in spans if start < at < end] for at in middles]


def fractions(arena: Arena, arms: tuple[str, ...], *, stream: bool, **space: Any) -> Swept:
    swept = arena.sweep(
        stream=stream,
        arms=arms,
        resources=share_of,
        space={
            "learning_rate": tune.grid_search([0.1, 0.2, 0.3, 0.4]),
            "epoch_s": EPOCH_S,
            "max_epochs": EPOCHS,
            **space,
        },
    )
    assert all(result.error is None for result in swept.results)
    for arm in arms:
        assert swept.epochs(arm) == [EPOCHS] * 4
    assert max(sum(SHARE[arm] for arm in crowd) for crowd in together(swept)) <= 1.0
    return swept


def test_replays_share_a_gpu_take_only_what_nobody_waits_for_and_full_training_has_it_alone(
    arena: Arena,
) -> None:
    """Full training waits for the whole GPU from the start: no replay keeps it from that."""
    swept = fractions(arena, ("cached", "full"), stream=True, meet=4)
    assert max(crowd.count("cached") for crowd in together(swept)) == 4
    assert min(swept.at("cached")) > max(swept.at("seed"))


def test_replays_follow_the_seed_with_what_it_leaves_of_the_gpu(arena: Arena) -> None:
    swept = fractions(arena, ("cached",), stream=True, meet=2, seed_stays=2, patience_s=0.1)
    assert min(swept.at("cached")) < max(swept.at("seed"))


@pytest.mark.slow
def test_four_replays_of_a_finished_history_share_a_gpu(arena: Arena) -> None:
    swept = fractions(arena, ("cached", "full"), stream=False, meet=4)
    assert max(crowd.count("cached") for crowd in together(swept)) == 4


def test_resources_of_a_sweep_s_arms() -> None:
    sweep: dict[str, Any] = {
        "name": "s",
        "space": {"learning_rate": [0.1]},
        "resources": {"cpu": 2, "gpu": 0.25},
        "arms": [
            "cached",
            {"name": "big", "selector": "full", "resources": {"cpu": 1, "gpu": 1, "TPU": 4}},
        ],
    }
    of_arm = _resources(parse_sweep(sweep))
    assert callable(of_arm)
    for arm in ("cached", "seed"):
        assert of_arm({"arm": arm}).required_resources == {"CPU": 2, "GPU": 0.25}
    assert of_arm({"arm": "big"}).required_resources == {"CPU": 1, "GPU": 1, "TPU": 4}
    sweep["arms"] = ["cached", "full"]
    assert _resources(parse_sweep(sweep)) == {"cpu": 2, "gpu": 0.25}, "the same for every trial"
