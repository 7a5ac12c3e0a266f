"""What a sweep will cost: counts and schedules whose answers are known."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule

from tune_select.sweep.outlook.forecast import Forecast, forecast
from tune_select.sweep.outlook.forecast_text import forecast_text
from tune_select.sweep.outlook.jobs import Job, makespan
from tune_select.sweep.outlook.kept import kept_epochs
from tune_select.sweep.outlook.planned import planned_points, planned_trials
from tune_select.sweep.outlook.time_left import duration, time_left
from tune_select.sweep.plan import make_plan
from tune_select.sweep.yaml_file import parse_sweep


class Priced:
    """A trainable whose trials cost what their arm says."""

    seen: ClassVar[Counter[str]] = Counter()

    @classmethod
    def forecast(
        cls, config: dict[str, Any], dataset: Any, measured: dict[str, Any], *, threads: int
    ) -> dict[str, tuple[float, float, float]]:
        cls.seen[config["arm"]] += 1
        assert threads == 2
        cost = {"seed": 12.0, "full": 100.0}.get(config["arm"], 10.0)
        return {"train": (cost, cost, cost), "eval": (0.0, 1.0, 2.0)}


SWEEP = {
    "name": "s",
    "trainable": f"{__name__}.Priced",
    "train": {"learning_rate": 0.1, "max_epochs": 8},
    "selection": {"select_every": 4},
    "space": {"learning_rate": [0.1, 0.2, 0.3]},
    "arms": ["cached", "full"],
    "tune": {"seeds": [0, 1]},
    "resources": {"cpu": 2},
    "cluster": {"num_cpus": 4},
}


def forecast_of(**changes: Any) -> Forecast:
    Priced.seen.clear()
    found = forecast(make_plan(parse_sweep({**SWEEP, **changes})))
    assert found is not None
    return found


def test_every_planned_trial_is_counted_once() -> None:
    found = forecast_of()
    assert Counter(job.arm for job in found.jobs) == {"seed": 1, "cached": 6, "full": 6}
    assert found.follow_up == ()  # what would be promoted, the search has trained
    assert [job.arm for job in forecast_of(arms=["cached"]).follow_up] == ["full"]
    low, likely, high = found.slot_seconds
    assert low == 12 + 6 * 10 + 6 * 100
    assert (likely, high) == (low + 13, low + 26)
    assert found.phases == {"train": low, "eval": 13}
    assert found.slots == 2
    assert found.device_hours[0] == pytest.approx(low * 2 / 3600)
    assert planned_trials(make_plan(parse_sweep(SWEEP))) == {"seed": 1, "cached": 6, "full": 6}


def test_a_cell_that_another_trial_stands_for_is_no_trial() -> None:
    """Full training does not hang on the fraction, whether its values are listed or drawn."""
    axes = {"learning_rate": [0.1, 0.2, 0.3], "selection.fraction": [0.1, 0.2]}
    changes = {"space": axes, "arms": ["random", "full"]}
    assert planned_trials(make_plan(parse_sweep({**SWEEP, **changes}))) == {
        "random": 12, "full": 6,
    }  # fmt: skip
    assert Counter(job.arm for job in forecast_of(**changes).jobs) == {"random": 12, "full": 6}
    drawn = {
        "learning_rate": {"choice": [0.1, 0.2]},
        "selection.fraction": {"choice": [0.1, 0.2, 0.3]},
    }
    tune = {"searcher": "random", "num_samples": 12, "seeds": [0]}
    plan = make_plan(
        parse_sweep({**SWEEP, "space": drawn, "tune": tune, "arms": ["random", "full"]})
    )
    points = {(p["learning_rate"], p["selection"]["fraction"]) for p in planned_points(plan)}
    assert len(points) < 12
    assert planned_trials(plan) == {"random": len(points), "full": 2}


LADDER = {
    "rivals": ["asha", "random"], "promote": 0,
    "tune": {"searcher": "random", "num_samples": 20, "seeds": [0, 1],
             "ladder": {"fractions": [0.05, 0.2], "keep": 3, "confirm": 2,
                        "train_on": "random"}},
}  # fmt: skip


def test_a_ladder_is_counted_by_its_rungs_and_its_rivals_by_what_they_keep() -> None:
    """20 on the lowest rung, 7 on the next, 2 in full; ASHA stops most of its trials early."""
    sweep = {k: v for k, v in SWEEP.items() if k != "arms"}
    space = {"learning_rate": {"uniform": [0.1, 0.5]}}
    changes = {**sweep, **LADDER, "space": space}
    plan = make_plan(parse_sweep(changes))
    assert planned_trials(plan) == {"5%": 40, "20%": 14, "full": 4}
    assert plan.trials_text() == (
        "a ladder of 5%, 20%, full over learning_rate, searched by random; "
        "then asha, random on all the data"
    )
    found = forecast(plan)
    assert found is not None
    assert [job.arm for job in found.jobs] == ["5%"] * 40 + ["20%"] * 14 + ["full"] * 4
    asha, random = found.follow_up[:40], found.follow_up[40:]
    assert {job.seconds[0] for job in random} == {100.0}
    # Milestones after 1 and 3 of 8 epochs: 1 + 2 / 3 + 5 / 9 epochs, if all goes as planned.
    likely = 101 * (1 + 2 / 3 + 5 / 9) / 8
    assert [job.seconds[1] for job in asha] == pytest.approx([likely] * 40)
    assert len(asha) == len(random) == 40


def test_a_large_random_space_is_sampled_and_extrapolated() -> None:
    changes = {
        "space": {"learning_rate": {"uniform": [0.1, 0.5]}},
        "tune": {"seeds": [0, 1], "searcher": "random", "num_samples": 200},
    }
    found = forecast_of(**changes)
    assert Counter(job.arm for job in found.jobs) == {"seed": 1, "cached": 400, "full": 400}
    assert Priced.seen["cached"] < 100


def test_the_price_goes_by_the_hour() -> None:
    text = forecast_text(forecast_of(), 3600.0, "EUR")
    assert "13 trials, 2 at a time" in text
    assert "price         1370.00 EUR (1344.00 to 1396.00) at 3600.00 an hour" in text
    assert "price" not in forecast_text(forecast_of(), None)


def test_a_forecast_for_another_machine_says_which_one_was_measured() -> None:
    here = forecast_of()
    assert here.elsewhere is None
    assert "Measured was this machine" not in forecast_text(here, None)
    there = forecast_of(cluster={"address": "ray://head:10001"})
    said = forecast_text(there, None)
    assert "Trials will run on ray://head:10001. Measured was this machine" in said


class Asked(Priced):
    """Takes all that a measurement can be told."""

    given: ClassVar[dict[str, Any]] = {}

    @classmethod
    def forecast(
        cls,
        config: dict[str, Any],
        dataset: Any,
        measured: dict[str, Any],
        *,
        threads: int,
        reporting: Any = None,
        beside: Any = None,
    ) -> dict[str, tuple[float, float, float]]:
        cls.given = {"reporting": reporting, "beside": beside}
        return {"train": (1.0, 1.0, 1.0)}


def test_a_measurement_is_told_what_it_takes() -> None:
    """Reports as the sweep's trials will make them, and processes beside it."""
    tune = {"seeds": [0], "report_every_s": 7.0}
    found = forecast_of(trainable=f"{__name__}.Asked", tune=tune)
    assert Asked.given["reporting"].every_s == 7.0
    with Asked.given["beside"]({}):
        pass
    assert found.beside == 0  # 2 cores for each trial, 2 cores here at the least


def test_a_trainable_without_a_forecast_has_none() -> None:
    plan = make_plan(parse_sweep({**SWEEP, "trainable": "tests.tune_select.toy.Toy"}))
    assert forecast(plan) is None


def jobs_of(*seconds: tuple[str, float]) -> list[Job]:
    return [Job(arm, (s, s, s), arm == "cached") for arm, s in seconds]


def test_replays_wait_for_the_seed_and_baselines_fill_the_slot_beside_it() -> None:
    jobs = jobs_of(("seed", 10), ("cached", 2), ("cached", 2), ("full", 4), ("full", 4))
    assert makespan(jobs, 2) == 12  # the seed beside two baselines, then two replays at once
    assert makespan(jobs, 1) == 22
    assert makespan(jobs_of(("seed", 10), ("cached", 1)), 8) == 11
    assert makespan([], 3) == 0


@given(
    seconds=st.lists(st.floats(0.1, 50), min_size=1, max_size=20),
    slots=st.integers(1, 6),
)
def test_a_schedule_lies_between_its_bounds(seconds: list[float], slots: int) -> None:
    """Graham 1969: at least the mean load and the longest job, at most their sum."""
    jobs = jobs_of(*(("full", s) for s in seconds))
    load, longest = sum(seconds) / slots, max(seconds)
    assert max(load, longest) - 1e-6 <= makespan(jobs, slots) <= load + longest + 1e-6


def test_halving_keeps_one_in_a_factor() -> None:
    asha = ASHAScheduler(time_attr="epoch", max_t=8, grace_period=2, reduction_factor=2)
    # 2 epochs of all, 2 more of half, 4 more of a quarter.
    assert kept_epochs(asha, 8) == (2 / 8, (2 + 1 + 1) / 8, 1.0)
    assert kept_epochs(FIFOScheduler(), 8) == (1.0, 1.0, 1.0)
    assert kept_epochs(MedianStoppingRule(time_attr="epoch"), 8) == (1.0, 1.0, 1.0)


def test_time_left_is_what_equal_trials_take() -> None:
    found = time_left({"cached": [10.0] * 4}, {"cached": 6}, {"cached": [4.0]}, 2)
    assert found == pytest.approx((33.0, 33.0, 33.0))
    assert time_left({}, {"cached": 6}, {}, 2) is None
    low, likely, high = time_left({"a": [10.0, 10.0]}, {"a": 2, "b": 3}, {}, 1) or (0, 0, 0)
    assert likely == 50  # an arm that has not ended any lasts as the others do
    assert low <= likely <= high


def test_the_range_of_what_is_left_holds_the_truth() -> None:
    """Trials of random length: what remains lies in the range in nearly all of many sweeps."""
    import numpy as np

    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        seconds = rng.gamma(4.0, 5.0, 30)
        found = time_left({"a": list(seconds[:10])}, {"a": 20}, {}, 1)
        assert found is not None
        held += found[0] <= seconds[10:].sum() <= found[2]
    assert held >= 180


def test_durations_are_for_people() -> None:
    shown = [duration(s) for s in (0.5, 48.2, 725, 7810)]
    assert shown == ["0.5 s", "48 s", "12 min 5 s", "2 h 10 min"]
