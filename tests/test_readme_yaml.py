"""Every YAML block of every README is a sweep, or the part of one that it is said to be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tune_select.sweep.plan import make_plan
from tune_select.sweep.validation import validate_sweep
from tune_select.sweep.yaml_file import parse_sweep

ROOT = Path(__file__).parents[1]
REST: dict[str, Any] = {
    "name": "printed",
    "data": {"name": "digits"},
    "train": {"model": "small_cnn", "max_epochs": 40, "learning_rate": 0.1},
    "space": {"learning_rate": [0.1]},
    "tune": {"seeds": [0, 1], "seed_by": ["seed"]},
}


def _blocks() -> list[Any]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.split() or [str(p.relative_to(ROOT)) for p in ROOT.rglob("README.md")]
    found = []
    for name in names:
        texts = re.findall(r"```ya?ml\n(.*?)```", (ROOT / name).read_text("utf-8"), re.DOTALL)
        found += [pytest.param(text, id=f"{name}:{n}") for n, text in enumerate(texts)]
    return found


@pytest.mark.parametrize("text", _blocks())
def test_a_yaml_block_is_valid_as_printed(text: str) -> None:
    part = yaml.safe_load(text)
    rest = {"seeds": [0]} if "ladder" in part.get("tune", {}) else REST["tune"]
    config = parse_sweep({**REST, **part, "tune": {**rest, **part.get("tune", {})}})
    if "cluster" in part:  # there is none to ask here
        make_plan(config)
    else:
        validate_sweep(config)


def test_there_are_blocks_to_check() -> None:
    assert len(_blocks()) >= 3
