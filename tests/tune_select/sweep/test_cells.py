"""No training is done twice, and every cell is shown."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tune_select.search.seed_first import seeded_crossing
from tune_select.search.trial_order import Exhausted, TrialOrder
from tune_select.sweep.cells import (
    crossed_with,
    listed_points,
    shared_arms,
    shared_cells,
    without_repeats,
)
from tune_select.sweep.folder.shared import Cell, id_of, with_shared
from tune_select.sweep.plan import Plan, make_plan
from tune_select.sweep.yaml_file import load_sweep, parse_sweep

SWEEP: dict[str, Any] = {
    "name": "small",
    "train": {"model": "mlp", "max_epochs": 6, "learning_rate": 0.1},
    "selection": {"select_every": 3, "algorithm": "gradmatch"},
    "space": {"selection.fraction": [0.1, 0.2, 0.3], "learning_rate": [0.1, 0.2]},
    "arms": ["random", "full", {"name": "thirty", "selector": "random", "fraction": 0.3}],
    "tune": {"seeds": [0, 1]},
}


def plan_of(**changes: Any) -> Plan:
    return make_plan(parse_sweep({**SWEEP, **changes}))


def handed_out(plan: Plan) -> dict[str, dict[str, Any]]:
    """What a search over a listed space trains, by trial id."""
    crossed = crossed_with(plan, "root", "store")
    space = crossed.pop("space")
    order = TrialOrder(seeded_crossing(space, crossed.pop("seed_configs"), **crossed))
    points = iter(listed_points(plan, space))

    def draw(drawn: int) -> Any:
        point = next(points, None)
        if point is None:
            raise Exhausted
        return point

    trained: dict[str, dict[str, Any]] = {}
    while True:
        try:
            job = order.next(draw, eager=True)
        except Exhausted:
            return trained
        assert job is not None
        order.handed_out(f"t{len(trained)}", job)
        order.note_result(f"t{len(trained)}", {"history_complete": True})
        trained[f"t{len(trained)}"] = job.config


def test_what_differs_in_nothing_that_is_read_is_trained_once() -> None:
    plan = plan_of()
    trained = handed_out(plan)
    # 2 rates x 2 seeds: full once; random at 3 fractions; thirty is random at 0.3 again, first
    # trained where it comes first.
    assert Counter(c["arm"] for c in trained.values()) == {"full": 4, "random": 8, "thirty": 4}
    cells = shared_cells(plan, "elsewhere", trained)
    assert len(cells) + len(trained) == 3 * 2 * 2 * 3
    for cell in cells:
        source = trained[cell.same_as]
        assert source["learning_rate"] == cell.config["learning_rate"]
        assert source["seed"] == cell.config["seed"]
        assert source["configuration"] <= cell.config["configuration"]
    places = [(c["configuration"], c["arm"], c["seed"]) for c in trained.values()]
    places += [(c.config["configuration"], c.config["arm"], c.config["seed"]) for c in cells]
    assert len(set(places)) == len(places)


def test_points_that_were_never_drawn_have_no_cells() -> None:
    plan = plan_of(arms=["full"])
    trained = handed_out(plan)
    assert len(trained) == 4
    begun = {trial: c for trial, c in trained.items() if c["configuration"] == 0}
    assert shared_cells(plan, "root", begun) == []


def test_nobody_who_learns_is_kept_from_a_trial_of_its_own() -> None:
    space = {"selection.fraction": {"uniform": [0.1, 0.5]}}
    arms = ["random", "full", "gradmatch"]
    optuna = plan_of(arms=arms, space=space, tune={"searcher": "optuna", "num_samples": 3})
    assert set(shared_arms(optuna)) == {"full", "gradmatch"}
    stopped = plan_of(arms=arms, tune={"stop_when": {"regret_pp": 1.0}})
    assert set(shared_arms(stopped)) == {"full", "gradmatch"}
    asha = plan_of(
        arms=["cached", "full"], space={"learning_rate": [0.1]}, tune={"scheduler": "asha"}
    )
    assert set(shared_arms(asha)) == {"full"}
    assert shared_arms(plan_of(arms=["cached", "gradmatch", "random_pb", "full"],
                               space={"learning_rate": [0.1]},
                               tune={"ladder": {"epochs": [1]}})) == {}  # fmt: skip
    # The search's points, of which full trained the first: the others have a cell each.
    trained = {
        f"t{n}": {"learning_rate": 0.1, "max_epochs": 6, "model": "mlp", "arm": arm, "seed": 0,
                  "configuration": n, "selection": {"fraction": f, "select_every": 3}}
        for n, (arm, f) in enumerate([("random", 0.1), ("random", 0.2), ("random", 0.4)])
    }  # fmt: skip
    trained["t9"] = {**trained["t0"], "arm": "full", "seed": 0}
    cells = shared_cells(optuna, "root", trained)
    assert [(c.config["configuration"], c.config["arm"], c.same_as) for c in cells] == [
        (1, "full", "t9"), (2, "full", "t9"),
    ]  # fmt: skip
    assert [c.config["selection"]["fraction"] for c in cells] == [0.2, 0.4]


def test_trials_on_other_resources_are_their_own() -> None:
    fast = {"name": "fast", "selector": "full", "resources": {"cpu": 2.0}}
    trained = handed_out(plan_of(arms=["full", fast, {"name": "again", "selector": "full"}]))
    assert Counter(c["arm"] for c in trained.values()) == {"full": 4, "fast": 4}


def test_what_the_search_has_trained_fully_is_not_promoted_to_it_again() -> None:
    plan = plan_of()
    trained = handed_out(plan)
    full = next(c for c in trained.values() if c["arm"] == "full")
    new = {**full, "learning_rate": 0.7}
    left, cells = without_repeats([{**full, "history": None}, new], trained, plan)
    assert left == [new]
    assert [trained[cell.same_as] for cell in cells] == [full]


def test_each_cell_has_a_row_with_what_its_trial_reached_and_its_own_configuration() -> None:
    config = {"arm": "full", "seed": 0, "configuration": 4, "selection": {"fraction": 0.3},
              "max_epochs": 2, "learning_rate": 0.1}  # fmt: skip
    trials = pd.DataFrame(
        {
            "trial_id": ["a", "b"], "arm": ["full", "random"], "phase": "search",
            "configuration": 0, "seed": 0, "status": "finished", "config/selection/fraction": 0.1,
            "val_accuracy": [0.9, 0.8], "slot_s": [7.0, 1.0], "fraction": [1.0, 0.1],
        }
    )  # fmt: skip
    epochs = pd.DataFrame({"trial_id": ["a", "a", "b"], "arm": ["full", "full", "random"],
                           "phase": "search", "epoch": [1, 2, 1]})  # fmt: skip
    cell = Cell(config, "a")
    whole, steps = with_shared(trials, epochs, [cell], phase="search", histories_of=lambda c: [])
    assert whole["trial_id"].tolist() == ["a", "b", id_of(cell)]
    row = whole.iloc[-1]
    assert (row["same_as"], row["val_accuracy"], row["slot_s"]) == ("a", 0.9, 7.0)
    assert (row["configuration"], row["config/selection/fraction"]) == (4, 0.3)
    assert whole["same_as"].isna().tolist() == [True, True, False]
    assert steps[steps["trial_id"] == id_of(cell)]["epoch"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("name", "full", "cells"),
    [("killamsetty_table2_cifar10", 1, 4), ("balles_fig1_cifar10", 3, 15)],
)
def test_a_papers_sweep_with_a_fraction_axis_trains_fully_once(
    name: str, full: int, cells: int
) -> None:
    path = Path(__file__).parents[3] / "search_spaces" / f"{name}.yaml"
    plan = make_plan(load_sweep(str(path)))
    trained = handed_out(plan)
    done = [c for c in trained.values() if c["arm"] == "full"]
    assert len(done) == full
    shown = [c for c in shared_cells(plan, "root", trained) if c.config["arm"] == "full"]
    assert len(shown) + len(done) == cells
