"""When a sweep's state is saved."""

from __future__ import annotations

from typing import Any

import pytest

from tune_select.scheduling.snapshots import Snapshots


class Saving:
    """A controller whose snapshots take so many seconds, and its clock."""

    def __init__(self, takes_s: float) -> None:
        self.now, self.takes_s = 1000.0, takes_s
        self.saved_at: list[float] = []

    def checkpoint(self, **how: Any) -> None:
        assert how == {"force": True}
        self.saved_at.append(self.now)
        self.now += self.takes_s


@pytest.mark.parametrize(("takes_s", "apart_s"), [(0.001, 1.0), (0.5, 50.0)])
def test_what_happened_is_saved_at_most_a_hundredth_of_the_time(
    monkeypatch: pytest.MonkeyPatch, takes_s: float, apart_s: float
) -> None:
    controller = Saving(takes_s)
    monkeypatch.setattr("time.monotonic", lambda: controller.now)
    snapshots = Snapshots()
    snapshots.take_if_due(controller)
    assert controller.saved_at == [], "nothing has happened"
    snapshots.due = True
    snapshots.take_if_due(controller)
    assert controller.saved_at == [1000.0]
    controller.now = 1000.0 + 2 * apart_s
    snapshots.take_if_due(controller)
    assert len(controller.saved_at) == 1, "nothing has happened since"
    snapshots.due = True
    snapshots.take_if_due(controller)
    begun = controller.saved_at[-1]
    assert begun == 1000.0 + 2 * apart_s
    snapshots.due = True
    for share, saved in ((0.99, 2), (1.01, 3)):
        controller.now = begun + share * apart_s
        snapshots.take_if_due(controller)
        assert len(controller.saved_at) == saved
