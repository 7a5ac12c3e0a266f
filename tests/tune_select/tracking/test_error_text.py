"""What a trial failed of is told to MLflow without the secrets that stand in it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tune_select.secrets import remember_secrets
from tune_select.tracking import MLflowCallback
from tune_select.tracking.link import SpoolLink, release, spool_of


def test_the_copy_that_is_sent_is_masked_and_the_trial_s_own_file_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SpoolLink, "_ensure_writer", lambda self: None)
    monkeypatch.setattr("tune_select.secrets._values", set())
    remember_secrets({"data": {"dbPassword": "correct horse"}})
    error = tmp_path / "error.txt"
    error.write_text("Traceback\nOSError: login correct horse at http://me:hunter2@host\n")
    trial = SimpleNamespace(
        trial_id="t", config={}, evaluated_params={}, error_file=str(error),
        local_path=str(tmp_path), path=str(tmp_path),
    )  # fmt: skip
    callback = MLflowCallback("http://host", "e", "s", "id", folder=tmp_path)
    try:
        callback.on_trial_error(1, [], trial)
        (file,) = spool_of(tmp_path).glob("events-*.jsonl")
        artifact, end = (json.loads(line) for line in file.read_text().splitlines())
    finally:
        release(spool_of(tmp_path))
    assert end["tags"]["error"] == "OSError: login *** at http://me:***@host"
    copy = tmp_path / artifact["path"]
    assert copy.name == "error.txt"
    assert copy.read_text() == "Traceback\nOSError: login *** at http://me:***@host\n"
    assert artifact["remove"], "it is gone once it is sent"
    assert "correct horse" in error.read_text()
