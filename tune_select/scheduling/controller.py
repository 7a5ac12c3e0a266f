"""Ray Tune's controller, as base schedulers may see it and as we may use it."""

from __future__ import annotations

from typing import Any

from ray.tune.error import TuneError
from ray.tune.experiment import Trial

_RAISED = (
    "_tune_select_draws_ahead"  # an attribute of the controller: more than one trial may be pending
)


class ReplaysOnly:
    """The controller as the base sees it: with no trials but the replays that are admitted.

    Seen by a base, a seed or a baseline would be a rival, and a held trial a laggard: synchronous
    PBT waits for those and fails on trials that it was never told of.
    """

    def __init__(self, controller: Any, shown: dict[str, Trial]) -> None:
        self._controller = controller
        self._shown = shown

    def get_trials(self) -> list[Trial]:
        """The admitted replays, in order of arrival."""
        return list(self._shown.values())

    def get_live_trials(self) -> set[Trial]:
        """The admitted replays that have not ended."""
        live = self._controller.get_live_trials()
        return {trial for trial in self._shown.values() if trial in live}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)


def bare(controller: Any) -> Any:
    """The controller itself; Tune hands schedulers a wrapper that warns on most attributes."""
    return controller.__dict__.get("_tune_controller", controller)


def reuses_actors(controller: Any) -> bool:
    """Whether a paused trial leaves its process to the next."""
    return bool(getattr(bare(controller), "_reuse_actors", False))


def is_starting(controller: Any, trial: Trial) -> bool:
    """Whether a PENDING trial has its resources and its process is on its way."""
    tune = bare(controller)
    actor = tune._trial_to_actor.get(trial)
    return actor is not None and bool(tune._actor_manager.is_actor_started(actor))


def draw_ahead(controller: Any) -> None:
    """Let Tune ask the searcher for one trial more than there are processes on their way.

    A process that comes free is given to a pending trial, and the one that was being started for
    that trial is killed. Searchers are asked for one pending trial at a time, so where trials are
    shorter than a process's start (the lowest rung of a ladder), that start would be killed again
    and again, and all trials would run in the first process. One more pending trial takes the free
    process; with free resources left it starts another one, so that all slots fill at once.
    """
    tune = bare(controller)
    if not reuses_actors(controller):
        return
    starting = sum(is_starting(tune, trial) for trial in tune._pending_trials)
    if starting >= tune._max_pending_trials:
        tune.update_max_pending_trials(starting + 1)
    elif not starting and getattr(tune, _RAISED, False):
        tune.update_max_pending_trials()  # to what Tune takes itself
    setattr(tune, _RAISED, starting > 0)


def end_run(controller: Any, reason: str) -> None:
    """End the run with an error, after its state is on disk: Tune does not save on errors.

    Raises:
        ray.tune.TuneError: Always, with the reason.
    """
    bare(controller).checkpoint(force=True, wait=True)
    raise TuneError(reason)


def tell_search(controller: Any, method: str, *arguments: Any) -> None:
    """Call a method of our own search algorithm, wherever it is among Tune's wrappers."""
    search = bare(controller).search_alg
    while search is not None:
        if hasattr(type(search), method):
            getattr(search, method)(*arguments)
            return
        search = getattr(search, "searcher", None)
