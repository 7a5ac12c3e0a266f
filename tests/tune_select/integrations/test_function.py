from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tune_select.loops.digits import draws, make_model, sampler_for
from tune_select.integrations import function


def test_a_function_goes_on_from_what_it_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[dict[str, Any]] = []

    def report(metrics: dict[str, Any], checkpoint: Any = None) -> None:
        reported.append(metrics)
        if checkpoint is not None:
            checkpoint.to_directory(tmp_path / "kept")

    monkeypatch.setattr(function.tune, "report", report)
    monkeypatch.setattr(function.tune, "get_checkpoint", lambda: None)
    whole = draws(sampler_for("random"))
    sampler, model = sampler_for("random"), make_model()
    assert function.restore(sampler, model=model) == 0
    assert [list(sampler) for _ in range(2)] == whole[:2]
    function.report({"val_accuracy": 0.5}, sampler)
    assert not (tmp_path / "kept").exists()
    assert (reported[0]["val_accuracy"], reported[0]["epoch"]) == (0.5, 2)
    function.report({"val_accuracy": 0.5}, sampler, model=model)

    kept = function.tune.Checkpoint.from_directory(str(tmp_path / "kept"))
    monkeypatch.setattr(function.tune, "get_checkpoint", lambda: kept)
    again, other = sampler_for("random"), make_model(seed=9)
    assert function.restore(again, model=other) == 2
    assert draws(again, 4) == whole[2:]
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    with pytest.raises(ValueError, match="holds sampler, model, but no schedule"):
        function.restore(sampler_for("random"), schedule=other)
