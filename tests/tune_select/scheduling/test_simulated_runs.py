"""Whole runs, step by step and without Ray: who runs when, and what the base sees of it."""

from __future__ import annotations

import os
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tests.tune_select.scheduling.simulated import Run, without_ray
from tune_select.scheduling import scheduler as module
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.scheduling.snapshots import Snapshots

SEED, CACHED, FULL = ({"arm": arm} for arm in ("seed", "cached", "full"))


class Watched(FIFOScheduler):
    """A base that notes what it is told, and stops trials at an epoch."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.told: list[tuple[str, str]] = []
        self.live: set[str] = set()
        self._stop_at = stop_at

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self.told.append(("add", trial.trial_id))

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        assert result["waiting_for_interval"] == -1
        self.live |= {each.trial_id for each in tune_controller.get_live_trials()}
        self.told.append(("result", trial.trial_id))
        return str(TrialScheduler.STOP if result["epoch"] == self._stop_at else super().CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self.told.append(("complete", trial.trial_id))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    return without_ray(monkeypatch, 2.0)


def scheduler(base: TrialScheduler | None = None, **settings: Any) -> SeedReplayScheduler:
    made = SeedReplayScheduler(base, **settings)
    made.set_search_properties("loss", "min")
    return made


def trained(run: Run) -> list[int]:
    return [trial.epoch for trial in run.trials]


@pytest.mark.parametrize("stream", [True, False])
def test_every_trial_trains_to_its_end_and_the_base_sees_the_replays_alone(
    clock: SimpleNamespace, stream: bool
) -> None:
    base = Watched()
    run = Run(scheduler(base, stream=stream), [CACHED, SEED, CACHED, FULL, CACHED]).finish()
    assert trained(run) == [4] * 5
    assert {trial.status for trial in run.trials} == {Trial.TERMINATED}
    replays = {"0-cached", "2-cached", "4-cached"}
    counts = Counter(base.told)
    for name in replays:
        assert (counts["add", name], counts["complete", name]) == (1, 1)
        assert counts["result", name] == 3  # the last is told as its end
    assert {name for _, name in base.told} == base.live | replays == replays


def test_without_streaming_nothing_replays_before_the_history_is_complete(
    clock: SimpleNamespace,
) -> None:
    run = Run(scheduler(stream=False), [SEED, CACHED, CACHED], slots=3).finish()
    assert run.begun_at["0-seed"] == 1
    assert min(run.begun_at["1-cached"], run.begun_at["2-cached"]) == 5  # after the seed's four
    for trial in run.trials[1:]:
        assert all(result["waiting_for_interval"] == -1 for result in trial.results)


def test_a_replay_follows_its_seed_and_waits_at_most_once_for_each_interval(
    clock: SimpleNamespace,
) -> None:
    run = Run(scheduler(stream=True), [SEED, CACHED], epochs=8).finish()
    assert run.begun_at["1-cached"] == 2  # it came in the second step
    waited = Counter(r["waiting_for_interval"] for r in run.trials[1].results)
    assert all(count <= 1 for interval, count in waited.items() if interval >= 0)
    assert run.steps <= 11  # beside the seed, not behind it: that would be 16


def test_a_seed_that_comes_late_goes_first(clock: SimpleNamespace) -> None:
    run = Run(scheduler(stream=True), [FULL, FULL, FULL, SEED, CACHED], slots=1).finish()
    assert run.order.index("3-seed") < run.order.index("4-cached")
    assert run.order.index("3-seed") <= 2  # it came while the first or second ran


def test_there_is_room_for_as_many_followers_as_slots_are_left(clock: SimpleNamespace) -> None:
    run = Run(scheduler(stream=True), [SEED, *[CACHED] * 3], slots=2, epochs=6)
    for _ in range(5):
        run.step()
    assert [trial.trial_id for trial in run.running()] == ["0-seed", "1-cached"]
    assert trained(run.finish()) == [6] * 4


@pytest.mark.parametrize("stream", [True, False])
def test_what_the_base_stops_stays_stopped(clock: SimpleNamespace, stream: bool) -> None:
    run = Run(scheduler(Watched(stop_at=2), stream=stream), [SEED, CACHED, FULL, CACHED]).finish()
    assert trained(run) == [4, 2, 4, 2]


def test_seeds_of_two_histories_serve_their_own_replays(clock: SimpleNamespace) -> None:
    configs = [{**arm, "history": name} for name in "ab" for arm in (SEED, CACHED)]
    made = scheduler(stream=True, history_of=lambda config: config["history"])
    assert trained(Run(made, configs, slots=2).finish()) == [4] * 4


def test_a_warm_start_is_trained_before_the_first_interval_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_ray(monkeypatch, 3.0)
    run = Run(scheduler(stream=True), [CACHED, SEED, CACHED], slots=3, warm_start_epochs=2)
    assert trained(run.finish()) == [4] * 3
    # All three begin at once: a warm start needs nothing but a seed that runs.
    assert max(run.begun_at.values()) <= 3


def test_a_seed_that_fails_ends_a_run_that_only_waits_for_it(clock: SimpleNamespace) -> None:
    run = Run(scheduler(stream=True), [SEED, CACHED, CACHED], epochs=8)
    for _ in range(3):
        run.step()
    run.trials[0].status = Trial.ERROR
    run.scheduler.on_trial_error(run, run.trials[0])
    with pytest.raises(TuneError, match=r"seed trial 0-seed failed after 2 intervals.* resume"):
        run.step()
    assert run.saved == 1


def test_replays_without_any_seed_end_the_run_once_nothing_else_is_left(
    clock: SimpleNamespace,
) -> None:
    run = Run(scheduler(stream=True), [FULL, CACHED], slots=2)
    for _ in range(4):
        run.step()
    assert trained(run) == [4, 0]
    run.step()  # it has seen that nothing runs
    clock.now += 1.9
    run.step()
    clock.now += 0.2
    with pytest.raises(TuneError):
        run.step()


def test_two_seeds_of_one_history_are_refused(clock: SimpleNamespace) -> None:
    run = Run(scheduler(), [SEED, SEED])
    run.step()
    with pytest.raises(TuneError, match="trials 0-seed and 1-seed are both seeds"):
        run.step()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    arms=st.lists(st.sampled_from([CACHED, FULL]), min_size=1, max_size=6),
    seed_at=st.integers(0, 6),
    slots=st.integers(1, 4),
    select_every=st.integers(1, 4),
    warm_start_epochs=st.integers(0, 2),
    stream=st.booleans(),
)
def test_any_run_ends_with_everything_trained(
    arms: list[dict[str, str]],
    seed_at: int,
    slots: int,
    select_every: int,
    warm_start_epochs: int,
    stream: bool,
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_ray(monkeypatch, float(slots))
        configs = [*arms[:seed_at], SEED, *arms[seed_at:]]
        run = Run(
            scheduler(stream=stream), configs, slots=slots, epochs=5,
            select_every=select_every, warm_start_epochs=warm_start_epochs,
        )  # fmt: skip
        assert trained(run.finish()) == [5] * len(configs)
        # A slot is never left empty while somebody could use it: no longer than one after another.
        assert run.steps <= 5 * len(configs) + 10


class Choosing(Watched):
    """A base that chooses by itself, the last admitted replay first."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        pending = [t for t in tune_controller.get_trials() if t.status == Trial.PENDING]
        return pending[-1] if pending else None


def test_a_base_that_chooses_chooses_among_admitted_replays(clock: SimpleNamespace) -> None:
    run = Run(scheduler(Choosing(), stream=False), [SEED, CACHED, CACHED, CACHED, FULL], slots=1)
    assert trained(run.finish()) == [4] * 5
    assert run.order.index("0-seed") == 0
    replays = [name for name in run.order if name.endswith("cached")]
    assert replays == ["3-cached", "2-cached", "1-cached"]


def test_the_base_hears_of_failed_and_removed_replays_alone(clock: SimpleNamespace) -> None:
    class Hearing(Watched):
        def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
            self.told.append(("error", trial.trial_id))

        def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
            self.told.append(("remove", trial.trial_id))

    base = Hearing()
    run = Run(scheduler(base), [SEED, CACHED, FULL])
    for _ in range(3):
        run.step()
    base.told.clear()
    for trial in run.trials:
        run.scheduler.on_trial_error(run, trial)
        run.scheduler.on_trial_remove(run, trial)
    assert base.told == [("error", "1-cached"), ("remove", "1-cached")]
    assert run.scheduler.debug_string().startswith("Replays held: 0.")


def test_the_search_is_ended_by_the_first_end_that_is_enough(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Enough:
        def __init__(self) -> None:
            self.noted: list[tuple[str, float | None]] = []

        def note(self, config: Any, result: Any) -> bool:
            self.noted.append((config["arm"], result and result["loss"]))
            return len(self.noted) == 3

    told: list[str] = []
    monkeypatch.setattr(module, "tell_search", lambda _, method, *arguments: told.append(method))
    enough = Enough()
    run = Run(scheduler(enough=enough, stream=False), [SEED, FULL, CACHED, CACHED])
    run.finish()
    assert sorted(enough.noted) == [("cached", 1.0), ("cached", 1.0), ("full", 1.0), ("seed", 1.0)]
    assert told == ["draw_no_more"]
    run.scheduler.on_trial_error(run, run.trials[2])
    assert enough.noted[-1] == ("cached", None), "a failure has no result"

    told.clear()
    resumed, ended = Enough(), run.trials[1]
    again = scheduler(enough=resumed)
    for _ in range(3):
        again.on_trial_add(run, ended)
    again.on_trial_add(run, Run(again, [FULL]).trials[0])  # which has not begun
    assert resumed.noted == [("full", 1.0)] * 3
    assert told == ["draw_no_more"]


def test_the_state_is_saved_after_each_arrival_and_each_end_alone(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    due: list[bool] = []

    def take(snapshots: Snapshots, controller: Any) -> None:
        due.append(snapshots.due)
        snapshots.due = False

    monkeypatch.setattr(Snapshots, "take_if_due", take)
    Run(scheduler(), [FULL], slots=2, epochs=6).finish()
    assert due[0]
    assert not any(due[1:]), "while it trains there is nothing new"
    run = Run(scheduler(), [FULL], slots=1, epochs=2).finish()
    due.clear()
    run.scheduler.choose_trial_to_run(run)
    assert due == [True], "it has ended"


class Asked(FIFOScheduler):
    """Takes several results at once, and notes what it is asked."""

    supports_buffered_results = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked: list[tuple[str, Any]] = []

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        self.asked.append(("properties", (metric, mode)))
        self._metric = metric
        return metric != "unknown"

    def save(self, checkpoint_path: str) -> None:
        self.asked.append(("save", checkpoint_path))

    def restore(self, checkpoint_path: str) -> None:
        self.asked.append(("restore", checkpoint_path))

    def debug_string(self) -> str:
        return "the base's own"


def test_every_question_reaches_the_base() -> None:
    base = Asked()
    scheduler = SeedReplayScheduler(base)
    assert scheduler.base is base
    assert scheduler.set_search_properties("loss", "min") is True
    assert scheduler.metric == "loss"
    assert scheduler.set_search_properties("unknown", "min") is False
    assert scheduler.supports_buffered_results is True
    base.supports_buffered_results = False  # type: ignore[misc]
    assert scheduler.supports_buffered_results is False
    scheduler.save("there")
    scheduler.restore("here")
    assert base.asked[2:] == [("save", "there"), ("restore", "here")]
    assert scheduler.debug_string().endswith("the base's own")


def test_a_report_without_the_metric_is_no_reason_to_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TUNE_DISABLE_STRICT_METRIC_CHECKING", raising=False)
    SeedReplayScheduler().set_search_properties("loss", "min")
    assert os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] == "1"


def test_a_replay_of_what_nobody_writes_never_begins_beside_a_seed_of_another_history(
    clock: SimpleNamespace,
) -> None:
    configs = [{**SEED, "history": "a"}, {**CACHED, "history": "nowhere"}]
    made = scheduler(stream=True, history_of=lambda config: config["history"])
    run = Run(made, configs, slots=2)
    for _ in range(5):
        run.step()
    assert trained(run) == [4, 0]
    assert run.begun_at == {"0-seed": 1}


def test_of_a_restored_seed_that_failed_the_search_is_told(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(module, "tell_search", lambda _, *said: told.append(said))
    made = scheduler()
    run = Run(made, [SEED, {**SEED, "history": "b"}, CACHED])
    run.trials[1].status = run.trials[2].status = Trial.ERROR
    for trial in run.trials:
        made.on_trial_add(run, trial)
    assert told == [("seed_failed", "1-seed")]
