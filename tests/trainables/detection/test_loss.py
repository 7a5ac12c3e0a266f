from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD as TorchvisionSSD
from torchvision.ops import box_iou

from tests.trainables.detection.test_boxes import random_boxes
from trainables.detection.boxes import Targets
from trainables.detection.loss import image_losses
from trainables.detection.models import SSD128_LAYOUT

CLASSES = 5
ANCHORS = SSD128_LAYOUT.boxes()


class _NoBackbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out_channels = [1]


def torchvision_ssd() -> TorchvisionSSD:
    return TorchvisionSSD(_NoBackbone(), DefaultBoxGenerator([[2]]), (128, 128), CLASSES)


def torchvision_losses(
    model: TorchvisionSSD, logits: Tensor, offsets: Tensor, boxes: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Classification and localisation loss of one image, by torchvision's own code."""
    matched = torch.full((len(ANCHORS),), -1)
    if len(boxes):
        matched = model.proposal_matcher(box_iou(boxes, ANCHORS))
    parts = model.compute_loss(
        [{"boxes": boxes, "labels": labels}],
        {"cls_logits": logits[None], "bbox_regression": offsets[None]},
        [ANCHORS],
        [matched],
    )
    return parts["classification"], parts["bbox_regression"]


def example(
    seed: int, counts: tuple[int, ...]
) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(counts), len(ANCHORS), CLASSES, generator=generator)
    offsets = torch.randn(len(counts), len(ANCHORS), 4, generator=generator)
    boxes = [random_boxes(generator, count, 128) for count in counts]
    labels = [torch.randint(1, CLASSES, (count,), generator=generator) for count in counts]
    return logits, offsets, boxes, labels


@pytest.mark.parametrize("seed", range(4))
def test_equals_torchvision_image_by_image_with_gradients(seed: int) -> None:
    logits, offsets, boxes, labels = example(seed, (3, 0, 1, 7))
    ours = [logits.clone().requires_grad_(), offsets.clone().requires_grad_()]
    theirs = [logits.clone().requires_grad_(), offsets.clone().requires_grad_()]
    losses = image_losses(*ours, Targets.of(boxes, labels), ANCHORS)
    model = torchvision_ssd()
    parts = [
        torchvision_losses(model, theirs[0][i], theirs[1][i], boxes[i], labels[i]) for i in range(4)
    ]
    expected = [torch.stack(part) for part in zip(*parts, strict=True)]
    torch.testing.assert_close(losses.classification, expected[0])
    torch.testing.assert_close(losses.localisation, expected[1])
    torch.testing.assert_close(losses.total(0.5), expected[0] + 0.5 * expected[1])
    losses.total().sum().backward()
    (expected[0] + expected[1]).sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad)


def test_an_image_without_objects_has_no_loss_and_no_gradient() -> None:
    logits, offsets, boxes, labels = example(0, (0, 0))
    logits.requires_grad_()
    losses = image_losses(logits, offsets, Targets.of(boxes, labels), ANCHORS)
    assert losses.total().tolist() == [0.0, 0.0]
    losses.total().sum().backward()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_negatives_are_counted_once_where_there_are_too_few() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [100, 100, 110, 110]])
    boxes = [torch.tensor([[0.0, 0, 10, 10]])]
    logits = torch.tensor([[[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]])
    targets = Targets.of(boxes, [torch.tensor([1])])
    losses = image_losses(logits, torch.zeros(1, 3, 4), targets, anchors, iou_threshold=0.5)
    entropy = nn.functional.cross_entropy(logits[0], torch.tensor([1, 1, 0]), reduction="none")
    assert losses.matched.tolist() == [2]
    torch.testing.assert_close(losses.classification[0], entropy.sum() / 2)


def test_half_precision_outputs_are_summed_in_single_precision() -> None:
    logits, offsets, boxes, labels = example(1, (4,))
    targets = Targets.of(boxes, labels)
    exact = image_losses(logits, offsets, targets, ANCHORS).total()
    rounded = image_losses(logits.bfloat16(), offsets.bfloat16(), targets, ANCHORS).total()
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=2e-2, atol=0)
