"""Signals are noted, given back afterwards, and left alone where they are not ours."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading

import pytest

from tune_select.sweep.ending import Ending, How
from tune_select.sweep.interruption import StopRequested, interruptible, stop_requested


def test_a_signal_is_noted_and_the_handlers_come_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with interruptible() as interruption:
        interruption.check()
        assert not stop_requested()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # an echo
        assert stop_requested()
        assert interruption.ending() == Ending.interrupted(signal.SIGTERM)
        with pytest.raises(StopRequested, match="SIGTERM"):
            interruption.check()
    assert not stop_requested()
    assert {number: signal.getsignal(number) for number in before} == before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible() as interruption:
            signal.raise_signal(signal.SIGHUP)
            assert interruption.ending() is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_budget_runs_from_its_start_to_the_end_of_training() -> None:
    with interruptible(budget_s=1e-9) as interruption:
        assert interruption.ending() is None
        interruption.start_clock()
        ending = interruption.ending()
        assert ending is not None
        assert ending.how is How.OUT_OF_BUDGET
        interruption.stop_clock()
        assert interruption.ending() is None
    with interruptible(budget_s=None) as interruption:
        interruption.start_clock()
        assert interruption.ending() is None


def test_another_thread_takes_no_signals() -> None:
    seen = []

    def run() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_scheduler_that_asks_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(stop_requested)) is stop_requested


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process(second: signal.Signals) -> None:
    code = f"""
import os, signal, sys, time
from tune_select.sweep.interruption import interruptible
with interruptible():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.4)
    os.kill(os.getpid(), {int(second)})
    sys.exit(9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + second
    assert "once more ends at once" in done.stderr
    assert "ended at once; nothing is lost" in done.stderr
