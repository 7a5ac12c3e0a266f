"""How long slots stand idle, on a clock that is only counted: trials of given lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tune_select.search.ladder.test_order import order_of
from tune_select.search.ladder import Rules
from tune_select.search.trial_order import Exhausted


@dataclass
class Clock:
    """What a search took.

    Attributes:
        end: When the last trial ended.
        busy: The seconds of all trials together.
        idle: The seconds for which slots stood idle before ``end``, together.
    """

    end: float
    busy: float
    idle: float


def clocked(
    rules: Rules, points: int, slots: int, lengths: list[float], values: list[float]
) -> Clock:
    """Run a ladder whose slots take the next trial as soon as they are free.

    Args:
        rules: How it promotes.
        points: How many configurations start at the bottom.
        slots: How many trials run at once.
        lengths: The seconds of a trial, by rung.
        values: What every rung sees of each configuration.
    """
    order = order_of(rules)
    running: dict[str, float] = {}
    handed: dict[str, Mapping[str, Any]] = {}
    now = busy = 0.0

    def draw(drawn: int) -> Mapping[str, Any]:
        if drawn == points:
            raise Exhausted
        return {"x": values[drawn]}

    while True:
        try:
            while len(running) < slots and (job := order.next(draw, eager=True)) is not None:
                trial = f"trial_{len(handed)}"
                order.handed_out(trial, job)
                handed[trial] = job.config
                running[trial] = now + lengths[job.config["rung"]]
                busy += lengths[job.config["rung"]]
        except Exhausted:
            if not running:
                return Clock(now, busy, slots * now - busy)
        now, ended = min((end, trial) for trial, end in running.items())
        del running[ended]
        order.note_end(ended, {"accuracy": handed[ended]["x"]}, error=False)


LENGTHS = st.lists(st.integers(1, 20).map(float), min_size=3, max_size=3)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=30, unique=True),
    st.integers(1, 4), st.integers(2, 9), LENGTHS, st.booleans(),
)  # fmt: skip
def test_slots_stand_idle_only_where_a_rung_must_be_known(
    values: list[int], slots: int, keep: int, lengths: list[float], asynchronous: bool
) -> None:
    """Each rung is waited for at most once, for what runs on it or below it then."""
    rules = Rules(3, keep=keep, asynchronous=asynchronous)
    found = clocked(rules, len(values), slots, sorted(lengths), [float(v) for v in values])
    assert found.idle <= (slots - 1) * sum(sorted(lengths)) + 1e-9
    if slots == 1:
        assert found.idle == 0


def test_what_the_shipped_ladder_leaves_idle_of_two_slots_is_its_end() -> None:
    """27 configurations on digits: 0.2 s at 3%, 0.8 s at 30%, 1.2 s of full training.

    Beside the last one at 30% the first full training has begun, and then the second follows.
    """
    values = [(7 * n) % 27 / 27 for n in range(27)]
    found = clocked(Rules(3, keep=9), 27, 2, [0.2, 0.8, 1.2], values)
    assert found.idle <= 0.8 + 0.2
    assert found.idle / (2 * found.end) < 0.1
