"""The options of ``tune-select report`` and ``compare``."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.analysis.hand_sweep import write_hand_sweep
from tune_select.cli import app


def test_a_price_per_hour_prices_the_sweep(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path / "sweep")
    said = CliRunner().invoke(
        app, ["report", str(folder), "--price-per-hour", "3.6", "--currency", "EUR"]
    )
    assert said.exit_code == 0, said.output
    assert said.output.strip() == str(folder / "report.html")
    assert "at 3.6 EUR per CPU-hour" in (folder / "report.html").read_text(encoding="utf-8")
    costs = pd.read_csv(folder / "tables" / "cost.csv").set_index("arm")
    # gradmatch: 8 s of training, 4 s of selection, 2 s of evaluation.
    assert costs.at["gradmatch", "price"] == pytest.approx(14 / 3600 * 3.6)


def test_options_out_of_range_are_named(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path / "sweep")
    said = CliRunner().invoke(app, ["report", str(folder), "--level", "2"])
    assert said.exit_code != 0
    assert "level must be in (0, 1), got 2.0" in str(said.exception)
