from __future__ import annotations

import json

import pytest
import torch

from tune_select.selection import (
    SELECTOR_NAMES,
    ForgettingEvents,
    GradMatch,
    PerBatch,
    Random,
    Selector,
    selector_named,
    trials_own,
)
from tune_select.testing import make_signals


@pytest.mark.parametrize("name", SELECTOR_NAMES)
def test_every_name_selects(name: str) -> None:
    signals = make_signals(30)
    settings = {}
    if name == "forgetting":
        record = ForgettingEvents(30)
        settings = {"record": record}
    if name.endswith("_pb"):
        settings = {"batch_size": 5}
    selector = selector_named(name, **settings)
    subset = selector.select(signals, 10, torch.Generator().manual_seed(0))
    assert len(subset) == (30 if name == "full" else 10)
    json.dumps(selector.settings())


def test_names_the_papers_use() -> None:
    papers = (
        "random", "random_once", "random_pb", "gradmatch", "gradmatch_pb", "craig", "craig_pb",
        "glister", "facility_location", "entropy", "forgetting",
    )  # fmt: skip
    assert set(papers) <= set(SELECTOR_NAMES)


def test_settings_reach_the_selector() -> None:
    selector = selector_named("gradmatch_pb", batch_size=16, regularization=0.25)
    assert isinstance(selector, PerBatch)
    assert selector.batch_size == 16
    assert selector.settings()["regularization"] == 0.25
    assert repr(selector_named("random")) == "Random()"
    layer = selector_named("gradmatch_all")
    assert isinstance(layer, GradMatch)
    assert not layer.per_class


@pytest.mark.parametrize(
    ("name", "setting", "said"),
    [
        ("gradmatch", "lamda", "known: regularization, tolerance"),
        ("gradmatch_pb", "regularisation", "did you mean regularization"),
        ("gradmatch_pb", "batchsize", "did you mean batch_size"),
        ("gradmatch_all", "gradient", "did you mean gradients"),
        ("random", "replacement", "known: none"),
    ],
)
def test_a_setting_that_a_selector_lacks_is_named(name: str, setting: str, said: str) -> None:
    with pytest.raises(ValueError, match=rf"^unknown setting {setting}=1 of {name}; {said}"):
        selector_named(name, **{setting: 1})


class TakesAny(Random):
    """A user's own, whose settings only it knows."""

    def __init__(self, **settings: int) -> None:
        self.own = settings


def test_what_takes_any_setting_is_given_any() -> None:
    assert selector_named(f"{__name__}.TakesAny", depth=3).own == {"depth": 3}  # type: ignore[attr-defined]


def test_what_a_selector_takes_from_its_trial() -> None:
    assert trials_own("random_pb") == {"batch_size", "seed"}
    assert trials_own("gradmatch_pb") == {"batch_size", "seed"}
    assert trials_own("random_once") == {"seed"}
    assert trials_own("random") == trials_own("gradmatch") == frozenset()
    assert trials_own(f"{__name__}.Own") == frozenset()


class Own(Selector):
    """A user's own class, found by import string."""

    def __init__(self, *, level: int = 3) -> None:
        self.level = level

    select = Random.select

    def settings(self) -> dict[str, object]:
        return {"level": self.level}


@pytest.mark.parametrize("separator", [".", ":"])
def test_import_strings(separator: str) -> None:
    selector = selector_named(f"{__name__}{separator}Own", level=5)
    assert isinstance(selector, Own)
    assert selector.level == 5
    assert repr(selector) == "Own(level=5)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gradmatsch", "gradmatch_pb"),
        ("no.such.module.Class", "there is no module 'no'"),
        ("torch.nn.NoSuchThing", "has no 'NoSuchThing'"),
        ("torch.nn.Linear", "not a subclass"),
        ("torch.manual_seed", "not a subclass"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        selector_named(name)


def test_unknown_settings() -> None:
    with pytest.raises(ValueError, match="lambda_"):
        selector_named("gradmatch", lambda_=0.5)
