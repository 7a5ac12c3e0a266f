"""A report that cannot be written fails the sweep, in words, and loses nothing of its ending."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tune_select.sweep.closing import Closing
from tune_select.sweep.ending import Ending, How
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.folder.state import KeptState, SweepState


class Unwritable(Closing):
    """All but the report is left out."""

    def _report(self, ending: Ending, slots: int) -> Any:
        raise OSError(errno.EDQUOT, "Disk quota exceeded", f"{self.folder.location}/report.html")


@pytest.mark.parametrize("ending", [Ending.finished(), Ending.interrupted(2)])
def test_the_file_what_helps_and_how_it_goes_on_are_said(ending: Ending, tmp_path: Path) -> None:
    rest: dict[str, Any] = dict.fromkeys(
        ("plan", "dataset", "experiments", "tracking", "interruption", "console", "began")
    )
    state = KeptState(SweepState({}), str(tmp_path))
    ended = Unwritable(folder=ResultsFolder(str(tmp_path)), state=state, **rest).report(ending, 1)
    assert ended.how is (How.FAILED if ending.is_finished else ending.how)
    assert ended.exit_status == (1 if ending.is_finished else 130)
    assert f"{tmp_path}/report.html: Disk quota exceeded; make room" in state.now.said
    assert f"tune-select run --resume {tmp_path}" in state.now.said
    assert state.now.said.count("quota") == 1
