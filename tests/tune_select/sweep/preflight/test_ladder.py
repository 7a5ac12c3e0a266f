"""What a ladder and its rivals would fail of after an hour, refused before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tune_select.sweep.test_ladder import SWEEP
from tune_select.sweep.config import SweepError
from tune_select.sweep.ladder_config import LadderConfig
from tune_select.sweep.plan import make_plan
from tune_select.sweep.preflight import check_ladder, check_trials
from tune_select.sweep.validation import validate_sweep
from tune_select.sweep.yaml_file import parse_sweep

ASHA = {"name": "mine", "scheduler": "asha"}
PBT = {
    "name": "mine",
    "scheduler": "pbt",
    "scheduler_options": {"hyperparam_mutations": {"learning_rate": {"uniform": [0.01, 0.1]}}},
}


def check(keys: dict[str, Any], **ladder: Any) -> None:
    tune = {**SWEEP["tune"], "ladder": {**SWEEP["tune"]["ladder"], **ladder}}
    check_ladder(make_plan(parse_sweep({**SWEEP, "tune": tune, **keys})))


@pytest.mark.parametrize(
    ("rival", "message"),
    [
        ({**ASHA, "scheduler_options": {"eta": 3}}, r"rivals.mine.scheduler_options .*'eta'"),
        ({**ASHA, "scheduler_options": {"reduction_factor": 1}}, r"rivals.mine.scheduler_options"),
        ({"name": "mine", "scheduler": "ahsa"}, "rivals.mine.scheduler must.*mean asha"),
        ({"name": "mine", "searcher": "optuan"}, "rivals.mine.searcher must.*mean optuna"),
        (
            {"name": "mine", "searcher": "optuna", "searcher_options": {"sed": 1}},
            "rivals.mine.searcher_options for optuna.*'sed'",
        ),
        ({"name": "mine", "scheduler": "pbt"}, "rivals.mine.scheduler_options for pbt"),
        ({**PBT, "searcher": "optuna"}, "rivals.mine.searcher is 'optuna', but Tune runs.*'pbt'"),
        ({"name": "Random", "scheduler": "asha"}, r"rivals: needs a name of its own.*'Random'"),
        ({"name": "LADDER", "scheduler": "asha"}, r"rivals: needs a name of its own.*'LADDER'"),
        ({"name": "asha"}, "rivals.asha says neither searcher nor scheduler.*write asha alone"),
    ],
)
def test_a_rival_that_could_not_begin_is_named(rival: dict[str, Any], message: str) -> None:
    with pytest.raises(SweepError, match=message):
        check({"rivals": ["random", rival]})


@pytest.mark.parametrize(
    "rival",
    [
        "hyperband",
        PBT,
        {"name": "mine"},
        {"name": "asha", "scheduler": "asha", "scheduler_options": {"reduction_factor": 4}},
    ],
)
def test_a_rival_that_can_begin_is_left_alone(rival: Any) -> None:
    check({"rivals": [rival]})


def test_more_to_confirm_than_the_rung_below_sees_is_named_with_what_it_sees() -> None:
    # 6 configurations at 5%, 2 for one epoch; keep is 3.
    check({}, confirm=2)
    with pytest.raises(
        SweepError, match=r"confirm is 3, but of 6 .*num_samples=6.* rung 1 epoch sees 2 .*keep=3"
    ):
        check({}, confirm=3)
    listed = {"space": {"learning_rate": [0.01, 0.02]}}  # each sample is the whole grid
    check(listed, confirm=4)


def test_by_default_two_are_confirmed_or_as_many_as_the_rung_below_sees() -> None:
    few = {**SWEEP["tune"]["ladder"], "keep": 9, "confirm": None}
    check({}, **few)
    assert LadderConfig(**few).rules().sizes(6) == [6, 1, 1]
    assert LadderConfig(**few).rules().sizes(10) == [10, 2, 2]
    with pytest.raises(SweepError, match=r"confirm is 2, but of 6 .*sees 1 .*keep=9"):
        check({}, keep=9, confirm=2)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"promote": 3}, "promote is 3, but tune.ladder.*tune.ladder.confirm: 3"),
        (
            {"tune": {**SWEEP["tune"], "stop_when": {"regret_pp": 1}}},
            "tune.stop_when ends a search of arms.*time_budget_s",
        ),
    ],
)
def test_what_a_ladder_has_of_its_own_is_named(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(SweepError, match=message):
        check_ladder(make_plan(parse_sweep({**SWEEP, **keys})))


def test_a_selector_that_is_none_is_named_where_it_was_written() -> None:
    ladder = {"fractions": [0.1], "train_on": "gradmtach"}
    known = r"^tune.ladder: train_on must be one of cached, .*mean gradmatch"
    with pytest.raises(SweepError, match=known) as caught:
        parse_sweep({**SWEEP, "tune": {"ladder": ladder}})
    assert " full," not in str(caught.value), "which a rung does not train on"
    ladder = {"fractions": [0.1], "train_on": "nowhere.Selector"}
    plan = make_plan(parse_sweep({**SWEEP, "tune": {"ladder": ladder}}))
    with pytest.raises(SweepError, match=r"^tune.ladder.train_on is 'nowhere.Selector'"):
        check_trials(plan)


def test_all_of_it_is_asked_before_a_sweep_starts() -> None:
    with pytest.raises(SweepError, match="promote is 3"):
        validate_sweep(parse_sweep({**SWEEP, "promote": 3}), data=False)
    check({"promote": 0, "arms": ["cached", "gradmatch", "random_pb", "full"]})
