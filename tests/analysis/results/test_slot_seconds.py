"""How long a trial held its slot, of trials that time themselves and of those that do not."""

import pandas as pd
import pytest

from analysis.results.frames import typed_epochs


@pytest.mark.parametrize(
    ("columns", "slot_s"),
    [
        ({"train_s": [1.0, 2.0], "wait_s": [0.5, 0.5], "time_total_s": [9.0, 9.0]}, [1.5, 2.5]),
        ({"wait_s": [0.5, 0.5], "time_total_s": [3.0, 6.0]}, [3.0, 6.0]),
        ({"wait_s": [0.5, 0.5]}, [0.5, 0.5]),
        ({"train_s": [None, 2.0], "wait_s": [0.5, 0.5], "time_total_s": [3.0, None]}, [3.0, 2.5]),
    ],
    ids=["times itself", "a loop that does not", "nobody counts", "one epoch of each"],
)
def test_tunes_seconds_count_where_the_training_s_were_not_measured(columns, slot_s):
    epochs = pd.DataFrame(
        {
            "trial_id": ["t", "t"],
            "arm": "full",
            "epoch": [1, 2],
            "val_accuracy": [0.5, 0.6],
            **columns,
        }
    )
    assert typed_epochs(epochs, "accuracy")["slot_s"].tolist() == slot_s
