from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection._utils import SSDMatcher
from torchvision.ops import box_iou

from trainables.detection.boxes import BoxLayout, Targets, match
from trainables.detection.models import SSD128_LAYOUT, SSD300_LAYOUT


def test_ssd300_has_8732_default_boxes() -> None:
    assert SSD300_LAYOUT.boxes().shape == (8732, 4)
    assert SSD300_LAYOUT.boxes_per_cell() == [4, 6, 6, 6, 4, 4]
    counts = zip(SSD300_LAYOUT.grids, SSD300_LAYOUT.boxes_per_cell(), strict=True)
    assert sum(side**2 * each for side, each in counts) == 8732


@pytest.mark.parametrize("layout", [SSD300_LAYOUT, SSD128_LAYOUT])
def test_default_boxes_follow_the_paper(layout: BoxLayout) -> None:
    """Liu et al. 2016, section 2.2: centres and sizes, written out as loops."""
    expected = []
    for k, side in enumerate(layout.grids):
        s, s_next = layout.scales[k], layout.scales[k + 1]
        sizes = [(s, s), (math.sqrt(s * s_next),) * 2]
        for ratio in layout.aspect_ratios[k]:
            wide = (s * math.sqrt(ratio), s / math.sqrt(ratio))
            sizes += [wide, wide[::-1]]
        for i in range(side):
            for j in range(side):
                x, y = (j + 0.5) * layout.steps_px[k], (i + 0.5) * layout.steps_px[k]
                for w, h in sizes:
                    half_w = min(w, 1.0) * layout.size_px / 2
                    half_h = min(h, 1.0) * layout.size_px / 2
                    expected.append((x - half_w, y - half_h, x + half_w, y + half_h))
    torch.testing.assert_close(layout.boxes(), torch.tensor(expected), atol=2e-3, rtol=1e-5)


def random_boxes(generator: torch.Generator, count: int, size_px: float) -> torch.Tensor:
    corners = torch.rand(count, 2, generator=generator) * size_px * 0.8
    sides = torch.rand(count, 2, generator=generator) * size_px * 0.5 + 2
    return torch.cat([corners, (corners + sides).clamp(max=size_px)], 1)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), counts=st.lists(st.integers(0, 9), min_size=1, max_size=4))
def test_matching_equals_torchvision_image_by_image(seed: int, counts: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    anchors = SSD128_LAYOUT.boxes()
    boxes = [random_boxes(generator, count, 128) for count in counts]
    labels = [torch.ones(count, dtype=torch.long) for count in counts]
    matched = match(Targets.of(boxes, labels), anchors)
    for own, found in zip(boxes, matched, strict=True):
        if len(own):
            expected = SSDMatcher(0.5)(box_iou(own, anchors))
        else:
            expected = torch.full((len(anchors),), -1)
        assert torch.equal(found, expected)


def test_every_object_has_a_default_box_unless_another_claims_it() -> None:
    tiny = torch.tensor([[10.0, 10, 11, 11], [90, 90, 93, 91]])
    targets = Targets.of([tiny], [torch.tensor([1, 2])])
    matched = match(targets, SSD128_LAYOUT.boxes())
    assert set(matched.unique().tolist()) == {-1, 0, 1}


def test_targets_are_padded_with_background() -> None:
    targets = Targets.of(
        [torch.ones(2, 4), torch.ones(0, 4)], [torch.tensor([3, 1]), torch.empty(0).long()]
    )
    assert targets.labels.tolist() == [[3, 1], [0, 0]]
    assert targets.boxes.shape == (2, 2, 4)
    assert len(targets) == 2
