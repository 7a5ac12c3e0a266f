from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.examples import ladder_loop, plain_loop
from tests.tune_select.ray_session import ray_session
from tune_select import SubsetHistory, seeded_tuner


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with ray_session(num_cpus=2) as folder:
        yield folder


def test_a_plain_function_goes_from_a_seed_to_a_report(storage: str) -> None:
    results = plain_loop.main(storage_path=storage, name="plain")
    arms = sorted(result.config["arm"] for result in results.grid)
    assert arms == ["cached", "cached", "random", "random", "seed"]
    assert not results.grid.errors
    assert results.best().config["arm"] == "cached"
    assert results.best().metrics["val_accuracy"] > 0.6
    assert results.best("random").config["arm"] == "random"
    folder = Path(storage) / "plain"
    assert SubsetHistory.load(folder / "history" / "seed").complete
    assert "cached" in results.report().read_text()
    assert (folder / "mlflow.db").exists()
    with pytest.raises(ValueError, match="no trial of arm 'full' reported val_accuracy"):
        results.best("full")


def test_a_seed_that_forgets_to_publish_is_told_so(storage: str) -> None:
    def forgets(config: dict[str, Any]) -> None:
        from ray import tune

        tune.report({"val_accuracy": 0.5, "epoch": 1})

    tuner = seeded_tuner(
        forgets, space={"max_epochs": 1}, metric="val_accuracy", storage_path=storage,
        name="forgets", mlflow=False,
    )  # fmt: skip
    with pytest.raises(Exception, match=r"never reported history_published.*sampler\.report"):
        tuner.fit()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": None}, "metric= is missing: name what train reports"),
        ({"mode": "best"}, "mode must be min or max, got 'best'"),
        ({"arms": "cached"}, "arms must be a list of names, got 'cached'"),
        ({"arms": ["cached", "cached"]}, "arms must be distinct"),
        ({"seed_config": {}}, r"no.*value.*for \['lr'\]|none for \['lr'\]"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(given: dict[str, Any], message: str) -> None:
    from ray import tune

    arguments: dict[str, Any] = {
        "space": {"lr": tune.grid_search([0.1, 0.2])}, "seed_config": {"lr": 0.1},
        "metric": "val_accuracy", **given,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        seeded_tuner(plain_loop.train, **arguments)


@pytest.mark.slow
def test_a_script_of_35_lines_climbs_a_ladder_to_a_report(storage: str) -> None:
    lines = Path(ladder_loop.__file__).read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 35
    results = ladder_loop.main(storage_path=storage, name="ladder")
    assert not results.grid.errors
    arms = sorted(result.config["arm"] for result in results.grid)
    assert arms == ["cached", "cached", "cached", "cached", "full", "seed"]
    best = results.best()
    assert best.config["arm"] == "full"
    assert best.config["lr"] == results.best("cached").config["lr"]
    assert "Which configuration each arm would choose" in results.report().read_text()
    assert (Path(storage) / "ladder" / "mlflow.db").exists()
