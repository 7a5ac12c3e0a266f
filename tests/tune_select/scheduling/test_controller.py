"""Tune's controller as a base sees it, and how many trials it draws from a searcher."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.error import TuneError

from tune_select.scheduling.controller import (
    ReplaysOnly,
    bare,
    draw_ahead,
    end_run,
    is_starting,
    reuses_actors,
    tell_search,
)

AUTO = 1  # what Tune takes for a searcher without a limit


class Controller:
    """As much of Tune's controller as drawing ahead looks at."""

    def __init__(self, *, pending: int, starting: int, reuse: bool = True) -> None:
        self._reuse_actors = reuse
        self._max_pending_trials = AUTO
        self._actor_manager = SimpleNamespace(is_actor_started=lambda actor: actor == "started")
        self.let(pending, starting)

    def let(self, pending: int, starting: int) -> None:
        self._pending_trials = [f"trial {n}" for n in range(pending)]
        actors = ["started"] * starting + ["waits for resources"] * (pending - starting)
        self._trial_to_actor = dict(zip(self._pending_trials, actors, strict=True))

    def update_max_pending_trials(self, number: int | None = None) -> None:
        self._max_pending_trials = number or AUTO


@pytest.mark.parametrize(
    ("pending", "starting", "drawn"),
    [
        (1, 1, 2),  # the free process goes to the second, the first one's may come up
        (1, 0, 1),  # waits for resources: nothing would be killed
        (4, 3, 4),
        (0, 0, 1),
    ],
)
def test_one_trial_more_is_drawn_than_processes_are_starting(pending, starting, drawn):
    controller: Any = Controller(pending=pending, starting=starting)
    draw_ahead(controller)
    assert controller._max_pending_trials == drawn


def test_once_all_processes_are_up_a_searcher_is_asked_one_at_a_time_again():
    controller: Any = Controller(pending=2, starting=2)
    draw_ahead(controller)
    controller.let(pending=1, starting=0)
    draw_ahead(controller)
    assert controller._max_pending_trials == AUTO


def test_without_reuse_no_process_is_taken_from_anybody():
    controller: Any = Controller(pending=1, starting=1, reuse=False)
    draw_ahead(controller)
    assert controller._max_pending_trials == AUTO


def test_a_base_sees_no_trial_that_has_ended_or_was_not_shown() -> None:
    ended, live, hidden = "ended", "live", "hidden"  # any that can be told apart
    controller = SimpleNamespace(get_live_trials=lambda: {live, hidden}, other="the controller's")
    shown: Any = {ended: ended, live: live}
    seen = ReplaysOnly(controller, shown)
    assert seen.get_trials() == [ended, live]
    assert seen.get_live_trials() == {live}
    assert seen.other == "the controller's"


class Ours:
    """A search algorithm of ours, somewhere among Tune's wrappers."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def set_room(self, trials: int, histories: str) -> None:
        self.told.append((trials, histories))


def test_our_search_is_told_wherever_it_is_among_tunes_wrappers() -> None:
    ours = Ours()
    limiter = SimpleNamespace(searcher=ours)
    for search in (ours, limiter, SimpleNamespace(searcher=limiter)):
        tell_search(SimpleNamespace(search_alg=search), "set_room", 2, "h")
    assert ours.told == [(2, "h")] * 3
    # A search that is not ours, such as one behind a user's own scheduler, has nothing to learn.
    tell_search(SimpleNamespace(search_alg=limiter), "draw_no_more")
    tell_search(SimpleNamespace(search_alg=None), "draw_no_more")


def test_the_controller_behind_tunes_wrapper_is_looked_at() -> None:
    controller: Any = Controller(pending=2, starting=1)
    wrapped = SimpleNamespace(_tune_controller=controller)
    assert bare(wrapped) is bare(controller) is controller
    assert reuses_actors(wrapped) is True
    assert reuses_actors(Controller(pending=0, starting=0, reuse=False)) is False
    assert reuses_actors(SimpleNamespace()) is False
    trials: list[Any] = ["trial 0", "trial 1", "without a process"]
    assert [is_starting(wrapped, trial) for trial in trials] == [True, False, False]


def test_a_run_is_saved_before_it_is_ended() -> None:
    saved: list[dict[str, bool]] = []
    controller = SimpleNamespace(checkpoint=lambda **how: saved.append(how))
    with pytest.raises(TuneError, match="no seed"):
        end_run(controller, "no seed")
    assert saved == [{"force": True, "wait": True}]
