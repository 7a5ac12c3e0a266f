"""A relative path in a configuration is the driver's, though each trial works in its own folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from trainables import TextClassification, text_classification
from trainables.detection.backbones import resnet_body
from trainables.settings.trial import parse_settings
from tune_select.selection.forgetting import ForgettingEvents


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sweep was started; the test itself runs where Tune puts a trial."""
    start, trial = tmp_path / "start", tmp_path / "trial"
    start.mkdir()
    trial.mkdir()
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", str(start))
    monkeypatch.chdir(trial)
    return start


def test_the_weights_of_a_backbone(start: Path) -> None:
    source = torchvision.models.resnet18()
    torch.save(source.state_dict(), start / "trunk.pth")
    body, _ = resnet_body("resnet18", "trunk.pth")
    assert torch.equal(body[0].weight, source.conv1.weight)


def test_the_record_of_a_proxy_run(start: Path) -> None:
    ForgettingEvents(5).save(start / "record.npz")
    assert len(ForgettingEvents.load("record.npz").state_dict()["events"]) == 5


def test_the_folder_of_a_pretrained_encoder(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (start / "encoder").mkdir()
    read: list[Path] = []

    def encoder(folder: Path, classes: int) -> None:
        read.append(folder)
        raise NotImplementedError

    monkeypatch.setattr(text_classification, "pretrained_encoder", encoder)
    data = {"name": "opinions", "train_size": 20, "test_size": 10}
    dataset = TextClassification.load_dataset({"data": data})
    settings = parse_settings({"model": "encoder", "data": data}, TextClassification.defaults)
    subject = object.__new__(TextClassification)
    with pytest.raises(NotImplementedError):
        subject.make_task(settings, dataset, torch.device("cpu"))
    assert read == [start / "encoder"]
