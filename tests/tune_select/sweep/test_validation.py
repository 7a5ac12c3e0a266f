from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.run import run_sweep
from tune_select.sweep.validation import forecast_sweep, validate_sweep
from tune_select.sweep.yaml_file import parse_sweep

ENTRIES = [validate_sweep, forecast_sweep, run_sweep]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_every_way_in_refuses_what_this_machine_has_not(
    entry: Callable[[SweepConfig], Any], tmp_path: Path
) -> None:
    """A forecast is a validation too: what only one of them checks is found by chance."""
    sweep = {
        "name": "s",
        "storage_path": str(tmp_path),
        "space": {"learning_rate": [0.1]},
        "train": {"learning_rate": 0.1, "max_epochs": 40},
        "resources": {"cpu": 4096},
    }
    with pytest.raises(SweepError, match=r"resources.*4096"):
        entry(parse_sweep(sweep))
    assert not (tmp_path / "s").exists()
