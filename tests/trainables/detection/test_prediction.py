from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tests.trainables.detection.test_loss import ANCHORS, CLASSES, torchvision_ssd
from trainables.detection.boxes import BOX_CODER
from trainables.detection.prediction import MAX_DETECTIONS, detect


def outputs(seed: int, batch: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, len(ANCHORS), CLASSES, generator=generator)
    logits[:, :, 0] += 5.0
    logits[:, ::150, 1:] += 4.0
    return logits, torch.randn(batch, len(ANCHORS), 4, generator=generator) * 0.3


def test_equals_torchvisions_postprocessing() -> None:
    logits, offsets = outputs(0, 3)
    model = torchvision_ssd()
    model.detections_per_img = MAX_DETECTIONS
    expected = model.postprocess_detections(
        {"cls_logits": logits, "bbox_regression": offsets}, [ANCHORS] * 3, [(128, 128)] * 3
    )
    for found, theirs in zip(
        detect(logits, offsets, ANCHORS, 128, candidates=4000), expected, strict=True
    ):
        assert len(found.scores) == len(theirs["scores"])
        assert len(found.scores) > 10
        np.testing.assert_allclose(found.scores, theirs["scores"].numpy(), rtol=1e-5)
        np.testing.assert_array_equal(found.labels, theirs["labels"].numpy())
        np.testing.assert_allclose(found.boxes, theirs["boxes"].numpy(), atol=1e-3)


def test_a_perfect_answer_is_decoded() -> None:
    wanted = torch.tensor([[20.0, 30, 50, 70]])
    anchor = 40
    logits = torch.zeros(1, len(ANCHORS), CLASSES)
    logits[:, :, 0] = 12.0
    logits[0, anchor] = torch.tensor([0.0, 0, 0, 12, 0])
    offsets = torch.zeros(1, len(ANCHORS), 4)
    offsets[0, anchor] = BOX_CODER.encode_single(wanted, ANCHORS[anchor][None])[0]
    (found,) = detect(logits, offsets, ANCHORS, 128)
    assert found.labels.tolist() == [3]
    np.testing.assert_allclose(found.boxes, wanted.numpy(), atol=1e-3)
    doubled = found.scaled(np.array([2, 2, 2, 2], np.float32))
    np.testing.assert_allclose(doubled.boxes, 2 * wanted.numpy(), atol=1e-3)


def test_nothing_above_the_threshold_gives_empty_lists() -> None:
    logits = torch.zeros(2, len(ANCHORS), CLASSES)
    logits[:, :, 0] = 30.0
    for found in detect(logits, torch.zeros(2, len(ANCHORS), 4), ANCHORS, 128):
        assert found.boxes.shape == (0, 4)
        assert len(found.labels) == 0
