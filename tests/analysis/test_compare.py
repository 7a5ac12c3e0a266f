from pathlib import Path

import pandas as pd
import pytest

from analysis import ResultsError, build_comparison, compare, load
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import Sweep


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("compare")
    made = [
        Sweep(fraction=f, name=f"at {f}", seeds=(0, 1), noise=0.01).write(root / f"f{f}")
        for f in (0.1, 0.3)
    ]
    return [*made, write_hand_sweep(root / "hand", ("seed", "cached", "full"))]


def test_the_papers_tables_over_folders(folders: list[Path], tmp_path: Path) -> None:
    page = compare(folders, tmp_path / "out", resamples=100)
    assert page == tmp_path / "out" / "comparison.html"
    tables = {p.stem: pd.read_csv(p) for p in (tmp_path / "out" / "tables").glob("*.csv")}
    assert {
        *("sweeps", "fractions", "cheapest_fraction", "speedup_learning_rate"),
        *("strategy_accuracy", "strategy_time", "targets", "similarity", "wilcoxon"),
    } <= set(tables)
    accuracy = tables["strategy_accuracy"]
    rows = accuracy[accuracy["dataset"] == "synthetic"].set_index("arm")
    search = load(folders[1]).search
    expected = search[search["arm"] == "cached"]["test"].mean()
    assert rows.at["cached", "30%"] == pytest.approx(expected)
    hand = tables["speedup_learning_rate"].query("sweep == 'by hand' and arm == 'cached'").iloc[0]
    assert (hand["0.01"], hand["0.1"]) == pytest.approx((5.0, 7.5))
    assert hand["0.001 note"] == "not run"
    targets = tables["targets"].query("sweep == 'by hand' and arm == 'cached'").iloc[0]
    assert targets["final_error"] == pytest.approx((0.2 + 0.1) / 2)
    text = page.read_text(encoding="utf-8")
    assert "by hand has no GradMatch, no RandomPB." in text
    assert "not known in 1 of 3" in text
    # Both synthetic seeds select from one training set; the hand sweep has no history.
    assert len(tables["similarity"]) == 1


def test_sections_without_writing(folders: list[Path]) -> None:
    ids = [section.id for section in build_comparison([load(f) for f in folders[2:]])]
    assert ids[0] == "sweeps"
    assert "similarity" not in ids


def test_bad_input_is_named(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        compare([], tmp_path)
    with pytest.raises(ValueError, match="twice"):
        compare([folders[0], folders[0]], tmp_path)
    with pytest.raises(ResultsError, match="does not exist"):
        compare([folders[0], tmp_path / "nowhere"], tmp_path)
