"""The stage between the candidates and the steps."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.arms.minibatch_stage import MiniBatchSelection
from trainables.arms.plan import ArmPlan
from trainables.arms.stage_settings import StageSettings, parse_stage
from trainables.loop.clock import PhaseClock
from trainables.loop.diverged import TrainingDivergedError
from trainables.settings.selection import SelectionSettings
from trainables.tasks.task import Batch, Split, Task
from tune_select.selection.minibatch import (
    BatchSignals,
    BigLoss,
    Choice,
    GradientMatching,
    Kath18,
    MiniBatchSelector,
    Scheduled,
    SelectiveBackprop,
    Stale,
    Uniform,
    selector_named,
)


class Losses(Task):
    """Example i has loss i / 10 at first; counts its forward passes and the examples it makes."""

    def __init__(self, size: int = 96) -> None:
        self.device = torch.device("cpu")
        self.model = nn.Sequential(nn.Linear(1, 1, bias=False))
        nn.init.constant_(self.head().weight, 1.0)
        self.labels = torch.zeros(size, dtype=torch.int64)
        self.made: list[int] = []
        self.passes: list[int] = []
        self.scale = 0.1

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        self.made.append(len(indices))
        return Batch(indices, indices.float()[:, None] * self.scale, torch.zeros(len(indices)))

    def losses(self, batch: Batch) -> Tensor:
        self.passes.append(len(batch))
        return self.model(batch.inputs).squeeze(1)

    def evaluate(self, split: Split) -> dict[str, float]:
        return {}

    def head(self) -> nn.Linear:
        head = self.model[0]
        assert isinstance(head, nn.Linear)
        return head


def candidates(size: int = 96, batch_size: int = 16, seed: int = 0) -> list[tuple[Tensor, None]]:
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    return [(part, None) for part in torch.split(order, batch_size)]


def stage_for(
    task: Task, selector: MiniBatchSelector, *, keep: float = 0.25, epochs: int = 10, **own: Any
) -> MiniBatchSelection:
    settings = StageSettings(keep=keep, **own)
    return MiniBatchSelection(
        selector, settings, task, PhaseClock(), batch_size=16, max_epochs=epochs
    )


def epoch_of(
    stage: MiniBatchSelection, task: Task, epoch: int = 0, cut: list[Any] | None = None
) -> Iterator[tuple[Batch, Tensor | None]]:
    return stage.weighted_batches(
        task,
        candidates(len(task.labels)) if cut is None else cut,
        epoch=epoch,
        generator=torch.Generator().manual_seed(epoch),
        augmentation=torch.Generator().manual_seed(epoch),
    )


def indices_of(batches: list[tuple[Batch, Tensor | None]]) -> list[list[int]]:
    return [sorted(batch.indices.tolist()) for batch, _ in batches]


def flat(lists: list[list[int]]) -> list[int]:
    return [entry for entries in lists for entry in entries]


def considered(stage: MiniBatchSelection, task: Task, epoch: int = 0) -> list[int]:
    return [stage.considered for _ in epoch_of(stage, task, epoch)]


def test_a_step_stands_where_its_candidates_do() -> None:
    """What a schedule that moves with every step goes by: candidates, not steps."""
    task = Losses()
    every = [16, 32, 48, 64, 80, 96]
    assert considered(stage_for(task, BigLoss()), task) == every
    assert considered(stage_for(task, Uniform()), task) == every  # chosen without a pass
    scaled = stage_for(task, BigLoss(), keep=0.5, batch_mode="scaled")
    assert considered(scaled, task) == [32, 64, 96]
    whole = stage_for(task, Scheduled(BigLoss(), start=0.5), keep=0.5, batch_mode="scaled")
    assert considered(whole, task) == every  # candidates of 32 in steps of 16
    # Four candidates of four chosen make a step of sixteen; a rest waits for the next epoch.
    assert considered(stage_for(task, BigLoss(), batch_mode="collected"), task) == [64]


def test_fixed_mode_steps_on_m_of_each_mini_batch() -> None:
    task = Losses()
    stage = stage_for(task, BigLoss())
    batches = list(epoch_of(stage, task))
    expected = [part.sort().values[-4:].tolist() for part, _ in candidates()]
    assert indices_of(batches) == expected
    for batch, weights in batches:
        torch.testing.assert_close(batch.inputs[:, 0], batch.indices * 0.1)  # kept together
        assert weights is not None
        assert weights.tolist() == [1.0] * 4
    assert stage.metrics() == {"trained_share": 0.25, "selection_examples": 96.0}
    assert task.passes == [16] * 6


def test_scaled_mode_steps_on_the_batch_size() -> None:
    """M = 16 / 0.25 = 64; what is left over at the end (32) still gives a step of 16."""
    task = Losses()
    stage = stage_for(task, BigLoss(), batch_mode="scaled")
    batches = list(epoch_of(stage, task))
    order = torch.cat([part for part, _ in candidates()])
    expected = [part.sort().values[-16:].tolist() for part in (order[:64], order[64:])]
    assert indices_of(batches) == expected
    assert task.made == [64, 32]


def test_collected_mode_steps_on_full_batches() -> None:
    """Six times four chosen examples make one step of 16; the other eight wait."""
    task = Losses()
    stage = stage_for(task, BigLoss(), batch_mode="collected")
    chosen = [sorted(part.sort().values[-4:].tolist()) for part, _ in candidates()]
    first = indices_of(list(epoch_of(stage, task)))
    assert first == [sorted(flat(chosen[:4]))]
    second = indices_of(list(epoch_of(stage, task, epoch=1)))
    assert second == [sorted(flat(chosen[4:] + chosen[:2])), sorted(flat(chosen[2:]))]


def test_an_epoch_makes_at_least_one_step() -> None:
    task = Losses(size=32)
    stage = stage_for(task, BigLoss(), batch_mode="collected")
    batches = list(epoch_of(stage, task))
    assert [len(batch) for batch, _ in batches] == [8]
    assert stage.state_dict()["collected"] == {"parts": []}


def test_selective_backprop_with_beta_zero_trains_on_everything() -> None:
    task = Losses()
    batches = list(epoch_of(stage_for(task, SelectiveBackprop(beta=0)), task))
    assert [len(batch) for batch, _ in batches] == [16] * 6
    assert sorted(flat(indices_of(batches))) == list(range(96))


def test_uniform_makes_no_selection_pass_and_loads_only_the_chosen() -> None:
    task = Losses()
    stage = stage_for(task, Uniform())
    batches = list(epoch_of(stage, task))
    assert [len(batch) for batch, _ in batches] == task.made == [4] * 6
    assert task.passes == []
    assert stage.metrics()["selection_examples"] == 0


def test_stale_epochs_make_no_selection_pass() -> None:
    task = Losses()
    stage = stage_for(task, Stale(BigLoss(), every=2))
    measured = indices_of(list(epoch_of(stage, task, epoch=0)))
    task.passes.clear()
    reused = indices_of(list(epoch_of(stage, task, epoch=1)))
    assert task.passes == []
    assert reused == measured  # the losses have not changed
    list(epoch_of(stage, task, epoch=2))
    assert task.passes == [16] * 6


def test_schedule_trains_on_whole_batches_without_a_pass() -> None:
    task = Losses()
    stage = stage_for(task, Scheduled(BigLoss(), start=0.5, end=0.9, interrupt=3))
    sizes = {e: [len(b) for b, _ in epoch_of(stage, task, epoch=e)] for e in (0, 5, 9)}
    assert sizes == {0: [16] * 6, 5: [16, 4, 4, 16, 4, 4], 9: [16] * 6}
    assert task.passes == [16] * 4


def test_whole_batches_in_scaled_mode_are_steps_of_the_ordinary_size() -> None:
    task = Losses()
    stage = stage_for(task, Scheduled(BigLoss(), start=0.5), batch_mode="scaled")
    batches = list(epoch_of(stage, task, epoch=0))
    assert [len(batch) for batch, _ in batches] == [16] * 6
    assert sorted(flat(indices_of(batches))) == list(range(96))


def test_losses_of_whole_batches_are_observed() -> None:
    """Kath18 follows the training losses of whole batches, tau = 4 here, and its own selection
    passes, tau = 1.15: the moving average is 0, 2, 1.6, 1.4 (too little), 2.7, 1.9."""
    task = Losses()
    stage = stage_for(task, Kath18(threshold=1.5, momentum=0.5))
    skewed = torch.zeros(16)
    skewed[0] = 1
    sizes = []
    for batch, _ in epoch_of(stage, task):
        sizes.append(len(batch))
        stage.observe(skewed)
    assert sizes == [16, 4, 4, 16, 4, 4]
    assert "variance_reduction" in stage.metrics()


class Recording(MiniBatchSelector):
    """Takes the first examples, with weights, and records what it sees."""

    def __init__(self) -> None:
        self.observed = 0

    def choose(self, signals: BatchSignals, budget: int, generator: torch.Generator) -> Choice:
        weights = torch.linspace(0.5, 1.5, budget)
        return Choice(torch.arange(budget), weights)

    def observe(self, losses: Tensor) -> None:
        self.observed += 1

    def settings(self) -> dict[str, Any]:
        return {}


def test_weights_of_candidates_and_choice_multiply() -> None:
    task = Losses()
    given = torch.rand(96) + 0.5
    cut = [(part, given[part]) for part, _ in candidates()]
    for mode in ("fixed", "scaled", "collected"):
        stage = stage_for(task, Recording(), batch_mode=mode)
        for batch, weights in epoch_of(stage, task, cut=cut):
            assert weights is not None
            ratios = weights / given[batch.indices]
            own = torch.linspace(0.5, 1.5, 16 if mode == "scaled" else 4)
            torch.testing.assert_close(ratios, own.repeat(len(batch) // len(own)))


def test_steps_on_chosen_examples_are_not_observed() -> None:
    task, selector = Losses(), Recording()
    stage = stage_for(task, selector)
    for batch, _ in epoch_of(stage, task):
        stage.observe(torch.ones(len(batch)))
    assert selector.observed == 0


def test_a_batch_no_larger_than_m_is_taken_whole_without_a_pass() -> None:
    task = Losses(size=20)
    batches = list(epoch_of(stage_for(task, BigLoss()), task))  # 16, of which 4, and 4
    assert [len(batch) for batch, _ in batches] == [4, 4]
    assert task.passes == [16]
    whole = Losses()
    batches = list(epoch_of(stage_for(whole, GradientMatching(), keep=1), whole))
    assert [len(batch) for batch, _ in batches] == [16] * 6
    assert whole.passes == []


def test_state_holds_selector_and_pending_examples() -> None:
    """A stage restored after an epoch goes on as the original does."""

    def make() -> MiniBatchSelection:
        return stage_for(task, SelectiveBackprop(history_size=50), keep=0.4)

    task = Losses()
    original, restored = make(), make()
    list(epoch_of(original, task, epoch=0))
    saved = io.BytesIO()
    torch.save(original.state_dict(), saved)
    saved.seek(0)
    restored.load_state_dict(torch.load(saved, weights_only=True))
    assert restored.state_dict()["collected"]["parts"]
    for epoch in (1, 2):
        first = list(epoch_of(original, task, epoch))
        second = list(epoch_of(restored, task, epoch))
        assert [b.indices.tolist() for b, _ in first] == [b.indices.tolist() for b, _ in second]
        assert all(
            torch.equal(a.inputs, b.inputs) for (a, _), (b, _) in zip(first, second, strict=True)
        )
    assert original.metrics() == restored.metrics()


def test_selection_seconds_come_out_of_training_seconds() -> None:
    class Slow(Losses):
        def losses(self, batch: Batch) -> Tensor:
            import time

            time.sleep(0.01)
            return super().losses(batch)

    task, clock = Slow(), PhaseClock()
    stage = MiniBatchSelection(
        BigLoss(), StageSettings(keep=0.25), task, clock, batch_size=16, max_epochs=1
    )
    with clock.phase("train"):
        list(epoch_of(stage, task))
    seconds = clock.seconds()
    assert seconds["select_s"] >= 0.06
    assert 0 <= seconds["train_s"] < seconds["select_s"]


def test_method_weights_are_traced_per_iteration() -> None:
    task = Losses()
    stage = stage_for(task, selector_named("ada_selection", pool=["big_loss", "small_loss"]))
    list(epoch_of(stage, task))
    trace = stage.trace()
    assert set(trace) == {"method_weight_big_loss", "method_weight_small_loss"}
    assert all(len(values) == 6 for values in trace.values())
    mean = sum(trace["method_weight_big_loss"]) / 6
    assert stage.metrics()["method_weight_big_loss"] == pytest.approx(mean)


def test_losses_that_are_not_finite_stop_the_training() -> None:
    task = Losses()
    stage = stage_for(task, BigLoss())
    task.scale = float("inf")
    with pytest.raises(TrainingDivergedError, match="selection pass 1 of the epoch"):
        list(epoch_of(stage, task))


def test_a_model_without_a_linear_head_is_refused_at_once() -> None:
    class Headless(Losses):
        def __init__(self) -> None:
            super().__init__()
            self.refuse = True

        def head(self) -> nn.Linear:
            if getattr(self, "refuse", False):
                raise ValueError("no linear head")
            return super().head()

    with pytest.raises(ValueError, match="no linear head"):
        stage_for(Headless(), GradientMatching())
    assert stage_for(Headless(), BigLoss()).metrics() == {}


def plan_of(selector: str, **settings: Any) -> ArmPlan:
    selection = SelectionSettings(fraction=0.2, settings={selector: settings})
    return ArmPlan(selector, "mini_batch", selector, selection, 10, 0)


def test_settings_are_split_between_stage_and_selector() -> None:
    selector, stage = parse_stage(
        plan_of(
            "selective_backprop",
            beta=2,
            stale=3,
            start=0.5,
            keep=0.5,
            precision="bfloat16",
            batch_mode="scaled",
        )
    )
    assert stage == StageSettings(keep=0.5, batch_mode="scaled", precision="bfloat16")
    assert selector.settings()["start"] == 0.5
    assert parse_stage(plan_of("big_loss"))[1].keep == 0.2  # selection.fraction


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": 0}, r"keep must be a share of the batch in \(0, 1\], got 0"),
        ({"keep": 1.2}, "got 1.2"),
        ({"keep": "half"}, "got 'half'"),
        ({"batch_mode": "huge"}, "batch_mode must be one of fixed, scaled, collected"),
        ({"precision": "int8"}, "precision must be one of"),
        ({"beta": 1}, "unknown setting beta=1 of big_loss"),
        ({"interrupt": 1}, "interrupt must be 0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_stage(plan_of("big_loss", **settings))
