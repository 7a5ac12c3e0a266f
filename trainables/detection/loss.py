"""SSD's loss, image by image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainables.detection.boxes import BOX_CODER, Targets, match

NEGATIVES_PER_POSITIVE = 3


@dataclass(frozen=True)
class ImageLosses:
    """The two parts of each picture's loss, both already divided by its N.

    Attributes:
        classification: float32 (B,), softmax cross-entropy over the matched default boxes and the
            three times as many hardest others.
        localisation: float32 (B,), smooth L1 over the matched default boxes.
        matched: int64 (B,), N, the number of matched default boxes.
    """

    classification: Tensor
    localisation: Tensor
    matched: Tensor

    def total(self, alpha: float = 1.0) -> Tensor:
        """(L_conf + alpha L_loc) / N, float32 (B,) (Cai et al., eq. 2; Liu et al., eq. 1)."""
        return self.classification + alpha * self.localisation


def image_losses(
    logits: Tensor,
    offsets: Tensor,
    targets: Targets,
    default_boxes: Tensor,
    *,
    iou_threshold: float = 0.5,
) -> ImageLosses:
    """The loss of every picture with its own matching, hard negatives and N.

    A picture without objects has no positives, hence no negatives, and loss zero (Liu et al.: "if
    N = 0, we set the loss to 0"). Where fewer than three negatives per positive exist, all of them
    count once; torchvision's SSD counts positives again in that case.

    Args:
        logits: (B, A, C + 1), class 0 is background.
        offsets: (B, A, 4), encoded offsets from the default boxes.
        targets: The objects of the B pictures.
        default_boxes: float32 (A, 4).
        iou_threshold: Least IoU of a match.
    """
    logits, offsets = logits.float(), offsets.float()
    matched = match(targets, default_boxes, iou_threshold)
    positive = matched >= 0
    count = positive.sum(dim=1)
    divisor = count.clamp(min=1)
    if targets.labels.shape[1] == 0:
        nothing = (logits.flatten(1).sum(1) + offsets.flatten(1).sum(1)) * 0.0
        return ImageLosses(nothing, nothing, count)
    rows = matched.clamp(min=0)
    labels = torch.gather(targets.labels, 1, rows) * positive
    cross_entropy = functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), reduction="none"
    ).view_as(labels)
    hardest = cross_entropy.masked_fill(positive, -torch.inf).sort(dim=1, descending=True).values
    kept = torch.minimum(count * NEGATIVES_PER_POSITIVE, (~positive).sum(dim=1))
    rank = torch.arange(hardest.shape[1], device=hardest.device)
    negatives = hardest.masked_fill(rank >= kept[:, None], 0.0).sum(dim=1)
    classification = (cross_entropy * positive).sum(dim=1) + negatives
    localisation = _localisation(offsets, targets, rows, positive, default_boxes)
    return ImageLosses(classification / divisor, localisation / divisor, count)


def _localisation(
    offsets: Tensor, targets: Targets, rows: Tensor, positive: Tensor, default_boxes: Tensor
) -> Tensor:
    """Smooth L1 over the positives of each picture, (B,).

    Dense over all default boxes and masked, which costs less than waiting for a GPU to say how many
    positives there are.
    """
    boxes = torch.gather(targets.boxes, 1, rows[:, :, None].expand(-1, -1, 4))
    anchors = default_boxes.expand_as(boxes)
    # Background encodes its own default box (zero offsets): a padded box would give log(0).
    boxes = torch.where(positive[:, :, None], boxes, anchors)
    wanted = BOX_CODER.encode_single(boxes.reshape(-1, 4), anchors.reshape(-1, 4)).view_as(offsets)
    error = functional.smooth_l1_loss(offsets, wanted, reduction="none").sum(dim=2)
    return (error * positive).sum(dim=1)
