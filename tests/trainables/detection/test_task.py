from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from trainables.detection.boxes import Targets
from trainables.detection.data import DetectionData, load_detection
from trainables.detection.evaluation import mean_average_precision
from trainables.detection.loss import image_losses
from trainables.detection.models import build_ssd
from trainables.detection.settings import DetectionSettings
from trainables.detection.task import ObjectDetectionTask

SMALL = {"name": "shapes", "train_size": 16, "test_size": 6, "validation_fraction": 0.25}


@cache
def data() -> DetectionData:
    return load_detection(SMALL)


def make_task(**keywords: Any) -> ObjectDetectionTask:
    torch.manual_seed(0)
    model = build_ssd("ssd128_slim10", data().train.class_count)
    return ObjectDetectionTask(model, data(), **keywords)


def test_losses_are_per_image_and_their_parts_are_reported() -> None:
    task = make_task(alpha=0.5)
    batch = task.batch(torch.tensor([3, 0, 7]))
    assert batch.inputs.dtype == torch.uint8
    task.model.train()
    losses = task.losses(batch)
    logits, offsets = task.model(batch.inputs)
    parts = image_losses(logits, offsets, Targets(*batch.targets), task.model.default_boxes)
    torch.testing.assert_close(losses, parts.total(0.5), rtol=1e-4, atol=1e-4)
    assert losses.shape == (3,)
    reported = task.metrics()
    assert reported["train_loss_conf"] + 0.5 * reported["train_loss_loc"] == pytest.approx(
        losses.mean().item(), rel=1e-4
    )
    assert task.metrics() == {}


def test_only_training_steps_count_and_selection_has_its_own_alpha() -> None:
    task = make_task(alpha=1.0, selection_alpha=0.0)
    batch = task.batch(torch.arange(4))
    task.model.train()
    with torch.no_grad():
        task.losses(batch)
    task.model.eval()
    whole, conf = task.losses(batch), task.selection_losses(batch)
    assert task.metrics() == {}
    logits, offsets = task.model(batch.inputs)
    parts = image_losses(logits, offsets, Targets(*batch.targets), task.model.default_boxes)
    torch.testing.assert_close(whole, parts.total(1.0))
    torch.testing.assert_close(conf, parts.classification)


def test_batches_do_not_depend_on_who_prepares_them() -> None:
    asked = [torch.tensor([5, 1, 2]), torch.tensor([0, 9, 11])]
    results = []
    for workers in (0, 2):
        feed = DetectionSettings.of({**SMALL, "augmentation": "ssd", "workers": workers})
        task = make_task(feed=feed)
        generator = torch.Generator().manual_seed(4)
        results.append(list(task.batches(asked, generator=generator)))
    for here, there in zip(*results, strict=True):
        assert torch.equal(here.indices, there.indices)
        assert torch.equal(here.inputs, there.inputs)
        for one, other in zip(here.targets, there.targets, strict=True):
            assert torch.equal(one, other)
    plain = make_task().batch(asked[0])
    assert not torch.equal(plain.inputs, results[0][0].inputs)


def test_evaluation_is_cocos_and_leaves_the_mode() -> None:
    task = make_task()
    task.model.train()
    scores = task.evaluate("test")
    assert task.model.training
    found = task.detections(torch.arange(len(data().test)))
    expected = mean_average_precision(found, data().test)
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert scores["loss"] == pytest.approx(scores["loss_conf"] + scores["loss_loc"])
    assert task.metric in scores


def test_detections_come_in_original_pixels() -> None:
    task = make_task()
    found = task.detections(torch.tensor([1, 4]))
    doubled = dataclasses.replace(data().test, sizes=data().test.sizes * 2)
    bigger = ObjectDetectionTask(task.model, dataclasses.replace(data(), test=doubled))
    for one, other in zip(found, bigger.detections(torch.tensor([1, 4])), strict=True):
        np.testing.assert_allclose(other.boxes, 2 * one.boxes, rtol=1e-5)


def test_an_empty_split_has_no_scores_and_no_signals() -> None:
    nothing = dataclasses.replace(data(), validation=data().validation.take(np.array([], int)))
    task = ObjectDetectionTask(make_task().model, nothing)
    assert task.evaluate("validation") == {}
    with pytest.raises(ValueError, match="validation split is empty"):
        task.signals("validation")


def test_signals_are_in_the_order_of_the_images_and_repeat_themselves() -> None:
    task = make_task(projection_dim=256)
    task.eval_batch_size = 5
    signals = task.signals()
    assert signals.inputs.shape == (task.train_size, 256)
    assert signals.output_gradients.shape == (task.train_size, 1)
    assert not signals.bias
    assert not signals.labels.any()
    task.eval_batch_size = 12
    again = task.signals()
    torch.testing.assert_close(again.inputs, signals.inputs, rtol=1e-3, atol=1e-3)
    task.model.eval()
    torch.testing.assert_close(signals.losses, task.losses(task.batch(torch.arange(12))).detach())
    assert len(task.signals("validation")) == len(data().validation)
    assert all(p.grad is None for p in task.model.parameters())


def test_losses_alone_need_no_gradients() -> None:
    task = make_task()
    signals = task.signals(gradients=False)
    assert signals.inputs.shape == (task.train_size, 0)
    torch.testing.assert_close(signals.losses, task.signals().losses)


def test_the_sketch_stands_for_the_gradients_themselves() -> None:
    exact = make_task(projection_dim=None).signals().inputs.double()
    sketched = make_task(projection_dim=4096).signals().inputs.double()
    norms = exact.norm(dim=1)
    error = (sketched @ sketched.T - exact @ exact.T) / (norms[:, None] * norms)
    assert error.square().mean().sqrt() < (11 / 4096) ** 0.5


def test_mixed_precision_keeps_the_signals() -> None:
    task = make_task()
    exact, loss = task.signals(), task.evaluate("test")["loss"]
    task.amp_dtype = torch.bfloat16
    rounded = task.signals()
    assert rounded.inputs.dtype == torch.float32
    torch.testing.assert_close(rounded.losses, exact.losses, rtol=0.03, atol=0)
    difference = (rounded.inputs - exact.inputs).norm(dim=1)
    assert (difference < 0.1 * exact.inputs.norm(dim=1)).all()
    assert task.evaluate("test")["loss"] == pytest.approx(loss, rel=0.03)


def test_weight_decay_is_for_weights_alone() -> None:
    task = make_task()
    decayed, free = task.parameter_groups(0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    names = {id(p): name for name, p in task.model.named_parameters()}
    assert {p.ndim for p in decayed["params"]} == {4}
    assert {names[id(p)].rsplit(".", 1)[1] for p in free["params"]} == {"bias", "weight"}
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_there_is_no_linear_head() -> None:
    with pytest.raises(ValueError, match="no linear head but a convolution per feature map"):
        make_task().head()
