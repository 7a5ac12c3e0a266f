"""What the command line says and ends with when it cannot do what it was asked."""

from __future__ import annotations

import errno
from importlib.metadata import version
from typing import Any

import pytest

from tune_select import cli
from tune_select.sweep.config import SweepError


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SweepError("name must be a text"), 2, "tune-select: name must be a text\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/r/s/sweep.yaml"),
            1,
            "tune-select: /r/s/sweep.yaml: No space left on device; make room\n",
        ),
        (
            SweepError("cannot reach http://me:hunter2@host"),
            2,
            "tune-select: cannot reach http://me:***@host\n",
        ),
    ],
)
def test_an_error_is_one_line_and_a_status(
    error: Exception,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "keep_streams", lambda: None)  # of this process
    monkeypatch.setattr(cli, "end_on_signals", lambda: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    assert capsys.readouterr().err == said


def test_versions_are_shown_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.app(["--version"])
    assert not ended.value.code
    packages = [f"{name} {version(name)}" for name in ("tune-select", "ray", "torch", "mlflow")]
    assert capsys.readouterr().out == f"{', '.join(packages)}\n"
