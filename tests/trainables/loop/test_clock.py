"""Where seconds and joules are booked."""

from __future__ import annotations

import pytest
import torch

from trainables.loop import clock as clock_module
from trainables.loop.clock import PhaseClock
from trainables.loop.energy import EnergyCounter


class Hands:
    """A clock that is moved by hand, and a counter of 10 watts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(clock_module.time, "perf_counter", lambda: self.now)

    def counter(self) -> EnergyCounter:
        hands = self

        class TenWatts(EnergyCounter):
            def joules(self) -> float:
                return 500 + 10 * hands.now

        return TenWatts()


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_nested_phases_take_their_seconds_from_the_outer_one(hands: Hands) -> None:
    clock = PhaseClock()
    with clock.phase("train"):
        hands.now += 3
        with clock.phase("select"):
            hands.now += 2
        hands.now += 1
    hands.now += 100
    with clock.phase("eval"):
        hands.now += 4
        assert clock.seconds()["eval_s"] == 4
    assert clock.seconds() == {"train_s": 4, "select_s": 2, "eval_s": 4, "wait_s": 0}


def test_a_phase_that_fails_is_booked_and_closed(hands: Hands) -> None:
    clock = PhaseClock()

    def fail() -> None:
        hands.now += 3
        raise KeyError

    with pytest.raises(KeyError), clock.phase("train"):
        fail()
    hands.now += 5
    assert clock.seconds()["train_s"] == 3


def test_joules_count_training_and_selection_once(hands: Hands) -> None:
    clock = PhaseClock(counter=hands.counter())
    with clock.phase("train"):
        hands.now += 3
        with clock.phase("select"):
            hands.now += 2
    with clock.phase("eval"):
        hands.now += 50
    with clock.phase("wait"):
        hands.now += 50
    with clock.phase("select"):
        hands.now += 1
    assert clock.joules == pytest.approx(60)
    assert clock.joules_by_phase() == pytest.approx(
        {"train_j": 30, "select_j": 30, "eval_j": 500, "wait_j": 500}
    )
    assert PhaseClock().joules_by_phase() == {}


def test_a_checkpoint_goes_on_counting(hands: Hands) -> None:
    first = PhaseClock(counter=hands.counter())
    with first.phase("train"):
        hands.now += 3
    second, unmetered = PhaseClock(counter=hands.counter()), PhaseClock()
    for clock in (second, unmetered):
        clock.load_state_dict(first.state_dict())
        with clock.phase("train"):
            hands.now += 2
        assert clock.seconds()["train_s"] == 5
    assert second.joules == pytest.approx(50)
    assert second.joules_by_phase()["train_j"] == pytest.approx(50)
    assert unmetered.joules is None
    # A run of which a part was not counted has no joules, not too few.
    second.load_state_dict(unmetered.state_dict())
    assert second.joules is None


def test_a_gpus_queued_work_is_waited_for_wherever_a_phase_changes(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wait moves the clock, as what was queued is done: it is the phase's that queued it."""
    waited: list[str] = []

    def synchronize(device: torch.device) -> None:
        waited.append(device.type)
        hands.now += 1

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    clock = PhaseClock(torch.device("cuda"))
    with clock.phase("train"):
        with clock.phase("select"):
            pass
        hands.now += 5
    assert clock.seconds() == {"train_s": 1 + 5 + 1, "select_s": 1, "eval_s": 0, "wait_s": 0}
    assert set(waited) == {"cuda"}
