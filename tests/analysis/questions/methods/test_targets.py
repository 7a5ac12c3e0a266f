import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import load
from analysis.questions.methods.targets import (
    first_reached,
    pareto_front,
    pareto_points,
    pareto_shares,
    target_table,
    time_to_targets,
)
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import write_frames


def test_time_to_targets_of_the_hand_sweep(tmp_path: Path) -> None:
    times = time_to_targets(load(write_hand_sweep(tmp_path)), factors=(1.5, 1.75))
    found = times.set_index(["trial_id", "factor"])
    # Configuration 0: full ends at error 0.20, so 1.5 x is 0.30 (full: epoch 2, 20 s) and 1.75 x
    # is 0.35 (full: epoch 2 as well). gradmatch reaches 0.30 after 6 s, 0.35 after 4.5 s;
    # cached ends at 0.32: never 0.30, and 0.35 after 4 s.
    assert found.at[("gradmatch-0", 1.5), "speedup"] == pytest.approx(20 / 6)
    assert found.at[("gradmatch-0", 1.75), "speedup"] == pytest.approx(20 / 4.5)
    assert found.at[("cached-0", 1.5), "note"] == "never reached"
    assert math.isnan(found.at[("cached-0", 1.5), "speedup"])
    assert found.at[("cached-0", 1.75), "speedup"] == pytest.approx(20 / 4)
    # Configuration 1: full ends at 0.10; cached ends at 0.20 and reaches neither.
    assert found.at[("cached-1", 1.75), "note"] == "never reached"
    assert "random_pb-1" not in found.index.get_level_values(0)
    table = target_table(times).set_index(["arm", "factor"])
    assert tuple(table.loc[("cached", 1.75), ["reached", "trials"]]) == (1, 2)
    assert table.at[("cached", 1.75), "speedup"] == pytest.approx(5.0)


def test_first_reached_includes_the_target_itself() -> None:
    seconds, errors = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.3, 0.4])
    assert first_reached(seconds, errors, 0.3) == 2.0
    assert math.isnan(first_reached(seconds, errors, 0.29))


points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


@settings(deadline=None, max_examples=100)
@given(points)
def test_pareto_front_against_brute_force(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=float).T
    expected = [
        not any((a <= p and b <= q and (a < p or b < q)) for a, b in pairs) for p, q in pairs
    ]
    assert pareto_front(x, y).tolist() == expected


def test_pareto_shares_of_the_hand_sweep(tmp_path: Path) -> None:
    front = pareto_points(load(write_hand_sweep(tmp_path)))
    # After 1 s: cached 0.1 at error 0.50; 1.5 s: gradmatch 0.40; 2 s: cached 0.30; 3 s and 4 s:
    # cached 0.25 and gradmatch's 0.25 at 3 s; 4 s: cached 0.20; 4.5 s: gradmatch 0.18; 6 s: 0.10.
    # Full training's best, 0.10 after 40 s, is beaten in time.
    assert front["seconds"].tolist() == [1.0, 1.5, 2.0, 3.0, 3.0, 4.0, 4.5, 6.0]
    assert front["error"].tolist() == pytest.approx([0.5, 0.4, 0.3, 0.25, 0.25, 0.2, 0.18, 0.1])
    shares = pareto_shares(front).set_index("arm")["share"]
    assert shares.to_dict() == {"cached": 0.5, "gradmatch": 0.5}


def test_a_maximised_metric_that_is_no_share_has_no_targets(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    epochs[["val_accuracy", "test_accuracy"]] *= 40
    write_frames(folder, trials, epochs)
    results = load(folder)
    assert not results.has_error
    assert time_to_targets(results).empty
    assert pareto_points(results).empty
    with pytest.raises(ValueError, match="not a share"):
        results.error(0.5)
