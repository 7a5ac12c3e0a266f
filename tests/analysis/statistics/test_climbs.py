import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.statistics.climbs import climb_many
from analysis.statistics.traces import FULL, Step
from tune_select.search.ladder import Climb, RankBy, Rules, Score

Array = npt.NDArray[np.float64]
RNG = np.random.default_rng(3)
SHARES = np.array([0.03, 0.1, 0.3, 1.0])


def standing_still(scores: Array, rungs: int = 3) -> Array:
    """One draw whose order every rung and full training see alike, (R + 1, 1, n)."""
    return np.tile(scores, (rungs + 1, 1, 1))


def test_the_cost_is_that_of_its_trainings() -> None:
    """3% for all 16, 10% for the best 6, 30% for the best 2, one in full."""
    scores = RNG.normal(size=16)
    metric = standing_still(scores)
    prices = np.broadcast_to(SHARES[:, None, None], metric.shape)
    found = climb_many([metric[:-1]], metric)
    assert found.choice == [scores.argmax()]
    assert found.spent(prices) == pytest.approx([16 * 0.03 + 6 * 0.1 + 2 * 0.3 + 1])
    several = climb_many([metric[:-1]], metric, confirm=2)
    assert several.spent(prices) == pytest.approx(found.spent(prices) + 1)


def test_a_rung_that_misleads_loses_what_it_dropped() -> None:
    full = np.arange(9.0)
    metric = np.stack([-full, full, full])[:, None]
    assert climb_many([metric[:-1]], metric).choice == [2]  # the lowest rung kept 0, 1 and 2


def test_full_trainings_that_diverge_make_room_for_the_next_best() -> None:
    metric = standing_still(np.arange(6.0), rungs=1)
    metric[1, 0, 4:] = -np.inf
    found = climb_many([metric[:-1]], metric, confirm=2)
    np.testing.assert_array_equal(np.flatnonzero(found.trained[-1, 0]), [2, 3, 4, 5])
    assert found.choice == [3]
    metric[1] = -np.inf
    assert climb_many([metric[:-1]], metric).choice == [5]  # nothing is left but the order


def test_steps_come_rung_by_rung_and_cost_what_the_climb_does() -> None:
    metric = RNG.normal(size=(3, 5, 8))
    found = climb_many([metric[:-1]], metric)
    for draw in range(5):
        steps = found.steps(draw, epochs=7)
        assert [s.rung for s in steps] == [0] * 8 + [1] * 3 + [FULL]
        assert steps[-1] == Step(found.choice[draw], 0, 7, FULL)
        assert {(s.start, s.end) for s in steps[:-1]} == {(0, 0)}, "a rung has no part of a curve"


cells = st.integers(-3, 3).map(float) | st.just(-np.inf)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_it_decides_as_the_ladder_that_runs(data: st.DataObject) -> None:
    """Against the search's own climb, with ties, and with trainings that diverge."""
    size, rungs = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 3))
    keep, confirm = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 3))
    by: RankBy = data.draw(st.sampled_from(["accuracy", "loss", "both"]))
    metric, loss = (
        np.array(data.draw(st.lists(cells, min_size=count * size, max_size=count * size))).reshape(
            count, 1, size
        )
        for count in (rungs + 1, rungs)
    )
    climb = Climb(Rules(rungs + 1, keep, by, confirm, asynchronous=False))
    trained = np.zeros((rungs + 1, 1, size), dtype=bool)
    for number in range(size):
        climb.enter(number)
    climb.close()
    waiting = [(0, number) for number in range(size)]
    while waiting:
        for rung, number in waiting:
            trained[rung, 0, number] = True
            value = metric[rung, 0, number]
            lost = -loss[rung, 0, number] if rung < rungs else 0.0
            diverged = not np.isfinite(value)
            climb.report(rung, number, Score(np.nan if diverged else value, lost))
        waiting = []
        while (up := climb.promote()) is not None:
            waiting.append(up)
    scores = {"accuracy": [metric[:-1]], "loss": [loss], "both": [metric[:-1], loss]}[by]
    found = climb_many(scores, metric, keep=keep, confirm=confirm)
    np.testing.assert_array_equal(found.trained, trained)
    best = climb.best()
    assert best is None or found.choice[0] == best
