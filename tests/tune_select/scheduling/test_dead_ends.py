"""What is tried again after a failure, and what is given up, without Ray."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.error import TuneError
from ray.tune.experiment import Trial

from tests.tune_select.scheduling.simulated import Run, without_ray
from tune_select.scheduling import dead_ends as module
from tune_select.scheduling.dead_ends import DeadEnds
from tune_select.scheduling.scheduler import SeedReplayScheduler
from tune_select.scheduling.seed_progress import Seeds
from tune_select.scheduling.waiting_room import WaitingRoom

STAYS = 'Failure # 1 (occurred at now)\n  File "x.py", line 1, in f\nValueError: no such model\n'
PASSES = STAYS.replace("ValueError: no such model", "OSError: No space left on device")


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(
        module, "give_up", lambda _, trial, failure: found.append((trial.trial_id, str(failure)))
    )
    return found


def ends() -> DeadEnds:
    seeds = Seeds()
    return DeadEnds(seeds, WaitingRoom(seeds), "arm='seed'")


@pytest.mark.parametrize(
    ("text", "failures", "status", "is_given_up"),
    [
        (STAYS, 1, Trial.PENDING, True),
        (STAYS, 1, Trial.PAUSED, True),
        (PASSES, 1, Trial.PENDING, False),
        (STAYS, 0, Trial.PENDING, False),  # of an attempt before a restore that resets errors
        (STAYS, 1, Trial.RUNNING, False),
        (None, 1, Trial.PENDING, False),  # died without a word: killed
    ],
)
def test_only_what_would_fail_again_is_given_up(
    tmp_path: Path,
    given_up: list[tuple[str, str]],
    text: str | None,
    failures: int,
    status: str,
    is_given_up: bool,
) -> None:
    file = tmp_path / "error.txt"
    if text is not None:
        file.write_text(text)
    trial: Any = SimpleNamespace(
        trial_id="t", num_failures=failures, error_file=str(file), status=status
    )
    found = ends()
    found.arrive(trial)
    found.give_up_what_cannot_pass(SimpleNamespace())
    assert given_up == [("t", "ValueError: no such model")] * is_given_up
    found.give_up_what_cannot_pass(SimpleNamespace())
    assert len(given_up) == is_given_up, "once is enough"


@pytest.mark.parametrize(
    ("histories", "runs", "ends"),
    [(("a",), True, True), (("a", "b"), True, False), (("a", "b"), False, True)],
)
def test_a_failed_seed_ends_the_run_once_nothing_else_can_go_on(
    monkeypatch: pytest.MonkeyPatch, histories: tuple[str, ...], runs: bool, ends: bool
) -> None:
    found = DeadEnds(seeds := Seeds(), WaitingRoom(seeds), "arm='seed'")
    for name, status in zip(histories, (Trial.ERROR, Trial.TERMINATED), strict=False):
        seed: Any = SimpleNamespace(
            trial_id=name, config={"history": name}, status=status, error_file=None, path="/p",
            last_result={"history_complete": status == Trial.TERMINATED},
        )  # fmt: skip
        seeds.add(seed)
    running = [SimpleNamespace(status=Trial.RUNNING, trial_id="r")] if runs else []
    saved: list[Any] = []
    controller = SimpleNamespace(
        get_live_trials=lambda: running, checkpoint=lambda **how: saved.append(how)
    )
    if not ends:
        found.check(controller)
        assert saved == []
        return
    with pytest.raises(TuneError, match=r"seed trial a failed after 0 intervals"):
        found.check(controller)
    assert saved == [{"force": True, "wait": True}], "a restore must find what has happened"


def test_the_scheduler_gives_up_what_tune_would_try_again(
    tmp_path: Path, given_up: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_ray(monkeypatch, 2.0)
    (tmp_path / "error.txt").write_text(STAYS)
    run = Run(SeedReplayScheduler(), [{"arm": "full"}, {"arm": "full"}])
    failed = run.trials[0]
    failed.num_failures, failed.error_file = 1, str(tmp_path / "error.txt")
    run.step()
    assert given_up == [(failed.trial_id, "ValueError: no such model")]
