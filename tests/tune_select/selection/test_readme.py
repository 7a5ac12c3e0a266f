"""The selection README runs as printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tune_select import selection
from tune_select.selection import REPLAY_NAMES, SELECTOR_NAMES, ForgettingEvents
from tune_select.testing import SelectorConformance, make_signals

TEXT = (Path(selection.__file__).parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_usage() -> None:
    signals = make_signals(1000)
    names: dict[str, Any] = {
        "labels": signals.labels, "h": signals.inputs, "p": signals.output_gradients,
    }  # fmt: skip
    own = 'selector_named("my_package.selectors.Mine", level=3)'
    assert own in BLOCKS[0]
    exec(BLOCKS[0].replace(own, "None"), names)
    assert len(names["subset"]) == 500


_example: dict[str, Any] = {}
exec(BLOCKS[1], _example)


class TestOwnSelector(SelectorConformance):
    smallest_budget = 1

    def make(self) -> selection.Selector:
        selector = _example["Steepest"]()
        assert isinstance(selector, selection.Selector)
        return selector


def test_own_test_class_is_a_conformance_test() -> None:
    assert issubclass(_example["TestSteepest"], SelectorConformance)
    assert isinstance(_example["TestSteepest"]().make(), _example["Steepest"])


def test_every_name_has_a_card() -> None:
    for name in (*SELECTOR_NAMES, *REPLAY_NAMES):
        assert f"`{name}`" in TEXT, name


@pytest.mark.parametrize("name", SELECTOR_NAMES)
def test_settings_are_on_the_cards(name: str) -> None:
    more = {"record": ForgettingEvents(3)} if name == "forgetting" else {}
    for setting in selection.selector_named(name, **more).settings():
        assert f"`{setting}`" in TEXT or setting == "selector", setting
