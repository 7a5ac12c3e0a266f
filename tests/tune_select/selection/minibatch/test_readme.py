"""The examples of the package's README run as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import tune_select.selection.minibatch as package
from tune_select.selection.minibatch import SELECTOR_NAMES, selector_named

TEXT = (Path(package.__file__).parent / "README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def test_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("python"), {})
    assert "torch.Size([43]) tensor(1.)" in capsys.readouterr().out


def test_yaml_names_selectors_that_there_are() -> None:
    sweep = yaml.safe_load(block("yaml"))
    for arm in sweep["arms"]:
        if isinstance(arm, dict):
            selector_named(arm["selector"], **arm["settings"][arm["selector"]])
        else:
            assert arm == "full" or arm in SELECTOR_NAMES


@pytest.mark.parametrize("name", SELECTOR_NAMES)
def test_every_method_has_a_card(name: str) -> None:
    assert re.search(rf"^### .*`{name}`", TEXT, re.MULTILINE)
