"""What a base hears of epochs that were not evaluated: nothing, and it decides the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from tune_select.scheduling.reports import Reports
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.sweep.pace.evaluation import milestones

EPOCHS = 8
RATES = [0.3, 0.1, 0.5, 0.2, 0.4, 0.15]


def asha() -> TrialScheduler:
    return ASHAScheduler(time_attr="epoch", max_t=EPOCHS, grace_period=2, reduction_factor=2)


class Controller(SimpleNamespace):
    """As much of Tune's controller as on_trial_add and on_trial_result look at."""

    def get_live_trials(self) -> set[Any]:
        return set()


class FakeTrial:
    """As much of Tune's trial as schedulers look at."""

    def __init__(self, number: int) -> None:
        self.trial_id, self.config = f"t{number}", {"arm": "cached"}
        self.status, self.last_result = Trial.RUNNING, {}
        self.num_failures, self.error_file = 0, None


def fates(base: Callable[[], TrialScheduler], looks: tuple[int, ...] | None) -> list[int]:
    """The last epoch of each trial, trained one after another on the replay of a known history."""
    scheduler = SeedReplayScheduler(base(), history_of=lambda config: "done")
    scheduler.set_search_properties("score", "max")
    scheduler._seeds._finished_before["done"] = True
    controller, ends = Controller(search_alg=None), []
    for number, rate in enumerate(RATES):
        trial: Any = FakeTrial(number)
        scheduler.on_trial_add(controller, trial)
        for epoch in range(1, EPOCHS + 1):
            result = {"epoch": epoch, "waiting_for_interval": -1}
            if looks is None or epoch in looks or epoch == EPOCHS:
                result["score"] = rate * (1 + epoch)  # type: ignore[assignment]
            decision = scheduler.on_trial_result(controller, trial, result)
            if decision != TrialScheduler.CONTINUE or epoch == EPOCHS:
                scheduler.on_trial_complete(controller, trial, result)
                ends.append(epoch)
                break
    return ends


def test_looks_at_the_milestones_decide_what_looks_at_every_epoch_do() -> None:
    looks = milestones(asha(), EPOCHS)
    assert looks == (2, 4, 8)
    assert fates(asha, looks) == fates(asha, None)
    assert {2, EPOCHS} <= set(fates(asha, None))  # some are stopped, some are not


@pytest.mark.parametrize("looks", [None, (3, 6), ()])
def test_a_base_that_never_stops_is_never_asked_for_a_metric(looks: tuple[int, ...]) -> None:
    assert fates(FIFOScheduler, looks) == [EPOCHS] * len(RATES)


def test_median_stopping_can_average_what_it_is_told_at_the_end() -> None:
    def median() -> TrialScheduler:
        return MedianStoppingRule(time_attr="epoch", grace_period=2, min_samples_required=2)

    assert set(fates(median, (3, 6))) <= {3, 6, EPOCHS}


def test_a_trial_that_ends_between_two_looks_is_known_by_the_last() -> None:
    reports, trial = Reports(), SimpleNamespace(trial_id="t")
    assert reports.note(trial, {"epoch": 3, "score": 0.5}, "score")  # type: ignore[arg-type]
    assert not reports.note(trial, {"epoch": 4}, "score")  # type: ignore[arg-type]
    assert reports.last(trial, {"epoch": 5}, "score") == {"epoch": 3, "score": 0.5}  # type: ignore[arg-type]
    assert reports.last(trial, {"epoch": 5}, "score") == {"epoch": 5}  # type: ignore[arg-type]
    assert reports.note(trial, {"epoch": 6, "score": math.nan}, "score")  # type: ignore[arg-type]
    assert reports.note(trial, {"epoch": 6}, None)  # type: ignore[arg-type]
