from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_select.scheduling.slots import Slots, fits, how_many, take


def test_requests_are_met_as_long_as_each_resource_lasts() -> None:
    left = {"CPU": 4.0, "GPU": 1.0}
    quarter = {"CPU": 1, "GPU": 0.25}
    assert how_many(quarter, left) == 4
    taken = 0
    while fits(quarter, left):
        take(left, quarter)
        taken += 1
    assert taken == 4
    assert left == {"CPU": 0.0, "GPU": 0.0}


def test_what_the_cluster_does_not_have_is_never_there() -> None:
    assert how_many({"TPU": 1}, {"CPU": 4.0}) == 0
    assert not fits({"TPU": 1}, {"CPU": 4.0})


def test_a_request_for_nothing_always_fits() -> None:
    assert fits({}, {})
    assert fits({"CPU": 0}, {"CPU": -1.0})
    assert how_many({"CPU": 0}, {}) > 1000


def test_overdrawn_resources_give_no_room() -> None:
    assert how_many({"CPU": 1}, {"CPU": -2.0}) == 0


@given(share=st.integers(1, 20), count=st.integers(1, 20))
def test_shares_that_add_up_to_one_fit_despite_rounding(share: int, count: int) -> None:
    assert how_many({"GPU": 1 / share}, {"GPU": float(count)}) == pytest.approx(share * count)


def test_the_cluster_is_asked_at_most_every_two_seconds(monkeypatch):
    now, asked = [0.5], []

    def resources():
        asked.append(now[0])
        return {"CPU": float(len(asked))}

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("tune_select.scheduling.slots.ray.cluster_resources", resources)
    slots = Slots()
    for moment, free in ((0.5, 1.0), (2.4, 1.0), (2.5, 2.0), (4.4, 2.0), (100.0, 3.0)):
        now[0] = moment
        assert slots.free([]) == {"CPU": free}, moment
    assert asked == [0.5, 2.5, 100.0]
    assert slots.free([]) is not slots.free([]), "what is taken is not taken from the total"
