"""Every model at the sizes it should fit, and the errors of those that cannot be built."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainables.models import MODEL_NAMES, build_model
from tune_select.selection.heads.find import weight_layers

SHAPES = [(1, 8), (3, 28)]


class Linear(nn.Module):
    """A user's own model, which only takes the number of classes and a width."""

    def __init__(self, num_classes: int, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.LazyLinear(width), nn.Linear(width, num_classes)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(images)
        return logits


def anything(**keywords: object) -> nn.Module:
    return nn.Linear(int(str(keywords["image_size"])), int(str(keywords["num_classes"])))


def not_a_model(num_classes: int) -> int:
    return num_classes


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize(("channels", "size"), SHAPES)
def test_models_take_small_images_of_any_channels(name: str, channels: int, size: int) -> None:
    model = build_model(name, 7, channels, size).eval()
    with torch.inference_mode():
        assert model(torch.randn(2, channels, size, size)).shape == (2, 7)
    assert list(weight_layers(model).values())[-1].out_features == 7


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121"])
def test_large_images_get_torchvisions_stems(name: str) -> None:
    with torch.inference_mode():
        small = build_model(name, 2, 3, 64).eval()
        large = build_model(name, 2, 3, 96).eval()
        features = {}
        for model, size in ((small, 64), (large, 96)):
            seen = []
            stem = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
            stem.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out.shape[-1]))
            model(torch.randn(1, 3, size, size))
            features[size] = seen[0]
    assert features == {64: 64, 96: 48}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # Counts that the papers' CIFAR-10 forms are known by: He et al.'s ResNet-18 with a 3 x 3
        # stem 11.17 million, Zagoruyko and Komodakis' WRN-16-4 2.7 and WRN-28-2 1.5 million,
        # LeNet-5 on 28 x 28 61,706.
        ("resnet18", 11_173_962),
        ("wide_resnet16_4", 2_748_890),
        ("wide_resnet28_2", 1_467_610),
        ("wide_resnet16_8", 10_961_370),
        ("wide_resnet28_10", 36_479_194),
    ],
)
def test_sizes_are_the_papers(name: str, count: int) -> None:
    assert sum(p.numel() for p in build_model(name, 10, 3, 32).parameters()) == count


def test_wide_resnets_drop_in_training_alone() -> None:
    model = build_model("wide_resnet16_4", 10, 3, 8, {"dropout": 0.5})
    images = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        assert not torch.equal(model(images), model(images))
        model.eval()
        assert torch.equal(model(images), model(images))
    with pytest.raises(ValueError, match="dropout must be in"):
        build_model("wide_resnet28_2", 10, 3, 8, {"dropout": 1.0})


def test_lenet_is_the_classic_on_mnist() -> None:
    assert sum(p.numel() for p in build_model("lenet", 10, 1, 28).parameters()) == 61_706


def test_settings_reach_the_model() -> None:
    model = build_model("small_cnn", 10, 3, 16, {"channels": [4, 6]})
    assert [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)] == [4, 6]
    with pytest.raises(ValueError, match=r"model_settings\.chanels is not taken by.*channels"):
        build_model("small_cnn", 10, 3, 16, {"chanels": [4]})


@pytest.mark.parametrize("kind", ["Linear", "anything"])
def test_import_strings_get_what_their_signature_takes(kind: str) -> None:
    assert isinstance(build_model(f"{__name__}.{kind}", 5, 3, 8), nn.Module)


def test_what_cannot_be_built_is_named() -> None:
    with pytest.raises(ValueError, match=r"model must be one of small_cnn, .*'resnet1'"):
        build_model("resnet1", 10, 3, 32)
    with pytest.raises(ValueError, match="no module 'no_such_module'"):
        build_model("no_such_module.Model", 10, 3, 32)
    with pytest.raises(TypeError, match=r"not_a_model' made a int, not a torch\.nn\.Module"):
        build_model(f"{__name__}.not_a_model", 10, 3, 32)
    with pytest.raises(ValueError, match="patch_size=5 does not divide image_size=32"):
        build_model("vit", 10, 3, 32, {"patch_size": 5})
    with pytest.raises(ValueError, match="LeNet needs images of at least 4 x 4"):
        build_model("lenet", 10, 1, 2)
