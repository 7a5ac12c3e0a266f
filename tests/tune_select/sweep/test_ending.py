import signal

import pytest

from tune_select.sweep.ending import Ending, How


@pytest.mark.parametrize(
    ("ending", "status", "mlflow", "said"),
    [
        (Ending.finished(), 0, "FINISHED", ""),
        (Ending.interrupted(signal.SIGINT), 130, "KILLED", "interrupted (Ctrl-C)"),
        (Ending.interrupted(signal.SIGTERM), 143, "KILLED", "interrupted (SIGTERM)"),
        (Ending.out_of_budget(25.0), 3, "KILLED", "time budget (tune.time_budget_s: 25)"),
        (Ending.failed("no seed."), 1, "FAILED", "failed: no seed."),
    ],
)
def test_one_value_says_everything_about_an_ending(ending, status, mlflow, said):
    assert ending.exit_status == status
    assert ending.mlflow_status == mlflow
    assert said in ending.sentence()
    assert ending.sentence("More.").endswith("More.") is not ending.is_finished
    assert Ending.from_dict(ending.as_dict()) == ending
    assert ending.is_finished is (ending.how is How.FINISHED)
