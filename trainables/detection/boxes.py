"""Default boxes, and which object each of them stands for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

BOX_CODER = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
"""Offsets are divided by SSD's variances 0.1 (centres) and 0.2 (sizes)."""


@dataclass(frozen=True)
class BoxLayout:
    """Where the default boxes of an SSD lie.

    Attributes:
        size_px: Side S of the input.
        grids: Side of each feature map, finest first.
        steps_px: Distance of the boxes of each map, pixels of the input.
        scales: Box sides as shares of S, one more than maps (Liu et al. 2016, eq. 4; the last
            serves the extra square box sqrt(s_k s_{k+1})).
        aspect_ratios: The aspect ratios of each map besides 1; every ratio also stands for its
            inverse.
    """

    size_px: int
    grids: tuple[int, ...]
    steps_px: tuple[int, ...]
    scales: tuple[float, ...]
    aspect_ratios: tuple[tuple[int, ...], ...]

    def boxes_per_cell(self) -> list[int]:
        """Default boxes at each position of each map."""
        return [2 + 2 * len(ratios) for ratios in self.aspect_ratios]

    def boxes(self) -> Tensor:
        """All default boxes, float32 (A, 4), x1, y1, x2, y2 in pixels, in the heads' order."""
        generator = DefaultBoxGenerator(
            [list(ratios) for ratios in self.aspect_ratios],
            scales=list(self.scales),
            steps=list(self.steps_px),
        )
        size = (self.size_px, self.size_px)
        pictures = ImageList(torch.empty(1, 3, *size), [size])
        maps = [torch.empty(1, 1, side, side) for side in self.grids]
        boxes: Tensor = generator(pictures, maps)[0]
        return boxes


@dataclass(frozen=True)
class Targets:
    """The objects of B pictures, padded to the largest number M.

    Attributes:
        boxes: float32 (B, M, 4), x1, y1, x2, y2 in pixels of the input; zeros where padded.
        labels: int64 (B, M), 1 .. C; 0 where padded.
    """

    boxes: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return self.labels.shape[0]

    def to(self, device: torch.device) -> Targets:
        """The same on ``device``; does not wait for a copy from pinned memory."""
        return Targets(
            self.boxes.to(device, non_blocking=True), self.labels.to(device, non_blocking=True)
        )

    @classmethod
    def of(cls, boxes: list[Tensor], labels: list[Tensor]) -> Targets:
        """Pad a list of boxes (m_i, 4) and labels (m_i,); at least one picture."""
        return cls(
            pad_sequence([b.reshape(-1, 4) for b in boxes], batch_first=True),
            pad_sequence(list(labels), batch_first=True),
        )


def match(targets: Targets, default_boxes: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """The object that each default box predicts (Liu et al. 2016, section 2.2).

    A default box takes the object with which it overlaps most, if their IoU reaches the threshold;
    besides, each object has the default box that overlaps it most, whatever the IoU (of several
    objects that claim one box the last wins, as in torchvision's ``SSDMatcher``).

    Args:
        targets: The targets of B pictures.
        default_boxes: float32 (A, 4).
        iou_threshold: Least overlap.

    Returns:
        int64 (B, A), the row of ``targets`` or -1 for background.
    """
    batch, objects = targets.labels.shape
    count = default_boxes.shape[0]
    if objects == 0:
        return torch.full((batch, count), -1, device=default_boxes.device)
    present = targets.labels > 0
    overlap = box_iou(targets.boxes.reshape(-1, 4), default_boxes).view(batch, objects, count)
    overlap = overlap.masked_fill(~present[:, :, None], -1.0)
    best, matched = overlap.max(dim=1)
    matched = matched.masked_fill(best < iou_threshold, -1)
    # Padded objects claim a column beyond the last default box, which is cut off again.
    claimed = overlap.argmax(dim=2).masked_fill(~present, count)
    rows = torch.arange(objects, device=matched.device).expand(batch, -1)
    forced = matched.new_full((batch, count + 1), -1)
    forced = forced.scatter_reduce(1, claimed, rows, reduce="amax")[:, :count]
    return torch.where(forced >= 0, forced, matched)
