"""A command outlives its terminal, and ends as a shell expects before there is anything to save."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

KEPT = "import sys; from tune_select.terminal import keep_streams; keep_streams(); "


def python(code: str, *redirection: str) -> subprocess.CompletedProcess[str]:
    shell = ["bash", "-o", "pipefail", "-c", " ".join(['"$0" -c "$1"', *redirection])]
    return subprocess.run(
        [*shell, sys.executable, code], capture_output=True, text=True, check=False
    )


def test_a_reader_that_ends_early_ends_nothing() -> None:
    code = KEPT + "[print('x' * 1000) for _ in range(2000)]; print('end', file=sys.stderr)"
    done = python(code, "| head -n 1")
    assert (done.returncode, done.stderr) == (0, "end\n")


def test_rich_s_console_does_not_end_the_process_either() -> None:
    code = KEPT + (
        "from rich.console import Console; c = Console(); [c.print('y' * 1000) for _ in range(200)]"
        "; print('end', file=sys.stderr)"
    )
    done = python(code, "| head -n 1")
    assert (done.returncode, done.stderr) == (0, "end\n")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "< /dev/null > /dev/full"])
def test_a_closed_or_full_output_ends_nothing(closed: str) -> None:
    code = (
        KEPT + "import os; print('x' * 9000, flush=True); os._exit(7 if os.path.exists('/') else 1)"
    )
    assert python(code, closed).returncode == 7


def test_what_is_opened_next_is_not_taken_for_a_closed_output() -> None:
    code = KEPT + "import os; fd = os.open('/dev/null', os.O_RDONLY); sys.exit(0 if fd > 2 else 1)"
    assert python(code, ">&- 2>&- <&-").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_anything_is_trained_ends_with_its_status(number: signal.Signals) -> None:
    code = (
        # What starts the tests may ignore it (nohup, a background job), and ours then do so too.
        f"import os, signal; signal.signal({int(number)}, signal.SIG_DFL); "
        "from tune_select.terminal import end_on_signals; end_on_signals(); "
        f"os.kill(os.getpid(), {int(number)}); print('went on')"
    )
    done = python(code)
    assert done.returncode == 128 + number
    assert "ended, nothing was being trained" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
