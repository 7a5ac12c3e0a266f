"""LeNet-5 with ReLU and max pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LeNet(nn.Module):
    """Two convolutions and three linear layers (LeCun et al. 1998, in the form now usual).

    At 28 x 28 it is the classic: 5 x 5 convolutions of 6 and 16 channels, the first padded, and
    linear layers of 120, 84 and ``num_classes``. Below 16 pixels the second convolution is padded
    too, since the unpadded one would leave nothing to pool.

    Raises:
        ValueError: ``image_size`` is below 4.
    """

    def __init__(self, num_classes: int, in_channels: int = 1, image_size: int = 28) -> None:
        super().__init__()
        if image_size < 4:
            raise ValueError(f"LeNet needs images of at least 4 x 4 pixels, got {image_size}")
        padding = 2 if image_size < 16 else 0
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5, padding=padding),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        with torch.no_grad():
            features = self.body(torch.zeros(1, in_channels, image_size, image_size)).shape[1]
        self.hidden = nn.Sequential(
            nn.Linear(features, 120),
            nn.ReLU(inplace=True),
            nn.Linear(120, 84),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(84, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        logits: Tensor = self.head(self.hidden(self.body(images)))
        return logits
