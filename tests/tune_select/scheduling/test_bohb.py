"""BOHB's libraries are optional; without them the sweep says so before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from tune_select.sweep.config import SweepError
from tune_select.sweep.plan import make_plan
from tune_select.sweep.yaml_file import parse_sweep

pytestmark = [
    # The last release of hpbandster is of 2018.
    pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning"),
]

SWEEP: dict[str, Any] = {
    "name": "bohb",
    "train": {"max_epochs": 8, "learning_rate": 0.1},
    "selection": {"select_every": 2},
    "space": {"learning_rate": {"loguniform": [1e-3, 1.0]}},
    "arms": ["cached"],
    "tune": {
        "searcher": "ray.tune.search.bohb.TuneBOHB",
        "scheduler": "ray.tune.schedulers.HyperBandForBOHB",
        "scheduler_options": {"max_t": 8},
    },
}


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.tune.search.bohb import bohb_search

    monkeypatch.setattr(bohb_search, "BOHB", None)
    with pytest.raises(SweepError, match=r"tune\.searcher.*TuneBOHB.*HpBandSter must be inst"):
        make_plan(parse_sweep(SWEEP))


def test_with_its_libraries_it_is_a_plan() -> None:
    pytest.importorskip("ConfigSpace", reason="BOHB needs ConfigSpace and hpbandster")
    pytest.importorskip("hpbandster")
    assert make_plan(parse_sweep(SWEEP)).metric == "val_accuracy"
