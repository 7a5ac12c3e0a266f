from typing import Any

import pytest
from torch import nn

from tests.trainables.toy_tasks import PointTask
from trainables.arms.rehearsal import rehearse_task
from trainables.settings.trial import parse_settings
from trainables.tasks.task import Split
from tune_select.selection import Signals


class Headless(PointTask):
    """No layer that could be matched, as in a detector of several convolutions."""

    def head(self) -> nn.Linear:
        raise ValueError("there is no head")


class Sketched(Headless):
    """One that gives selectors gradients all the same."""

    def signals(self, split: Split = "train", *, gradients: bool = True) -> Signals:
        raise AssertionError("a rehearsal selects nothing")


def rehearsed(task: type[PointTask], arm: str, **selection: Any) -> dict[str, Any] | None:
    config = {"arm": arm, "model": "points", "selection": {"fraction": 0.1, **selection}}
    return rehearse_task(task, parse_settings(config), {})


@pytest.mark.parametrize("arm", ["gradmatch", "gradmatch_pb", "seed"])
def test_a_task_that_gives_selectors_its_own_signals_needs_no_head(arm: str) -> None:
    row = rehearsed(Sketched, arm)
    assert row is not None
    assert row["head"] == "its own signals"
    with pytest.raises(ValueError, match="there is no head"):
        rehearsed(Headless, arm)


@pytest.mark.parametrize("task", [Headless, Sketched])
def test_a_selector_inside_the_mini_batch_matches_a_head(task: type[PointTask]) -> None:
    with pytest.raises(ValueError, match="there is no head"):
        rehearsed(task, "gradient_norm")
    assert rehearsed(task, "big_loss") is not None
