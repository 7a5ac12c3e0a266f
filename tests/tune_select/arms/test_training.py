"""Which trials would be trained alike."""

from __future__ import annotations

from typing import Any

import pytest

from trainables.arms.plan import plan_arm
from trainables.settings.trial import parse_settings
from tune_select.arms import Arm, Selection, training_key

POINT: dict[str, Any] = {
    "learning_rate": 0.1,
    "max_epochs": 20,
    "seed": 0,
    "history": "h",
    "selection": {
        "fraction": 0.1,
        "select_every": 5,
        "warm_start_epochs": 0,
        "settings": {"gradmatch": {"regularization": 0.5}, "random": {}},
    },
}
CHANGES: dict[str, dict[str, Any]] = {
    "fraction": {"fraction": 0.3},
    "select_every": {"select_every": 2},
    "warm": {"warm_start_epochs": 3},
    "kappa": {"kappa": 0.5, "warm_start_epochs": 0},
    "algorithm": {"algorithm": "craig"},
    "pursuit": {"settings": {"gradmatch": {"regularization": 0.1}}},
    "first": {"first_subset": "random"},
    "align": {"align": "progress"},
    "rungs": {"rungs": [0.02]},
}
READ = {
    "full": set(),
    "random": {"fraction", "select_every", "warm", "kappa", "first"},
    "gradmatch": {"fraction", "select_every", "warm", "kappa", "pursuit", "first"},
    "cached": {"fraction", "select_every", "warm", "kappa", "align"},
    "big_loss": {"fraction", "warm", "kappa"},
    "seed": {"fraction", "select_every", "warm", "kappa", "algorithm", "pursuit", "first", "rungs"},
}


def key(arm: str, history: str = "h", **changes: Any) -> str:
    selection = {**POINT["selection"], **changes.pop("selection", {})}
    point = {**POINT, "configuration": 3, **changes, "selection": selection}
    return training_key(Arm.of(arm).on(point), history)


@pytest.mark.parametrize("arm", READ)
@pytest.mark.parametrize("change", CHANGES)
def test_a_training_hangs_on_what_its_arm_reads(arm: str, change: str) -> None:
    changed = key(arm, selection=CHANGES[change]) != key(arm)
    assert changed == (change in READ[arm])


def test_everything_else_of_a_configuration_counts_but_bookkeeping() -> None:
    assert key("full", learning_rate=0.2) != key("full")
    assert key("full", seed=1) != key("full")
    assert key("full", time_budget_s=3.0) != key("full")
    assert key("full", configuration=9, phase="promotion") == key("full")
    assert key("full", history="other") == key("full")
    assert key("cached", history="other") != key("cached")
    assert key("random") != key("random_pb")


def test_names_of_arms_and_ways_to_say_a_length_do_not_count() -> None:
    named = Arm.of("mine", {"selector": "random", "fraction": 0.3})
    assert training_key(named.on(POINT)) == key("random", selection={"fraction": 0.3})
    half = {"kappa": 0.5, "warm_start_epochs": 0, "fraction": 0.1}
    assert key("random", selection=half) == key("random", selection={**half, "kappa_of": "epochs"})
    # An own share of a mini-batch takes the place of the sweep's fraction.
    own = {"settings": {"big_loss": {"keep": 0.2}}}
    assert key("big_loss", selection=own) == key("big_loss", selection={**own, "fraction": 0.4})


@pytest.mark.parametrize("arm", READ)
def test_an_arm_is_handed_what_it_reads_and_nothing_else(arm: str) -> None:
    everything = {k: v for change in CHANGES.values() for k, v in change.items() if k != "kappa"}
    point = {**POINT, "selection": {**everything, "select_every": 2, "align": "epoch"}}
    settings = parse_settings(Arm.of(arm).on(point))
    seen = plan_arm(settings).selection
    names = {"warm": "warm_start_epochs", "pursuit": "settings", "first": "first_subset"}
    unread = set(CHANGES) - READ[arm] - {"kappa", "pursuit"}
    for name in unread:
        field = names.get(name, name)
        assert getattr(seen, field) == Selection.model_fields[field].get_default(
            call_default_factory=True
        )
