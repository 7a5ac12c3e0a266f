"""Datasets of any kind: what is trained is torch's own loss, and selection goes on as ever."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset, TensorDataset

from tests.trainables.toy_tasks import loop, run
from trainables import DatasetTask, SelectionTrainable, TensorTask
from trainables.tasks.batches import join, take
from tune_select.selection import GradMatch, PerClass


class Named(Dataset[Any]):
    """Two inputs and several labels by name."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(position)
        words = torch.randn(4, generator=generator)
        picture = torch.randn(3, generator=generator)
        return {"words": words, "picture": picture, "labels": (words[:2] > 0).float()}


class TwoTowers(nn.Module):
    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.words, self.pictures = nn.Linear(4, 5), nn.Linear(3, 5)
        self.top = nn.Linear(5, outputs)

    def forward(self, words: Tensor, picture: Tensor) -> Tensor:
        top: Tensor = self.top(self.words(words).relu() + self.pictures(picture))
        return top


def positional() -> TensorDataset:
    items = [Named()[i] for i in range(24)]
    return TensorDataset(*(torch.stack([item[k] for item in items]) for k in items[0]))


def masks() -> TensorDataset:
    images = torch.randn(24, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return TensorDataset(images, (images[:, 0] > 0).long())


def numbers() -> TensorDataset:
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, x.sum(1, keepdim=True))


def classes() -> TensorDataset:
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, (x[:, 0] > 0).long())


def close(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).abs() < 1


Kind = tuple[Callable[[], Any], Callable[[], nn.Module], Any, dict[str, Any]]
KINDS: dict[str, Kind] = {
    "regression": (numbers, lambda: nn.Linear(3, 1), functional.mse_loss, {"close": close}),
    "several inputs by name": (Named, TwoTowers, nn.BCEWithLogitsLoss(), {}),
    "several inputs": (positional, TwoTowers, functional.binary_cross_entropy_with_logits, {}),
    "segmentation": (masks, lambda: nn.Conv2d(1, 2, 3, padding=1), nn.CrossEntropyLoss(), {}),
    "classes": (classes, lambda: nn.Linear(3, 2), None, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_torchs_own_by_example_and_training_lowers_them(kind: str) -> None:
    data, model, loss, metrics = KINDS[kind]
    torch.manual_seed(0)
    task = DatasetTask(model(), data(), data(), loss=loss, metrics=metrics)
    batch = task.batch(torch.arange(24))
    losses = task.losses(batch).detach()
    assert losses.shape == (24,)
    own = loss or functional.cross_entropy
    mean = own(task.outputs(batch.inputs), batch.targets).detach()
    assert float(losses.mean()) == pytest.approx(float(mean), rel=1e-5)
    reports = run(loop(task, max_epochs=8, learning_rate=0.1, batch_size=8))
    assert reports[-1]["val_loss"] < float(mean)
    assert ("val_close" in reports[-1]) == (kind == "regression")
    assert ("val_accuracy" in reports[-1]) == (kind == "classes")
    halves = join([take(batch, torch.arange(10)), take(batch, torch.arange(10, 24))])
    torch.testing.assert_close(task.losses(halves), task.losses(batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_signals_are_the_gradients_of_each_examples_loss(kind: str) -> None:
    """The sum over examples of p h^T is the gradient of the summed loss, where it factorises."""
    data, model, loss, _ = KINDS[kind]
    torch.manual_seed(0)
    task = DatasetTask(model(), data(), loss=loss)
    signals = task.signals()
    assert len(signals.labels) == 24
    assert bool((signals.labels > 0).any()) == (kind == "classes")
    if kind == "segmentation":  # a convolution's gradient does not factorise
        return
    head: Any = task.head()
    task.model.eval()
    (expected,) = torch.autograd.grad(task.losses(task.batch(torch.arange(24))).sum(), head.weight)
    torch.testing.assert_close(signals.output_gradients.T @ signals.inputs, expected)


def ignored(*targets_shape: int) -> Tensor:
    """Classes of which some, and of the first example all, are ignored."""
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(0, 3, targets_shape, generator=generator)
    targets[torch.rand(targets_shape, generator=generator) < 0.4] = 255
    targets[0] = 255
    return targets


CLASS_WEIGHTS = torch.tensor([0.2, 1.0, 3.0])


@pytest.mark.parametrize("shape", [(6, 6), (5,)], ids=["masks", "texts"])
@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(ignore_index=255),
        partial(functional.cross_entropy, ignore_index=255),
        nn.CrossEntropyLoss(weight=CLASS_WEIGHTS, ignore_index=255),
        nn.CrossEntropyLoss(ignore_index=255, label_smoothing=0.1),
    ],
)
def test_ignored_positions_do_not_count(loss: Any, shape: tuple[int, ...]) -> None:
    """Each example's loss, and its gradient, is what torch's own mean says of it alone."""
    images = torch.randn(9, 1, *shape, generator=torch.Generator().manual_seed(0))
    layer = nn.Conv2d if len(shape) == 2 else nn.Conv1d
    torch.manual_seed(0)
    task = DatasetTask(layer(1, 3, 3, padding=1), TensorDataset(images, ignored(9, *shape)),
                       TensorDataset(images, ignored(9, *shape)), loss=loss)  # fmt: skip
    batch = task.batch(torch.arange(9))
    losses = task.losses(batch)
    own, rows = [torch.tensor(0.0)], [torch.zeros(30 if len(shape) == 2 else 12)]
    for i in range(1, 9):
        alone = loss(task.outputs(batch.inputs[i : i + 1]), batch.targets[i : i + 1])
        gradients = torch.autograd.grad(alone, list(task.model.parameters()))
        own.append(alone.detach())
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    torch.testing.assert_close(losses.detach(), torch.stack(own))
    assert task.evaluate("validation")["loss"] == pytest.approx(float(torch.stack(own).mean()))
    signals = task.signals()
    expected = torch.stack(rows)
    assert signals.inputs.shape == expected.shape  # the gradients themselves, in some order
    torch.testing.assert_close(signals.inputs @ signals.inputs.T, expected @ expected.T)


def test_labels_are_given_held_or_found() -> None:
    given = DatasetTask(nn.Linear(3, 1), numbers(), loss=nn.MSELoss(), labels=torch.arange(24) % 4)
    assert given.labels.tolist() == [i % 4 for i in range(24)]
    found = DatasetTask(nn.Linear(3, 2), classes())
    assert torch.equal(found.labels, classes().tensors[1])
    held = classes()
    held.targets = [1] * 24  # type: ignore[attr-defined]
    assert DatasetTask(nn.Linear(3, 2), held).labels.tolist() == [1] * 24
    selected = PerClass(GradMatch()).select(found.signals(), 6, torch.Generator().manual_seed(0))
    assert len(selected.indices) == 6


def test_a_trainable_of_it_seeds_and_replays(tmp_path: Path) -> None:
    class Towers(SelectionTrainable):
        metric, mode = "loss", "min"

        def make_task(self, settings: Any, dataset: Any, device: torch.device) -> DatasetTask:
            loss = nn.BCEWithLogitsLoss()
            return DatasetTask(TwoTowers(), Named(), Named(), loss=loss, device=device)

    same = []
    for arm in ("seed", "cached", "big_loss"):
        trial = Towers({
            "arm": arm, "max_epochs": 2, "batch_size": 8, "energy": False,
            "selection": {"fraction": 0.5, "select_every": 1}, "history": str(tmp_path / "h"),
        })  # fmt: skip
        same.append([trial.step()["train_loss"] for _ in range(2)])
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (numbers, {}, r"loss is missing: targets are torch.float32 of shape \(B, 1\), not classes"),
        (numbers, {"loss": lambda a, b: (a - b).square().mean()}, "one value per example.*'none'"),
        (numbers, {"loss": nn.MSELoss(), "labels": [1, 2]}, "labels have shape"),
        (lambda: iter([1]), {"loss": nn.MSELoss()}, "has no length"),
    ],
)
def test_what_does_not_do_is_named(data: Any, settings: dict[str, Any], message: str) -> None:
    def losses() -> Tensor:
        task = DatasetTask(nn.Linear(3, 1), data(), **settings)
        return task.losses(task.batch(torch.arange(4)))

    with pytest.raises(ValueError, match=message):
        losses()


@pytest.mark.parametrize("targets", [torch.randn(8), torch.ones(8, 2), torch.ones(8, 2).long()])
def test_tensors_that_name_no_class_are_no_classes(targets: Tensor) -> None:
    inputs = torch.randn(8, 3)
    with pytest.raises(ValueError, match=r"not classes \(n,\): override losses_of"):
        TensorTask(nn.Linear(3, 2), (inputs, targets))

    class Squared(TensorTask):
        def losses_of(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return (outputs - targets.reshape(len(targets), -1)).square().mean(1)

    task = Squared(nn.Linear(3, 2), (inputs, targets), (inputs, targets))
    assert task.labels.tolist() == [0] * 8
    assert set(task.evaluate("validation")) == {"loss"}
    short = TensorTask(nn.Linear(3, 2), (inputs, torch.ones(8, dtype=torch.int32)))
    assert short.losses(short.batch(torch.arange(8))).shape == (8,)


def lengths() -> list[tuple[Tensor, Tensor]]:
    """Sequences of one to seven numbers, and whether their sum is positive."""
    drawn = [
        torch.randn(1 + i * 5 % 7, generator=torch.Generator().manual_seed(i)) for i in range(24)
    ]
    return [(x, (x.sum() > 0).long()) for x in drawn]


def padded(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    inputs = nn.utils.rnn.pad_sequence([x for x, _ in items], batch_first=True)
    return functional.pad(inputs, (0, 7 - inputs.shape[1])), torch.stack([y for _, y in items])


def test_a_collate_function_that_sorts_is_refused() -> None:
    def longest_first(items: list[Any]) -> Any:
        return padded(sorted(items, key=lambda item: -len(item[0])))

    def numbered(items: list[Any]) -> Any:  # rows that count, which stay in any order, are no sign
        return torch.arange(len(items)), *padded(items)

    class Second(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(7, 2)

        def forward(self, rows: Tensor, inputs: Tensor) -> Tensor:
            outputs: Tensor = self.head(inputs)
            return outputs

    fingerprint = {"fingerprint": "sequences"}
    DatasetTask(nn.Linear(7, 2), lengths(), collate_fn=padded, **fingerprint)
    DatasetTask(Second(), lengths(), collate_fn=numbered, **fingerprint)
    with pytest.raises(ValueError, match="an order of its own .*must keep the order"):
        DatasetTask(nn.Linear(7, 2), lengths(), collate_fn=longest_first, **fingerprint)


def test_outputs_that_are_no_class_scores_are_matched_as_a_whole_layer() -> None:
    class Reconstruction(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(4, 3), nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            outputs: Tensor = self.head(self.body(x).relu())
            return outputs

    torch.manual_seed(0)
    x = torch.randn(24, 4)
    data = TensorDataset(x, x.clone())
    task = DatasetTask(Reconstruction(), data, loss=nn.MSELoss(), labels=torch.arange(24) % 3)
    signals = task.signals()
    assert not signals.class_outputs
    chosen = GradMatch().select(signals, 9, torch.Generator())
    whole = GradMatch(gradients="layer").select(signals, 9, torch.Generator())
    assert torch.equal(chosen.indices, whole.indices)
    assert DatasetTask(nn.Linear(3, 2), classes()).signals().class_outputs
