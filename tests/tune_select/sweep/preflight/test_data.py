"""``tune-select data check``: everything opened once, described or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tune_select.cli import app
from tune_select.sweep.config import SweepError
from tune_select.sweep.preflight.data import describe_data
from tune_select.sweep.yaml_file import parse_sweep

SWEEP = {
    "name": "s",
    "trainable": "trainables.ImageClassification",
    "data": {"name": "digits", "train_limit": 50},
    "space": {"learning_rate": [0.01, 0.02]},
    "arms": ["full"],
}


def test_the_command_line_describes_a_sweeps_data(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(SWEEP))
    done = CliRunner().invoke(app, ["data", "check", str(tmp_path / "s.yaml")])
    assert done.exit_code == 0, done.output
    assert "examples: train 50, validation 144, test 359" in done.output
    assert "classes: 10: 0 (5)" in done.output


def test_what_is_not_opened_is_said_and_what_is_wrong_is_one_error() -> None:
    varied = parse_sweep({**SWEEP, "space": {"data.label_noise": [0.0, 0.1]}})
    assert describe_data(varied)[-1] == "not opened: what the space's data.label_noise make of it"
    with pytest.raises(SweepError, match="data.name must be one of"):
        describe_data(parse_sweep({**SWEEP, "data": {"name": "nothing"}}))


def test_a_trainable_without_shared_data_says_so() -> None:
    config = parse_sweep({**SWEEP, "trainable": "tests.tune_select.toy.Toy"})
    assert len(describe_data(config)) == 1
