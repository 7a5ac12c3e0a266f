from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from trainables.detection.models import SSD_RECIPES, build_ssd


@pytest.mark.parametrize("name", ["ssd128", "ssd128_slim", "ssd128_slim10", "ssd128_wide10"])
def test_outputs_fit_the_default_boxes(name: str) -> None:
    model = build_ssd(name, 4).eval()
    layout = SSD_RECIPES[name].layout
    images = torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8)
    with torch.no_grad():
        maps = model.features(images)
        logits, offsets = model(images)
    assert [m.shape[-1] for m in maps] == list(layout.grids)
    assert logits.shape == (2, len(model.default_boxes), 4)
    assert offsets.shape == (2, len(model.default_boxes), 4)


def test_ssd300_has_nvidias_feature_maps() -> None:
    model = build_ssd("ssd300", 81).eval()
    assert model.default_boxes.shape == (8732, 4)
    with torch.no_grad():
        maps = model.features(torch.zeros(1, 3, 300, 300, dtype=torch.uint8))
        logits, _ = model.predict(maps)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (1024, 38, 38), (512, 19, 19), (512, 10, 10), (256, 5, 5), (256, 3, 3), (256, 1, 1),
    ]  # fmt: skip
    assert logits.shape == (1, 8732, 81)
    names = [name for name, _ in model.named_modules()]
    assert not any("layer4" in name or "fc" in name for name in names)


def test_the_order_of_outputs_is_that_of_the_default_boxes() -> None:
    """A change at one place of the finest map moves only the outputs of boxes around it."""
    torch.manual_seed(0)
    model = build_ssd("ssd128_slim", 3).eval()
    maps = [torch.zeros(1, c.in_channels, g, g)
            for c, g in zip(model.head.classification_head.module_list, model.layout.grids,
                            strict=True)]  # fmt: skip
    with torch.no_grad():
        before = model.predict(maps)[1]
        maps[0][0, :, 3, 11] = 1.0
        after = model.predict(maps)[1]
    changed = torch.nonzero((before != after).any(2)[0]).flatten()
    boxes = model.default_boxes[changed]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert len(changed) == 9 * 4
    assert centres.mean(0).tolist() == pytest.approx([11.5 * 8, 3.5 * 8])


def test_one_picture_can_be_trained_on_alone() -> None:
    model = build_ssd("ssd128_slim", 3).train()
    images = torch.randint(0, 256, (1, 3, 128, 128), dtype=torch.uint8)
    logits, _ = model(images)
    logits.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_backbone_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = torchvision.models.resnet18()
    file = tmp_path / "resnet18.pth"
    torch.save(source.state_dict(), file)
    model = build_ssd("ssd128", 3, weights=str(file))
    assert torch.equal(model.backbone[0].weight, source.conv1.weight)
    assert torch.equal(model.backbone[6][1].conv2.weight, source.layer3[1].conv2.weight)
    assert model.backbone[6][0].conv1.stride == (1, 1)
    assert model.backbone[6][0].downsample[0].stride == (1, 1)


def test_a_trunk_without_its_head_is_enough(tmp_path: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    trunk = {k: v for k, v in state.items() if not k.startswith(("fc.", "layer4."))}
    torch.save({"state_dict": trunk}, tmp_path / "trunk.pth")
    model = build_ssd("ssd128", 3, weights=str(tmp_path / "trunk.pth"))
    assert torch.equal(model.backbone[0].weight, state["conv1.weight"])


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(nn.Linear(2, 2).state_dict(), file)
    with pytest.raises(ValueError, match=r"does not fit resnet18: it lacks \d+ tensors"):
        build_ssd("ssd128", 3, weights=str(file))
    torch.save(torchvision.models.resnet50().state_dict(), file)
    with pytest.raises(ValueError, match="does not fit resnet18"):
        build_ssd("ssd128", 3, weights=str(file))
    with pytest.raises(ValueError, match="neither a file nor a name"):
        build_ssd("ssd128", 3, weights=str(tmp_path / "nothing.pth"))
    with pytest.raises(ValueError, match="no pretrained weights"):
        build_ssd("ssd128_slim", 3, weights="DEFAULT")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="model must be one of"):
        build_ssd("yolo", 3)
