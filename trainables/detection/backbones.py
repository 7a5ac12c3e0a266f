"""ResNets cut off after conv4_x, with stride 8: what SSD's heads and added layers stand on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock

from tune_select.storage import local_path


def resnet_body(name: str, weights: str | None) -> tuple[nn.Sequential, int]:
    """A ResNet up to conv4_x with its strides there set to 1; without conv5_x and the head."""
    factory: Any = getattr(torchvision.models, name)
    file = None if weights is None else Path(local_path(weights))
    from_file = file is not None and file.is_file()
    try:
        net: Any = factory(weights=None if from_file else weights)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"backbone_weights: {weights!r} is neither a file nor a name of torchvision's weights "
            f"of {name}"
        ) from error
    if file is not None and from_file:
        _load_trunk(net, file, name)
    first = net.layer3[0]
    for module in (first.conv1, first.conv2, first.downsample[0]):
        module.stride = (1, 1)
    body = nn.Sequential(
        net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3
    )
    return body, int(net.layer4[0].conv1.in_channels)


def _load_trunk(net: nn.Module, file: Path, name: str) -> None:
    state = torch.load(file, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    try:
        keys = net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ValueError(f"backbone_weights: {file} does not fit {name}: {error}") from error
    lacking = [key for key in keys.missing_keys if not key.startswith(("fc.", "layer4."))]
    if lacking:
        raise ValueError(
            f"backbone_weights: {file} does not fit {name}: it lacks {len(lacking)} tensors, the "
            f"first is {lacking[0]}"
        )


def slim_body(width: int, blocks: tuple[int, int, int]) -> tuple[nn.Sequential, int]:
    """ResNet's stem and three stages of basic blocks at strides 4, 8, 8."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    channels = width
    for stage, (count, stride) in enumerate(zip(blocks, (1, 2, 1), strict=True)):
        wanted = width * 2**stage
        for block in range(count):
            step = stride if block == 0 else 1
            shortcut = None
            if step != 1 or channels != wanted:
                shortcut = nn.Sequential(
                    nn.Conv2d(channels, wanted, 1, stride=step, bias=False), nn.BatchNorm2d(wanted)
                )
            layers.append(BasicBlock(channels, wanted, step, shortcut))
            channels = wanted
    body = nn.Sequential(*layers)
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return body, channels
