"""Models of other libraries and of the user's own, by name, made to fit the images."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from trainables.models import build_model
from trainables.models.calling import accepted
from trainables.models.fitting import spread_channels
from trainables.models.notes import notes_of

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is an extra")
CALLS: list[dict[str, Any]] = []


class Tiny(nn.Module):
    """Somebody's classifier of RGB images with ten classes."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.gate = nn.Linear(4, 4)
        self.stem = nn.Conv2d(3, 4, 3)
        self.top = nn.Linear(4, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images).relu().mean((2, 3))
        logits: Tensor = self.top(features * self.gate(features).sigmoid())
        return logits


class Unshuffling(Tiny):
    """Its first convolution sees other channels than the images have, on purpose."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.stem = nn.Conv2d(12, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(nn.functional.pixel_unshuffle(images, 2))


def without_arguments() -> nn.Module:
    return Tiny(1000)


def with_width(width: int, **keywords: Any) -> nn.Module:
    CALLS.append(keywords)
    return Tiny(**keywords)


def handing_on(**keywords: Any) -> nn.Module:
    return Tiny(**keywords)


def swallowing(**keywords: Any) -> nn.Module:
    return Tiny(7)


def fixed_classes(**keywords: Any) -> nn.Module:
    return Tiny(num_classes=7, **keywords)


def annotated(depth: int = 1, **keywords: Any) -> Tiny:
    return Tiny(**keywords)


class Inheriting(Tiny):
    def __init__(self, depth: int = 1, **keywords: Any) -> None:
        super().__init__(**keywords)


class Bare(nn.Module):
    """Its last map is a matrix of its own, which no layer could take the place of."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(192, 7))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


class Dictionary(Tiny):
    def forward(self, images: Tensor) -> Any:
        return {"logits": super().forward(images)}


def outputs(model: nn.Module, channels: int, size: int) -> tuple[int, ...]:
    with torch.inference_mode():
        return tuple(model.eval()(torch.randn(2, channels, size, size)).shape)


@pytest.mark.parametrize(
    "name",
    ["without_arguments", "handing_on", "swallowing", "fixed_classes", "annotated", "Inheriting",
     "Tiny"],
)  # fmt: skip
@pytest.mark.parametrize("separator", [".", ":"])
def test_any_factory_names_the_classes_of_images_of_any_channels(name: str, separator: str) -> None:
    model = build_model(f"{__name__}{separator}{name}", 5, 1, 8)
    assert outputs(model, 1, 8) == (2, 5)
    assert any("3 input channels became 1" in text for text in notes_of(model))
    assert ("top: " in str(notes_of(model))) == (
        name in ("without_arguments", "swallowing", "fixed_classes")
    )


def test_a_first_convolution_that_fits_in_its_own_way_is_left_alone() -> None:
    model = build_model(f"{__name__}.Unshuffling", 5, 3, 8)
    assert outputs(model, 3, 8) == (2, 5)
    assert not notes_of(model)


def test_factories_are_told_what_they_take_and_nothing_else() -> None:
    CALLS.clear()
    build_model(f"{__name__}.with_width", 5, 3, 8, {"width": 3})
    assert CALLS == [{"num_classes": 5}]
    with pytest.raises(ValueError, match="needs 'width', which the data do not tell.*model_settin"):
        build_model(f"{__name__}.with_width", 5, 3, 8)
    assert accepted(annotated).names == ("depth", "num_classes")
    assert accepted(Inheriting).names == ("depth", "num_classes")
    assert not accepted(annotated).unknown
    assert "image_size" in accepted(torchvision.models.vit_b_16).names
    assert accepted(handing_on).alone


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bare", r"gives \(7,\) outputs for 5 classes.*let the function or class take num_class"),
        ("Dictionary", r"must return logits \(B, num_classes\), got a dict"),
    ],
)
def test_what_cannot_be_made_to_fit_is_refused_with_a_remedy(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(f"{__name__}.{name}", 5, 3, 8, {"num_classes": 5} if name != "Bare" else {})


def test_names_are_guessed() -> None:
    for name, meant in [
        ("resnet81", "resnet18"),
        ("torchvision/resnet81", "resnet18"),
        ("torchvision.models.resnet81", "resnet18"),
    ]:
        with pytest.raises(ValueError, match=f"did you mean {meant}"):
            build_model(name, 5, 3, 8)


def test_torchvisions_resnet_is_ours() -> None:
    """The same stem for small images, the same number of weights: He et al.'s CIFAR form."""
    for name in ("torchvision/resnet18", "torchvision.models.resnet18"):
        model = build_model(name, 10, 3, 32)
        assert sum(p.numel() for p in model.parameters()) == 11_173_962
        assert any("7 x 7 with stride 2 became 3 x 3 with stride 1" in t for t in notes_of(model))
        assert any("maxpool went" in text for text in notes_of(model))
    large = build_model("torchvision/resnet18", 10, 3, 96)
    assert not notes_of(large)
    assert large.conv1.kernel_size == (7, 7)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name",
    ["torchvision/mobilenet_v3_small", "torchvision/squeezenet1_1", "torchvision/mnasnet0_5",
     "torchvision/shufflenet_v2_x0_5", f"{__name__}.small_vit"],
)  # fmt: skip
def test_others_models_take_small_grey_images(name: str) -> None:
    assert outputs(build_model(name, 5, 1, 32), 1, 32) == (2, 5)


def small_vit(**keywords: Any) -> torchvision.models.VisionTransformer:
    sizes = {"patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 8}
    return torchvision.models.VisionTransformer(**sizes, **keywords)


def test_images_that_a_model_cannot_take_are_named() -> None:
    with pytest.raises(ValueError, match="does not take images of 3 x 2 x 2.*data.image_size"):
        build_model(f"{__name__}.without_arguments", 5, 3, 2)


@needs_timm
def test_timms_models_are_told_channels_and_classes() -> None:
    model = build_model("timm/resnet10t", 5, 1, 32)
    assert outputs(model, 1, 32) == (2, 5)
    with pytest.raises(ValueError, match="did you mean convnext_tiny"):
        build_model("timm/convnext_tinny", 5, 1, 32)


def test_a_grey_picture_gives_the_same_in_any_number_of_channels() -> None:
    weight, grey = torch.randn(4, 3, 3, 3), torch.randn(2, 1, 8, 8)
    expected = nn.functional.conv2d(grey.expand(-1, 3, -1, -1), weight)
    for channels in (1, 2, 5):
        spread = spread_channels(weight, channels)
        found = nn.functional.conv2d(grey.expand(-1, channels, -1, -1), spread)
        torch.testing.assert_close(found, expected)


def test_published_weights_come_from_torchvisions_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of that name stands for the download; learned kernels stay, the last layer is new."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    url = torchvision.models.get_model_weights("shufflenet_v2_x0_5").DEFAULT.url
    torch.manual_seed(3)
    learned = torchvision.models.shufflenet_v2_x0_5()
    torch.save(learned.state_dict(), cache / url.rpartition("/")[2])
    torch.manual_seed(4)
    model: Any = build_model("torchvision/shufflenet_v2_x0_5", 5, 1, 32, weights="default")
    assert torch.equal(model.conv5[0].weight, learned.conv5[0].weight)
    assert torch.equal(model.conv1[0].weight, learned.conv1[0].weight.sum(1, keepdim=True))
    assert model.conv1[0].stride == (1, 1)
    assert model.fc.out_features == 5
    assert any("fresh: fc.bias, fc.weight" in text for text in notes_of(model))
    with pytest.raises(ValueError, match="weights: default is for models that somebody publishes"):
        build_model("lenet", 5, 1, 28, weights="default")
