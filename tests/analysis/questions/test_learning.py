"""Mean curves on trials small enough to average by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.questions.learning import learning_curves

NAN = float("nan")


def epochs(*trials: tuple[str, list[float]]) -> pd.DataFrame:
    """A second an epoch; the value after each."""
    return pd.concat(
        pd.DataFrame(
            {
                "trial_id": name,
                "arm": "cached",
                "epoch": range(1, len(values) + 1),
                "slot_s": np.arange(1.0, len(values) + 1),
                "test": values,
            }
        )
        for name, values in trials
    )


def means(frame: pd.DataFrame) -> dict[float, float]:
    return dict(zip(frame["epoch"], frame["test"], strict=True))


def test_survivors_alone_make_no_mean() -> None:
    frame = epochs(("a", [0.1, 0.2, 0.9]), ("b", [0.3, 0.4]), ("c", [0.5]))
    assert means(learning_curves(frame, ["a", "b", "c"])) == pytest.approx({1: 0.3, 2: 0.3})


def test_trials_of_different_lengths_are_matched_by_their_share() -> None:
    """Of 2 and 4 epochs: the shorter stands at 2 and 4 of the longer's, and in between at 3."""
    frame = epochs(("a", [0.0, 0.4]), ("b", [0.1, 0.2, 0.3, 0.6]))
    curve = learning_curves(frame, ["a", "b"], {"a": 2, "b": 4})
    assert means(curve) == pytest.approx({2: 0.1, 3: 0.25, 4: 0.5})
    assert curve["seconds"].tolist() == pytest.approx([1.5, 2.25, 3.0])
    assert (curve["trials"] == 2).all()


def test_ends_of_different_trials_are_not_joined() -> None:
    """Each looks once, after its own last epoch: one point, not a line from one to the other."""
    frame = epochs(("a", [NAN, 0.4]), ("b", [NAN, NAN, NAN, 0.6]))
    for planned in ({"a": 2.0, "b": 4.0}, {}):
        curve = learning_curves(frame, ["a", "b"], planned)
        assert curve["test"].tolist() == pytest.approx([0.5])
        assert curve["seconds"].tolist() == pytest.approx([3.0])
        assert curve["trials"].tolist() == [2]


def test_no_value_gives_no_curve() -> None:
    assert learning_curves(epochs(("a", [NAN, NAN])), ["a"]).empty
    assert learning_curves(epochs(("a", [0.1])), []).empty
