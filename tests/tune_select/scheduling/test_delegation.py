"""What Tune asks about the scheduler, it learns of the base."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from tune_select.scheduling.controller import ReplaysOnly
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.scheduling.seed_progress import SeedProgress, Seeds


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


def test_a_base_sees_no_trial_that_has_ended_or_was_not_shown() -> None:
    ended, live, hidden = "ended", "live", "hidden"  # any that can be told apart
    controller = SimpleNamespace(get_live_trials=lambda: {live, hidden}, other="the controller's")
    shown: Any = {ended: ended, live: live}
    seen = ReplaysOnly(controller, shown)
    assert seen.get_trials() == [ended, live]
    assert seen.get_live_trials() == {live}
    assert seen.other == "the controller's"


def test_a_seed_that_has_reported_nothing_has_published_nothing() -> None:
    seed: Any = SimpleNamespace(trial_id="s", config={}, status=Trial.RUNNING, last_result={})
    replay: Any = SimpleNamespace(trial_id="r", config={}, status=Trial.PAUSED, last_result={})
    seeds = Seeds()
    progress = seeds.add(seed)
    assert progress == SeedProgress(seed, published=0, complete=False, tells=False, starting=False)
    assert seeds.may_go_on(replay, -1), "its process may come up"
    assert not seeds.may_go_on(replay, 0)
    progress.note({"history_published": 1})
    assert seeds.may_go_on(replay, 0)
    assert not seeds.may_go_on(replay, 1)
    seed.status = Trial.PENDING
    assert not seeds.may_go_on(replay, 0), "the seed has no place"
    progress.starting = True
    assert seeds.may_go_on(replay, 0)
