"""The loop against loops written out by hand, and against itself after a restart."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.trainables.toy_tasks import PointTask, loop, run, settings, timeless
from trainables.loop.clock import PhaseClock
from trainables.loop.diverged import TrainingDivergedError
from trainables.loop.mini_batches import mini_batches, weighted_mean
from trainables.loop.optim import make_optimizer, make_schedule
from trainables.loop.seeding import stream
from trainables.loop.sources import Examples, Full, SubsetSource, Waiting
from trainables.loop.training_loop import TrainingLoop
from trainables.tasks.task import Batch, Task


class Fixed(SubsetSource):
    """The same examples each epoch."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def examples(self, epoch: int, task: Task) -> Examples:
        return self._examples


@pytest.mark.parametrize("schedule_by", ["step", "epoch"])
def test_full_training_is_ordinary_training(schedule_by: str) -> None:
    by_step = schedule_by == "step"
    task = PointTask(33, dropout=0.0)
    twin = copy.deepcopy(task)
    run(loop(task, schedule="cosine", schedule_by=schedule_by, seed=5))
    optimizer = torch.optim.SGD(twin.model.parameters(), 0.05, 0.9, weight_decay=5e-4)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 16 if by_step else 4)
    for epoch in range(4):
        order = torch.randperm(33, generator=stream(5, "order", epoch))
        noise = stream(5, "augmentation", epoch)
        for indices in [*order[:24].split(8), order[24:]]:  # 33 = 3 x 8 + 9, none of a single one
            optimizer.zero_grad()
            twin.losses(twin.batch(indices, generator=noise)).mean().backward()
            optimizer.step()
            if by_step:
                annealing.step()
        if not by_step:
            annealing.step()
    for ours, theirs in zip(task.model.parameters(), twin.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_weight_of_two_is_an_example_seen_twice() -> None:
    task = PointTask(8, dropout=0.0)
    losses = task.losses(task.batch(torch.arange(4)))
    doubled = losses[torch.tensor([0, 1, 1, 2, 3])]
    torch.testing.assert_close(
        weighted_mean(losses, torch.tensor([1.0, 2.0, 1.0, 1.0])), doubled.mean()
    )
    assert weighted_mean(losses.detach(), torch.zeros(4)).item() == 0.0


def test_a_whole_batch_steps_by_its_weight() -> None:
    losses = torch.tensor([1.0, 3.0])
    assert float(weighted_mean(losses, torch.tensor([2.5, 2.5]), whole=True)) == 5.0
    assert float(weighted_mean(losses, torch.tensor([2.5, 2.5]))) == 2.0


@given(size=st.integers(1, 70), batch_size=st.integers(1, 20), seed=st.integers(0, 3))
def test_mini_batches_deal_every_example_once(size: int, batch_size: int, seed: int) -> None:
    indices = torch.arange(size) * 3
    weights = torch.arange(size).float()
    cut = mini_batches(Examples(indices, weights), batch_size, torch.Generator().manual_seed(seed))
    assert sorted(torch.cat([i for i, _ in cut]).tolist()) == indices.tolist()
    assert all(w is not None and torch.equal(w * 3, i.float()) for i, w in cut)
    sizes = [len(i) for i, _ in cut]
    assert max(sizes) <= batch_size + 1
    assert batch_size == 1 or size == 1 or min(sizes) > 1


def test_whole_batches_stay_together() -> None:
    batches = torch.tensor([4, 4, 9, 9, 9, 2, 2], dtype=torch.int32)
    indices = torch.arange(10, 17)
    orders = set()
    for seed in range(20):
        examples = Examples(indices, torch.ones(7), batches)
        cut = mini_batches(examples, 128, torch.Generator().manual_seed(seed))
        groups = [sorted(i.tolist()) for i, _ in cut]
        assert sorted(groups) == [[10, 11], [12, 13, 14], [15, 16]]
        orders.add(tuple(map(tuple, groups)))
    assert len(orders) > 1


def test_a_whole_batch_of_one_is_joined_to_its_neighbour() -> None:
    batches = torch.tensor([4, 4, 9, 9, 2, 7], dtype=torch.int32)
    for seed in range(20):  # the single ones lie first, last, apart and side by side
        examples = Examples(torch.arange(6), torch.arange(6.0), batches)
        cut = mini_batches(examples, 2, torch.Generator().manual_seed(seed))
        assert min(len(indices) for indices, _ in cut) > 1
        assert sorted(torch.cat([indices for indices, _ in cut]).tolist()) == list(range(6))
        assert all(w is not None and torch.equal(w, i.float()) for i, w in cut)


def test_a_subset_of_one_is_refused_in_the_users_terms() -> None:
    examples = Examples(torch.tensor([3]), torch.ones(1))
    with pytest.raises(ValueError, match=r"one example.*raise batch_size \(8\) or selection.frac"):
        loop(source=Fixed(examples)).run_epoch()


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    first, again, other = (run(loop(seed=seed)) for seed in (3, 3, 4))
    assert [timeless(r) for r in first] == [timeless(r) for r in again]
    assert first[-1]["train_loss"] != other[-1]["train_loss"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_restored_run_is_bit_identical(optimizer: str) -> None:
    uninterrupted = loop(optimizer=optimizer, learning_rate=0.01)
    expected = run(uninterrupted)
    begun = loop(optimizer=optimizer, learning_rate=0.01)
    run(begun, epochs=2)
    file = io.BytesIO()
    torch.save(begun.state_dict(), file)
    torch.manual_seed(999)  # whatever the new process did before
    resumed = loop(PointTask(seed=0), optimizer=optimizer, learning_rate=0.01)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    rest = run(resumed)
    assert [timeless(r) for r in rest] == [timeless(r) for r in expected[2:]]
    for name, value in resumed.task.model.state_dict().items():
        assert torch.equal(value, uninterrupted.task.model.state_dict()[name])


def test_a_restored_loop_would_save_what_it_was_restored_from() -> None:
    """Every part of the state: the seconds, counts and looks of before go on as well."""
    begun = loop(evaluation={"share": 0.5}, optimizer="adam")
    run(begun, epochs=2)
    begun._clock.add("select", 7.0)
    state = begun.state_dict()
    resumed = loop(PointTask(seed=1), evaluation={"share": 0.5}, optimizer="adam")
    resumed.load_state_dict(state)
    again, before = flat(resumed.state_dict()), flat(state)
    for hyperparameters in (again, before):
        del hyperparameters[".optimizer.param_groups"]  # are the loop's own, see below
    assert again == before
    assert state["clock"]["select_s"] >= 7.0
    assert resumed.run_epoch()["examples_seen"] == 3 * 60


def flat(state: Any, name: str = "") -> dict[str, Any]:
    """A nested state by dotted names, tensors as lists."""
    if isinstance(state, dict):
        parts = [flat(value, f"{name}.{key}") for key, value in state.items()]
        return {key: value for part in parts for key, value in part.items()}
    return {name: state.tolist() if isinstance(state, Tensor) else state}


def test_a_checkpoint_takes_the_loops_own_hyperparameters() -> None:
    """Population-based training restores another trial's checkpoint under its own settings."""
    donor = loop(learning_rate=0.05, schedule="constant")
    run(donor, epochs=2)
    taker = loop(learning_rate=0.001, schedule="constant", weight_decay=0.1)
    taker.load_state_dict(donor.state_dict())
    report = taker.run_epoch()
    assert report["epoch"] == 3
    assert report["learning_rate"] == 0.001
    (group,) = taker._steps._optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.001, 0.1)
    assert taker._steps._optimizer.state  # the moments are the donor's


def test_a_nan_ends_the_run_with_epoch_batch_and_arm() -> None:
    class Poisoned(PointTask):
        def losses(self, batch: Batch) -> Tensor:
            losses = super().losses(batch)
            return torch.where(batch.indices == 17, torch.nan, losses)

    order = torch.randperm(60, generator=stream(0, "order", 0))
    number = int(torch.nonzero(order == 17)) // 8 + 1
    training = loop(Poisoned())
    with pytest.raises(TrainingDivergedError, match=rf"nan in epoch 1 in batch {number} of 8"):
        training.run_epoch()


def test_divergence_names_what_to_change() -> None:
    with pytest.raises(TrainingDivergedError, match=r"'full'.*learning_rate 1e\+20.*clip_norm"):
        run(loop(learning_rate=1e20, max_epochs=10))


class Rates(PointTask):
    """Writes down the learning rate of every step; ``training`` is set afterwards."""

    training: TrainingLoop

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.rates: list[float] = []

    def losses(self, batch: Batch) -> Tensor:
        if self.model.training:
            self.rates.append(self.training._steps._optimizer.param_groups[0]["lr"])
        return super().losses(batch)


def rates(size: int = 16, **config: Any) -> list[float]:
    task = Rates(size)
    task.training = loop(task, learning_rate=0.4, **config)
    run(task.training)
    return task.rates


def test_warm_up_rises_step_by_step_and_reports_the_schedule() -> None:
    for by in ("step", "epoch"):
        found = rates(warmup_epochs=2, schedule="constant", schedule_by=by)
        assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4])


def test_a_schedule_moves_with_every_step_or_once_per_epoch() -> None:
    """Two epochs of two steps: 0.4 (1 + cos(pi t)) / 2 at t = 0, 1/4, 1/2 and 3/4."""
    root = 2**-0.5
    by_step = [0.4, 0.2 * (1 + root), 0.2, 0.2 * (1 - root)]
    assert rates(max_epochs=2) == pytest.approx(by_step)
    assert rates(max_epochs=2, schedule_by="epoch") == pytest.approx([0.4, 0.4, 0.2, 0.2])
    # One epoch is annealed like two; at one step an epoch, by epoch is by step.
    assert rates(32, max_epochs=1) == pytest.approx(by_step)
    assert rates(8, max_epochs=4, schedule_by="epoch") == pytest.approx(by_step)


def test_warm_up_of_half_an_epoch_leaves_the_other_half_to_the_schedule() -> None:
    """Four steps: half way up; the warm-up's end, which is the cosine at 1/2; there; and at 3/4."""
    found = rates(32, max_epochs=1, warmup_epochs=0.5)
    assert found == pytest.approx([0.2, 0.2, 0.2, 0.2 * (1 - 2**-0.5)])


def test_a_restart_within_a_schedule_by_step_goes_on_where_it_was() -> None:
    whole, task = rates(), Rates(16)
    task.training = begun = loop(task, learning_rate=0.4)
    run(begun, epochs=2)
    state = begun.state_dict()
    task.training = loop(task, learning_rate=0.4)
    task.training.load_state_dict(state)
    run(task.training)
    assert task.rates == pytest.approx(whole)


def test_clipping_bounds_the_step() -> None:
    task = PointTask(8)
    before = torch.cat([p.detach().flatten().clone() for p in task.model.parameters()])
    run(loop(task, clip_norm=0.01, momentum=0.0, weight_decay=0.0, max_epochs=2), epochs=1)
    after = torch.cat([p.detach().flatten() for p in task.model.parameters()])
    assert float((after - before).norm()) <= 0.05 * 0.01 * 1.001


def test_evaluation_can_be_rarer_but_never_misses_the_last_epoch() -> None:
    reports = run(loop(max_epochs=5, eval_every=3))
    assert ["val_loss" in report for report in reports] == [False, False, True, False, True]


def test_counts_of_examples() -> None:
    subset = Examples(torch.arange(0, 60, 4))
    reports = run(loop(source=Fixed(subset)))
    assert [r["examples_seen"] for r in reports] == [15, 30, 45, 60]
    assert reports[-1]["subset_size"] == 15
    assert reports[-1]["points_never_used"] == pytest.approx(0.75)
    assert run(loop())[-1]["points_never_used"] == 0


def test_waiting_is_no_epoch_and_ends_nothing() -> None:
    class Late(Full):
        asked = 0

        def examples(self, epoch: int, task: Task) -> Any:
            self.asked += 1
            return Waiting(0) if self.asked <= 2 else super().examples(epoch, task)

    training = loop(source=Late())
    waits = [training.run_epoch(), training.run_epoch()]
    assert [w["waiting_for_interval"] for w in waits] == [0, 0]
    assert all(w["epoch"] == 0 and "train_loss" not in w for w in waits)
    assert not training.finished
    assert [timeless(r) for r in run(training)] == [timeless(r) for r in run(loop())]


def test_a_time_budget_ends_the_run_evaluated() -> None:
    training = loop(time_budget_s=1e-9, eval_every=100)
    (report,) = run(training)
    assert training.finished
    assert "test_accuracy" in report


class Halving:
    """Steps on the first half of each mini-batch."""

    def __init__(self) -> None:
        self.observed: list[int] = []
        self.considered = 0

    def weighted_batches(
        self, task: Task, candidates: Iterator[tuple[Tensor, Tensor | None]], **streams: Any
    ) -> Iterator[tuple[Batch, Tensor | None]]:
        self.considered = 0
        for indices, _ in candidates:
            self.considered += len(indices)
            half = indices[: len(indices) // 2]
            yield task.batch(half, generator=streams["augmentation"]), torch.ones(len(half))

    def observe(self, losses: Tensor) -> None:
        self.observed.append(len(losses))

    def metrics(self) -> dict[str, float]:
        return {"halved": 1.0}

    def state_dict(self) -> dict[str, Any]:
        return {"observed": self.observed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.observed = list(state["observed"])


def test_a_stage_chooses_inside_the_mini_batch_after_the_warm_start() -> None:
    task, chosen, stage = PointTask(32), settings(), Halving()
    training = TrainingLoop(
        task, Full(), make_optimizer(task, chosen), make_schedule(chosen, 4), chosen,
        epochs=4, clock=PhaseClock(), stage=stage, stage_from_epoch=2,
    )  # fmt: skip
    reports = run(training)
    assert [r["examples_seen"] for r in reports] == [32, 64, 80, 96]
    assert stage.observed == [4] * 8
    assert reports[-1]["halved"] == 1.0
    assert training.state_dict()["stage"] == {"observed": [4] * 8}


def test_gradients_are_clipped_in_their_own_scale() -> None:
    """Mixed precision scales the loss up: norms are measured after that is taken back."""

    class Scaled:
        """A scaler that is on, also without a GPU."""

        unscaled = False

        def scale(self, loss: Tensor) -> Tensor:
            return loss * 1024

        def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad /= 1024
            self.unscaled = True

        def step(self, optimizer: torch.optim.Optimizer) -> None:
            if not self.unscaled:  # as torch's does
                self.unscale_(optimizer)
            optimizer.step()

        def update(self) -> None:
            self.unscaled = False

    reached = []
    for scaler in (None, Scaled()):
        training = loop(max_epochs=2, clip_norm=0.05)
        if scaler is not None:
            training._steps._scaler = scaler  # type: ignore[assignment]
        run(training)
        reached.append([p.detach().clone() for p in training.task.model.parameters()])
    for plain, scaled in zip(*reached, strict=True):
        torch.testing.assert_close(plain, scaled)
