"""Trials that begin with the weights which another left."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pyarrow.fs
import pytest
import torch
from torch import Tensor, nn

from trainables import ImageClassification
from trainables.loop.handing_on import HandingOn

BASE: dict[str, Any] = {
    "model": "small_cnn",
    "model_settings": {"channels": [4]},
    "max_epochs": 2,
    "learning_rate": 0.05,
    "batch_size": 16,
    "data": {"name": "digits", "train_limit": 300},
    "energy": False,
}


def of(folder: Path) -> HandingOn:
    return HandingOn(pyarrow.fs.LocalFileSystem(), str(folder))


def test_weights_and_buffers_come_back_as_they_were_left(tmp_path: Path) -> None:
    left, taken = (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in "ab")
    left(torch.randn(5, 3))  # moves the running statistics
    of(tmp_path).leave("one", left)
    of(tmp_path).take("one", taken)
    for name, value in left.state_dict().items():
        assert torch.equal(value, taken.state_dict()[name])
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["one.pt"]


def test_what_is_not_there_or_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="start_from is 'one', but that trial has left no weights"):
        of(tmp_path).take("one", nn.Linear(3, 2))
    of(tmp_path).leave("one", nn.Linear(3, 2))
    with pytest.raises(ValueError, match="'one', whose model is another .*size mismatch"):
        of(tmp_path).take("one", nn.Linear(4, 2))


def test_a_file_of_weights_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    ran = tmp_path / "ran"
    torch.save({"weight": Touch(str(ran))}, tmp_path / "weights" / "one.pt")
    with pytest.raises(pickle.UnpicklingError):
        of(tmp_path).take("one", nn.Linear(3, 2))
    assert not ran.exists()


class Touch:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


def trial(folder: Path, name: str, **changes: Any) -> ImageClassification:
    """A trial whose results lie in a folder of its own below one for all."""

    class Placed(ImageClassification):
        trial_id = name

        def _results_folder(self) -> tuple[pyarrow.fs.FileSystem, str]:
            return pyarrow.fs.LocalFileSystem(), str(folder / name)

    return Placed({**BASE, **changes})


def weights(one: ImageClassification) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in one.task.model.state_dict().items()}


def test_a_trial_begins_with_what_the_other_had_at_its_end_and_nothing_else(
    tmp_path: Path,
) -> None:
    below = trial(tmp_path, "below", leave_weights=True)
    below.step()
    assert not (tmp_path / "weights").exists()  # it has not ended
    assert below.step()["done"]
    above = trial(tmp_path, "above", start_from="below", seed=3)
    for name, value in weights(below).items():
        assert torch.equal(value, weights(above)[name])
    report = above.step()
    fresh = trial(tmp_path, "fresh", seed=3).step()
    assert (report["epoch"], report["learning_rate"]) == (1, fresh["learning_rate"])
    assert report["train_loss"] < fresh["train_loss"]
    above.step()
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["below.pt"]


def test_a_checkpoint_counts_for_more_than_what_it_began_with(tmp_path: Path) -> None:
    trial(tmp_path, "below", leave_weights=True, max_epochs=1).step()
    whole = trial(tmp_path, "whole", start_from="below")
    whole.step()
    (tmp_path / "saved").mkdir()
    whole.save_checkpoint(str(tmp_path / "saved"))
    again = trial(tmp_path, "again", start_from="below")
    again.load_checkpoint(str(tmp_path / "saved"))
    assert whole.step()["train_loss"] == again.step()["train_loss"]
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(again)[name])
