"""When a run looks at its splits: counted in forward examples, never in seconds."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.trainables.toy_tasks import PointTask, loop, run, timeless
from trainables.loop import looks
from trainables.loop.clock import PhaseClock
from trainables.loop.looks import LookBudget
from trainables.tasks.look import Look
from trainables.tasks.task import Batch, Split
from trainables.tasks.tensors import TensorTask


class Counted(TensorTask):
    """Three classes of points; counts the forward examples of each split."""

    def __init__(self, train: int = 60, validation: int = 40, test: int = 20) -> None:
        generator = torch.Generator().manual_seed(0)

        def points(size: int) -> tuple[Tensor, Tensor]:
            labels = torch.randint(3, (size,), generator=generator)
            return torch.randn(size, 5, generator=generator) + labels[:, None], labels

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
        super().__init__(model, points(train), points(validation), points(test))
        self.forwards: Counter[str] = Counter()
        self.seen: dict[str, list[tuple[int, ...]]] = {}

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        self.forwards[split] += len(indices)
        self.seen.setdefault(split, []).append(tuple(indices.tolist()))
        return super().batch(indices, split=split, generator=generator)


def counts(epochs: int = 10, **evaluation: Any) -> tuple[Counter[str], list[dict[str, Any]]]:
    task = Counted()
    reports = run(loop(task, max_epochs=epochs, evaluation=evaluation))
    return task.forwards, reports


def with_metric(reports: list[dict[str, Any]], name: str = "val_accuracy") -> list[int]:
    return [report["epoch"] for report in reports if name in report]


def test_the_test_split_is_seen_once() -> None:
    forwards, reports = counts()
    assert forwards == {"train": 600, "validation": 400, "test": 20}
    assert with_metric(reports, "test_accuracy") == [10]
    forwards, _ = counts(test="every", every=5)
    assert forwards == {"train": 600, "validation": 80, "test": 40}


def test_the_test_split_may_be_left_alone() -> None:
    forwards, reports = counts(test="never", every=10)
    assert forwards == {"train": 600, "validation": 40}
    assert with_metric(reports) == [10]
    assert with_metric(reports, "test_accuracy") == []


def test_milestones_and_the_last_epoch_are_never_missed() -> None:
    forwards, reports = counts(every=100, milestones=[3, 7])
    assert with_metric(reports) == [3, 7, 10]
    assert forwards["validation"] == 3 * 40
    assert forwards["test"] == 20


class Ticking(PhaseClock):
    """A clock on which training takes 1 s an epoch, and a look ``look_s`` an example."""

    def __init__(self, look_s: float = 0.0025) -> None:
        super().__init__()
        self.task: Counted | None = None
        self.look_s = look_s

    def seconds(self) -> dict[str, float]:
        assert self.task is not None
        forwards = self.task.forwards
        return {
            "train_s": forwards["train"] / 60,
            "select_s": 0.0,
            "eval_s": (forwards["validation"] + forwards["test"]) * self.look_s,
            "wait_s": 0.0,
        }


def shared(
    monkeypatch: pytest.MonkeyPatch, look_s: float, epochs: int = 40, **evaluation: Any
) -> tuple[Counted, list[dict[str, Any]]]:
    """A run whose looks are planned by a clock of work done, so that it repeats itself."""
    task, clock = Counted(), Ticking(look_s)
    clock.task = task
    training = loop(task, max_epochs=epochs, evaluation={"share": 0.1, **evaluation})
    monkeypatch.setattr(training._looks, "_clock", clock)
    return task, run(training)


@pytest.mark.parametrize("look_s", [0.0001, 0.0025, 0.02])
def test_looks_stay_within_their_share(monkeypatch: pytest.MonkeyPatch, look_s: float) -> None:
    task, reports = shared(monkeypatch, look_s)
    spent = task.forwards["validation"] * look_s
    assert spent <= 0.1 * 40
    assert with_metric(reports)[-1] == 40
    # A look of 40 examples is as dear as 40 look_s; what the share has room for is nearly all used.
    affordable = min(40, int(0.1 * 40 / (40 * look_s)))
    assert affordable - 4 <= len(with_metric(reports)) <= affordable


def test_looks_that_the_share_cannot_pay_end_with_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten epochs' seconds a look, which only a look can tell: milestones stay, no other follows."""
    task, reports = shared(monkeypatch, 0.25, milestones=[5, 20])
    assert with_metric(reports) == [3, 5, 20, 40]
    assert task.forwards["validation"] == 4 * 40


@pytest.mark.parametrize(("part", "first"), [(0.25, 1), (0.6, 2), (1.0, 3)])
def test_the_first_look_waits_until_its_share_would_pay_for_a_forward_pass_of_what_it_sees(
    monkeypatch: pytest.MonkeyPatch, part: float, first: int
) -> None:
    """A third of a training step an example: 10, 24 or 40 of 180 of an epoch's second, of 0.1."""
    _, reports = shared(monkeypatch, 0.0001, epochs=5, validation_part=part)
    assert with_metric(reports)[0] == first


def test_a_part_stands_for_a_large_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.tasks.look._AUTO_PART", 12)
    forwards, reports = counts(every=3, validation_part="auto")
    assert with_metric(reports) == [3, 6, 9, 10]
    assert forwards["validation"] == 3 * 12 + 40
    assert [r.get("validation_examples") for r in reports if "val_loss" in r] == [12] * 3 + [None]
    errors = [r["validation_standard_error"] for r in reports if "validation_examples" in r]
    accuracies = [r["val_accuracy"] for r in reports if "validation_examples" in r]
    expected = [(a * (1 - a) / 11 * (1 - 12 / 40)) ** 0.5 for a in accuracies]
    assert errors == pytest.approx(expected)


def test_the_part_is_the_same_for_every_trial() -> None:
    first, second = Counted(), Counted()
    for task, seed in ((first, 1), (second, 2)):
        run(loop(task, seed=seed, max_epochs=3, evaluation={"validation_part": 0.25}))
    assert first.seen["validation"][:2] == second.seen["validation"][:2]
    assert len(set(first.seen["validation"][:2])) == 1
    assert len(first.seen["validation"][0]) == 10


def test_looks_change_no_weights() -> None:
    runs = []
    for evaluation in ({"every": 1, "test": "every"}, {"share": 0.3}, {"every": 100}):
        task = Counted()
        reports = run(loop(task, max_epochs=6, evaluation=evaluation))
        runs.append((timeless(reports[-1]), [p.tolist() for p in task.model.parameters()]))
    assert runs[0] == runs[1] == runs[2]


def test_the_calibrated_loss_comes_with_the_last_epoch() -> None:
    _, reports = counts(epochs=4)
    assert with_metric(reports, "val_calibrated_loss") == [4]
    assert reports[-1]["val_calibrated_loss"] <= reports[-1]["val_loss"]
    assert "test_calibrated_loss" not in reports[-1]


def test_a_task_that_evaluates_in_its_own_way_is_seen_whole() -> None:
    """PointTask reads its whole split whatever it is asked, so no part may be reported."""
    reports = run(loop(PointTask(), evaluation={"validation_part": 0.5}))
    assert not any("validation_examples" in report for report in reports)


def test_seconds_of_looks_survive_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks.LookBudget, "affords", lambda *args: True)
    begun = loop(Counted(), evaluation={"share": 0.1})
    run(begun, epochs=2)
    resumed = loop(Counted(), evaluation={"share": 0.1})
    resumed.load_state_dict(begun.state_dict())
    assert resumed._looks._budget == begun._looks._budget
    assert resumed._looks._budget.spent_s > 0


def test_a_checkpoint_of_before_looks_were_planned_goes_on() -> None:
    begun = loop(Counted())
    run(begun, epochs=2)
    state = begun.state_dict()
    del state["looks"]
    resumed = loop(Counted(), evaluation={"share": 0.1})
    resumed.load_state_dict(state)
    assert with_metric(run(resumed))[-1] == 4


@given(
    cost_s=st.floats(0.01, 2.0),
    epochs=st.integers(1, 60),
    share=st.floats(0.01, 1.0),
    whole=st.floats(1.0, 20.0),
)
def test_a_steady_budget_is_never_overdrawn(
    cost_s: float, epochs: int, share: float, whole: float
) -> None:
    """All looks and the last one stay within the share, and none that fits is left out."""
    budget = LookBudget(share, whole=whole)
    budget.book(cost_s)  # the first finds out what looks cost
    for epoch in range(1, epochs + 1):
        if budget.affords(float(epoch), math.nan):
            budget.book(cost_s)
            assert budget.spent_s + cost_s * whole <= share * epoch * (1 + 1e-9)
        else:
            assert budget.spent_s + cost_s * (1 + whole) > share * epoch


def test_a_task_that_knows_no_labels_is_seen_whole_however_looks_are_planned() -> None:
    class Unlabelled(PointTask):
        looks: ClassVar[list[Look | None]] = []

        def split_labels(self, split: Split) -> torch.Tensor:
            raise ValueError("not known")

        def evaluate(self, split: Split) -> dict[str, float]:
            if split == "validation":
                self.looks.append(self.look)
            return {"loss": 1.0, "accuracy": 0.5}

    for evaluation in ({"validation_part": 0.25}, {"share": 1.0}):
        Unlabelled.looks.clear()
        reports = run(loop(Unlabelled(), max_epochs=3, evaluation=evaluation))
        assert len(Unlabelled.looks) == len(with_metric(reports)) >= 1
        assert with_metric(reports)[0] == 1, "what a look costs is found out at once"
        assert all(look is not None and look.positions is None for look in Unlabelled.looks)
        assert not any("validation_examples" in report for report in reports)
