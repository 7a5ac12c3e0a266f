"""Sources of examples: what they train on, publish and wait for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from tests.trainables.toy_tasks import PointTask, loop, run, settings, timeless
from trainables.arms.build import make_source
from trainables.arms.plan import plan_arm
from trainables.arms.replaying import Replaying
from trainables.arms.selecting import Selecting
from trainables.loop.clock import PhaseClock
from trainables.loop.seeding import stream
from trainables.loop.sources import Examples, Full, SubsetSource, Waiting, WarmStart
from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task
from tune_select.history import HistoryMismatchError, SubsetHistory
from tune_select.selection import Selector, Signals, Subset, gradient_error, selector_named


class Numbered(Selector):
    """Always the first examples, weighted by how often it was asked; notes what it was shown."""

    calls: ClassVar[list[Signals]] = []

    def __init__(self, *, gradients: bool = True, validation: bool = False) -> None:
        self.needs_gradients = gradients
        self.needs_validation = validation

    def select(self, signals: Signals, budget: int, generator: torch.Generator) -> Subset:
        self.calls.append(signals)
        weights = torch.rand(budget, generator=generator) + 0.5
        return Subset(torch.arange(budget), weights / weights.mean())

    def settings(self) -> dict[str, Any]:
        return {}


NUMBERED = f"{__name__}.Numbered"


@pytest.fixture(autouse=True)
def _fresh_calls() -> None:
    Numbered.calls.clear()


def source(task: PointTask, clock: PhaseClock | None = None, **config: Any) -> SubsetSource:
    chosen = settings(**config)
    return make_source(task, chosen, plan_arm(chosen), clock or PhaseClock(), config)


def examples_of(subset_source: SubsetSource, epoch: int, task: PointTask) -> Examples:
    found = subset_source.examples(epoch, task)
    assert isinstance(found, Examples)
    return found


def selecting(**config: Any) -> dict[str, Any]:
    return {"arm": "seed", **config, "selection": {"algorithm": NUMBERED, "fraction": 0.5,
            "select_every": 2, **config.get("selection", {})}}  # fmt: skip


def test_a_selector_is_asked_at_each_interval_after_the_warm_start() -> None:
    task = PointTask()
    chosen = source(
        task,
        arm="mine",
        arms={"mine": {"selector": NUMBERED, "warm_start_epochs": 1}},
        max_epochs=6,
    )
    sizes = [len(examples_of(chosen, epoch, task)) for epoch in range(6)]
    assert sizes == [60, 30, 30, 30, 30, 30]
    assert len(Numbered.calls) == 3


def test_signals_are_collected_only_as_far_as_asked() -> None:
    task = PointTask()
    config = {"arm": "mine", "arms": {"mine": {"selector": NUMBERED}}}
    for asked in ({"gradients": False}, {"validation": True}):
        with_settings = {**config, "selection": {"settings": {NUMBERED: asked}}}
        source(task, **with_settings).examples(0, task)
    bare, both = Numbered.calls
    assert bare.inputs.shape == (60, 0)
    assert bare.validation is None
    assert both.inputs.shape == (60, 8)
    assert both.validation is not None
    assert both.validation.inputs.shape == (12, 8)


@pytest.mark.parametrize(
    ("gradients", "record", "measured"),
    [(True, "auto", True), (False, "auto", False), (False, True, True), (True, False, False)],
)
def test_gradient_errors_are_recorded_where_wanted(
    gradients: bool, record: Any, measured: bool
) -> None:
    task, clock = PointTask(), PhaseClock()
    config = {"arm": "mine", "arms": {"mine": {"selector": NUMBERED}}, "selection": {
        "settings": {NUMBERED: {"gradients": gradients}},
        "record_gradient_error": record}}  # fmt: skip
    chosen = source(task, clock, **config)
    chosen.examples(0, task)
    metrics = chosen.selection_metrics()
    assert ({"gradient_error", "random_gradient_error"} <= set(metrics)) == measured
    chosen.examples(1, task)
    assert chosen.selection_metrics() == {}  # only on the epoch that selected


def test_a_seed_publishes_what_its_replay_trains_on(tmp_path: Path) -> None:
    path = str(tmp_path / "history")
    config = selecting(history=path, max_epochs=5)
    task = PointTask()
    seed_source = source(task, **config)
    seed = run(loop(task, seed_source, **config))
    assert [r["history_published"] for r in seed] == [1, 1, 2, 2, 3]
    assert [r["history_complete"] for r in seed] == [False] * 4 + [True]
    history = SubsetHistory.load(path)
    assert history.complete
    assert [(i.start, i.end) for i in history.intervals] == [(0, 2), (2, 4), (4, 5)]
    assert history.identity.dataset == task.dataset
    assert history.identity.seed_config["arm"] == "seed"
    replay_task = PointTask()
    replay = {**config, "arm": "cached"}
    reports = run(loop(replay_task, source(replay_task, **replay), **replay))
    # Same model, seed and subsets: the replay retraces the seed.
    assert [r["train_loss"] for r in reports] == [r["train_loss"] for r in seed]
    assert reports[-1]["gradient_error"] == seed[-1]["gradient_error"]


def _batches_of(found: Examples) -> set[tuple[int, frozenset[int]]]:
    assert found.batches is not None
    numbers = found.batches
    return {
        (number, frozenset(found.indices[numbers == number].tolist()))
        for number in set(numbers.tolist())
    }


def test_the_batches_of_a_trial_are_those_of_its_seed_and_its_replay(tmp_path: Path) -> None:
    """Every per-batch arm of one training seed chooses among the same fixed batches."""
    task, path = PointTask(), str(tmp_path / "history")
    base = {"batch_size": 5, "max_epochs": 6, "history": path, "seed": 4}
    config = {**selecting(selection={"algorithm": "gradmatch_pb"}), **base}
    order = torch.randperm(60, generator=torch.Generator().manual_seed(4))
    dealt = {(n, frozenset(batch.tolist())) for n, batch in enumerate(order.split(5))}
    seed = source(task, **config)
    recorded = [_batches_of(examples_of(seed, epoch, task)) for epoch in (0, 2, 4)]
    replay = source(task, **{**config, "arm": "cached"})
    assert [_batches_of(examples_of(replay, epoch, task)) for epoch in (0, 2, 4)] == recorded
    random_pb = source(task, **{**config, "arm": "random_pb"})
    drawn = [_batches_of(examples_of(random_pb, epoch, task)) for epoch in (0, 2, 4)]
    assert all(chosen <= dealt for chosen in (*recorded, *drawn))
    assert len({frozenset(chosen) for chosen in drawn}) == 3
    anew = {**config, "arm": "random_pb", "selection": {
        **config["selection"], "settings": {"random_pb": {"redeal": True}}}}  # fmt: skip
    assert not _batches_of(examples_of(source(task, **anew), 0, task)) & dealt


def test_random_once_keeps_its_subset_and_hangs_on_the_trial(tmp_path: Path) -> None:
    task = PointTask()
    config = selecting(arm="random_once", max_epochs=6)
    once = source(task, **config)
    first = examples_of(once, 0, task).indices.tolist()
    assert all(examples_of(once, epoch, task).indices.tolist() == first for epoch in (2, 4))
    other = source(task, **{**config, "seed": 1})
    assert examples_of(other, 0, task).indices.tolist() != first
    anew = source(task, **{**config, "arm": "random"})
    assert len({tuple(examples_of(anew, epoch, task).indices.tolist()) for epoch in (0, 2, 4)}) == 3


@pytest.mark.parametrize("algorithm", ["gradmatch", "gradmatch_pb"])
def test_the_first_subset_may_be_random(algorithm: str, tmp_path: Path) -> None:
    """Algorithm 1 trains on an initial subset until t = R; a warm start leaves no need of one."""
    task, path = PointTask(), str(tmp_path / "history")
    table = {"algorithm": algorithm, "first_subset": "random"}
    config = selecting(history=path, max_epochs=6, batch_size=5, selection=table)
    seed = source(task, **config)
    first, second = (examples_of(seed, epoch, task) for epoch in (0, 2))
    assert first.weights is not None
    assert second.weights is not None
    assert set(first.weights.tolist()) == {1.0}
    assert len(set(second.weights.tolist())) > 1
    generator = stream(0, "selection", 0)
    by_batch = algorithm == "gradmatch_pb"
    drawn = selector_named("random_pb", batch_size=5) if by_batch else selector_named("random")
    expected = drawn.select(Signals.labels_only(task.labels), 30, generator)
    assert first.indices.tolist() == expected.indices.tolist()
    assert (first.batches is None) == (algorithm == "gradmatch")
    warm = {**config, "history": f"{path}-warm", "selection": {
        **config["selection"], "warm_start_epochs": 1}}  # fmt: skip
    after = examples_of(source(task, **warm), 1, task)
    assert after.weights is not None
    assert len(set(after.weights.tolist())) > 1


def test_a_seed_killed_after_publishing_takes_up_what_it_published(tmp_path: Path) -> None:
    config = selecting(history=str(tmp_path / "history"))
    task = PointTask()
    first = examples_of(source(task, **config), 0, task)
    assert len(Numbered.calls) == 1
    # The restarted seed has other weights, as after a checkpoint that came before the publication.
    restarted = PointTask(seed=0)
    with torch.no_grad():
        restarted.head().weight.add_(1.0)
    again = source(restarted, **config)
    second = examples_of(again, 0, restarted)
    assert len(Numbered.calls) == 1
    assert torch.equal(first.indices, second.indices)
    assert first.weights is not None
    assert second.weights is not None
    assert torch.equal(first.weights, second.weights)


def test_a_replay_waits_a_bounded_time_and_then_steps_aside(tmp_path: Path) -> None:
    path = str(tmp_path / "history")
    task, clock = PointTask(), PhaseClock()
    replay = source(task, clock, **{**selecting(history=path), "arm": "cached", "wait_s": 0.05})
    assert replay.examples(0, task) == Waiting(0)
    assert 0.05 <= clock.seconds()["wait_s"] < 5
    seed = source(task, **selecting(history=path))
    published = examples_of(seed, 0, task)
    assert torch.equal(examples_of(replay, 0, task).indices, published.indices)
    assert replay.examples(2, task) == Waiting(1)


def test_a_replay_aligned_by_progress_stretches_and_squeezes_the_history(tmp_path: Path) -> None:
    path = str(tmp_path / "history")
    task = PointTask()
    warm = {"warm_start_epochs": 2}
    seed = source(task, **selecting(history=path, max_epochs=8, selection=warm))
    published = [len(examples_of(seed, epoch, task)) for epoch in range(8)]
    assert published == [60, 60] + [30] * 6
    seed.finish()
    whole = SubsetHistory.load(path)

    def walked(epochs: int) -> list[int | None]:
        by_progress = {**warm, "align": "progress"}
        config = selecting(history=path, max_epochs=epochs, selection=by_progress)
        replay = source(task, **{**config, "arm": "cached"})
        numbers: list[int | None] = []
        for epoch in range(epochs):
            weights = examples_of(replay, epoch, task).weights
            same = [w is not None and np.array_equal(w, i.weights)
                    for i in whole.intervals for w in [weights]]  # fmt: skip
            numbers.append(same.index(True) if any(same) else None)
        return numbers

    assert walked(8) == [None, None, 0, 0, 1, 1, 2, 2]
    assert walked(4) == [None, 0, 1, 2]
    assert walked(16) == [None] * 4 + [0] * 4 + [1] * 4 + [2] * 4
    by_epoch = {**selecting(history=path, max_epochs=16, selection=warm), "arm": "cached"}
    with pytest.raises(HistoryMismatchError, match="trial 16, history 8"):
        source(task, **by_epoch).examples(2, task)


def test_a_replay_refuses_another_data_set(tmp_path: Path) -> None:
    path = str(tmp_path / "history")
    seed_task = PointTask()
    source(seed_task, **selecting(history=path)).examples(0, seed_task)
    other = PointTask(40)
    replay = source(other, **{**selecting(history=path), "arm": "cached"})
    with pytest.raises(HistoryMismatchError, match="dataset size: trial 40, history 60"):
        replay.examples(0, other)


@pytest.mark.parametrize("arm", ["seed", "cached"])
def test_arms_with_a_history_need_one(arm: str) -> None:
    with pytest.raises(ValueError, match=f"arm '{arm}' needs history"):
        source(PointTask(), **{**selecting(), "arm": arm})


@pytest.mark.parametrize("arm", ["seed", "cached"])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_restart_within_a_history_is_bit_identical(tmp_path: Path, arm: str, stop: int) -> None:
    config = {**selecting(history=str(tmp_path / "h")), "max_epochs": 4}
    seed_task = PointTask()
    expected = run(loop(seed_task, source(seed_task, **config), **config))
    if arm == "cached":
        config["arm"] = arm
        expected = [{k: v for k, v in r.items() if not k.startswith("history_")} for r in expected]
    else:
        config["history"] = str(tmp_path / "another")
    task = PointTask()
    begun = loop(task, source(task, **config), **config)
    run(begun, epochs=stop)
    resumed_task = PointTask()
    resumed = loop(resumed_task, source(resumed_task, **config), **config)
    resumed.load_state_dict(begun.state_dict())
    assert [timeless(r) for r in run(resumed)] == [timeless(r) for r in expected[stop:]]


def test_trials_do_not_write_into_what_they_share(tmp_path: Path) -> None:
    path = str(tmp_path / "history")
    task = PointTask()
    source(task, **selecting(history=path)).examples(0, task)
    replay = source(task, **{**selecting(history=path), "arm": "cached"})
    examples_of(replay, 0, task).indices.zero_()
    stored = SubsetHistory.load(path).intervals[0]
    assert np.array_equal(stored.indices, np.arange(30))


def test_types_of_sources_follow_the_arm(tmp_path: Path) -> None:
    task = PointTask()
    history = str(tmp_path / "h")
    assert isinstance(source(task, **{**selecting(history=history), "arm": "cached"}), Replaying)
    assert isinstance(source(task, **selecting(history=history)), Selecting)
    assert isinstance(settings(), TrialSettings)


def test_a_transformed_replay_is_common_to_trials_of_one_seed_and_survives_restarts(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "history")
    seed_task = PointTask()
    config = {**selecting(history=path), "max_epochs": 4}
    run(loop(seed_task, source(seed_task, **config), **config))
    replay = {
        **config,
        "arm": "mixed",
        "arms": {"mixed": {"selector": "cached", "settings": {"cached": {"random_share": 0.5}}}},
    }
    task = PointTask()
    first, again = source(task, **replay), source(task, **replay)
    other = source(task, **{**replay, "seed": 1})
    examples = examples_of(first, 0, task)
    recorded = torch.arange(30)
    kept = torch.isin(examples.indices, recorded).sum()
    assert len(examples) == 30
    assert 15 <= kept < 30  # half of the record, and fresh draws from all the rest
    assert torch.equal(examples_of(again, 0, task).indices, examples.indices)
    assert not torch.equal(examples_of(other, 0, task).indices, examples.indices)
    assert first.selection_metrics() == {}  # the record's error is not this subset's
    restored = source(task, **replay)
    restored.load_state_dict(first.state_dict())
    assert torch.equal(examples_of(restored, 1, task).indices, examples.indices)
    assert not torch.equal(examples_of(first, 2, task).indices, examples.indices)


def test_errors_follow_what_the_selector_matches() -> None:
    """Matching the validation gradient is judged by that gradient."""

    class Validating(Numbered):
        match = "validation"

        def __init__(self) -> None:
            super().__init__(validation=True)

    task, chosen = PointTask(), settings(arm="random")
    selecting_source = Selecting(Validating(), plan_arm(chosen), PhaseClock(), 0)
    selecting_source.examples(0, task)
    (signals,) = Numbered.calls
    generator = stream(0, "selection", 0)
    subset = Numbered().select(signals, 30, generator)
    expected = gradient_error(signals, subset, match="validation")
    assert selecting_source.selection_metrics()["gradient_error"] == pytest.approx(expected)
    assert expected != pytest.approx(gradient_error(signals, subset))


def test_a_growing_replay_costs_over_the_run_what_the_record_costs(tmp_path: Path) -> None:
    path = str(tmp_path / "history")
    task = PointTask()
    seed = source(task, **selecting(history=path, max_epochs=8))
    recorded = [len(examples_of(seed, epoch, task)) for epoch in range(8)]
    seed.finish()
    config = selecting(history=path, max_epochs=8)
    replay = source(task, **{**config, "arm": "cached_growing"})
    grown = [len(examples_of(replay, epoch, task)) for epoch in range(8)]
    assert grown == sorted(grown)
    assert grown[0] < recorded[0] < grown[-1]
    assert abs(sum(grown) - sum(recorded)) <= 4  # half an example per epoch, from rounding


def test_after_a_warm_start_everything_is_the_wrapped_sources() -> None:
    class Noted(SubsetSource):
        def __init__(self) -> None:
            self.noted: list[Any] = []

        def examples(self, epoch: int, task: Task) -> Examples:
            self.noted.append(epoch)
            return Examples(torch.arange(2))

        def selection_metrics(self) -> dict[str, float]:
            return {"gradient_error": 0.5}

        def finish(self) -> None:
            self.noted.append("finish")

        def status(self) -> dict[str, Any]:
            return {"history_published": 3}

        def state_dict(self) -> dict[str, Any]:
            return {"interval": 3}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.noted.append(state)

    task, inner = PointTask(5), Noted()
    warm = WarmStart(inner, 2)
    for epoch, size in enumerate((5, 5, 2, 2)):
        assert len(examples_of(warm, epoch, task)) == size
        assert warm.selection_metrics() == ({} if epoch < 2 else {"gradient_error": 0.5})
    warm.finish()
    warm.load_state_dict({"interval": 1})
    assert inner.noted == [2, 3, "finish", {"interval": 1}]
    assert (warm.status(), warm.state_dict()) == ({"history_published": 3}, {"interval": 3})


def test_all_of_the_data_has_nothing_to_say_or_to_keep() -> None:
    full = Full()
    assert full.examples(3, PointTask(5)).indices.tolist() == [0, 1, 2, 3, 4]
    assert (full.state_dict(), full.status(), full.selection_metrics()) == ({}, {}, {})
