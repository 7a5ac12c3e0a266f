"""Selectors by name."""

from __future__ import annotations

from typing import Any

import pytest

from tune_select.selection.minibatch import (
    SELECTOR_NAMES,
    AdaSelection,
    BigLoss,
    MiniBatchSelector,
    Scheduled,
    Stale,
    Uniform,
    is_selector_name,
    selector_named,
)


@pytest.mark.parametrize("name", SELECTOR_NAMES)
def test_every_name_builds(name: str) -> None:
    assert isinstance(selector_named(name), MiniBatchSelector)
    assert is_selector_name(name)


@pytest.mark.parametrize("separator", [".", ":"])
def test_import_strings(separator: str) -> None:
    name = f"tune_select.selection.minibatch{separator}BigLoss"
    assert isinstance(selector_named(name), BigLoss)
    assert is_selector_name(name)


def test_settings_reach_the_constructor() -> None:
    assert selector_named("selective_backprop", beta=2).settings()["beta"] == 2


def test_wrappers_by_setting() -> None:
    stale = selector_named("selective_backprop", stale=3)
    assert isinstance(stale, Stale)
    both = selector_named("big_loss", stale=2, start=0.5, interrupt=2)
    assert isinstance(both, Scheduled)
    assert both.settings() == {
        "selector": {"Stale": {"selector": {"BigLoss": {}}, "every": 2}},
        "start": 0.5,
        "end": 1.0,
        "interrupt": 2,
    }


def test_pools_by_name() -> None:
    pool = ["big_loss", {"selective_backprop": {"beta": 2}}, Uniform()]
    ada = selector_named("ada_selection", pool=pool, beta=-0.5)
    assert isinstance(ada, AdaSelection)
    assert ada.settings()["pool"] == [
        {"BigLoss": {}},
        {"SelectiveBackprop": {"beta": 2, "history_size": 1024}},
        {"Uniform": {}},
    ]
    assert len(selector_named("ada_selection").settings()["pool"]) == 3


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("big_los", {}, "did you mean big_loss"),
        ("nothing_like_it_at_all_xyz", {}, "known: uniform"),
        ("big_loss", {"beta": 1}, "unknown setting beta=1 of big_loss"),
        ("no.such.module", {}, "there is no module 'no'"),
        ("torch.nn.Linear", {}, "not a MiniBatchSelector"),
        ("ada_selection", {"pool": ["ada_selection"]}, "no score per example"),
        ("ada_selection", {"pool": []}, "at least one"),
        ("ada_selection", {"pool": "big_loss"}, "must be a list"),
        ("selective_backprop", {"beta": -1}, "beta must be at least 0"),
        ("gradient_matching", {"stale": 2}, "needs gradients"),
    ],
)
def test_bad_names_and_settings(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        selector_named(name, **settings)


def test_other_names_are_not_ours() -> None:
    assert not any(is_selector_name(name) for name in ("gradmatch", "full", "torch.nn.Linear"))
