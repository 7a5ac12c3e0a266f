"""A trial that starts from somebody's weights, and trains a part of a model alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from trainables import ImageClassification
from trainables.models import build_model
from trainables.models.notes import notes_of
from trainables.models.weights import read_weights
from tune_select.history import SubsetHistory

BASE: dict[str, Any] = {
    "model": "torchvision/mobilenet_v3_small",
    "max_epochs": 1,
    "batch_size": 64,
    "data": {"name": "digits", "train_limit": 60},
    "selection": {"algorithm": "gradmatch", "fraction": 0.2, "select_every": 1},
    "energy": False,
}


@pytest.fixture(scope="module")
def learned() -> dict[str, Tensor]:
    """Of torchvision's own form: RGB images, 1,000 classes, a stem for 224 pixels."""
    import torchvision

    torch.manual_seed(7)
    return dict(torchvision.models.mobilenet_v3_small().state_dict())


def trial(**changes: Any) -> ImageClassification:
    return ImageClassification({**BASE, **changes})


@pytest.mark.parametrize("wrapped", ["safetensors", "plain", "module.", "checkpoint"])
def test_weights_come_from_files_of_any_usual_form(
    learned: dict[str, Tensor], wrapped: str, tmp_path: Path
) -> None:
    file = tmp_path / ("w.safetensors" if wrapped == "safetensors" else "w.pt")
    if wrapped == "safetensors":
        save_file(learned, file)
    elif wrapped == "plain":
        torch.save(learned, file)
    elif wrapped == "module.":
        torch.save({f"module.{name}": value for name, value in learned.items()}, file)
    else:
        torch.save({"epoch": 3, "state_dict": learned}, file)
    one = trial(weights=str(file))
    own: Any = one.task.model
    stem = own.features[0][0]
    torch.testing.assert_close(stem.weight, learned["features.0.0.weight"].sum(1, keepdim=True))
    assert torch.equal(own.classifier[0].weight, learned["classifier.0.weight"])
    assert own.classifier[3].out_features == 10
    assert any("fresh: classifier.3.bias, classifier.3.weight" in t for t in notes_of(own))


def test_a_trial_goes_on_from_another_trials_checkpoint(tmp_path: Path) -> None:
    first = trial(model="small_cnn")
    first.step()
    first.save_checkpoint(str(tmp_path))
    second = trial(model="small_cnn", weights=str(tmp_path / "trial.pt"), seed=5)
    for a, b in zip(first.task.model.parameters(), second.task.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_learned_kernel_of_another_size_takes_the_place_of_ours(tmp_path: Path) -> None:
    import torchvision

    torch.save(torchvision.models.resnet18(num_classes=10).state_dict(), tmp_path / "r.pt")
    model: Any = trial(model="resnet18", weights=str(tmp_path / "r.pt")).task.model
    assert model.conv1.kernel_size == (7, 7)
    assert model.conv1.stride == (1, 1)
    with torch.inference_mode():
        assert model(torch.randn(2, 1, 8, 8)).shape == (2, 10)


def test_weights_of_another_model_are_refused_by_name(
    learned: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(learned, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"w.pt does not fit the model: .* is not there"):
        trial(model="small_cnn", weights=str(tmp_path / "w.pt"))
    torch.save({"epoch": 3}, tmp_path / "no.pt")
    with pytest.raises(ValueError, match="holds no tensors by name"):
        read_weights(str(tmp_path / "no.pt"))
    torch.save(build_model("lenet", 10, 1, 8), tmp_path / "whole.pt")
    with pytest.raises(ValueError, match="cannot be read as tensors alone.*state_dict"):
        read_weights(str(tmp_path / "whole.pt"))
    with pytest.raises(ValueError, match="weights is 'here.pt', but there is no file /"):
        read_weights("here.pt")


def test_what_is_frozen_stays_bit_for_bit_and_the_rest_learns(tmp_path: Path) -> None:
    """Statistics of batch normalisation too; selection and replay go on as ever."""
    history = str(tmp_path / "history")
    for arm in ("seed", "cached"):
        one = trial(arm=arm, freeze="backbone", history=history, learning_rate=0.1,
                    model="torchvision/shufflenet_v2_x0_5")  # fmt: skip
        model = one.task.model
        before = {name: value.clone() for name, value in model.state_dict().items()}
        report = one.step()
        changed = {
            n for n, value in model.state_dict().items() if not torch.equal(value, before[n])
        }
        assert changed == {"fc.weight", "fc.bias"}
        assert report["epoch"] == 1
    assert SubsetHistory.load(history).complete


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [(["features.0", "features.1"], "features.1.block.0.0.weight"), ("feat", "features.0.0.weight"),
     (["classifier.0.weight"], "classifier.0.weight")],
)  # fmt: skip
def test_parts_are_frozen_by_name_or_beginning(freeze: Any, frozen: str) -> None:
    parameters = dict(trial(freeze=freeze).task.model.named_parameters())
    assert not parameters[frozen].requires_grad
    assert parameters["classifier.3.weight"].requires_grad
    assert parameters["features.2.block.0.0.weight"].requires_grad == (freeze != "feat")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": "featurs"}, "freeze names 'featurs'.*did you mean features"),
        ({"freeze": ["features", "classifier"]}, "leaves nothing of the model to train"),
        ({"freeze": 3}, "freeze must be backbone, or the names"),
        ({"weights": 3}, "weights must be a file, default, or null"),
    ],
)
def test_what_cannot_be_frozen_or_loaded_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trial(**settings)
