"""From head outputs to detections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import batched_nms

from trainables.detection.boxes import BOX_CODER

MAX_DETECTIONS = 100
"""Per picture; what COCO evaluates."""


@dataclass(frozen=True)
class Detections:
    """What a model found in one picture, best first.

    Attributes:
        boxes: float32 (m, 4), x1, y1, x2, y2.
        scores: float32 (m,), in (0, 1].
        labels: int64 (m,), 1 .. C.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]

    def scaled(self, factor: NDArray[np.float32]) -> Detections:
        """The same with boxes times ``factor`` (4,), to go from input to original pixels."""
        return Detections(self.boxes * factor, self.scores, self.labels)


@torch.no_grad()
def detect(
    logits: Tensor,
    offsets: Tensor,
    default_boxes: Tensor,
    size_px: int,
    *,
    min_score: float = 0.01,
    nms_iou: float = 0.45,
    candidates: int = 1000,
) -> list[Detections]:
    """Decode, threshold and suppress, for all pictures and classes in one go.

    As torchvision's SSD, with one deviation for speed: the ``candidates`` best (box, class) pairs
    of a picture enter the suppression, not the 400 best boxes of each class.

    Args:
        logits: (B, A, C + 1).
        offsets: (B, A, 4).
        default_boxes: float32 (A, 4).
        size_px: Side of the input, to which boxes are clipped.
        min_score: Least probability of a candidate.
        nms_iou: Largest IoU of two detections of one class.
        candidates: The candidates per picture.
    """
    batch, _, classes = logits.shape
    scores = logits.float().softmax(dim=2)[:, :, 1:].reshape(batch, -1)
    best, flat = scores.topk(min(candidates, scores.shape[1]), dim=1)
    anchor = torch.div(flat, classes - 1, rounding_mode="floor")
    label = flat % (classes - 1) + 1
    picked = torch.gather(offsets.float(), 1, anchor[:, :, None].expand(-1, -1, 4))
    boxes = BOX_CODER.decode_single(picked.reshape(-1, 4), default_boxes[anchor.reshape(-1)])
    boxes = boxes.clamp(0, size_px).view(batch, -1, 4)
    picture = torch.arange(batch, device=best.device)[:, None].expand_as(best)
    valid = best > min_score
    boxes, best, label, picture = boxes[valid], best[valid], label[valid], picture[valid]
    # One suppression for the whole batch: a group per picture and class.
    kept = batched_nms(boxes, best, picture * classes + label, nms_iou)
    picture = picture[kept]
    return [
        _to_numpy(boxes[chosen], best[chosen], label[chosen])
        for chosen in (kept[picture == i][:MAX_DETECTIONS] for i in range(batch))
    ]


def _to_numpy(boxes: Tensor, scores: Tensor, labels: Tensor) -> Detections:
    return Detections(boxes.cpu().numpy(), scores.cpu().numpy(), labels.cpu().numpy())
