"""What is known of seeds: how far they are, how they ended, and what others finished before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from tests.tune_select.histories import identity, interval
from tune_select.history.folder import FolderHistory
from tune_select.scheduling.seed_progress import SeedProgress, Seeds, waiting_for


def trial(name: str = "s", history: str = "", status: str = Trial.RUNNING, **more: Any) -> Any:
    given = {"last_result": {}, "error_file": None, "path": "/runs/s", **more}
    return SimpleNamespace(trial_id=name, config={"history": history}, status=status, **given)


@pytest.mark.parametrize(
    ("status", "result", "said"),
    [
        (Trial.ERROR, {"history_published": 2}, "s failed after 2 intervals: unknown error"),
        (Trial.TERMINATED, {}, "s ended and never reported history_published"),
        (Trial.TERMINATED, {"history_published": 3}, "s was stopped after 3 intervals"),
    ],
)
def test_a_seed_that_ended_without_its_history_says_how(
    status: str, result: dict[str, Any], said: str
) -> None:
    seeds = Seeds()
    seed = seeds.add(trial(status=status, last_result=result))
    assert seed.failed
    assert seeds.failed() == [seed]
    assert seed.fate().startswith(said)
    seed.note({"history_complete": True})
    assert not seed.failed, "whatever happened to it, everything is there"


def test_a_failed_seed_says_what_it_failed_with_and_keeps_secrets(tmp_path: Path) -> None:
    error = tmp_path / "error.txt"
    error.write_text('Failure # 1 (occurred at x)\n  File "t.py", line 1, in f\nValueError: bad\n')
    seed = Seeds().add(trial(status=Trial.ERROR, error_file=str(error)))
    assert seed.fate() == "s failed after 0 intervals: ValueError: bad (error.txt in /runs/s)"


def test_what_was_published_once_stays_so() -> None:
    seeds = Seeds()
    seed = seeds.add(trial(last_result={"history_published": 2}))
    assert (seed.published, seed.tells, seed.complete) == (2, True, False)
    for result in (None, {}, {"history_published": 1}, {"history_published": None}):
        seed.note(result)
        assert seed.published == 2
    seed.note({"history_complete": True, "history_published": 3})
    seed.note({"history_complete": False})
    assert (seed.published, seed.complete) == (3, True)
    assert str(seeds) == "history: complete"
    other = Seeds()
    other.add(trial(history="a"))
    other.add(trial("b", history="b", last_result={"history_published": 4}))
    assert str(other) == "a: 0, b: 4"


def test_two_seeds_of_one_history_are_noticed_and_one_that_starts_again_is_not() -> None:
    seeds = Seeds()
    first = seeds.add(trial("a", history="h"))
    assert seeds.add(trial("a", history="h")) is first
    assert seeds.twice is None
    seeds.add(trial("b", history="h"))
    assert seeds.twice == ("h", "a", "b")


def test_only_a_seed_that_runs_and_has_more_to_come_can_be_followed() -> None:
    seeds = Seeds()
    seed = seeds.add(trial(status=Trial.PENDING))
    assert seeds.followed() is None
    seed.starting = True
    assert seeds.followed() is seed
    seed.trial.status, seed.starting = Trial.RUNNING, False
    assert seeds.followed() is seed
    seed.trial.status = Trial.PAUSED
    assert seeds.followed() is None
    seed.trial.status, seed.complete = Trial.RUNNING, True
    assert seeds.followed() is None


def test_a_history_that_was_finished_before_needs_no_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = identity(select_every=5)
    folder = FolderHistory(str(tmp_path / "done"))
    folder.begin(of)
    begun = FolderHistory(str(tmp_path / "begun"))
    begun.begin(of)
    for number in range(2):
        folder.publish(interval(number, of))
    folder.finish()
    looked: list[str] = []
    manifest = FolderHistory.manifest
    monkeypatch.setattr(
        FolderHistory, "manifest", lambda self: looked.append("look") or manifest(self)
    )
    seeds = Seeds()
    for name, complete in (("done", True), ("begun", False), ("nowhere", False)):
        replay = trial("r", history=str(tmp_path / name))
        for _ in range(2):
            assert seeds.complete_for(replay) is complete
            assert seeds.may_go_on(replay, 7) is complete
    assert len(looked) == 3, "each folder is looked at once"
    assert seeds.complete_for(trial("r")) is False, "no folder at all"


@pytest.mark.parametrize(
    ("result", "interval"),
    [({}, -1), ({"waiting_for_interval": None}, -1), ({"waiting_for_interval": 3}, 3)],
)
def test_what_a_report_waits_for(result: dict[str, Any], interval: int) -> None:
    assert waiting_for(result) == interval


def test_a_seed_that_has_reported_nothing_has_published_nothing() -> None:
    seed: Any = SimpleNamespace(trial_id="s", config={}, status=Trial.RUNNING, last_result={})
    replay: Any = SimpleNamespace(trial_id="r", config={}, status=Trial.PAUSED, last_result={})
    seeds = Seeds()
    progress = seeds.add(seed)
    assert progress == SeedProgress(seed, published=0, complete=False, tells=False, starting=False)
    assert seeds.may_go_on(replay, -1), "its process may come up"
    assert not seeds.may_go_on(replay, 0)
    progress.note({"history_published": 1})
    assert seeds.may_go_on(replay, 0)
    assert not seeds.may_go_on(replay, 1)
    seed.status = Trial.PENDING
    assert not seeds.may_go_on(replay, 0), "the seed has no place"
    progress.starting = True
    assert seeds.may_go_on(replay, 0)
