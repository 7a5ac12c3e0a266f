"""torchvision's models with stems that fit small images.

torchvision's stems shrink an image by 4 or more before the first block, which is meant for 224
pixels. Up to 64 pixels the stems here keep the resolution, as the papers' CIFAR forms do; above,
torchvision's own are used.
"""

from __future__ import annotations

from typing import cast

import torchvision
from torch import nn

SMALL_IMAGE = 64
"""Largest image size in pixels that gets the adapted stem."""


def resnet18(num_classes: int, in_channels: int = 3, image_size: int = 32) -> nn.Module:
    """ResNet-18 (He et al. 2016); 3 x 3 stem without pooling for small images.

    Args:
        num_classes: Outputs of the head.
        in_channels: Channels of the pictures.
        image_size: Height and width of the pictures, pixels.
    """
    model = torchvision.models.resnet18(num_classes=num_classes)
    if image_size <= SMALL_IMAGE:
        model.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
        model.maxpool = nn.Identity()
    else:
        model.conv1 = with_channels(model.conv1, in_channels)
    return cast(nn.Module, model)


def mobilenet_v2(num_classes: int, in_channels: int = 3, image_size: int = 32) -> nn.Module:
    """MobileNetV2 (Sandler et al. 2018); the first two of five halvings left out when small.

    Args:
        num_classes: Outputs of the head.
        in_channels: Channels of the pictures.
        image_size: Height and width of the pictures, pixels.
    """
    small = image_size <= SMALL_IMAGE
    settings = [  # expansion, channels, repeats, stride of each stage; Table 2 of the paper
        [1, 16, 1, 1],
        [6, 24, 2, 1 if small else 2],
        [6, 32, 3, 2],
        [6, 64, 4, 2],
        [6, 96, 3, 1],
        [6, 160, 3, 2],
        [6, 320, 1, 1],
    ]
    model = torchvision.models.mobilenet_v2(
        num_classes=num_classes, inverted_residual_setting=settings
    )
    stem = cast(nn.Sequential, model.features[0])
    stem[0] = with_channels(cast(nn.Conv2d, stem[0]), in_channels, 1 if small else None)
    return cast(nn.Module, model)


def densenet121(num_classes: int, in_channels: int = 3, image_size: int = 32) -> nn.Module:
    """DenseNet-121 (Huang et al. 2017); 3 x 3 stem without pooling for small images.

    Args:
        num_classes: Outputs of the head.
        in_channels: Channels of the pictures.
        image_size: Height and width of the pictures, pixels.
    """
    model = torchvision.models.densenet121(num_classes=num_classes)
    if image_size <= SMALL_IMAGE:
        model.features.conv0 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(model.features.conv0.weight)
        model.features.pool0 = nn.Identity()
    else:
        model.features.conv0 = with_channels(model.features.conv0, in_channels)
    return cast(nn.Module, model)


def vit(
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 32,
    patch_size: int | None = None,
    layers: int = 6,
    heads: int = 4,
    hidden: int = 256,
    dropout: float = 0.0,
) -> nn.Module:
    """A small Vision Transformer (Dosovitskiy et al. 2021): 4 x 4 patches at 32 x 32.

    Args:
        num_classes: Outputs.
        in_channels: The number of channels of the images.
        image_size: Height and width in pixels.
        patch_size: Pixels; by default the divisor of ``image_size`` nearest to an eighth of it.
        layers: Encoder blocks.
        heads: Attention heads; divides ``hidden``.
        hidden: Width; the blocks' inner layers are twice as wide.
        dropout: Share of activations dropped.

    Raises:
        ValueError: ``patch_size`` does not divide ``image_size``.
    """
    if patch_size is None:
        divisors = [d for d in range(2, image_size + 1) if image_size % d == 0]
        patch_size = min(divisors, key=lambda d: (abs(d - image_size / 8), d))
    if image_size % patch_size:
        raise ValueError(f"patch_size={patch_size} does not divide image_size={image_size}")
    model = torchvision.models.VisionTransformer(
        image_size, patch_size, layers, heads, hidden, 2 * hidden,
        dropout=dropout, num_classes=num_classes,
    )  # fmt: skip
    model.conv_proj = with_channels(model.conv_proj, in_channels)
    # torchvision starts the head at zero. Then h receives no gradient in the first step, and every
    # output gradient is the same up to its class, which tells a first selection nothing.
    nn.init.trunc_normal_(cast(nn.Linear, model.heads.head).weight, std=0.02)
    return cast(nn.Module, model)


def with_channels(conv: nn.Conv2d, in_channels: int, stride: int | None = None) -> nn.Conv2d:
    """A fresh convolution like ``conv`` for other input channels (and another stride).

    Args:
        conv: The convolution to imitate; left as it is.
        in_channels: The number of channels of the new one.
        stride: The stride of the new one; by default the old one's.
    """
    return nn.Conv2d(
        in_channels,
        conv.out_channels,
        cast(tuple[int, int], conv.kernel_size),
        stride=cast(tuple[int, int], conv.stride) if stride is None else stride,
        padding=cast(tuple[int, int], conv.padding),
        bias=conv.bias is not None,
    )
