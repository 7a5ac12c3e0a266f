from __future__ import annotations

from pathlib import Path

import pytest

from trainables.studies.proxy import main
from trainables.text_classification import TextClassification
from tune_select.selection.forgetting import ForgettingEvents

MODEL = {"width": 8, "feedforward": 8}


def test_the_record_of_a_run_serves_the_selector(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.yaml").write_text(
        "name: proxy\n"
        "trainable: trainables.TextClassification\n"
        "data: {name: opinions, train_size: 100, test_size: 20}\n"
        "train: {max_epochs: 20, model_settings: {width: 8, feedforward: 8}, device: cpu}\n"
        "space: {learning_rate: [0.01]}\n"
        "arms: [full, {name: late, selector: random, warm_start_epochs: 5, select_every: 10}]\n"
    )
    path = tmp_path / "records" / "proxy.npz"
    # Fewer epochs than the interval of the sweep, and than that of one of its arms.
    fewer = ["-o", "train.max_epochs=3", "-o", "train.model_settings.width=8"]
    main([str(tmp_path / "sweep.yaml"), str(path), *fewer])
    assert "3 epochs" in capsys.readouterr().out
    assert len(ForgettingEvents.load(path)) == 90
    trainable = TextClassification(
        {
            "arm": "forgetting",
            "data": {"name": "opinions", "train_size": 100, "test_size": 20},
            "max_epochs": 1,
            "model_settings": MODEL,
            "selection": {
                "fraction": 0.2,
                "select_every": 1,
                "settings": {"forgetting": {"record": str(path)}},
            },
        }
    )
    assert trainable.train()["subset_size"] == 18
    trainable.stop()
