from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.trainables.detection.test_boxes import random_boxes
from trainables.detection.boxes import Targets
from trainables.detection.gradients import HeadSketch, exact_gradients, head_gradients
from trainables.detection.loss import image_losses
from trainables.detection.models import SSD, build_ssd
from trainables.detection.synthetic import shapes
from trainables.detection.transforms import Preparation
from tune_select.selection import GradMatch, Signals, gradient_error
from tune_select.selection import Random as RandomSelector


def model_and_batch(batch: int = 4, seed: int = 0) -> tuple[SSD, Tensor, Targets]:
    torch.manual_seed(seed)
    model = build_ssd("ssd128_slim10", 4).eval()
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (batch, 3, 128, 128), dtype=torch.uint8, generator=generator)
    boxes = [random_boxes(generator, 1 + i % 3, 128) for i in range(batch)]
    labels = [torch.randint(1, 4, (len(b),), generator=generator) for b in boxes]
    return model, images, Targets.of(boxes, labels)


def per_sample_gradients(model: SSD, images: Tensor, targets: Targets, alpha: float) -> Tensor:
    """torch.func's per-sample gradients of all head parameters, in ``exact_gradients``' order."""
    parameters = {k: v.detach() for k, v in model.named_parameters()}
    heads = {k: v for k, v in parameters.items() if k.startswith("head.")}
    buffers = dict(model.named_buffers())

    def loss(head: dict[str, Tensor], image: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
        logits, offsets = torch.func.functional_call(
            model, ({**parameters, **head}, buffers), (image[None],)
        )
        own = Targets(boxes[None], labels[None])
        return image_losses(logits, offsets, own, model.default_boxes).total(alpha)[0]

    # One by one: vmap does not know the channels-last layout of the body.
    each = [
        torch.func.grad(loss)(heads, *sample)
        for sample in zip(images, targets.boxes, targets.labels, strict=True)
    ]
    gradients = {name: torch.stack([one[name] for one in each]) for name in heads}
    parts = []
    for level in range(len(model.layout.grids)):
        rows = []
        for head in ("classification_head", "regression_head"):
            name = f"head.{head}.module_list.{level}"
            weight, bias = gradients[f"{name}.weight"], gradients[f"{name}.bias"]
            rows.append(torch.cat([weight.flatten(2), bias[:, :, None]], dim=2))
        parts.append(torch.cat(rows, dim=1).flatten(1))
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_equal_torch_funcs_per_sample_gradients(alpha: float) -> None:
    model, images, targets = model_and_batch()
    levels, losses = head_gradients(model, images, targets, alpha)
    ours = exact_gradients(levels)
    expected = per_sample_gradients(model, images, targets, alpha)
    assert ours.shape == expected.shape
    assert expected.norm(dim=1).min() > 0.1
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    logits, offsets = model(images)
    whole = image_losses(logits, offsets, targets, model.default_boxes).total(alpha)
    torch.testing.assert_close(losses, whole.detach())
    assert all(p.grad is None for p in model.parameters())


def dense_sketch(sketch: HeadSketch, model: SSD, exact: Tensor) -> Tensor:
    """The sketch as the matrix its hashes define, bucket by bucket, applied to whole gradients."""
    result, start = torch.zeros(len(exact), sketch.dim), 0
    for level, channels in enumerate(model.head_inputs()):
        of_outputs, of_patches = sketch._levels[level]._hashes
        outputs = model.layout.boxes_per_cell()[level] * (model.class_count + 4)
        width = 9 * channels + 1
        part = exact[:, start : start + outputs * width].view(len(exact), outputs, width)
        start += outputs * width
        # exact_gradients orders a patch by channel, then place; the sketch by place, then channel.
        weights = part[:, :, :-1].unflatten(2, (channels, 9)).transpose(2, 3).flatten(2)
        part = torch.cat([weights, part[:, :, -1:]], dim=2)
        by_output = of_outputs(torch.eye(outputs))
        by_patch = of_patches(torch.eye(width))
        bucket = (by_output.abs().argmax(1)[:, None] + by_patch.abs().argmax(1)) % sketch.dim
        sign = by_output.sum(1)[:, None] * by_patch.sum(1)
        result.index_add_(1, bucket.flatten(), (part * sign).flatten(1))
    return result


@pytest.mark.parametrize("dim", [64, 257])
def test_the_sketch_is_the_linear_map_its_hashes_define(dim: int) -> None:
    model, images, targets = model_and_batch()
    levels, _ = head_gradients(model, images, targets)
    sketch = HeadSketch(model, dim, seed=3)
    expected = dense_sketch(sketch, model, exact_gradients(levels))
    torch.testing.assert_close(sketch(levels), expected, rtol=1e-3, atol=1e-4)


def test_inner_products_have_no_bias_and_stay_within_the_bound() -> None:
    model, images, targets = model_and_batch(batch=6)
    levels, _ = head_gradients(model, images, targets)
    exact = exact_gradients(levels).double()
    norms = exact.norm(dim=1)
    scale = norms[:, None] * norms
    dim, seeds = 256, 200
    errors = []
    for seed in range(seeds):
        sketched = HeadSketch(model, dim, seed)(levels).double()
        errors.append((sketched @ sketched.T - exact @ exact.T) / scale)
    error = torch.stack(errors)
    bound = math.sqrt(11 / dim)
    rms = error.square().mean(0).sqrt()
    assert (rms <= bound).all()
    # Of the order of a dense random projection's 1 / sqrt(d), so the bound is not met by zeros.
    assert rms.min() > 0.2 / math.sqrt(dim)
    assert (error.mean(0).abs() < 4 * rms / math.sqrt(seeds)).all()
    # Chebyshev at eps = 3 standard deviations of the bound.
    assert (error.abs() > 3 * bound).double().mean() <= 1 / 9


def test_batches_of_any_size_are_sketched_alike() -> None:
    model, images, targets = model_and_batch(batch=5)
    sketch = HeadSketch(model, 128, seed=1)
    whole = sketch(head_gradients(model, images, targets)[0])
    one = Targets(targets.boxes[2:3], targets.labels[2:3])
    alone = sketch(head_gradients(model, images[2:3], one)[0])
    torch.testing.assert_close(alone, whole[2:3], rtol=1e-3, atol=1e-4)
    other = HeadSketch(model, 128, seed=2)(head_gradients(model, images, targets)[0])
    assert not torch.allclose(other, whole)


def test_an_image_without_objects_has_a_zero_gradient() -> None:
    model, images, _ = model_and_batch(batch=2)
    none = Targets(torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.long))
    levels, losses = head_gradients(model, images, none)
    assert not HeadSketch(model, 32)(levels).any()
    assert not losses.any()


def test_matching_pursuit_on_the_sketch_beats_random_on_the_true_gradients() -> None:
    count, budget = 96, 16
    torch.manual_seed(0)
    model = build_ssd("ssd128_slim10", 4).eval()
    dataset, prepare = shapes(count), Preparation(128, "none")
    examples = [prepare(dataset, i) for i in range(count)]
    targets = Targets.of([e.boxes for e in examples], [e.labels for e in examples])
    levels, _ = head_gradients(model, torch.stack([e.image for e in examples]), targets)
    exact = exact_gradients(levels)
    ones, labels = torch.ones(count, 1), torch.zeros(count, dtype=torch.long)
    sketched = Signals(labels, HeadSketch(model, 2048)(levels), ones, bias=False)
    true = Signals(labels, exact, ones, bias=False)
    generator = torch.Generator().manual_seed(0)
    chosen = gradient_error(true, GradMatch().select(sketched, budget, generator))
    at_random = [
        gradient_error(true, RandomSelector().select(true, budget, generator)) for _ in range(20)
    ]
    assert chosen < 0.7 * sum(at_random) / len(at_random)
    assert chosen < min(at_random)


def test_a_sketch_needs_two_dimensions() -> None:
    with pytest.raises(ValueError, match="projection_dim must be at least 2, got 1"):
        HeadSketch(build_ssd("ssd128_slim10", 3), 1)
