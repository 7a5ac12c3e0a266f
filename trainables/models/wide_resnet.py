"""Wide residual networks for 32 x 32 images (Zagoruyko and Komodakis 2016)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class _Block(nn.Module):
    """Pre-activation basic block: BN-ReLU-conv twice, and a 1 x 1 shortcut where shapes change."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        active = functional.relu(self.norm1(images))
        # A projection sees the activated input, an identity the raw one (as in the paper's code).
        shortcut = images if self.shortcut is None else self.shortcut(active)
        inner = functional.relu(self.norm2(self.conv1(active)))
        if self.dropout:
            inner = functional.dropout(inner, self.dropout, self.training)
        result: Tensor = self.conv2(inner)
        return result + shortcut


class WideResNet(nn.Module):
    """WRN-``depth``-``width``.

    Args:
        depth: 6 N + 4, where N is the number of blocks in each of the three groups.
        width: The paper's widening factor k.
        num_classes: Outputs.
        in_channels: The number of channels of the images.
        dropout: Share of activations dropped between a block's two convolutions (their section
            2.4: 0.3 on CIFAR, 0.4 on SVHN).

    Raises:
        ValueError: ``depth`` is not of the form 6 N + 4, or ``dropout`` not in [0, 1).
    """

    def __init__(
        self,
        depth: int,
        width: int,
        num_classes: int,
        in_channels: int = 3,
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth must be 6 N + 4 with N of at least 1, got {depth}")
        blocks: list[nn.Module] = []
        inputs = 16
        for group, outputs in enumerate((16 * width, 32 * width, 64 * width)):
            for index in range((depth - 4) // 6):
                stride = 2 if group > 0 and index == 0 else 1
                blocks.append(_Block(inputs, outputs, stride, dropout))
                inputs = outputs
        self.stem = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(inputs)
        self.head = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        features = functional.relu(self.norm(self.blocks(self.stem(images))))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


def wide_resnet16_4(num_classes: int, in_channels: int = 3, *, dropout: float = 0.0) -> WideResNet:
    """WRN-16-4, 2.7 million parameters; the arguments are those of ``WideResNet``.

    Args:
        num_classes: Outputs.
        in_channels: The number of channels of the images.
        dropout: Share of activations dropped in each block.
    """
    return WideResNet(16, 4, num_classes, in_channels, dropout=dropout)


def wide_resnet16_8(num_classes: int, in_channels: int = 3, *, dropout: float = 0.0) -> WideResNet:
    """WRN-16-8, 11.0 million parameters; the arguments are those of ``WideResNet``.

    Args:
        num_classes: Outputs.
        in_channels: The number of channels of the images.
        dropout: Share of activations dropped in each block.
    """
    return WideResNet(16, 8, num_classes, in_channels, dropout=dropout)


def wide_resnet28_2(num_classes: int, in_channels: int = 3, *, dropout: float = 0.0) -> WideResNet:
    """WRN-28-2, 1.5 million parameters; the arguments are those of ``WideResNet``.

    Args:
        num_classes: Outputs.
        in_channels: The number of channels of the images.
        dropout: Share of activations dropped in each block.
    """
    return WideResNet(28, 2, num_classes, in_channels, dropout=dropout)


def wide_resnet28_10(num_classes: int, in_channels: int = 3, *, dropout: float = 0.0) -> WideResNet:
    """WRN-28-10, 36.5 million parameters; the arguments are those of ``WideResNet``.

    Args:
        num_classes: Outputs.
        in_channels: The number of channels of the images.
        dropout: Share of activations dropped in each block.
    """
    return WideResNet(28, 10, num_classes, in_channels, dropout=dropout)
