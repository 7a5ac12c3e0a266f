"""Processes beside a measurement: real ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.tune_select.sweep.outlook.busy import Failing, Noting
from tune_select.sweep.outlook.neighbour import read
from tune_select.sweep.outlook.neighbours import Neighbours, write


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_they_measure_while_the_measurement_lasts_and_end_with_it(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    with Neighbours(2, Noting, np.arange(4), threads=3) as neighbours:
        assert neighbours.beside == 2
        assert not list(first.iterdir())
        with neighbours.busy({"folder": str(first)}):
            wait_for(lambda: len({f.name.split("-")[0] for f in first.iterdir()}) == 2)
            wait_for(lambda: len(list(first.iterdir())) > 4)
        with neighbours.busy({"folder": str(second)}):
            wait_for(lambda: len({f.name.split("-")[0] for f in second.iterdir()}) == 2)
            count = len(list(first.iterdir()))  # each has turned to the second
            wait_for(lambda: len(list(second.iterdir())) > 4)
        assert len(list(first.iterdir())) == count
    assert neighbours.beside == 0
    assert {f.read_text() for f in first.iterdir()} == {"3 6"}


def test_one_that_fails_leaves_the_measurement_alone() -> None:
    with Neighbours(1, Failing, None, threads=1) as neighbours:
        assert neighbours.beside == 1
        with neighbours.busy({}):
            wait_for(lambda: neighbours.beside == 0)
        with neighbours.busy({}):
            pass


def test_none_is_started_where_none_is_asked_for() -> None:
    with Neighbours(0, Noting, None, threads=1) as neighbours:
        assert (neighbours.beside, neighbours.process_s) == (0, 0.0)


def test_what_cannot_be_sent_is_done_without() -> None:
    with Neighbours(2, Noting, (x for x in "generators cannot be pickled"), threads=1) as found:
        assert found.beside == 0


def test_arrays_are_shared_and_cannot_be_written(tmp_path: Path) -> None:
    value = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "none": np.zeros(0), "name": "n"}
    write(tmp_path, value)
    found = read(tmp_path)
    assert found["name"] == "n"
    assert found["none"].shape == (0,)
    np.testing.assert_array_equal(found["x"], value["x"])
    assert not found["x"].flags.writeable
