"""SSD with ResNet backbones, after Nvidia's reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.ssd import SSDHead

from trainables.detection.backbones import resnet_body, slim_body
from trainables.detection.boxes import BoxLayout
from tune_select.wording import not_among

SSD300_LAYOUT = BoxLayout(
    size_px=300,
    grids=(38, 19, 10, 5, 3, 1),
    steps_px=(8, 16, 32, 64, 100, 300),
    scales=(0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
    aspect_ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
)
"""8,732 default boxes: those of Liu et al. for COCO, as Nvidia and torchvision have them."""

SSD128_LAYOUT = BoxLayout(
    size_px=128,
    grids=(16, 8, 4, 2, 1),
    steps_px=(8, 16, 32, 64, 128),
    scales=(0.12, 0.25, 0.42, 0.6, 0.78, 0.96),
    aspect_ratios=((2,), (2,), (2,), (2,), (2,)),
)
"""1,364 default boxes, the smallest 15 pixels wide."""


@dataclass(frozen=True)
class SSDRecipe:
    """One named architecture.

    Attributes:
        layout: Its default boxes.
        backbone: A torchvision ResNet, or ``slim``.
        extra_channels: The extra channels of each added feature map.
        extra_hidden: The channels of the 1x1 convolution before each.
        slim_width: Channels of the first stage of a ``slim`` backbone.
        slim_blocks: Residual blocks of each stage of a ``slim`` backbone.
    """

    layout: BoxLayout
    backbone: str
    extra_channels: tuple[int, ...]
    extra_hidden: tuple[int, ...]
    slim_width: int = 16
    slim_blocks: tuple[int, int, int] = (2, 2, 2)


def _ssd300(backbone: str) -> SSDRecipe:
    return SSDRecipe(SSD300_LAYOUT, backbone, (512, 512, 256, 256, 256), (256, 256, 128, 128, 128))


SSD_RECIPES: dict[str, SSDRecipe] = {
    "ssd300": _ssd300("resnet50"),
    "ssd300_resnet18": _ssd300("resnet18"),
    "ssd300_resnet34": _ssd300("resnet34"),
    "ssd300_resnet101": _ssd300("resnet101"),
    "ssd128": SSDRecipe(SSD128_LAYOUT, "resnet18", (256, 128, 128, 128), (128, 64, 64, 64)),
    "ssd128_resnet34": SSDRecipe(
        SSD128_LAYOUT, "resnet34", (256, 128, 128, 128), (128, 64, 64, 64)
    ),
    "ssd128_slim": SSDRecipe(SSD128_LAYOUT, "slim", (64, 64, 64, 64), (32, 32, 32, 32)),
    "ssd128_slim10": SSDRecipe(
        SSD128_LAYOUT, "slim", (64, 64, 64, 64), (32, 32, 32, 32), slim_blocks=(1, 1, 1)
    ),
    "ssd128_wide10": SSDRecipe(
        SSD128_LAYOUT, "slim", (96, 96, 96, 96), (48, 48, 48, 48), 24, (1, 1, 1)
    ),
}
"""By name: ``ssd300`` is the paper's, ``ssd128`` its small form with ResNet-18, the slim ones have
a quarter of ResNet-18's channels (or 24 in ``wide10``) and train in minutes on a CPU."""


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that uses its running statistics where a batch holds one value per channel.

    The last feature map is 1x1, so a batch of one picture has no variance there and PyTorch's own
    raises; selection may well leave one picture in the last batch of an epoch.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        if self.training and input.numel() == input.shape[1]:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0,
                self.eps,
            )  # fmt: skip
        return super().forward(input)


class SSD(nn.Module):
    """SSD: a backbone at stride 8, added coarser maps, and a 3x3 convolution on each per head.

    Attributes:
        layout: Where the default boxes lie.
        default_boxes: float32 (A, 4), a buffer.
        head: torchvision's ``SSDHead``; level l has ``classification_head.module_list[l]`` and
            ``regression_head.module_list[l]``.
    """

    default_boxes: Tensor
    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        channels: int,
        recipe: SSDRecipe,
        class_count: int,
        pixel_mean: tuple[float, float, float],
        pixel_std: tuple[float, float, float],
    ) -> None:
        """Assemble the parts; use ``build_ssd`` for a named one.

        Args:
            backbone: (B, 3, S, S) to (B, ``channels``, S/8, S/8).
            channels: The channels of the backbone's output.
            recipe: Layout and added layers.
            class_count: Classes with the background, C + 1.
            pixel_mean: The mean of the pixels on the 0..255 scale, per channel.
            pixel_std: The same.
        """
        super().__init__()
        self.layout = recipe.layout
        self.class_count = class_count
        self.backbone = backbone
        self.extras = _extras(recipe, channels)
        self.head: nn.Module = SSDHead(
            [channels, *recipe.extra_channels], recipe.layout.boxes_per_cell(), class_count
        )
        self.register_buffer("default_boxes", recipe.layout.boxes(), persistent=False)
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(1, 3, 1, 1))
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(1, 3, 1, 1))

    def features(self, images: Tensor) -> list[Tensor]:
        """The feature maps (B, C_l, G_l, G_l), finest first, of pixels (B, 3, S, S) in 0..255."""
        pixels = (images.float() - self.pixel_mean) / self.pixel_std
        # Channels last is what convolutions run fastest in, on CPUs too (by a fifth to a third).
        current = self.backbone(pixels.contiguous(memory_format=torch.channels_last))
        maps = [current]
        for block in self.extras:
            current = block(current)
            maps.append(current)
        return maps

    def predict(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (B, A, C + 1) and encoded offsets (B, A, 4) of the default boxes."""
        outputs: dict[str, Tensor] = self.head(maps)
        return outputs["cls_logits"], outputs["bbox_regression"]

    def head_inputs(self) -> list[int]:
        """Channels of the feature map of each level."""
        heads: Any = self.head
        return [int(conv.in_channels) for conv in heads.classification_head.module_list]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, A, C + 1) and offsets (B, A, 4) of pixels (B, 3, S, S) in 0..255."""
        return self.predict(self.features(images))


def build_ssd(
    name: str,
    class_count: int,
    *,
    weights: str | None = None,
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53),
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375),
) -> SSD:
    """A named SSD.

    Args:
        name: One of ``SSD_RECIPES``.
        class_count: Classes with the background, C + 1.
        weights: The weights of the backbone: a file with a ``state_dict`` of the whole ResNet (or
            of its trunk), a name of torchvision's (``IMAGENET1K_V1``, ``DEFAULT``), or ``None`` for
            random ones.
        pixel_mean: The mean of the pixels on the 0..255 scale; the default is ImageNet's,
            which the weights of torchvision expect.
        pixel_std: The same.

    Raises:
        ValueError: An unknown name, or weights that do not fit.
    """
    if name not in SSD_RECIPES:
        raise ValueError(not_among("model", name, sorted(SSD_RECIPES)))
    recipe = SSD_RECIPES[name]
    if recipe.backbone == "slim":
        if weights is not None:
            raise ValueError(f"backbone_weights: {name} has no pretrained weights, got {weights!r}")
        body, channels = slim_body(recipe.slim_width, recipe.slim_blocks)
    else:
        body, channels = resnet_body(recipe.backbone, weights)
    model = SSD(body, channels, recipe, class_count, pixel_mean, pixel_std)
    return model.to(memory_format=torch.channels_last)


def _extras(recipe: SSDRecipe, channels: int) -> nn.ModuleList:
    """1x1 then 3x3 convolutions, of stride 2 where the grid halves, else unpadded."""
    blocks = nn.ModuleList()
    sides = recipe.layout.grids
    pairs = zip(recipe.extra_hidden, recipe.extra_channels, sides[:-1], sides[1:], strict=True)
    for hidden, out, before, after in pairs:
        halves = before - after != 2  # an unpadded 3x3 convolution takes two off the side
        blocks.append(
            nn.Sequential(
                nn.Conv2d(channels, hidden, 1, bias=False),
                BatchNorm(hidden),
                nn.ReLU(inplace=True),
                nn.Conv2d(
                    hidden, out, 3, stride=2 if halves else 1, padding=int(halves), bias=False
                ),
                BatchNorm(out),
                nn.ReLU(inplace=True),
            )
        )
        channels = out
    for module in blocks.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
    return blocks
