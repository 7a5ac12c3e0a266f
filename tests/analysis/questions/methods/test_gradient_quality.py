"""The study's file as the report reads it."""

from pathlib import Path

import pandas as pd
import pytest

from analysis import load
from analysis.questions.methods.gradient_quality import (
    FILE,
    agreement_by_epoch,
    read_gradient_quality,
)
from analysis.sections.methods.gradient_quality import gradient_quality
from tests.analysis.hand_sweep import write_hand_sweep


def rows(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strategy": ["uniform", "uniform", "big_loss", "uniform"],
            "relative_squared_error": [1.0, 2.0, 8.0, 4.0],
            **columns,
        }
    )


def test_agreement_by_epoch_by_hand(tmp_path: Path) -> None:
    rows(epoch=[3, 0, 0, 0], cosine=[0.9, 0.2, 0.1, 0.4], same_sign=[0.8, 0.6, 0.5, 0.7]).to_csv(
        tmp_path / FILE, index=False
    )
    frame = read_gradient_quality(tmp_path)
    assert frame is not None
    means = agreement_by_epoch(frame)
    assert means[["arm", "epoch"]].to_numpy().tolist() == [
        ["uniform", 0],
        ["big_loss", 0],
        ["uniform", 3],
    ]
    assert means["cosine"].tolist() == pytest.approx([0.3, 0.1, 0.9])
    assert means["same_sign"].tolist() == pytest.approx([0.65, 0.5, 0.8])

    texts: list[str] = []
    items = gradient_quality(load(write_hand_sweep(tmp_path)), texts)
    assert [item.name for item in items] == [
        "gradient_quality",
        "gradient_agreement",
        "gradient_agreement_cosine",
        "gradient_agreement_same_sign",
    ]
    assert items[0].frame["squared_error"].tolist() == [2.0, 8.0, 4.0]  # of the first epoch alone
    assert texts == []


def test_files_of_before_show_their_errors_alone(tmp_path: Path) -> None:
    rows().to_csv(tmp_path / FILE, index=False)
    items = gradient_quality(load(write_hand_sweep(tmp_path)), [])
    assert [item.name for item in items] == ["gradient_quality"]
    assert len(items[0].frame) == 4
