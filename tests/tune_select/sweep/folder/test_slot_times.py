import math

import pandas as pd
import pytest

from tune_select.sweep.folder.slot_times import held, slots_of, stays


def log(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_a_trial_that_stepped_aside_held_its_slot_twice() -> None:
    found = stays(
        log(
            slot_started=[10.0, 10.0, 20.0],
            slot_reported=[11.0, 13.0, 24.0],
            startup_s=[0.5, 0.5, 0.25],
        )
    )
    assert found["started"].tolist() == [9.5, 19.75]
    assert found["ended"].tolist() == [13.0, 24.0]
    whole = held(found)
    assert whole == {"started": 9.5, "ended": 24.0, "slot_s": 3.5 + 4.25, "startup_s": 0.75}


def test_a_log_without_our_columns_is_read_by_tunes_own_clock() -> None:
    found = stays(
        log(
            timestamp=[11, 13, 24],
            time_this_iter_s=[1.0, 1.5, 2.0],
            iterations_since_restore=[1, 2, 1],
        )
    )
    assert found[["started", "ended"]].to_numpy().tolist() == [[10.0, 13.0], [22.0, 24.0]]
    assert held(found)["slot_s"] == 5.0
    assert math.isnan(held(found)["startup_s"])


def test_a_trial_without_a_report_held_nothing_that_is_known() -> None:
    assert stays(None).empty
    assert stays(log(epoch=[1.0])).empty
    assert held(stays(None)) == {}


@pytest.mark.parametrize(
    ("cluster", "resources", "slots"),
    [
        ({"CPU": 2.0}, {"cpu": 1.0}, 2),
        ({"CPU": 8.0, "GPU": 1.0}, {"cpu": 2.0, "gpu": 0.25}, 4),
        ({"CPU": 1.0}, {"cpu": 0.1}, 10),
        ({"CPU": 1.0}, {"cpu": 4.0}, 1),
        ({"CPU": 4.0}, {"cpu": 1.0, "gpu": 0.0}, 4),
    ],
)
def test_slots_are_what_fits_at_once(
    cluster: dict[str, float], resources: dict[str, float], slots: int
) -> None:
    assert slots_of(cluster, resources.items()) == slots
