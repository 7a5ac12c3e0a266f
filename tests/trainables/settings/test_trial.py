"""What a trial's configuration may say, and what it may not."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from trainables.arms.plan import plan_arm
from trainables.settings.trial import parse_settings
from tune_select.messages import SettingsError


def test_the_defaults_are_the_papers() -> None:
    settings = parse_settings({})
    assert (settings.optimizer, settings.learning_rate, settings.momentum) == ("sgd", 0.01, 0.9)
    assert (settings.weight_decay, settings.schedule, settings.max_epochs) == (5e-4, "cosine", 300)
    assert (settings.selection.fraction, settings.selection.select_every) == (0.1, 20)
    assert settings.selection.algorithm == "gradmatch"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"learning_rat": 0.1}, r"learning_rat=0\.1 is an unknown key; did you mean learning_rate"),
        (
            {"selection": {"fracton": 0.1}},
            r"selection\.fracton=0\.1 is an unknown .*did you mean fraction",
        ),
        ({"learning_rate": -1}, r"learning_rate must be a number in \(0, inf\), got -1"),
        ({"learning_rate": "0.1"}, r"learning_rate must be .* got '0\.1'"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"momentum": 1.0}, r"momentum must be a number in \[0, 1\)"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"batch_size": True}, "batch_size must be an integer"),
        ({"max_epochs": 2.5}, "max_epochs must be an integer"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"optimizer": "sdg"}, "optimizer must be sgd, adam, .*'sdg'; did you mean sgd"),
        ({"schedule": "cosin"}, "schedule must be .*; did you mean cosine"),
        ({"nesterov": "yes"}, "nesterov must be true or false, got 'yes'"),
        ({"clip_norm": 0}, r"clip_norm must be a number in \(0, inf\) or null, got 0"),
        ({"amp": "fp8"}, "amp must be auto, true, false, bf16 or fp16"),
        ({"milestones": [1.5]}, r"milestones\[0\] must be a number in \(0, 1\), got 1\.5"),
        ({"data": "digits"}, "data must be a mapping"),
        (
            {"selection": {"fraction": 0}},
            r"selection\.fraction must be a number in \(0, 1\], got 0",
        ),
        (
            {"selection": {"fraction": 1.5}},
            r"selection\.fraction must be a number in \(0, 1\], got 1\.5",
        ),
        ({"selection": {"select_every": 0}}, r"selection\.select_every must be"),
        ({"selection": {"kappa": 2}}, r"selection\.kappa must be a number in \(0, 1\]"),
        ({"selection": {"kappa": 1}}, r"selection: kappa \(1\) of the cost leaves none"),
        ({"selection": {"kappa_of": "time"}}, r"selection\.kappa_of must be cost or epochs"),
        ({"selection": {"first_subset": 0}}, r"selection\.first_subset must be selected or ran"),
        (
            {"selection": {"kappa": 0.5, "warm_start_epochs": 3}},
            r"selection: kappa \(0\.5\) computes the warm start that warm_start_epochs \(3\) sets",
        ),
        (
            {"selection": {"settings": {"gradmach": {"regularization": 1}}}},
            r"selection\.settings\.gradmach=.* is an unknown key; did you mean gradmatch",
        ),
        ({"selection": {"settings": {"gradmatch": 3}}}, r"selection\.settings\.gradmatch must be"),
        ({"arm": "gradmatch", "max_epochs": 10}, "select_every=20 is larger than the 10 epochs"),
        (
            {"arm": "cached", "max_epochs": 30, "selection": {"warm_start_epochs": 15}},
            "select_every=20 is larger than the 15 epochs on subsets",
        ),
        ({"arm": "r5", "arms": {"r5": {"select_every": 5}}}, r"arms\.r5\.selector must be"),
        (
            {"arm": "r5", "arms": {"r5": {"selector": "craig", "every": 5}}},
            r"arms\.r5\.every=5 is an unknown key",
        ),
        (
            {"arm": "r5", "arms": {"r5": {"selector": "craig", "fraction": 7}}},
            r"arms\.r5\.fraction must be a number in \(0, 1\], got 7",
        ),
    ],
)
def test_what_is_wrong_is_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_arm(parse_settings(config))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"batch_size": 0, "lr": 1, "selection": {"fraction": 2}, "amp": "fp8"})
    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["lr", "batch_size", "amp", "selection.fraction"]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # from a trial's


def test_full_training_needs_no_interval_that_fits() -> None:
    plan = plan_arm(parse_settings({"arm": "full", "max_epochs": 3}))
    assert (plan.kind, plan.epochs, plan.warm_start_epochs) == ("full", 3, 0)


def test_searchers_numbers_are_numbers() -> None:
    config = {"learning_rate": np.float64(0.1), "batch_size": np.int64(8), "seed": torch.tensor(3)}
    settings = parse_settings({**config, "selection": {"fraction": np.float32(0.5)}})
    assert (settings.learning_rate, settings.batch_size, settings.seed) == (0.1, 8, 3)
    assert settings.selection.fraction == 0.5


def test_a_variant_overrides_the_selection_and_adds_to_the_settings() -> None:
    config = {
        "arm": "mine",
        "selection": {
            "fraction": 0.2,
            "select_every": 20,
            "settings": {"gradmatch": {"regularization": 0.1}, "craig": {"a": 1}},
        },
        "arms": {
            "mine": {
                "selector": "gradmatch",
                "select_every": 5,
                "settings": {"gradmatch": {"regularization": 0.9}},
            }
        },
    }
    settings = parse_settings(config)
    plan = plan_arm(settings)
    assert (plan.name, plan.kind, plan.selector) == ("mine", "selector", "gradmatch")
    assert (plan.selection.fraction, plan.selection.select_every) == (0.2, 5)
    assert plan.selector_settings == {"regularization": 0.9}
    assert settings.selection.settings["craig"] == {"a": 1}  # kept, though this arm reads none
    assert config["selection"]["select_every"] == 20  # what was given stays as it was


@pytest.mark.parametrize(
    ("arm", "kind", "selector"),
    [
        ("seed", "seed", "gradmatch"),
        ("cached", "cached", "cached"),
        ("full", "full", "full"),
        ("craig", "selector", "craig"),
        ("big_loss", "mini_batch", "big_loss"),
        ("early", "full", "full"),
        ("warm", "selector", "random"),
    ],
)
def test_arms_resolve(arm: str, kind: str, selector: str) -> None:
    arms = {
        "early": {"selector": "full", "time_budget_s": 3.0},
        "warm": {"selector": "random", "kappa": 0.5},
    }
    plan = plan_arm(parse_settings({"arm": arm, "arms": arms}))
    assert (plan.kind, plan.selector) == (kind, selector)
    assert plan.time_budget_s == (3.0 if arm == "early" else None)


def test_a_variants_warm_start_replaces_the_sweeps_kappa() -> None:
    config = {
        "arm": "w",
        "selection": {"kappa": 0.5},
        "arms": {"w": {"selector": "random", "warm_start_epochs": 7}},
    }
    plan = plan_arm(parse_settings(config))
    assert (plan.warm_start_epochs, plan.epochs) == (7, 300)


def test_a_trainable_may_add_keys_and_change_defaults() -> None:
    defaults = {"batch_size": 20, "window": 35, "data": {"name": "text", "root": None}}
    settings = parse_settings({"data": {"root": "x"}, "window": 5}, defaults)
    assert (settings.batch_size, settings.extra) == (20, {"window": 5})
    assert settings.data == {"name": "text", "root": "x"}
    with pytest.raises(ValueError, match="window=5 is an unknown key"):
        parse_settings({"window": 5})
